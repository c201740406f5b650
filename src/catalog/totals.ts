/** Sums over a container's files, kept current by every commit. */
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

export function encodeTotals(totals: Totals): Uint8Array {
  const bytes = Buffer.alloc(8 * FIELDS.length);
  for (const [index, field] of FIELDS.entries()) bytes.writeBigUInt64LE(BigInt(totals[field]), 8 * index);
  return bytes;
}

/** CORRUPT when it is none. */
export function decodeTotals(value: Uint8Array): Totals {
  if (value.length !== 8 * FIELDS.length) {
    throw new StoreError('CORRUPT', `view: totals of ${value.length} bytes, wanted ${8 * FIELDS.length}`);
  }
  const bytes = Buffer.from(value);
  const totals = { ...EMPTY_TOTALS };
  for (const [index, field] of FIELDS.entries()) totals[field] = Number(bytes.readBigUInt64LE(8 * index));
  return totals;
}
