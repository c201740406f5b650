/**
 * WebSockets over uWebSockets.js. The library would drop messages beyond maxBackpressure without a word: it
 * is switched off (0), and our own bound refuses instead.
 */
import type * as Uws from 'uWebSockets.js';
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import {
  WEBSOCKET_BACKLOG_LOW,
  WEBSOCKET_BACKLOG_MAX,
  WEBSOCKET_IDLE_SECONDS,
  WEBSOCKET_MESSAGE_SIZE_MAX,
} from '../base/limits.js';
import type { FrontLog, UpgradeAnswer, WebSocketConnection, WebSocketSink } from './http.js';

type Accepted = Extract<UpgradeAnswer, { isAccepted: true }>;

/** What the library keeps for a connection. */
export interface UwsSocketData {
  readonly answer: Accepted;
  readonly remoteAddress: string;
  connection?: UwsConnection;
  sink?: WebSocketSink;
}

type RawSocket = Uws.WebSocket<UwsSocketData>;

export class UwsConnection implements WebSocketConnection {
  readonly remoteAddress: string;
  #raw: RawSocket | undefined;
  #waiters: { resolve(): void; reject(error: StoreError): void }[] = [];

  constructor(raw: RawSocket, remoteAddress: string) {
    this.#raw = raw;
    this.remoteAddress = remoteAddress;
  }

  get bufferedAmount(): number {
    return this.#raw?.getBufferedAmount() ?? 0;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#raw === undefined) return false;
    if (this.bufferedAmount > WEBSOCKET_BACKLOG_MAX) {
      throw new StoreError('BUSY', `more than ${WEBSOCKET_BACKLOG_MAX} bytes wait on a WebSocket already`);
    }
    const result = this.#raw.send(bytes, true, false);
    assert(result !== 2, 'a WebSocket message is never dropped');
    return this.bufferedAmount <= WEBSOCKET_BACKLOG_LOW;
  }

  drained(): Promise<void> {
    if (this.#raw === undefined) return Promise.reject(closed());
    if (this.bufferedAmount <= WEBSOCKET_BACKLOG_LOW) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  ping(): void {
    this.#raw?.ping();
  }

  close(code: number, reason: string): void {
    this.#raw?.end(code, reason);
  }

  abort(): void {
    this.#raw?.close();
  }

  onDrain(): void {
    if (this.bufferedAmount > WEBSOCKET_BACKLOG_LOW) return;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  onClosed(): void {
    this.#raw = undefined;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed());
  }
}

function closed(): StoreError {
  return new StoreError('CANCELLED', 'the WebSocket has closed');
}

/** All but the upgrade itself, which the server decides. `open` holds every connection for the stop. */
export function webSocketBehaviour(
  open: Set<UwsSocketData>,
  log: FrontLog,
): Omit<Uws.WebSocketBehavior<UwsSocketData>, 'upgrade'> {
  /** A sink that throws costs its own connection, never the process. */
  const guarded = (raw: RawSocket, action: (data: UwsSocketData) => void) => {
    try {
      action(raw.getUserData());
    } catch (error) {
      log.error({ err: error }, 'a WebSocket handler failed');
      raw.close();
    }
  };
  return {
    maxPayloadLength: WEBSOCKET_MESSAGE_SIZE_MAX,
    maxBackpressure: 0,
    idleTimeout: WEBSOCKET_IDLE_SECONDS,
    sendPingsAutomatically: true,
    compression: 0,
    open: raw =>
      guarded(raw, data => {
        open.add(data);
        data.connection = new UwsConnection(raw, data.remoteAddress);
        data.sink = data.answer.open(data.connection);
      }),
    message: (raw, bytes, isBinary) =>
      guarded(raw, data => data.sink?.onMessage(new Uint8Array(bytes), isBinary)),
    drain: raw => guarded(raw, data => data.connection?.onDrain()),
    pong: raw => guarded(raw, data => data.sink?.onPong?.()),
    close: (raw, code) => {
      const data = raw.getUserData();
      open.delete(data);
      data.connection?.onClosed();
      try {
        data.sink?.onClose(code);
      } catch (error) {
        log.error({ err: error }, 'a WebSocket handler failed');
      }
    },
  };
}
