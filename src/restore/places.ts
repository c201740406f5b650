/**
 * Chunks and blockmap nodes whose place is not resident: the view is asked which data stores hold them, and
 * the engine is told to load those. What the view does not know either is lost: CORRUPT.
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

/**
 * Resolves a blockmap node. `previous`: the node that was resolved just before; the same again cannot be
 * read.
 */
export async function hintNode(
  group: OpenGroup,
  node: Uint8Array,
  previous: Uint8Array | undefined,
): Promise<void> {
  if (previous !== undefined && Buffer.compare(node, previous) === 0) throw lost('blockmap node', node);
  await hint(group, 'blockmap node', node.slice());
}

/** Resolves the rows that are STATE_UNKNOWN, and makes them STATE_KNOWN for the next try. */
export async function hintRows(group: OpenGroup, rows: Uint8Array, rowCount: number): Promise<void> {
  await hint(group, 'chunk', takeUnknown(rows, rowCount));
}

/** The first row that is unknown still, as an error. */
export function lostRow(rows: Uint8Array, rowCount: number): StoreError {
  return lost('chunk', takeUnknown(rows, rowCount).subarray(0, FINGERPRINT_SIZE));
}

async function hint(group: OpenGroup, what: string, fingerprints: Uint8Array): Promise<void> {
  const places = await group.places(fingerprints);
  const ids = distinctPlaces(places, index => {
    const from = index * FINGERPRINT_SIZE;
    throw lost(what, fingerprints.subarray(from, from + FINGERPRINT_SIZE));
  });
  await group.lane.call('hintPlaces', group.engine, ids);
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

function distinctPlaces(places: Uint8Array, absent: (index: number) => never): Uint8Array {
  const ids = new Map<string, Uint8Array>();
  for (let index = 0; index * DATA_STORE_ID_SIZE < places.length; index += 1) {
    const from = index * DATA_STORE_ID_SIZE;
    const id = places.subarray(from, from + DATA_STORE_ID_SIZE);
    if (id.every(byte => byte === 0)) absent(index);
    ids.set(Buffer.from(id).toString('hex'), id);
  }
  return new Uint8Array(Buffer.concat([...ids.values()]));
}

function lost(what: string, fingerprint: Uint8Array): StoreError {
  return new StoreError('CORRUPT', `${what} ${Buffer.from(fingerprint).toString('hex')} is in no data store`);
}
