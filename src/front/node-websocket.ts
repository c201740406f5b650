/**
 * WebSockets over the ws package. Its send() queues without a bound; ours asks to wait above a low mark and
 * refuses above the maximum. Per-message deflate is off: it would only cost, and a bomb could hide in it.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { StoreError } from '../base/errors.js';
import {
  WEBSOCKET_BACKLOG_LOW,
  WEBSOCKET_BACKLOG_MAX,
  WEBSOCKET_IDLE_SECONDS,
  WEBSOCKET_MESSAGE_SIZE_MAX,
} from '../base/limits.js';
import type { ServerContext, UpgradeAnswer, WebSocketConnection, WebSocketSink } from './http.js';

type Accepted = Extract<UpgradeAnswer, { isAccepted: true }>;

export class NodeWebSockets {
  readonly #context: ServerContext;
  readonly #server: WebSocketServer;
  readonly #open = new Set<NodeConnection>();
  /** Called after each connection's end. */
  onClosed: (() => void) | undefined;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: WEBSOCKET_MESSAGE_SIZE_MAX,
      // Decided by the handler: the answer names the protocol, the first offered one is not taken by itself.
      handleProtocols: () => false,
    });
  }

  get count(): number {
    return this.#open.size;
  }

  accept(
    request: IncomingMessage,
    socket: Duplex,
    rest: Buffer,
    answer: Accepted,
    remoteAddress: string,
  ): void {
    this.#server.options.handleProtocols = () => answer.protocol ?? false;
    this.#server.handleUpgrade(request, socket, rest, raw => {
      const connection = new NodeConnection(raw, remoteAddress, this.#context);
      this.#open.add(connection);
      raw.once('close', () => {
        this.#open.delete(connection);
        this.onClosed?.();
      });
      connection.attach(() => answer.open(connection));
    });
  }

  closeAll(code: number, reason: string): void {
    for (const connection of [...this.#open]) connection.close(code, reason);
  }

  abortAll(): void {
    for (const connection of [...this.#open]) connection.abort();
  }
}

class NodeConnection implements WebSocketConnection {
  readonly remoteAddress: string;
  readonly #raw: WebSocket;
  readonly #context: ServerContext;
  #queued = 0;
  #isClosed = false;
  #wasHeard = true;
  #waiters: { resolve(): void; reject(error: StoreError): void }[] = [];

  constructor(raw: WebSocket, remoteAddress: string, context: ServerContext) {
    this.#raw = raw;
    this.remoteAddress = remoteAddress;
    this.#context = context;
  }

  get bufferedAmount(): number {
    return this.#queued;
  }

  attach(open: () => WebSocketSink): void {
    let sink: WebSocketSink | undefined;
    this.#raw.on('error', () => this.#raw.terminate());
    this.#raw.on('close', code => this.#guard(() => this.#onClose(sink, code)));
    this.#raw.on('message', (data, isBinary) => {
      this.#wasHeard = true;
      this.#guard(() => sink?.onMessage(data as Buffer, isBinary));
    });
    this.#raw.on('pong', () => {
      this.#wasHeard = true;
      this.#guard(() => sink?.onPong?.());
    });
    this.#raw.on('ping', () => {
      this.#wasHeard = true;
    });
    this.#guard(() => {
      sink = open();
    });
    this.#watchSilence();
  }

  send(bytes: Uint8Array): boolean {
    if (this.#isClosed) return false;
    if (this.#queued > WEBSOCKET_BACKLOG_MAX) {
      throw new StoreError('BUSY', `more than ${WEBSOCKET_BACKLOG_MAX} bytes wait on a WebSocket already`);
    }
    this.#queued += bytes.length;
    // The package keeps the buffer until the kernel has it; the caller's is free at once.
    this.#raw.send(new Uint8Array(bytes), { binary: true, compress: false }, error => {
      // What was not sent counts as waiting until the close is told.
      if (!error) this.#onSent(bytes.length);
    });
    return this.#queued <= WEBSOCKET_BACKLOG_LOW;
  }

  drained(): Promise<void> {
    if (this.#isClosed) return Promise.reject(closed());
    if (this.#queued <= WEBSOCKET_BACKLOG_LOW) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  ping(): void {
    if (!this.#isClosed) this.#raw.ping();
  }

  close(code: number, reason: string): void {
    this.#raw.close(code, reason);
  }

  abort(): void {
    this.#raw.terminate();
  }

  #onSent(size: number): void {
    this.#queued -= size;
    if (this.#queued > WEBSOCKET_BACKLOG_LOW) return;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  #onClose(sink: WebSocketSink | undefined, code: number): void {
    this.#isClosed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed());
    sink?.onClose(code);
  }

  /** A peer that has been silent for a period is pinged, and cut after a second one. */
  #watchSilence(): void {
    this.#context.clock.after((WEBSOCKET_IDLE_SECONDS * 1000) / 2, () => {
      if (this.#isClosed) return;
      if (!this.#wasHeard) return this.abort();
      this.#wasHeard = false;
      this.ping();
      this.#watchSilence();
    });
  }

  /** A sink that throws costs its own connection, never the process. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#context.log.error({ err: error }, 'a WebSocket handler failed');
      this.#raw.terminate();
    }
  }
}

function closed(): StoreError {
  return new StoreError('CANCELLED', 'the WebSocket has closed');
}
