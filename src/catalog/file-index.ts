/**
 * Where a group's view keeps its files: looked up by container and name, listed in byte order of the names.
 * Two implementations: names in the clear as keys of the view (here), and, for encrypted groups, keys that
 * say nothing and an order that is kept in memory (file-index-sealed.ts). The value of both is the record
 * CHECKPOINT_FILE.
 */
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import { decodeRecord, encodeRecord, type FileRow, RecordType } from './record.js';

export interface FileKey {
  readonly containerId: number;
  readonly name: string;
}

export interface FileListQuery {
  readonly prefix: string;
  /** Names behind this one only. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface FileIndex {
  /** One answer a key, in order. */
  load(keys: readonly FileKey[]): Promise<(FileRow | undefined)[]>;
  /** What has to be done in the view's batch so that the key has this row, or none. */
  operation(key: FileKey, row: FileRow | undefined): KvOperation;
  /** Is called when the batch with that operation is in the view. */
  note(key: FileKey, isPresent: boolean): void;
  list(containerId: number, query: FileListQuery): Promise<FileRow[]>;
  /**
   * All files as they are when this is called, in the order of their keys in the view (those of
   * `operation`); with `after` those behind that key.
   */
  scan(after?: Uint8Array): AsyncIterable<FileRow>;
  /** Forgets what is kept in memory: the view has been emptied. */
  reset(): void;
}

/** Rows by fileMapKey; undefined: it is known that there is none. */
export type FileMap = Map<string, FileRow | undefined>;

export function fileMapKey({ containerId, name }: FileKey): string {
  return `${containerId}/${name}`;
}

const FILE_TABLE = 0x66; // 'f'

/** 'f', container id (big-endian), then what tells the file. */
export function fileTableKey(containerId: number, rest: Uint8Array): Buffer {
  const key = Buffer.alloc(5 + rest.length, rest.length === 0 ? 0 : undefined);
  key[0] = FILE_TABLE;
  key.writeUInt32BE(containerId, 1);
  key.set(rest, 5);
  return key;
}

/** The first key behind all keys that begin with `prefix`. */
export function keyBehind(prefix: Uint8Array): Buffer {
  const next = Buffer.from(prefix);
  let last = next.length - 1;
  while (last >= 0 && next[last] === 0xff) last -= 1;
  assert(last >= 0, 'a key prefix of 0xff bytes only');
  next[last]! += 1;
  return next.subarray(0, last + 1);
}

export const FILE_TABLE_RANGE = { from: Buffer.of(FILE_TABLE), to: Buffer.of(FILE_TABLE + 1) };

/** All of the file table, or what lies behind a key of it. */
export function fileTableRange(after: Uint8Array | undefined): { from: Uint8Array; to: Uint8Array } {
  const from = after === undefined ? Buffer.of(FILE_TABLE) : Buffer.concat([after, Uint8Array.of(0)]);
  return { from, to: Buffer.of(FILE_TABLE + 1) };
}

/** The row that a value of the file table holds. CORRUPT when it is none. */
export function decodeFileRow(value: Uint8Array): FileRow {
  const row = decodeRecord(RecordType.CHECKPOINT_FILE, value);
  assert(row?.type === RecordType.CHECKPOINT_FILE, 'a file record decodes as one');
  return row;
}

/** Names in the clear: the key is the container's id and the name's bytes. */
export class ClearFileIndex implements FileIndex {
  readonly #store: KvStore;

  constructor(store: KvStore) {
    this.#store = store;
  }

  async load(keys: readonly FileKey[]): Promise<(FileRow | undefined)[]> {
    const values = await this.#store.getMany(keys.map(keyOf));
    return values.map((value, index) => {
      if (value === undefined) return undefined;
      const row = decodeFileRow(value);
      demandSame(row, keys[index]!);
      return row;
    });
  }

  operation(key: FileKey, row: FileRow | undefined): KvOperation {
    if (row === undefined) return { type: 'del', key: keyOf(key) };
    return { type: 'put', key: keyOf(key), value: encodeRecord(row) };
  }

  note(): void {}

  async list(containerId: number, query: FileListQuery): Promise<FileRow[]> {
    const prefix = fileTableKey(containerId, Buffer.from(query.prefix, 'utf8'));
    let from = prefix;
    if (query.after !== undefined) {
      const behind = Buffer.concat([
        fileTableKey(containerId, Buffer.from(query.after, 'utf8')),
        Uint8Array.of(0),
      ]);
      if (Buffer.compare(behind, from) > 0) from = behind;
    }
    const to = keyBehind(prefix);
    if (Buffer.compare(from, to) >= 0) return [];
    const rows: FileRow[] = [];
    for await (const [, value] of this.#store.scan({ from, to, limit: query.limit })) {
      rows.push(decodeFileRow(value));
    }
    return rows;
  }

  scan(after?: Uint8Array): AsyncIterable<FileRow> {
    return rowsOf(this.#store.scan(fileTableRange(after)));
  }

  reset(): void {}
}

export async function* rowsOf(
  pairs: AsyncIterable<readonly [Uint8Array, Uint8Array]>,
): AsyncGenerator<FileRow> {
  for await (const [, value] of pairs) yield decodeFileRow(value);
}

/** A value that lies under another file's key is damage. */
export function demandSame(row: FileRow, key: FileKey): void {
  if (row.containerId === key.containerId && row.name === key.name) return;
  throw new StoreError('CORRUPT', `view: the record of another file lies under ${JSON.stringify(key.name)}`);
}

function keyOf({ containerId, name }: FileKey): Buffer {
  return fileTableKey(containerId, Buffer.from(name, 'utf8'));
}
