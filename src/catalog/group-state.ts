/**
 * What a storage group's log says, as far as it has been applied: tables in the view (native/FORMAT.md,
 * "View tables"), and in memory containers, totals, settings. Commit, replay and rebuild all go through
 * apply(): one batch in the view, in which appliedSequence moves with what was applied, so that applying
 * twice changes nothing.
 */
import { StoreError } from '../base/errors.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import { AppliedMark, decodeMark, encodeMark } from './applied-mark.js';
import { type FileIndex, type FileKey, type FileMap, fileMapKey } from './file-index.js';
import {
  type CheckpointBeginRecord,
  decodeRecord,
  encodeRecord,
  type FileRow,
  type LogRecord,
  RecordType,
  type Settings,
} from './record.js';
import { Restoring } from './restoring.js';
import { SetDigest } from './set-digest.js';
import { STORE_TABLE_NAME, StoreStates } from './store-states.js';
import { addFile, decodeTotals, EMPTY_TOTALS, encodeTotals, removeFile, type Totals } from './totals.js';

/** A log record with its number; `record` is absent where a type may be skipped. */
export interface SequencedRecord {
  readonly sequence: number;
  readonly record: LogRecord | undefined;
  /** Of its payload. */
  readonly bytes: number;
}

export interface ContainerState {
  readonly id: number;
  readonly name: string;
  readonly createdMs: number;
  totals: Totals;
  /** It is being deleted: nothing may be put into it any more. */
  isClosing: boolean;
}

const MARK_KEY = Buffer.from('m/applied');
const CONFIG_KEY = Buffer.from('m/config');
const CONTAINER_TABLE = Buffer.from('c');
const TOTALS_TABLE = Buffer.from('s');
/**
 * What the log says lies in these tables, each under its first byte; the tables of places (places.ts) come
 * from elsewhere.
 */
const LOG_TABLES = ['c', 'f', 'm', 's', STORE_TABLE_NAME];

export class GroupState {
  readonly #store: KvStore;
  readonly #index: FileIndex;
  readonly containers = new Map<number, ContainerState>();
  readonly stores = new StoreStates();
  #mark = new AppliedMark();
  #digest = new SetDigest();
  #config: Settings | undefined;
  #restoring: Restoring | undefined;

  constructor(store: KvStore, index: FileIndex) {
    this.#store = store;
    this.#index = index;
  }

  get index(): FileIndex {
    return this.#index;
  }

  /** Of the last record that was applied; 0: none. */
  get sequence(): number {
    return this.#mark.sequence;
  }

  get lastContainerId(): number {
    return this.#mark.lastContainerId;
  }

  get mark(): Readonly<AppliedMark> {
    return this.#mark;
  }

  get config(): Settings | undefined {
    return this.#config;
  }

  get digest(): Uint8Array {
    return this.#digest.bytes;
  }

  /** Sums over all containers. */
  get totals(): Totals {
    const sum = { ...EMPTY_TOTALS };
    for (const { totals } of this.containers.values()) {
      for (const field of Object.keys(sum) as (keyof Totals)[]) sum[field] += totals[field];
    }
    return sum;
  }

  /** Reads what the view holds besides the files. CORRUPT: it cannot be used, clear() it. */
  async open(): Promise<void> {
    const [mark, config] = await this.#store.getMany([MARK_KEY, CONFIG_KEY]);
    if (mark === undefined) return this.clear();
    this.#mark = decodeMark(mark);
    this.#digest = new SetDigest(this.#mark.digest);
    const record = config && decodeRecord(RecordType.CONFIG, config);
    if (record?.type === RecordType.CONFIG) this.#config = settingsOf(record);
    for await (const [, value] of this.#store.scan(tableRange(CONTAINER_TABLE))) {
      const row = decodeRecord(RecordType.CHECKPOINT_CONTAINER, value);
      if (row?.type === RecordType.CHECKPOINT_CONTAINER) this.#keepContainer(row);
    }
    for await (const [key, value] of this.#store.scan(tableRange(TOTALS_TABLE))) {
      const container = this.containers.get(Buffer.from(key).readUInt32BE(1));
      if (container === undefined) throw new StoreError('CORRUPT', 'view: totals of no container');
      container.totals = decodeTotals(value);
    }
    for await (const [key, value] of this.#store.scan(tableRange(Buffer.from(STORE_TABLE_NAME)))) {
      this.stores.load(key, value);
    }
  }

  /**
   * Forgets all that the log has said, in view and memory. The tables of places stay: the engine counts on
   * them.
   */
  async clear(): Promise<void> {
    for (const table of LOG_TABLES) await this.#store.clear(tableRange(Buffer.from(table)));
    this.containers.clear();
    this.stores.clear();
    this.#index.reset();
    this.#mark = new AppliedMark();
    this.#digest = new SetDigest();
    this.#config = undefined;
    this.#restoring = undefined;
  }

