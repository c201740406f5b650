/**
 * Chunks whose place is not resident, for everything that reads files: restore and scrub. First the view is
 * asked which data stores hold them, and the engine is told to load those; what the view does not know, or no
 * longer rightly, is searched for everywhere, the trash included. What is nowhere is lost: CORRUPT.
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

/** Of one read, which asks again as long as it does not find something. */
export class PlaceSearch {
  readonly #group: OpenGroup;
  #tries = 0;

  constructor(group: OpenGroup) {
    this.#group = group;
  }

  /** Resolves the rows that are STATE_UNKNOWN, and makes them STATE_KNOWN for the next try. */
  async rows(rows: Uint8Array, rowCount: number): Promise<void> {
    const fingerprints = takeUnknown(rows, rowCount);
    this.#tries += 1;
    if (this.#tries > 2) throw lost(fingerprints.subarray(0, FINGERPRINT_SIZE));
    await this.#rescue(this.#tries === 1 ? await this.#hint(fingerprints) : fingerprints);
  }

  /** Those that the view does not know. */
  async #hint(fingerprints: Uint8Array): Promise<Uint8Array> {
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

  async #rescue(fingerprints: Uint8Array): Promise<void> {
    if (fingerprints.length === 0) return;
    const nowhere = await this.#group.rescue(fingerprints);
    if (nowhere.length > 0) throw lost(nowhere);
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

function lost(fingerprint: Uint8Array): StoreError {
  return new StoreError('CORRUPT', `chunk ${Buffer.from(fingerprint).toString('hex')} is in no data store`);
}
