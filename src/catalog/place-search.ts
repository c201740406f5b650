/**
 * Chunks and blockmap nodes whose place is not resident, for everything that reads files: restore, verify,
 * scrub. First the view is asked which data stores hold them, and the engine is told to load those. What the
 * view does not know, or has wrong, is looked for in the trash: a chunk that has to be read from there stops
 * the cleaner. Only what is not there either is lost: CORRUPT.
 */
import { StoreError } from '../base/errors.js';
import {
  DATA_STORE_ID_SIZE,
  FINGERPRINT_SIZE,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  STATE_KNOWN,
  STATE_UNKNOWN,
} from '../native/binding.js';
import type { OpenGroup } from './types.js';

/** One search, asked again each time that the read it is made for has not found something still. */
export class PlaceSearch {
  readonly #group: Pick<OpenGroup, 'engine' | 'lane' | 'places'>;
  #node: Uint8Array | undefined;
  #hasAskedView = false;
  #hasAskedTrash = false;

  constructor(group: Pick<OpenGroup, 'engine' | 'lane' | 'places'>) {
    this.#group = group;
  }

  /** Tells the engine where a blockmap node is. Another node than the last one is a search of its own. */
  async node(node: Uint8Array): Promise<void> {
    if (this.#node === undefined || Buffer.compare(node, this.#node) !== 0) {
      this.#node = node.slice();
      this.#hasAskedView = false;
      this.#hasAskedTrash = false;
    }
    await this.#ask('blockmap node', this.#node);
  }

  /** The same for the rows that are STATE_UNKNOWN; they are made STATE_KNOWN for the next try. */
  async rows(rows: Uint8Array, rowCount: number): Promise<void> {
    await this.#ask('chunk', takeUnknown(rows, rowCount));
  }

  async #ask(what: string, fingerprints: Uint8Array): Promise<void> {
    if (!this.#hasAskedView) {
      this.#hasAskedView = true;
      const absent = await this.#askView(fingerprints);
      if (absent.length === 0) return;
      await this.#askTrash(what, absent);
    } else {
      await this.#askTrash(what, fingerprints);
    }
  }

  /** Those of the fingerprints that the view does not know. */
  async #askView(fingerprints: Uint8Array): Promise<Uint8Array> {
    const { engine, lane } = this.#group;
    const places = await this.#group.places(fingerprints);
    const absent: Uint8Array[] = [];
    const ids = new Map<string, Uint8Array>();
    for (let index = 0; index * DATA_STORE_ID_SIZE < places.length; index += 1) {
      const id = places.subarray(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE);
      if (id.some(byte => byte !== 0)) ids.set(Buffer.from(id).toString('hex'), id);
      else absent.push(fingerprints.subarray(index * FINGERPRINT_SIZE, (index + 1) * FINGERPRINT_SIZE));
    }
    if (ids.size > 0) await lane.call('hintPlaces', engine, packed([...ids.values()]));
    return packed(absent);
  }

  async #askTrash(what: string, fingerprints: Uint8Array): Promise<void> {
    const { engine, lane } = this.#group;
    const count = fingerprints.length / FINGERPRINT_SIZE;
    const isAgain = this.#hasAskedTrash;
    this.#hasAskedTrash = true;
    const found = isAgain ? 0 : await lane.call('rescueChunks', engine, fingerprints, count);
    if (found === 0) throw lost(what, fingerprints.subarray(0, FINGERPRINT_SIZE));
  }
}

function takeUnknown(rows: Uint8Array, rowCount: number): Uint8Array {
  const fingerprints: Uint8Array[] = [];
  for (let row = 0; row < rowCount; row += 1) {
    const from = row * ROW_SIZE;
    if (rows[from + ROW_STATE_OFFSET] !== STATE_UNKNOWN) continue;
    rows[from + ROW_STATE_OFFSET] = STATE_KNOWN;
    fingerprints.push(rows.subarray(from, from + FINGERPRINT_SIZE));
  }
  return packed(fingerprints);
}

function packed(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function lost(what: string, fingerprint: Uint8Array): StoreError {
  return new StoreError('CORRUPT', `${what} ${Buffer.from(fingerprint).toString('hex')} is in no data store`);
}
