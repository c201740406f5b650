/**
 * Reads a group's commit log through the door, in order, as decoded records. The addon packs as many as fit
 * a buffer of REPLAY_BUFFER_BYTES; native/FORMAT.md, "Commit log entries", has the row.
 */
import { StoreError } from '../base/errors.js';
import { REPLAY_BUFFER_BYTES } from '../base/limits.js';
import { type EngineHandle, LOG_ROW_HEADER_SIZE } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { SequencedRecord } from './group-state.js';
import { decodeRecord } from './record.js';

export interface RawRecord {
  readonly sequence: number;
  readonly type: number;
  /** Lies in a buffer that the next batch overwrites. */
  readonly payload: Buffer;
}

/** Batches of records from `from` to `last`. CORRUPT when the log ends before. */
export async function* readLog(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  from: number,
  last: number,
): AsyncGenerator<RawRecord[]> {
  const out = sharedBytes(REPLAY_BUFFER_BYTES);
  for (let next = from; next <= last; ) {
    const report = await lane.call('readLog', engine, next, out);
    const records = unpack(out, report.bytes);
    if (records.length === 0 || records[0]!.sequence !== next) {
      throw new StoreError('CORRUPT', `the commit log does not give its record ${next} of ${last}`);
    }
    yield records;
    next = records.at(-1)!.sequence + 1;
  }
}

export function decoded({ sequence, type, payload }: RawRecord): SequencedRecord {
  return { sequence, record: decodeRecord(type, payload), bytes: payload.length };
}

function unpack(out: Uint8Array, size: number): RawRecord[] {
  const bytes = Buffer.from(out.buffer, out.byteOffset, size);
  const records: RawRecord[] = [];
  for (let offset = 0; offset < size; ) {
    const start = offset + LOG_ROW_HEADER_SIZE;
    const end = start + bytes.readUInt32LE(offset + 12);
    const sequence = Number(bytes.readBigUInt64LE(offset));
    records.push({ sequence, type: bytes.readUInt8(offset + 8), payload: bytes.subarray(start, end) });
    offset = end;
  }
  return records;
}
