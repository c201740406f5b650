/**
 * Chunks whose place is not resident: the view is asked which data stores hold them, and
 * the engine is told to load those. What the view does not know, or no longer rightly, is searched for
 * everywhere; what is nowhere is lost: CORRUPT.
 */
import { StoreError } from '../base/errors.js';
import type { OpenGroup } from '../catalog/types.js';
import {
  DATA_STORE_ID_SIZE,
  FINGERPRINT_SIZE,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  STATE_KNOWN,
  STATE_UNKNOWN,
} from '../native/binding.js';

/** Resolves the rows that are STATE_UNKNOWN, and makes them STATE_KNOWN for the next try. */
export async function hintRows(group: OpenGroup, rows: Uint8Array, rowCount: number): Promise<void> {
  await hint(group, takeUnknown(rows, rowCount));
}

/** As hintRows, when the view's places did not help. */
export async function rescueRows(group: OpenGroup, rows: Uint8Array, rowCount: number): Promise<void> {
  await rescue(group, takeUnknown(rows, rowCount));
}

/** The first row that is unknown still, as an error. */
export function lostRow(rows: Uint8Array, rowCount: number): StoreError {
  return lost(takeUnknown(rows, rowCount).subarray(0, FINGERPRINT_SIZE));
}

async function hint(group: OpenGroup, fingerprints: Uint8Array): Promise<void> {
  const places = await group.places(fingerprints);
  const absent: Uint8Array[] = [];
  const ids = distinctPlaces(places, index => {
    const from = index * FINGERPRINT_SIZE;
    absent.push(fingerprints.subarray(from, from + FINGERPRINT_SIZE));
  });
  if (absent.length > 0) await rescue(group, new Uint8Array(Buffer.concat(absent)));
  await group.lane.call('hintPlaces', group.engine, ids);
}

async function rescue(group: OpenGroup, fingerprints: Uint8Array): Promise<void> {
  const nowhere = await group.rescue(fingerprints);
  if (nowhere.length > 0) throw lost(nowhere);
}

function takeUnknown(rows: Uint8Array, rowCount: number): Uint8Array {
  const fingerprints = new Uint8Array(rowCount * FINGERPRINT_SIZE);
  let size = 0;
  for (let row = 0; row < rowCount; row += 1) {
    const from = row * ROW_SIZE;
    if (rows[from + ROW_STATE_OFFSET] !== STATE_UNKNOWN) continue;
    rows[from + ROW_STATE_OFFSET] = STATE_KNOWN;
    fingerprints.set(rows.subarray(from, from + FINGERPRINT_SIZE), size);
    size += FINGERPRINT_SIZE;
  }
  return fingerprints.slice(0, size);
}

function distinctPlaces(places: Uint8Array, onAbsent: (index: number) => void): Uint8Array {
  const ids = new Map<string, Uint8Array>();
  for (let index = 0; index * DATA_STORE_ID_SIZE < places.length; index += 1) {
    const from = index * DATA_STORE_ID_SIZE;
    const id = places.subarray(from, from + DATA_STORE_ID_SIZE);
    if (id.every(byte => byte === 0)) onAbsent(index);
    else ids.set(Buffer.from(id).toString('hex'), id);
  }
  return new Uint8Array(Buffer.concat([...ids.values()]));
}

function lost(fingerprint: Uint8Array): StoreError {
  return new StoreError('CORRUPT', `chunk ${Buffer.from(fingerprint).toString('hex')} is in no data store`);
}
