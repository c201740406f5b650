/**
 * A segment that is being filled: a slab, and how far it has come. Data begins behind the room for the
 * carried tail, which is put right in front when the segment before has told how much of it was cut.
 */
import { assert } from '../base/assert.js';
import { CHUNK_SIZE_MAX } from '../base/limits.js';
import { copyBytes } from '../workers/shared-bytes.js';
import type { Slab } from '../workers/slabs.js';
import type { StagingBuffer } from './staging-buffer.js';

export class Segment {
  readonly slab: Slab;
  #end = CHUNK_SIZE_MAX;
  #tailSize = 0;

  constructor(slab: Slab) {
    this.slab = slab;
  }

  /** Where the segment begins in the slab, its carried tail included. */
  get offset(): number {
    return CHUNK_SIZE_MAX - this.#tailSize;
  }

  /** Where bytes begin that were not in the segment before. */
  get freshOffset(): number {
    return CHUNK_SIZE_MAX;
  }

  get size(): number {
    return this.#end - this.offset;
  }

  get isFull(): boolean {
    return this.#end === this.slab.bytes.length;
  }

  get isEmpty(): boolean {
    return this.#end === CHUNK_SIZE_MAX;
  }

  /** Copies as many bytes as there is room for; returns how many. */
  append(bytes: Uint8Array): number {
    const room = this.slab.bytes.length - this.#end;
    const part = bytes.length <= room ? bytes : bytes.subarray(0, room);
    copyBytes(this.slab.bytes, this.#end, part);
    this.#end += part.length;
    return part.length;
  }

  appendStaged(staging: StagingBuffer): void {
    this.#end += staging.drainTo(this.slab.bytes, this.#end);
  }

  prepend(tail: Uint8Array): void {
    assert(
      this.#tailSize === 0 && tail.length <= CHUNK_SIZE_MAX,
      'a tail fits the room in front of a segment',
    );
    this.#tailSize = tail.length;
    copyBytes(this.slab.bytes, this.offset, tail);
  }

  /** The bytes behind the last cut. */
  tail(consumed: number): Uint8Array {
    assert(consumed >= 0 && consumed <= this.size, 'a segment is consumed up to its end');
    return this.slab.bytes.subarray(this.offset + consumed, this.#end);
  }
}

/** The bytes behind the last cut, kept until there is a next segment, so that no slab waits for them. */
export class TailBuffer {
  #memory = Buffer.alloc(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  keep(tail: Uint8Array): void {
    if (tail.length > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(tail.length);
    copyBytes(this.#memory, 0, tail);
    this.#size = tail.length;
  }

  copyTo(segment: Segment): void {
    segment.prepend(this.#memory.subarray(0, this.#size));
  }
}
