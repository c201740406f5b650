/**
 * A request body between a server and its reader, the same for both servers: holds what comes before start(),
 * keeps the pause, and says the end exactly once. The server calls deliver() and abort(); the reader has
 * HttpBody.
 */
import { assert, BrokenInvariant } from '../base/assert.js';
import { OVERRUN_SIZE_MAX } from '../base/limits.js';
import type { BodySink, HttpBody } from './http.js';

/** The connection as the body sees it. Neither call is made once the body is complete or aborted. */
export interface BodySource {
  pause(): void;
  resume(): void;
  /** Before the first byte is wanted (100 Continue). */
  begin?(): void;
  /** Does the client wait to be asked for the body? */
  isHeldBack?(): boolean;
}

export class RequestBody implements HttpBody {
  readonly #source: BodySource;
  #sink: BodySink | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isSourcePaused = false;
  #isComplete = false;
  #isAborted = false;
  #isReleased = false;
  /** Bytes since the last look of the stall rule. */
  windowBytes = 0;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get isStarted(): boolean {
    return this.#sink !== undefined;
  }

  get isHeldBack(): boolean {
    return this.#source.isHeldBack?.() ?? false;
  }

  /** Does the server wait for the client, and not for us? */
  get isAwaited(): boolean {
    return this.isStarted && !this.#isSourcePaused && !this.#isComplete && !this.#isAborted;
  }

  start(sink: BodySink): void {
    assert(this.#sink === undefined, 'a request body has one reader');
    this.#sink = sink;
    if (this.#isAborted) {
      sink.onAbort();
      return;
    }
    if (!this.#isComplete) this.#source.begin?.();
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#isSourcePaused && !this.#isComplete) this.resume();
    for (const bytes of held) sink.onData(bytes);
    if (this.#isComplete) sink.onEnd();
  }

  pause(): void {
    if (this.#isSourcePaused || this.#isComplete || this.#isAborted || this.#isReleased) return;
    this.#isSourcePaused = true;
    this.#source.pause();
  }

  resume(): void {
    if (!this.#isSourcePaused || this.#isComplete || this.#isAborted || this.#isReleased) return;
    this.#isSourcePaused = false;
    this.#source.resume();
  }

  /** False: more came than a paused connection may bring, the connection has to be cut. */
  deliver(bytes: Uint8Array, isLast: boolean): boolean {
    if (this.#isComplete || this.#isAborted) return true;
    this.windowBytes += bytes.length;
    if (isLast) this.#isComplete = true;
    if (this.#isReleased) return true;
    if (this.#sink === undefined) return this.#hold(bytes);
    if (bytes.length > 0) this.#sink.onData(bytes);
    if (isLast) this.#sink.onEnd();
    return true;
  }

  /** The answer has ended: what still comes of the body is read and dropped. */
  release(): void {
    if (this.#isReleased) return;
    this.resume();
    this.#isReleased = true;
    this.#held = [];
  }

  abort(): void {
    if (this.#isReleased) return;
    if (this.#isComplete || this.#isAborted) return;
    this.#isAborted = true;
    this.#held = [];
    this.#sink?.onAbort();
  }

  #hold(bytes: Uint8Array): boolean {
    if (bytes.length > 0) {
      this.#held.push(new Uint8Array(bytes));
      this.#heldBytes += bytes.length;
    }
    this.pause();
    return this.#heldBytes <= OVERRUN_SIZE_MAX;
  }
}

/**
 * Delivers to a sink that may throw: then its own request pays (false: cut the connection), not the process.
 */
export function deliverTo(body: RequestBody, bytes: Uint8Array, isLast: boolean): boolean {
  try {
    return body.deliver(bytes, isLast);
  } catch (thrown) {
    // Out of the server's callback, where a broken invariant would not be seen for what it is.
    if (thrown instanceof BrokenInvariant) setImmediate(() => Promise.reject(thrown));
    return false;
  }
}
