/**
 * What one batch of log records changes in files and recycle bins: rows by name and rows by version, the
 * containers' sums, the set digest. A version is in one of the two tables at a time.
 */
import type { KvOperation } from '../view/kv.js';
import { type BinIndex, type BinKey, type BinMap, type BinRow, binMapKey } from './bin-index.js';
import type { ContainerTable } from './container-table.js';
import { type FileIndex, type FileKey, type FileMap, fileMapKey } from './file-index.js';
import {
  type BinRestoreRecord,
  type FileKeeping,
  type FileRow,
  type LockRecord,
  type LogRecord,
  type PutRecord,
  RecordType,
} from './record.js';
import type { SetDigest } from './set-digest.js';

/** Rows that were looked up: by file name, and by version in the recycle bin. */
export interface Rows {
  readonly files: FileMap;
  readonly bin: BinMap;
}

/** Whose rows have to be known before the record can be applied. */
export function rowKeysOf(record: LogRecord | undefined): { files: FileKey[]; bin: BinKey[] } {
  switch (record?.type) {
    case RecordType.PUT:
    case RecordType.DELETE:
      return { files: [record], bin: [] };
    case RecordType.BIN_DROP:
      return { files: [], bin: [record] };
    case RecordType.BIN_RESTORE:
    case RecordType.LOCK:
      return { files: [record], bin: [record] };
    default:
      return { files: [], bin: [] };
  }
}

/** The file that a put makes; what the record says of the version it replaces is not the file's. */
export function putRow({ binUntilMs: _ofReplaced, ...put }: PutRecord, version: number): FileRow {
  return { ...put, type: RecordType.CHECKPOINT_FILE, version };
}

export function asBinRow(row: FileRow, binUntilMs: number): BinRow {
  return { ...row, binUntilMs };
}

export function withoutBin({ binUntilMs: _until, ...row }: FileRow): FileRow {
  return row;
}

/** The row kept in another way: all that `keeping` lacks is none. */
export function keptAs<R extends FileRow>(
  { lockMode: _mode, lockUntilMs: _until, hold: _hold, ...row }: R,
  keeping: FileKeeping,
): R {
  const { lockMode, lockUntilMs, hold } = keeping;
  const kept = {
    ...row,
    ...(lockMode === undefined ? {} : { lockMode }),
    ...(lockUntilMs === undefined ? {} : { lockUntilMs }),
    ...(hold === undefined ? {} : { hold }),
  };
  return kept as unknown as R;
}

export class FileChanges {
  readonly #rows: Rows;
  readonly #containers: ContainerTable;
  readonly #digest: SetDigest;
  /** Rows that get another value, by their keys. */
  readonly #files = new Map<string, FileKey>();
  readonly #bin = new Map<string, BinKey>();

  /** `rows` are what is known before; they are changed. */
  constructor(rows: Rows, containers: ContainerTable, digest: SetDigest) {
    this.#rows = rows;
    this.#containers = containers;
    this.#digest = digest;
  }

  /** A file, or with binUntilMs a version in the recycle bin, as a checkpoint has it. */
  take(row: FileRow): void {
    if (row.binUntilMs === undefined) this.#setFile(row, row);
    else this.#setBin(row, asBinRow(row, row.binUntilMs));
  }

  put(record: PutRecord, version: number): void {
    this.remove(record, record.binUntilMs);
    this.#setFile(record, putRow(record, version));
  }

  /** The file of that name is gone, or in the recycle bin until then. */
  remove(key: FileKey, binUntilMs: number | undefined): void {
    const row = this.#rows.files.get(fileMapKey(key));
    if (row === undefined) return;
    this.#setFile(key, undefined);
    if (binUntilMs !== undefined) this.#setBin(row, asBinRow(row, binUntilMs));
  }

  drop(key: BinKey): void {
    this.#setBin(key, undefined);
  }

  restore(record: BinRestoreRecord): void {
    const row = this.#rows.bin.get(binMapKey(record));
    if (row === undefined) return;
    this.#setBin(record, undefined);
    this.remove(record, record.binUntilMs);
    this.#setFile(record, withoutBin(row));
  }

  /** Wherever the version is. */
  keep(record: LockRecord): void {
    const file = this.#rows.files.get(fileMapKey(record));
    if (file?.version === record.version) this.#setFile(record, keptAs(file, record));
    const binned = this.#rows.bin.get(binMapKey(record));
    if (binned !== undefined) this.#setBin(record, keptAs(binned, record));
  }

  operations(index: FileIndex, bin: BinIndex): KvOperation[] {
    const files = [...this.#files].map(([name, key]) => index.operation(key, this.#rows.files.get(name)));
    const binned = [...this.#bin].map(([name, key]) => bin.operation(key, this.#rows.bin.get(name)));
    return [...files, ...binned];
  }

  /** The batch is in the view. */
  note(index: FileIndex): void {
    for (const [name, key] of this.#files) index.note(key, this.#rows.files.get(name) !== undefined);
  }

  #setFile({ containerId, name }: FileKey, row: FileRow | undefined): void {
    const key = fileMapKey({ containerId, name });
    this.#exchange(this.#rows.files.get(key), row);
    this.#rows.files.set(key, row);
    this.#files.set(key, { containerId, name });
  }

  #setBin({ containerId, version }: BinKey, row: BinRow | undefined): void {
    const key = binMapKey({ containerId, version });
    this.#exchange(this.#rows.bin.get(key), row);
    this.#rows.bin.set(key, row);
    this.#bin.set(key, { containerId, version });
  }

  #exchange(before: FileRow | undefined, after: FileRow | undefined): void {
    if (before !== undefined) {
      this.#containers.discount(before);
      this.#digest.remove(before);
    }
    if (after !== undefined) {
      this.#containers.count(after);
      this.#digest.add(after);
    }
  }
}
