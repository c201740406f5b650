/**
 * Rows that the resident index could not answer, and what the view says of them: which data store holds each.
 */
import type { OpenGroup } from '../catalog/types.js';
import {
  DATA_STORE_ID_SIZE,
  FINGERPRINT_SIZE,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  STATE_UNKNOWN,
} from '../native/binding.js';

/**
 * Data store ids as admitRows takes them, one a row of all rows; zeros for rows that are settled, and for
 * absent ones.
 */
export async function placesOfUnknown(
  group: OpenGroup,
  rows: Uint8Array,
  rowCount: number,
): Promise<Uint8Array> {
  const fingerprints = new Uint8Array(rowCount * FINGERPRINT_SIZE);
  let count = 0;
  for (let row = 0; row < rowCount; row += 1) {
    if (!isUnknown(rows, row)) continue;
    const from = row * ROW_SIZE;
    fingerprints.set(rows.subarray(from, from + FINGERPRINT_SIZE), count * FINGERPRINT_SIZE);
    count += 1;
  }
  const found = await group.places(fingerprints.subarray(0, count * FINGERPRINT_SIZE));
  return spread(found, rows, rowCount);
}

function spread(found: Uint8Array, rows: Uint8Array, rowCount: number): Uint8Array {
  const places = new Uint8Array(rowCount * DATA_STORE_ID_SIZE);
  let from = 0;
  for (let row = 0; row < rowCount; row += 1) {
    if (!isUnknown(rows, row)) continue;
    places.set(found.subarray(from, from + DATA_STORE_ID_SIZE), row * DATA_STORE_ID_SIZE);
    from += DATA_STORE_ID_SIZE;
  }
  return places;
}

/** States are small: the lowest byte tells them apart. */
function isUnknown(rows: Uint8Array, row: number): boolean {
  return rows[row * ROW_SIZE + ROW_STATE_OFFSET] === STATE_UNKNOWN;
}