  /**
   * The view is empty and is made from a checkpoint: entries between its BEGIN and END count from now on,
   * and appliedSequence is not written before END has been applied, so that an interrupted restore begins
   * anew.
   */
  beginRestore(begin: number, end: number): void {
    this.#restoring = new Restoring(begin, end);
    this.#mark.sequence = begin - 1;
  }

  async load(keys: readonly FileKey[]): Promise<FileMap> {
    const files: FileMap = new Map();
    if (keys.length === 0) return files;
    const rows = await this.#index.load(keys);
    for (const [position, key] of keys.entries()) files.set(fileMapKey(key), rows[position]);
    return files;
  }

  /** Applies records that are durable, in order, as one batch; those applied before are skipped. */
  async apply(records: readonly SequencedRecord[], loaded?: FileMap): Promise<void> {
    const fresh = records.filter(({ sequence }) => sequence > this.sequence);
    if (fresh.length === 0) return;
    const files = new Map(loaded ?? (await this.load(fresh.flatMap(({ record }) => keysOf(record)))));
    const batch = new Batch(files);
    for (const entry of fresh) this.#applyOne(entry, batch);
    await this.#store.batch(this.#operations(batch));
    for (const [name, key] of batch.files) this.#index.note(key, files.get(name) !== undefined);
  }

  #applyOne({ sequence, record, bytes }: SequencedRecord, batch: Batch): void {
    if (sequence !== this.#mark.sequence + 1) {
      throw new StoreError('CORRUPT', `log record ${sequence} follows record ${this.#mark.sequence}`);
    }
    this.#mark.sequence = sequence;
    this.#mark.logBytes += bytes;
    switch (record?.type) {
      case RecordType.CONFIG:
        this.#keepConfig(record, batch);
        break;
      case RecordType.CONTAINER_ADD:
        this.#addContainer(record, batch);
        break;
      case RecordType.CONTAINER_DELETE:
        this.#removeContainer(record.containerId, batch);
        break;
      case RecordType.PUT:
        this.#setFile({ ...record, type: RecordType.CHECKPOINT_FILE, version: sequence }, batch);
        break;
      case RecordType.DELETE:
        this.#restoring?.noteFileGone(fileMapKey(record));
        this.#dropFile(record, batch);
        break;
      case RecordType.CHECKPOINT_BEGIN:
        this.#mark.pendingBegin = sequence;
        this.#mark.pendingBytes = 0;
        this.#mark.lastContainerId = Math.max(this.#mark.lastContainerId, record.containerId);
        if (this.#restoring?.begin === sequence) this.#takeBegin(record, batch);
        break;
      case RecordType.CHECKPOINT_CONTAINER:
        this.#mark.pendingBytes += bytes;
        if (this.#restoring?.takesContainer(record, sequence) === true) this.#addContainer(record, batch);
        break;
      case RecordType.CHECKPOINT_FILE:
        this.#mark.pendingBytes += bytes;
        if (this.#restoring?.takesFile(record, sequence, batch.row(record)) === true) {
          this.#setFile(record, batch);
        }
        break;
      case RecordType.CHECKPOINT_END:
        this.#endCheckpoint(record.beginSequence, sequence);
        this.#restoring?.check(record, sequence);
        if (this.#restoring?.end === sequence) this.#restoring = undefined;
        break;
      case RecordType.MOVE:
        this.#mark.duplicateBytes += this.stores.get(hexOf(record.dataStore))?.moved
          ? 0
          : record.duplicateBytes;
        batch.operations.push(...this.stores.apply(record));
        break;
      case RecordType.CONDEMN:
      case RecordType.RECLAIM:
      case RecordType.PARDON:
      case RecordType.QUARANTINE:
        batch.operations.push(...this.stores.apply(record));
        break;
      // KEY and EPOCH say when: the keys themselves are in the keyring.
      default:
    }
  }

  #takeBegin(record: CheckpointBeginRecord, batch: Batch): void {
    this.#keepConfig(record, batch);
    this.#mark.duplicateBytes = record.duplicateBytes ?? 0;
  }

  #endCheckpoint(begin: number, sequence: number): void {
    if (this.#mark.pendingBegin !== begin) return;
    this.#mark.previousBegin = this.#mark.begin;
    this.#mark.begin = begin;
    this.#mark.end = sequence;
    this.#mark.checkpointBytes = this.#mark.pendingBytes;
    this.#mark.pendingBegin = 0;
    this.#mark.logBytes = 0;
  }

  #keepConfig(settings: Settings, batch: Batch): void {
    this.#config = settingsOf(settings);
    const value = encodeRecord({ ...this.#config, type: RecordType.CONFIG });
    batch.operations.push({ type: 'put', key: CONFIG_KEY, value });
  }

  #keepContainer(row: { containerId: number; name: string; createdMs: number }): ContainerState {
    const { containerId: id, name, createdMs } = row;
    const container = { id, name, createdMs, totals: { ...EMPTY_TOTALS }, isClosing: false };
    this.containers.set(id, container);
    return container;
  }

  #addContainer(row: { containerId: number; name: string; createdMs: number }, batch: Batch): void {
    const { containerId, name, createdMs } = row;
    const record = { type: RecordType.CHECKPOINT_CONTAINER, containerId, name, createdMs } as const;
    if (this.containers.has(containerId))
      throw new StoreError('CORRUPT', `container ${containerId} is added twice`);
    batch.touched.add(this.#keepContainer(row));
    this.#mark.lastContainerId = Math.max(this.#mark.lastContainerId, containerId);
    this.#digest.add(record);
    batch.operations.push({
      type: 'put',
      key: idKey(CONTAINER_TABLE, containerId),
      value: encodeRecord(record),
    });
  }

  #removeContainer(containerId: number, batch: Batch): void {
    const container = this.containers.get(containerId);
    if (container === undefined) return;
    const { name, createdMs } = container;
    this.#digest.remove({ type: RecordType.CHECKPOINT_CONTAINER, containerId, name, createdMs });
    this.containers.delete(containerId);
    batch.touched.delete(container);
    batch.operations.push(
      { type: 'del', key: idKey(CONTAINER_TABLE, containerId) },
      { type: 'del', key: idKey(TOTALS_TABLE, containerId) },
    );
  }

