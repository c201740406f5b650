/**
 * A stream's bytes on their way into segments. They gather in a staging buffer until a slab is worth it and
 * to be had; from then on they go straight into the slab. While a slab is wanted and none is free the stream
 * is starved: its client has to pause. A partly filled slab can be asked back by the pool (SlabHolder); it is
 * submitted as it is.
 */
import { StoreError } from '../base/errors.js';
import { OVERRUN_SIZE_MAX, STAGING_SIZE_MAX } from '../base/limits.js';
import type { Slab, SlabHolder, SlabPool } from '../workers/slabs.js';
import { Segment } from './segment.js';
import { StagingBuffer } from './staging-buffer.js';

export interface FillerEvents {
  /** May the stream have one more segment? When not, open() has to be called again later. */
  mayOpen(): boolean;
  /** The segment has all it will get. It is the receiver's now. */
  filled(segment: Segment): void;
}

export class SegmentFiller {
  readonly #slabs: SlabPool;
  readonly #events: FillerEvents;
  readonly #staging: StagingBuffer;
  readonly #abort = new AbortController();
  readonly #holder: SlabHolder = { isActive: false, yieldSlab: () => this.#submit() };
  #current: Segment | undefined;
  #isStarved = false;
  /** The pool has been asked, and will answer. */
  #isWaiting = false;
  #isEnding = false;
  #onReady: (() => void)[] = [];

  constructor(slabs: SlabPool, sizeExpected: number | undefined, events: FillerEvents) {
    this.#slabs = slabs;
    this.#events = events;
    this.#staging = new StagingBuffer(sizeExpected);
  }

  get isStarved(): boolean {
    return this.#isStarved;
  }

  /** Copies all of `bytes`. BUSY: it was called too often while the stream was starved. */
  write(bytes: Uint8Array): void {
    this.#holder.isActive = true;
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#staging.size + rest.length > STAGING_SIZE_MAX) this.open();
      if (this.#current === undefined) {
        this.#stage(rest);
        break;
      }
      rest = rest.subarray(this.#current.append(rest));
      if (this.#current.isFull) this.#submit();
    }
    this.#offer();
  }

  /** Gets a slab, now or as soon as the stream may have one and there is one. */
  open(): void {
    if (this.#current !== undefined || this.#isWaiting || this.#abort.signal.aborted) return;
    this.#isStarved = true;
    if (!this.#events.mayOpen()) return;
    const slab = this.#slabs.tryTake();
    if (slab === undefined) this.#wait();
    else this.#adopt(slab);
  }

  /** Resolves when the stream is not starved, or was stopped. */
  ready(): Promise<void> {
    if (!this.#isStarved) return Promise.resolve();
    return new Promise(resolve => this.#onReady.push(resolve));
  }

  /** The stream has ended: what has not been submitted yet, as a segment; undefined when there is nothing. */
  async last(): Promise<Segment | undefined> {
    this.#isEnding = true;
    if (this.#staging.size > 0) this.open();
    await this.ready();
    return this.#takeCurrent();
  }

  /** A segment for the tail alone; undefined when the stream was stopped. */
  async empty(): Promise<Segment | undefined> {
    this.open();
    await this.ready();
    return this.#takeCurrent();
  }

  /** Gives everything back. */
  stop(): void {
    this.#abort.abort();
    this.#takeCurrent()?.slab.release();
    this.#staging.drop();
    this.#feed();
  }

  #stage(bytes: Uint8Array): void {
    if (this.#staging.append(bytes)) return;
    throw new StoreError('BUSY', `more than ${OVERRUN_SIZE_MAX} bytes came in while no slab was free`);
  }

  #wait(): void {
    this.#isWaiting = true;
    const granted = (slab: Slab) => {
      this.#isWaiting = false;
      if (this.#abort.signal.aborted) {
        slab.release();
        return;
      }
      this.#adopt(slab);
      this.#offer();
    };
    const givenUp = () => {
      this.#isWaiting = false;
    };
    this.#slabs.take(this.#abort.signal).then(granted, givenUp);
  }

  #adopt(slab: Slab): void {
    this.#current = new Segment(slab);
    this.#current.appendStaged(this.#staging);
    this.#feed();
  }

  #feed(): void {
    this.#isStarved = false;
    for (const resolve of this.#onReady.splice(0)) resolve();
  }

  /** The pool may have the slab back from now on. */
  #offer(): void {
    if (this.#current !== undefined && !this.#isEnding) this.#slabs.hold(this.#holder);
  }

  #submit(): void {
    const segment = this.#takeCurrent();
    if (segment !== undefined) this.#events.filled(segment);
  }

  #takeCurrent(): Segment | undefined {
    const segment = this.#current;
    this.#current = undefined;
    this.#slabs.unhold(this.#holder);
    return segment;
  }
}
