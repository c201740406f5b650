/** Sums over a container's files and over its recycle bin, kept current by every commit. */
import { StoreError } from '../base/errors.js';
import type { FileRow } from './record.js';

export interface Totals {
  files: number;
  logicalBytes: number;
  newBytes: number;
  storedBytes: number;
  chunks: number;
}

export const EMPTY_TOTALS: Readonly<Totals> = {
  files: 0,
  logicalBytes: 0,
  newBytes: 0,
  storedBytes: 0,
  chunks: 0,
};
const FIELDS = ['files', 'logicalBytes', 'newBytes', 'storedBytes', 'chunks'] as const;
const SIZE = 2 * 8 * FIELDS.length;

export function addFile(totals: Totals, row: FileRow): Totals {
  return {
    files: totals.files + 1,
    logicalBytes: totals.logicalBytes + row.size,
    newBytes: totals.newBytes + row.newBytes,
    storedBytes: totals.storedBytes + row.storedBytes,
    chunks: totals.chunks + row.chunkCount,
  };
}

export function removeFile(totals: Totals, row: FileRow): Totals {
  return {
    files: totals.files - 1,
    logicalBytes: totals.logicalBytes - row.size,
    newBytes: totals.newBytes - row.newBytes,
    storedBytes: totals.storedBytes - row.storedBytes,
    chunks: totals.chunks - row.chunkCount,
  };
}

export function addTotals(all: readonly Totals[]): Totals {
  const sum = { ...EMPTY_TOTALS };
  for (const totals of all) {
    for (const field of FIELDS) sum[field] += totals[field];
  }
  return sum;
}

/** Of a container's files, then of its recycle bin. */
export function encodeTotals(...pair: readonly [Totals, Totals]): Uint8Array {
  const bytes = Buffer.alloc(SIZE);
  const numbers = pair.flatMap(totals => FIELDS.map(field => totals[field]));
  for (const [index, number] of numbers.entries()) bytes.writeBigUInt64LE(BigInt(number), 8 * index);
  return bytes;
}

/** CORRUPT when it is none. */
export function decodeTotals(value: Uint8Array): [Totals, Totals] {
  if (value.length !== SIZE) {
    throw new StoreError('CORRUPT', `view: totals of ${value.length} bytes, wanted ${SIZE}`);
  }
  const bytes = Buffer.from(value);
  const read = (from: number): Totals => {
    const totals = { ...EMPTY_TOTALS };
    for (const [index, field] of FIELDS.entries()) {
      totals[field] = Number(bytes.readBigUInt64LE(8 * (from + index)));
    }
    return totals;
  };
  return [read(0), read(FIELDS.length)];
}