  #setFile(row: FileRow, batch: Batch): void {
    const container = this.containers.get(row.containerId);
    if (container === undefined) {
      throw new StoreError('CORRUPT', `a file was put into container ${row.containerId}, which is not there`);
    }
    this.#dropFile(row, batch);
    container.totals = addFile(container.totals, row);
    this.#digest.add(row);
    batch.touched.add(container);
    batch.set(row, row);
  }

  #dropFile(key: FileKey, batch: Batch): void {
    const row = batch.row(key);
    const container = this.containers.get(key.containerId);
    if (row === undefined || container === undefined) return;
    container.totals = removeFile(container.totals, row);
    this.#digest.remove(row);
    batch.touched.add(container);
    batch.set(key, undefined);
  }

  #operations(batch: Batch): KvOperation[] {
    const operations = [...batch.operations];
    for (const [name, key] of batch.files) operations.push(this.#index.operation(key, batch.rows.get(name)));
    for (const container of batch.touched) {
      operations.push({
        type: 'put',
        key: idKey(TOTALS_TABLE, container.id),
        value: encodeTotals(container.totals),
      });
    }
    if (this.#restoring === undefined) {
      this.#mark.digest = this.#digest.bytes;
      operations.push({ type: 'put', key: MARK_KEY, value: encodeMark(this.#mark) });
    }
    return operations;
  }
}

/** What one call of apply() changes. */
class Batch {
  readonly operations: KvOperation[] = [];
  readonly touched = new Set<ContainerState>();
  /** Files that get another row, by fileMapKey. */
  readonly files = new Map<string, FileKey>();
  readonly rows: FileMap;

  constructor(rows: FileMap) {
    this.rows = rows;
  }

  row(key: FileKey): FileRow | undefined {
    return this.rows.get(fileMapKey(key));
  }

  set(key: FileKey, row: FileRow | undefined): void {
    const name = fileMapKey(key);
    this.rows.set(name, row);
    this.files.set(name, { containerId: key.containerId, name: key.name });
  }
}

function keysOf(record: LogRecord | undefined): FileKey[] {
  switch (record?.type) {
    case RecordType.PUT:
    case RecordType.DELETE:
    case RecordType.CHECKPOINT_FILE:
      return [record];
    default:
      return [];
  }
}

/** The settings alone: what else the record has must not find its way into other records. */
function settingsOf({ compression, encryption, rotationDays, quotaBytes }: Settings): Settings {
  return { compression, encryption, rotationDays, quotaBytes };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function idKey(table: Uint8Array, id: number): Buffer {
  const key = Buffer.alloc(table.length + 4);
  key.set(table);
  key.writeUInt32BE(id, table.length);
  return key;
}

function tableRange(table: Uint8Array): { from: Uint8Array; to: Uint8Array } {
  return { from: Buffer.from(table), to: Buffer.of(table[0]! + 1) };
}
