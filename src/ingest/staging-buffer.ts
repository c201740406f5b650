/**
 * Bytes of a stream that have no slab: those of a small file, and what a socket still delivered while none
 * was free. An ordinary buffer that grows in powers of two and is dropped when it has been emptied and is
 * bigger than usual.
 */
import { assert } from '../base/assert.js';
import { OVERRUN_SIZE_MAX, STAGING_SIZE_MAX, STAGING_SIZE_MIN } from '../base/limits.js';
import { copyBytes } from '../workers/shared-bytes.js';

const SIZE_MAX = STAGING_SIZE_MAX + OVERRUN_SIZE_MAX;
const NONE = Buffer.alloc(0);

export class StagingBuffer {
  #memory: Buffer = NONE;
  #size = 0;
  readonly #sizeFirst: number;

  /** `sizeExpected`: how long the stream is said to be, so that a small one gets what it needs at once. */
  constructor(sizeExpected: number | undefined) {
    this.#sizeFirst = Math.min(sizeExpected ?? STAGING_SIZE_MIN, STAGING_SIZE_MAX);
  }

  get size(): number {
    return this.#size;
  }

  /** False, and nothing is kept: more than STAGING_SIZE_MAX + OVERRUN_SIZE_MAX would wait. */
  append(bytes: Uint8Array): boolean {
    const size = this.#size + bytes.length;
    if (size > SIZE_MAX) return false;
    if (size > this.#memory.length) this.#grow(size);
    this.#memory.set(bytes, this.#size);
    this.#size = size;
    return true;
  }

  /** Moves everything to `target` from `offset` on; returns how many bytes that were. */
  drainTo(target: Uint8Array, offset: number): number {
    const size = this.#size;
    assert(offset + size <= target.length, 'staged bytes fit the slab');
    copyBytes(target, offset, this.#memory.subarray(0, size));
    this.#size = 0;
    if (this.#memory.length > STAGING_SIZE_MAX) this.#memory = NONE;
    return size;
  }

  drop(): void {
    this.#memory = NONE;
    this.#size = 0;
  }

  #grow(size: number): void {
    let capacity = Math.max(this.#memory.length, this.#sizeFirst, 1);
    while (capacity < size) capacity *= 2;
    const memory = Buffer.allocUnsafe(Math.min(capacity, SIZE_MAX));
    memory.set(this.#memory.subarray(0, this.#size));
    this.#memory = memory;
  }
}
