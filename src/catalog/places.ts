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

/**
 * Which data stores the engine has been told of, and the order of those who change the tables: one at a time,
 * so that no entry of a data store comes back behind its emptying.
 */
export class PlaceMarks {
  /** Hex ids of data stores whose fingerprints are all in the view. */
  readonly marked = new Set<string>();
  #changing: Promise<unknown> = Promise.resolve();

  change<T>(action: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(action);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }
}
