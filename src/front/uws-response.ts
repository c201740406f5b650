/**
 * One answer over uWebSockets.js. The status and headers are kept until the first byte, since the library
 * wants all of it inside one cork; with a Content-Length the body goes through tryEnd(), which copies nothing
 * and tells how much the kernel took, otherwise through chunked write(), which copies what the kernel did not
 * take.
 */

import type * as Uws from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import type { HttpHeaders, HttpResponse } from './http.js';

export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}

export interface UwsResponseEvents {
  /**
   * The next call ends the answer: the last moment at which the raw object may be touched. May be called
   * twice.
   */
  onEnding(): void;
  /** Once; the raw object is dead. */
  onClosed(response: UwsResponse): void;
}

interface Waiter {
  resolve(): void;
  reject(error: StoreError): void;
}

export class UwsResponse implements HttpResponse {
  readonly #raw: Uws.HttpResponse;
  readonly #events: UwsResponseEvents;
  #head: { status: number; headers: HttpHeaders } | undefined;
  #isFlushed = false;
  #isClosed = false;
  #total: number | undefined;
  #sent = 0;
  /** What the kernel has not taken of the last write, with a Content-Length. */
  #pending: Uint8Array | undefined;
  #pendingOffset = 0;
  #isBlocked = false;
  #waiters: Waiter[] = [];

  constructor(raw: Uws.HttpResponse, events: UwsResponseEvents) {
    this.#raw = raw;
    this.#events = events;
    raw.onWritable(offset => this.#onWritable(offset));
  }

  get isHeadSent(): boolean {
    return this.#head !== undefined;
  }

  get status(): number {
    return this.#head?.status ?? 0;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  head(status: number, headers: HttpHeaders): void {
    assert(this.#head === undefined, 'an answer has one head');
    this.#head = { status, headers };
    const length = headers['content-length'];
    if (length !== undefined) this.#total = Number(length);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed) return false;
    assert(this.#head !== undefined && !this.#isBlocked, 'write after head, and after drained');
    if (bytes.length === 0) return true;
    if (this.#total !== undefined) this.#account(bytes.length);
    this.#raw.cork(() => {
      this.#flushHead();
      if (this.#total === undefined) this.#isBlocked = !this.#raw.write(bytes);
      else this.#send(bytes);
    });
    return !this.#isBlocked;
  }

  drained(): Promise<void> {
    if (this.#isClosed && (this.#total === undefined || this.#sent < this.#total))
      return Promise.reject(gone());
    if (!this.#isBlocked) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  end(bytes?: Uint8Array): void {
    if (this.#isClosed) return;
    const head = this.#head;
    assert(head !== undefined, 'end after head');
    const size = bytes?.length ?? 0;
    if (this.#total !== undefined && this.#sent + size !== this.#total) {
      this.abort();
      return;
    }
    if (this.#isFlushed && this.#total !== undefined) {
      // tryEnd() ends by itself with the last byte; a last piece goes the way of the others.
      if (size > 0) this.write(new Uint8Array(bytes!));
      return;
    }
    this.#finish(raw => {
      // With `true` the library writes its own Connection header: into the body, when that has begun.
      const isClosing = head.headers.connection === 'close' && !this.#isFlushed;
      this.#flushHead(isClosing);
      if (isClosing) raw.end(bytes ?? '', true);
      else raw.end(bytes ?? '');
    });
  }

  endHead(): void {
    if (this.#isClosed) return;
    assert(
      this.#head !== undefined && !this.#isFlushed,
      'an answer without body has a head and nothing else',
    );
    this.#finish(raw => {
      this.#flushHead();
      if (this.#total !== undefined) raw.writeHeader('content-length', String(this.#total));
      // Any argument, undefined as well, makes the library write a wrong length.
      raw.endWithoutBody();
    });
  }

  abort(): void {
    if (this.#isClosed) return;
    const raw = this.#raw;
    this.#events.onEnding();
    this.#close();
    raw.close();
  }

  /** The library says that the connection is gone; `raw` is dead already. */
  onAborted(): void {
    this.#close();
  }

  #account(size: number): void {
    this.#sent += size;
    assert(this.#sent <= this.#total!, 'an answer is not longer than its Content-Length');
    if (this.#sent === this.#total) this.#events.onEnding();
  }

  /** The last words inside a cork; the raw object is dead behind them. */
  #finish(write: (raw: Uws.HttpResponse) => void): void {
    const raw = this.#raw;
    this.#events.onEnding();
    this.#close();
    raw.cork(() => write(raw));
  }

  /**
   * Inside a cork. Content-Length is written by tryEnd() and end() themselves, Connection by a closing end().
   */
  #flushHead(isClosing = false): void {
    if (this.#isFlushed) return;
    this.#isFlushed = true;
    const { status, headers } = this.#head!;
    this.#raw.writeStatus(statusLine(status));
    for (const [name, value] of Object.entries(headers)) {
      if (name === 'content-length' || (isClosing && name === 'connection')) continue;
      this.#raw.writeHeader(name, value);
    }
  }

  #send(bytes: Uint8Array): void {
    const before = this.#raw.getWriteOffset();
    const [isTaken, isDone] = this.#raw.tryEnd(bytes, this.#total!);
    if (isDone) {
      this.#close();
      return;
    }
    if (isTaken) return;
    this.#pending = bytes;
    this.#pendingOffset = before;
    this.#isBlocked = true;
  }

  /** The kernel has room. The answer is whether everything pending was taken. */
  #onWritable(offset: number): boolean {
    if (this.#isClosed || !this.#isBlocked) return true;
    if (this.#pending !== undefined) {
      const rest = this.#pending.subarray(offset - this.#pendingOffset);
      const [isTaken, isDone] = this.#raw.tryEnd(rest, this.#total!);
      if (!isTaken && !isDone) return false;
      this.#pending = undefined;
      if (isDone) {
        this.#unblock();
        this.#close();
        return true;
      }
    }
    this.#unblock();
    return true;
  }

  #unblock(): void {
    this.#isBlocked = false;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pending = undefined;
    this.#events.onClosed(this);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(gone());
  }
}

function gone(): StoreError {
  return new StoreError('CANCELLED', 'the client has gone before the answer was complete');
}
