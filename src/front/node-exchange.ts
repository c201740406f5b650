/**
 * One request and its answer over node:http. Node keeps references to written buffers until the kernel has
 * them, so a write is taken only when its callback says so.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import type { HttpHeaders, HttpResponse } from './http.js';
import { deliverTo, RequestBody } from './request-body.js';

const NOTHING = new Uint8Array(0);

export class NodeExchange implements HttpResponse {
  readonly body: RequestBody;
  readonly socket: Socket;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #onEnded: (exchange: NodeExchange) => void;
  #isExpecting: boolean;
  #status = 0;
  #isClosed = false;
  #isGone = false;
  #isLast = false;
  #total: number | undefined;
  #sent = 0;
  #pendingWrites = 0;
  #waiters: { resolve(): void; reject(error: StoreError): void }[] = [];
  #bodyWindowMs = 0;
  #sendWindowMs = 0;
  #windowProgress = -1;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    isExpecting: boolean,
    onEnded: (exchange: NodeExchange) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#isExpecting = isExpecting;
    this.#onEnded = onEnded;
    this.socket = request.socket;
    this.body = new RequestBody({
      pause: () => request.pause(),
      resume: () => request.resume(),
      begin: () => this.#continue(),
      isHeldBack: () => this.#isExpecting,
    });
    response.on('error', this.#onGone);
    response.on('close', this.#onGone);
    request.on('error', this.#onGone);
    // A pipelined answer that still waits for its turn is told by the socket only.
    this.socket.once('close', this.#onGone);
    this.#readBody();
  }

  get isHeadSent(): boolean {
    return this.#status !== 0;
  }

  get status(): number {
    return this.#status;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  head(status: number, headers: HttpHeaders): void {
    assert(!this.isHeadSent, 'an answer has one head');
    this.#status = status;
    if (this.#isClosed) return;
    const length = headers['content-length'];
    if (length !== undefined) this.#total = Number(length);
    // A client that still waits for 100 Continue may or may not send its body now: the connection cannot be
    // used again.
    this.#response.writeHead(status, this.#isExpecting ? { ...headers, connection: 'close' } : headers);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed) return false;
    assert(this.isHeadSent && this.#pendingWrites === 0, 'write after head, and after drained');
    if (bytes.length === 0) return true;
    this.#sent += bytes.length;
    assert(
      this.#total === undefined || this.#sent <= this.#total,
      'an answer is not longer than its Content-Length',
    );
    this.#pendingWrites += 1;
    this.#windowProgress = -1;
    this.#response.write(bytes, () => this.#onWritten());
    return false;
  }

  drained(): Promise<void> {
    if (this.#isClosed && (this.#total === undefined || this.#sent < this.#total))
      return Promise.reject(gone());
    if (this.#isClosed || this.#pendingWrites === 0) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  end(bytes: Uint8Array = NOTHING): void {
    if (this.#isClosed) return;
    assert(this.isHeadSent, 'end after head');
    if (this.#total !== undefined && this.#sent + bytes.length !== this.#total) {
      this.abort();
      return;
    }
    this.#close();
    this.#response.end(bytes);
  }

  endHead(): void {
    if (this.#isClosed) return;
    this.#close();
    this.#response.end();
  }

  abort(): void {
    if (this.#isClosed) return;
    this.#close();
    this.socket.destroy();
  }

  /** The server cuts the connection: unlike abort(), the reader of the body is told. */
  cut(): void {
    this.body.abort();
    this.abort();
  }

  /**
   * What follows on the connection is of no use: closes it behind this answer, at once when the body is cut
   * short.
   */
  endConnection(): void {
    if (!this.#request.complete && !this.#isClosed) this.cut();
    else if (this.#isGone) this.socket.end();
    else this.#isLast = true;
  }

  // --- the stall rule ---

  startWindow(nowMs: number): void {
    this.#bodyWindowMs = nowMs;
    this.#sendWindowMs = nowMs;
  }

  /** Has the body brought less than `bytesMin` in a window in which nobody but the client was waited for? */
  isBodyStalled(nowMs: number, windowMs: number, bytesMin: number): boolean {
    if (!this.body.isAwaited) {
      this.#bodyWindowMs = nowMs;
      this.body.windowBytes = 0;
    }
    if (nowMs - this.#bodyWindowMs < windowMs) return false;
    const isStalled = this.body.windowBytes < bytesMin;
    this.#bodyWindowMs = nowMs;
    this.body.windowBytes = 0;
    return isStalled;
  }

  /** Has the client taken nothing of a write for a whole window? */
  isSendStalled(nowMs: number, windowMs: number): boolean {
    const left = this.#pendingWrites === 0 ? -1 : queuedBytes(this.socket);
    if (left < 0 || left !== this.#windowProgress) {
      this.#windowProgress = left;
      this.#sendWindowMs = nowMs;
    }
    return nowMs - this.#sendWindowMs >= windowMs;
  }

  // ---

  #continue(): void {
    if (!this.#isExpecting || this.isHeadSent) return;
    this.#isExpecting = false;
    this.#response.writeContinue();
  }

  #readBody(): void {
    const deliver = (bytes: Uint8Array, isLast: boolean) => {
      if (!deliverTo(this.body, bytes, isLast)) this.cut();
    };
    this.#request.on('data', (bytes: Buffer) => deliver(bytes, false));
    this.#request.on('end', () => deliver(NOTHING, true));
  }

  #onWritten(): void {
    this.#pendingWrites -= 1;
    if (this.#pendingWrites > 0) return;
    if (this.#total !== undefined && this.#sent === this.#total && !this.#isClosed) {
      this.#unblock();
      this.#close();
      this.#response.end();
      return;
    }
    this.#unblock();
  }

  #unblock(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** The answer has been handed to the kernel, or never will be. */
  readonly #onGone = (): void => {
    if (this.#isGone) return;
    this.#isGone = true;
    this.socket.off('close', this.#onGone);
    this.body.abort();
    this.#close();
    if (this.#isLast) this.socket.end();
    this.#onEnded(this);
  };

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.body.release();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(gone());
  }
}

function queuedBytes(socket: Socket): number {
  return socket.writableLength;
}

function gone(): StoreError {
  return new StoreError('CANCELLED', 'the client has gone before the answer was complete');
}
