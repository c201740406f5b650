/**
 * Memory that both threads see. Ordinary arrays are cloned on their way to a worker: what C++ writes into a
 * clone is lost. So everything that a verb fills has to be made here (slabs are), and the lane asserts it.
 */
import { binding } from '../native/binding.js';

/** Zeroed memory of `size` bytes over a SharedArrayBuffer. Pages take memory when they are first touched. */
export function sharedBytes(size: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(size));
}

export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}

/**
 * Copies into or out of shared memory at the memory's speed: TypedArray.set goes word by word there
 * (1.4 GB/s).
 */
export function copyBytes(target: Uint8Array, offset: number, source: Uint8Array): void {
  binding().copyBytes(target, offset, source);
}
