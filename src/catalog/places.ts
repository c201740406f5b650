/**
 * The view's tables of places: p/<fingerprint> names the data store that holds a chunk, d/<data store> says
 * that all of a closed data store's fingerprints are in the table. Both are filled in the background from
 * trailers (place-filler.ts), which stay the truth.
 */
import { DATA_STORE_ID_SIZE } from '../native/binding.js';

const PLACE_TABLE = 0x70; // 'p'
const DONE_TABLE = 0x64; // 'd'

export function placeKey(fingerprint: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + fingerprint.length);
  key[0] = PLACE_TABLE;
  key.set(fingerprint, 1);
  return key;
}

/** `id`: 24 bytes in hex. */
export function doneKey(id: string): Uint8Array {
  const key = Buffer.alloc(1 + DATA_STORE_ID_SIZE);
  key[0] = DONE_TABLE;
  key.write(id, 1, 'hex');
  return key;
}
