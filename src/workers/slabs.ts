/**
 * Slabs: counted shared memory, one segment each. No free slab, no read from the socket: that is the only backpressure.
 */

export interface Slab {
  /** CHUNK_SIZE_MAX bytes of room for the carried tail, then SEGMENT_SIZE_MAX bytes. Pages not touched take no memory. */
  readonly bytes: Uint8Array;
  /** Room for the rows of the longest segment of the smallest chunks. */
  readonly rows: Uint8Array;
  release(): void;
}

export interface SlabPool {
  /** A slab at once, or undefined: none is free. */
  tryTake(): Slab | undefined;
  /** The next free slab, in order of asking. `signal` gives up waiting (CANCELLED). */
  take(signal?: AbortSignal): Promise<Slab>;
  readonly free: number;
  readonly waiting: number;
}
