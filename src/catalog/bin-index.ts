/**
 * The recycle bin's table in a group's view: 'b', container id, version, so that several versions of one
 * name lie beside each other. The value is the file's CHECKPOINT_FILE with binUntilMs. Keys hold no name, so
 * encrypted groups have the same table.
 */
import { StoreError } from '../base/errors.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import { decodeFileRow, FILE_TABLE_RANGE, rowsOf } from './file-index.js';
import { encodeRecord, type FileRow } from './record.js';

export interface BinKey {
  readonly containerId: number;
  readonly version: number;
}

/** A version in the recycle bin. */
export type BinRow = FileRow & { readonly binUntilMs: number };

/** Rows by binMapKey; undefined: it is known that there is none. */
export type BinMap = Map<string, BinRow | undefined>;

export function binMapKey({ containerId, version }: BinKey): string {
  return `${containerId}/${version}`;
}

const BIN_TABLE = 0x62; // 'b'
export const BIN_TABLE_NAME = 'b';
const KEY_SIZE = 13;

export class BinIndex {
  readonly #store: KvStore;

  constructor(store: KvStore) {
    this.#store = store;
  }

  /** One answer a key, in order. CORRUPT: what lies there is no row of the bin. */
  async load(keys: readonly BinKey[]): Promise<(BinRow | undefined)[]> {
    const values = await this.#store.getMany(keys.map(keyOf));
    return values.map((value, index) => {
      if (value === undefined) return undefined;
      const row = demandBinRow(decodeFileRow(value));
      if (binMapKey(row) === binMapKey(keys[index]!)) return row;
      throw new StoreError('CORRUPT', 'view: another version lies under a key of the recycle bin');
    });
  }

  /** What has to be done in the view's batch so that the key has this row, or none. */
  operation(key: BinKey, row: BinRow | undefined): KvOperation {
    if (row === undefined) return { type: 'del', key: keyOf(key) };
    return { type: 'put', key: keyOf(key), value: encodeRecord(row) };
  }

  /** All versions in the bin as they are when this is called, by container and version. */
  scan(): AsyncIterable<BinRow> {
    return binRows(rowsOf(this.#store.scan({ from: Buffer.of(BIN_TABLE), to: Buffer.of(BIN_TABLE + 1) })));
  }

  /** Those of one container, by version, behind `after`. */
  scanContainer(containerId: number, after = -1): AsyncIterable<BinRow> {
    const from = keyOf({ containerId, version: after + 1 });
    const to = Buffer.alloc(KEY_SIZE, 0xff);
    to.set(from.subarray(0, 5));
    return binRows(rowsOf(this.#store.scan({ from, to })));
  }
}

/**
 * All files and all versions in the bin, by one scan, so of one moment. The tables of containers and of
 * data stores that are done lie between the two; both are small.
 */
export function scanFilesAndBin(store: KvStore): AsyncIterable<FileRow> {
  return rowsOf(fileTables(store.scan({ from: Buffer.of(BIN_TABLE), to: FILE_TABLE_RANGE.to })));
}

async function* fileTables(
  pairs: AsyncIterable<readonly [Uint8Array, Uint8Array]>,
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for await (const pair of pairs) {
    if (pair[0][0] === BIN_TABLE || pair[0][0] === FILE_TABLE_RANGE.from[0]) yield pair;
  }
}

/** The row as one of the bin. CORRUPT when it does not say until when it is kept. */
export function demandBinRow(row: FileRow): BinRow {
  if (row.binUntilMs !== undefined) return row as BinRow;
  throw new StoreError('CORRUPT', 'view: a row of the recycle bin does not say until when it is kept');
}

async function* binRows(rows: AsyncIterable<FileRow>): AsyncGenerator<BinRow> {
  for await (const row of rows) yield demandBinRow(row);
}

function keyOf({ containerId, version }: BinKey): Buffer {
  const key = Buffer.alloc(KEY_SIZE);
  key[0] = BIN_TABLE;
  key.writeUInt32BE(containerId, 1);
  key.writeBigUInt64BE(BigInt(version), 5);
  return key;
}
