/**
 * How far a view has followed its log: the one value that every batch writes. native/FORMAT.md, "View
 * tables".
 */
import { StoreError } from '../base/errors.js';
import { SET_DIGEST_SIZE } from './set-digest.js';

export class AppliedMark {
  /** Of the last record applied. */
  sequence = 0;
  /** The highest container id that was ever given. */
  lastContainerId = 0;
  /** Payload bytes of records since the last checkpoint's END. */
  logBytes = 0;
  /** Of the last complete checkpoint, and BEGIN of the one before it; 0: none. */
  begin = 0;
  end = 0;
  previousBegin = 0;
  checkpointBytes = 0;
  /** BEGIN of a checkpoint whose END is still to come, and its bytes so far. */
  pendingBegin = 0;
  pendingBytes = 0;
  /** Plain bytes that the cleaner has dropped because another data store had them, too. */
  duplicateBytes = 0;
  /** The retention clock as it was last logged; 0: never. */
  retentionMs = 0;
  /** Of all files, versions in recycle bins, and containers (set-digest.ts). */
  digest: Uint8Array = new Uint8Array(SET_DIGEST_SIZE);
}

const NUMBERS = [
  'sequence',
  'lastContainerId',
  'logBytes',
  'begin',
  'end',
  'previousBegin',
  'checkpointBytes',
  'pendingBegin',
  'pendingBytes',
  'duplicateBytes',
  'retentionMs',
] as const satisfies readonly (keyof AppliedMark)[];
const SIZE = 8 * NUMBERS.length + SET_DIGEST_SIZE;

export function encodeMark(mark: AppliedMark): Uint8Array {
  const bytes = Buffer.alloc(SIZE);
  for (const [index, field] of NUMBERS.entries()) bytes.writeBigUInt64LE(BigInt(mark[field]), 8 * index);
  bytes.set(mark.digest, 8 * NUMBERS.length);
  return bytes;
}

/** CORRUPT when it is none. */
export function decodeMark(value: Uint8Array): AppliedMark {
  if (value.length !== SIZE) {
    throw new StoreError('CORRUPT', `view: its mark has ${value.length} bytes, wanted ${SIZE}`);
  }
  const bytes = Buffer.from(value);
  const mark = new AppliedMark();
  for (const [index, field] of NUMBERS.entries()) {
    const number = Number(bytes.readBigUInt64LE(8 * index));
    if (!Number.isSafeInteger(number))
      throw new StoreError('CORRUPT', `view: its mark has ${field} ${number}`);
    mark[field] = number;
  }
  mark.digest = bytes.subarray(8 * NUMBERS.length);
  return mark;
}
