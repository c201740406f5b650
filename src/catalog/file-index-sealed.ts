/**
 * The file index of an encrypted group. Keys are HMACs of container and name, values are sealed by the
 * view's store, so the database tells nothing but counts and sizes. The order of names exists in memory
 * only: a container's names are read once, when it is first listed, and kept current by the commits;
 * LISTED_NAMES_MAX bounds all of them together.
 */
import { createHmac } from 'node:crypto';
import { StoreError } from '../base/errors.js';
import { LISTED_NAMES_MAX } from '../base/limits.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import { SortedTree } from '../view/sorted-tree.js';
import {
  decodeFileRow,
  demandSame,
  type FileIndex,
  type FileKey,
  type FileListQuery,
  fileTableKey,
  fileTableRange,
  keyBehind,
  rowsOf,
} from './file-index.js';
import { compareNames } from './names.js';
import { encodeRecord, type FileRow } from './record.js';

const HASHED_NAME_SIZE = 24;

type NameSet = SortedTree<string, true>;

export class SealedFileIndex implements FileIndex {
  readonly #store: KvStore;
  readonly #nameKey: Uint8Array;
  readonly #namesMax: number;
  /** Ordered names of containers that have been listed; least lately listed first. */
  readonly #listed = new Map<number, NameSet>();
  /** Containers whose names are being read, with what commits have changed meanwhile. */
  readonly #loading = new Map<number, { changes: [string, boolean][]; names: Promise<NameSet> }>();

  constructor(store: KvStore, nameKey: Uint8Array, namesMax = LISTED_NAMES_MAX) {
    this.#store = store;
    this.#nameKey = nameKey;
    this.#namesMax = namesMax;
  }

  async load(keys: readonly FileKey[]): Promise<(FileRow | undefined)[]> {
    const values = await this.#store.getMany(keys.map(key => this.#keyOf(key)));
    return values.map((value, index) => {
      if (value === undefined) return undefined;
      const row = decodeFileRow(value);
      demandSame(row, keys[index]!);
      return row;
    });
  }

  operation(key: FileKey, row: FileRow | undefined): KvOperation {
    if (row === undefined) return { type: 'del', key: this.#keyOf(key) };
    return { type: 'put', key: this.#keyOf(key), value: encodeRecord(row) };
  }

  note({ containerId, name }: FileKey, isPresent: boolean): void {
    this.#loading.get(containerId)?.changes.push([name, isPresent]);
    const names = this.#listed.get(containerId);
    if (names !== undefined) change(names, name, isPresent);
  }

  async list(containerId: number, { prefix, after, limit }: FileListQuery): Promise<FileRow[]> {
    const names = await this.#names(containerId);
    const selected: string[] = [];
    const from = after !== undefined && compareNames(after, prefix) > 0 ? after : prefix;
    for (const name of names.keys(from)) {
      if (!name.startsWith(prefix) || selected.length === limit) break;
      if (name !== after) selected.push(name);
    }
    const rows = await this.load(selected.map(name => ({ containerId, name })));
    // A file that was deleted since the names were selected is left out.
    return rows.filter(row => row !== undefined);
  }

  scan(after?: Uint8Array): AsyncIterable<FileRow> {
    return rowsOf(this.#store.scan(fileTableRange(after)));
  }

  reset(): void {
    this.#listed.clear();
    this.#loading.clear();
  }

  #keyOf({ containerId, name }: FileKey): Buffer {
    const id = Buffer.alloc(4);
    id.writeUInt32BE(containerId);
    const hash = createHmac('sha256', this.#nameKey).update(id).update(name, 'utf8').digest();
    return fileTableKey(containerId, hash.subarray(0, HASHED_NAME_SIZE));
  }

  async #names(containerId: number): Promise<NameSet> {
    const names = this.#listed.get(containerId);
    if (names !== undefined) {
      this.#listed.delete(containerId);
      this.#listed.set(containerId, names);
      return names;
    }
    const loading = this.#loading.get(containerId);
    if (loading !== undefined) return loading.names;
    const entry = { changes: [] as [string, boolean][], names: Promise.resolve(new SortedTree() as NameSet) };
    entry.names = this.#readNames(containerId, entry.changes);
    this.#loading.set(containerId, entry);
    return entry.names;
  }

  async #readNames(containerId: number, changes: readonly [string, boolean][]): Promise<NameSet> {
    const names: NameSet = new SortedTree(undefined, compareNames);
    try {
      const prefix = fileTableKey(containerId, new Uint8Array());
      for await (const row of rowsOf(this.#store.scan({ from: prefix, to: keyBehind(prefix) }))) {
        names.set(row.name, true);
        if (names.size > this.#namesMax) {
          throw new StoreError(
            'UNSUPPORTED',
            `a container of an encrypted group with over ${this.#namesMax} files cannot be listed`,
          );
        }
      }
      for (const [name, isPresent] of changes) change(names, name, isPresent);
      this.#makeRoom(names.size);
      this.#listed.set(containerId, names);
      return names;
    } finally {
      this.#loading.delete(containerId);
    }
  }

  #makeRoom(size: number): void {
    let total = size;
    for (const names of this.#listed.values()) total += names.size;
    for (const [containerId, names] of this.#listed) {
      if (total <= this.#namesMax) return;
      this.#listed.delete(containerId);
      total -= names.size;
    }
  }
}

function change(names: NameSet, name: string, isPresent: boolean): void {
  if (isPresent) names.set(name, true);
  else names.delete(name);
}
