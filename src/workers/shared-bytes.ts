/**
 * Memory that both threads see. Ordinary arrays are cloned on their way to a worker: what C++ writes into a
 * clone is lost. So everything that a verb fills has to be made here (slabs are), and the lane asserts it.
 */

/** Zeroed memory of `size` bytes over a SharedArrayBuffer. Pages take memory when they are first touched. */
export function sharedBytes(size: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(size));
}

export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}
