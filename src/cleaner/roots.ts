/** Packs roots of files as markRoots and probeRoots take them. */
import { FINGERPRINT_SIZE, ROOT_SIZE } from '../native/binding.js';

export interface Root {
  readonly root: Uint8Array;
  readonly rootLength: number;
  readonly depth: number;
}

export function packRoots(roots: readonly Root[]): Uint8Array {
  const packed = Buffer.alloc(roots.length * ROOT_SIZE);
  for (const [index, { root, rootLength, depth }] of roots.entries()) {
    packed.set(root, index * ROOT_SIZE);
    packed.writeUInt32LE(rootLength, index * ROOT_SIZE + FINGERPRINT_SIZE);
    packed.writeUInt32LE(depth, index * ROOT_SIZE + FINGERPRINT_SIZE + 4);
  }
  return new Uint8Array(packed);
}
