/**
 * Roots for mark 2, from the commit log alone: neither the view nor the group's state is asked. The log is
 * read from a complete checkpoint, or from its start, and replayed name by name, in as many passes as it
 * takes for the names of one pass to fit memory: each pass takes the names whose hash falls to it. The
 * checkpoint's own files are read first and what was committed since is replayed on them, so that the two
 * need no merging; what they add up to is compared with what the checkpoint says of itself.
 */
import { StoreError } from '../base/errors.js';
import { decoded, type RawRecord, readLog } from '../catalog/log-reader.js';
import { type CheckpointEndRecord, type FileRow, type LogRecord, RecordType } from '../catalog/record.js';
import { SetDigest } from '../catalog/set-digest.js';
import type { Lane } from '../workers/pool.js';
import { NameTable, TooManyNames } from './name-table.js';
import type { Root } from './roots.js';

export interface LogRange {
  readonly lane: Pick<Lane, 'call'>;
  readonly engine: number;
  /** BEGIN of a complete checkpoint, or 0: the log's start. It is checked, not believed. */
  readonly begin: number;
  readonly last: number;
}

/**
 * Gives all roots as of record `last`, in batches, none twice in a pass; answers in how many passes. CORRUPT:
 * the log does not give what it must.
 */
export async function forEachRoot(
  range: LogRange,
  namesMax: number,
  paced: <T>(work: () => Promise<T>) => Promise<T>,
  take: (roots: readonly Root[]) => Promise<void>,
): Promise<number> {
  for (let passCount = 1; ; passCount *= 2) {
    try {
      for (let pass = 0; pass < passCount; pass += 1) {
        const names = new NameTable(namesMax, hash => hash.readUInt32LE(16) % passCount === pass);
        await replayPass(range, names, paced);
        for (const roots of names.batches()) await take(roots);
      }
      return passCount;
    } catch (thrown) {
      // Roots that were given already are roots all the same.
      if (!(thrown instanceof TooManyNames)) throw thrown;
    }
  }
}

async function replayPass(
  range: LogRange,
  names: NameTable,
  paced: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<void> {
  if (range.begin > 0) await readCheckpoint(range, names, paced);
  const batches = readLog(range.lane, range.engine, range.begin + 1, range.last);
  for (;;) {
    const isEnd = await paced(async () => {
      const { value, done } = await batches.next();
      if (done === true) return true;
      for (const raw of value) replayOne(names, raw);
      return false;
    });
    if (isEnd) return;
  }
}

function replayOne(names: NameTable, raw: RawRecord): void {
  switch (raw.type) {
    case RecordType.PUT:
    case RecordType.DELETE:
    case RecordType.BIN_DROP:
    case RecordType.BIN_RESTORE:
    case RecordType.CONTAINER_DELETE:
      apply(names, decoded(raw).record, raw.sequence);
      break;
    default:
  }
}

function apply(names: NameTable, record: LogRecord | undefined, sequence: number): void {
  switch (record?.type) {
    case RecordType.PUT:
      names.put(record, sequence, record.binUntilMs !== undefined);
      break;
    case RecordType.DELETE:
      names.remove(record, record.version, record.binUntilMs !== undefined);
      break;
    case RecordType.BIN_DROP:
      names.dropFromBin(record, record.version);
      break;
    case RecordType.BIN_RESTORE:
      names.restoreFromBin(record, record.version, record.binUntilMs !== undefined);
      break;
    case RecordType.CONTAINER_DELETE:
      names.removeContainer(record.containerId);
      break;
    default:
  }
}

/** The files of the checkpoint; they have to be all that its END counts. */
async function readCheckpoint(
  { lane, engine, begin, last }: LogRange,
  names: NameTable,
  paced: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<void> {
  const check = new CheckpointCheck(begin);
  const batches = readLog(lane, engine, begin, last);
  for (;;) {
    const isEnd = await paced(async () => {
      const { value, done } = await batches.next();
      if (done === true) throw new StoreError('CORRUPT', `the checkpoint at log record ${begin} has no end`);
      for (const raw of value) if (check.take(raw, names)) return true;
      return false;
    });
    if (isEnd) return;
  }
}

class CheckpointCheck {
  readonly #begin: number;
  readonly #digest = new SetDigest();
  #files = 0;
  #containers = 0;

  constructor(begin: number) {
    this.#begin = begin;
  }

  /** True at the checkpoint's end. */
  take(raw: RawRecord, names: NameTable): boolean {
    if (raw.sequence === this.#begin && raw.type !== RecordType.CHECKPOINT_BEGIN) {
      throw new StoreError('CORRUPT', `no checkpoint begins at log record ${this.#begin}`);
    }
    if (raw.type < RecordType.CHECKPOINT_FILE || raw.type > RecordType.CHECKPOINT_CONTAINER) return false;
    const { record } = decoded(raw);
    if (record?.type === RecordType.CHECKPOINT_CONTAINER) {
      this.#digest.add(record);
      this.#containers += 1;
    }
    if (record?.type === RecordType.CHECKPOINT_FILE) this.#takeFile(record, names);
    if (record?.type !== RecordType.CHECKPOINT_END || record.beginSequence !== this.#begin) return false;
    this.#compare(record);
    return true;
  }

  #takeFile(row: FileRow, names: NameTable): void {
    this.#digest.add(row);
    this.#files += 1;
    names.load(row, row.version, row.binUntilMs !== undefined);
  }

  #compare(end: CheckpointEndRecord): void {
    const isWhole =
      end.fileCount === this.#files &&
      end.containerCount === this.#containers &&
      this.#digest.equals(end.setDigest);
    if (isWhole) return;
    throw new StoreError('CORRUPT', `the checkpoint at log record ${this.#begin} is not whole`);
  }
}
