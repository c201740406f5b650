/**
 * What a storage group's log says, as far as it has been applied: tables in the view (native/FORMAT.md,
 * "View tables"), and in memory containers, totals, settings. Commit, replay and rebuild all go through
 * apply(): one batch in the view, in which appliedSequence moves with what was applied, so that applying
 * twice changes nothing.
 */
import { StoreError } from '../base/errors.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import { AppliedMark, decodeMark, encodeMark } from './applied-mark.js';
import {
  BIN_TABLE_NAME,
  BinIndex,
  type BinKey,
  type BinRow,
  binMapKey,
  scanFilesAndBin,
} from './bin-index.js';
import { CONTAINER_TABLE_NAMES, type ContainerState, ContainerTable } from './container-table.js';
import { FileChanges, type Rows, rowKeysOf } from './file-changes.js';
import { type FileIndex, type FileKey, fileMapKey } from './file-index.js';
import {
  type CheckpointBeginRecord,
  type CheckpointEndRecord,
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
import type { Totals } from './totals.js';

/** A log record with its number; `record` is absent where a type may be skipped. */
export interface SequencedRecord {
  readonly sequence: number;
  readonly record: LogRecord | undefined;
  /** Of its payload. */
  readonly bytes: number;
}

const MARK_KEY = Buffer.from('m/applied');
const CONFIG_KEY = Buffer.from('m/config');
/**
 * What the log says lies in these tables, each under its first byte; the tables of places (places.ts) come
 * from elsewhere.
 */
const LOG_TABLES = [BIN_TABLE_NAME, ...CONTAINER_TABLE_NAMES, 'f', 'm', STORE_TABLE_NAME];

export class GroupState {
  readonly #store: KvStore;
  readonly #index: FileIndex;
  readonly #bin: BinIndex;
  readonly #containers = new ContainerTable();
  readonly stores = new StoreStates();
  #mark = new AppliedMark();
  #digest = new SetDigest();
  #config: Settings | undefined;
  #restoring: Restoring | undefined;

  constructor(store: KvStore, index: FileIndex) {
    this.#store = store;
    this.#index = index;
    this.#bin = new BinIndex(store);
  }

  get index(): FileIndex {
    return this.#index;
  }

  get bin(): BinIndex {
    return this.#bin;
  }

  get containers(): ReadonlyMap<number, ContainerState> {
    return this.#containers.all;
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

  /** Sums over all containers' current files. */
  get totals(): Totals {
    return this.#containers.totals;
  }

  /** Sums over all versions in recycle bins. */
  get binTotals(): Totals {
    return this.#containers.binTotals;
  }

  /** All versions in recycle bins, as they are when this is called. */
  scanBin(): AsyncIterable<BinRow> {
    return this.#bin.scan();
  }

  /** All files and all versions in recycle bins (those with binUntilMs), of one moment, in any order. */
  scanAll(): AsyncIterable<FileRow> {
    return scanFilesAndBin(this.#store);
  }

  /** Reads what the view holds besides the files. CORRUPT: it cannot be used, clear() it. */
  async open(): Promise<void> {
    const [mark, config] = await this.#store.getMany([MARK_KEY, CONFIG_KEY]);
    if (mark === undefined) return this.clear();
    this.#mark = decodeMark(mark);
    this.#digest = new SetDigest(this.#mark.digest);
    const record = config && decodeRecord(RecordType.CONFIG, config);
    if (record?.type === RecordType.CONFIG) this.#config = settingsOf(record);
    await this.#containers.open(this.#store);
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
    this.#containers.clear();
    this.stores.clear();
    this.#index.reset();
    this.#mark = new AppliedMark();
    this.#digest = new SetDigest();
    this.#config = undefined;
    this.#restoring = undefined;
  }

  /**
   * The view is empty. The records from this checkpoint's BEGIN to its END are applied next, and only its
   * entries count (restoring.ts): behind END the state is that of BEGIN, and the records behind BEGIN are to
   * be applied. appliedSequence is not written before, so that an interrupted restore begins anew.
   */
  beginRestore(begin: number, end: number): void {
    this.#restoring = new Restoring(begin, end);
    this.#mark.sequence = begin - 1;
  }

  async load(files: readonly FileKey[], bin: readonly BinKey[] = []): Promise<Rows> {
    const rows: Rows = { files: new Map(), bin: new Map() };
    const [fileRows, binRows] = await Promise.all([
      files.length === 0 ? [] : this.#index.load(files),
      bin.length === 0 ? [] : this.#bin.load(bin),
    ]);
    for (const [position, key] of files.entries()) rows.files.set(fileMapKey(key), fileRows[position]);
    for (const [position, key] of bin.entries()) rows.bin.set(binMapKey(key), binRows[position]);
    return rows;
  }

  /** Applies records that are durable, in order, as one batch; those applied before are skipped. */
  async apply(records: readonly SequencedRecord[], loaded?: Rows): Promise<void> {
    const fresh = records.filter(({ sequence }) => sequence > this.sequence);
    if (fresh.length === 0) return;
    const rows = loaded ?? (await this.#loadFor(fresh));
    const changes = new FileChanges(rows, this.#containers, this.#digest);
    const operations: KvOperation[] = [];
    for (const entry of fresh) operations.push(...this.#applyOne(entry, changes));
    operations.push(...changes.operations(this.#index, this.#bin), ...this.#containers.takeTotals());
    if (this.#restoring === undefined) {
      this.#mark.digest = this.#digest.bytes;
      operations.push({ type: 'put', key: MARK_KEY, value: encodeMark(this.#mark) });
    }
    await this.#store.batch(operations);
    changes.note(this.#index);
  }

  #loadFor(records: readonly SequencedRecord[]): Promise<Rows> {
    // Entries of a checkpoint go into an empty view: there is nothing to look up.
    if (this.#restoring !== undefined) return this.load([]);
    const keys = records.map(({ record }) => rowKeysOf(record));
    return this.load(
      keys.flatMap(({ files }) => files),
      keys.flatMap(({ bin }) => bin),
    );
  }

  #applyOne({ sequence, record, bytes }: SequencedRecord, changes: FileChanges): KvOperation[] {
    if (sequence !== this.#mark.sequence + 1) {
      throw new StoreError('CORRUPT', `log record ${sequence} follows record ${this.#mark.sequence}`);
    }
    this.#mark.sequence = sequence;
    if (this.#restoring !== undefined) return this.#restoreOne(this.#restoring, sequence, record, changes);
    this.#mark.logBytes += bytes;
    switch (record?.type) {
      case RecordType.CONFIG:
        return this.#keepConfig(record);
      case RecordType.CONTAINER_ADD:
        this.#mark.lastContainerId = Math.max(this.#mark.lastContainerId, record.containerId);
        return this.#containers.add(record, this.#digest);
      case RecordType.CONTAINER_UPDATE:
        return this.#containers.update(record.containerId, record, this.#digest);
      case RecordType.CONTAINER_DELETE:
        return this.#containers.remove(record.containerId, this.#digest);
      case RecordType.CHECKPOINT_BEGIN:
        this.#beginCheckpoint(sequence, record);
        return [];
      case RecordType.CHECKPOINT_CONTAINER:
      case RecordType.CHECKPOINT_FILE:
        this.#mark.pendingBytes += bytes;
        return [];
      case RecordType.CHECKPOINT_END:
        this.#endCheckpoint(record.beginSequence, sequence);
        return [];
      case RecordType.CLOCK:
        this.#mark.retentionMs = Math.max(this.#mark.retentionMs, record.retentionMs);
        return [];
      case RecordType.MOVE:
        this.#mark.duplicateBytes += this.stores.get(hexOf(record.dataStore))?.moved
          ? 0
          : record.duplicateBytes;
        return this.stores.apply(record);
      case RecordType.CONDEMN:
      case RecordType.RECLAIM:
      case RecordType.PARDON:
      case RecordType.QUARANTINE:
        return this.stores.apply(record);
      default:
        this.#applyToFiles(sequence, record, changes);
        return [];
    }
  }

  #applyToFiles(sequence: number, record: LogRecord | undefined, changes: FileChanges): void {
    switch (record?.type) {
      case RecordType.PUT:
        changes.put(record, sequence);
        break;
      case RecordType.DELETE:
        changes.remove(record, record.binUntilMs);
        break;
      case RecordType.BIN_DROP:
        changes.drop(record);
        break;
      case RecordType.BIN_RESTORE:
        changes.restore(record);
        break;
      case RecordType.LOCK:
        changes.keep(record);
        break;
      // KEY and EPOCH say when: the keys themselves are in the keyring.
      default:
    }
  }

  /** A record between BEGIN and END of the checkpoint from which the view is made. */
  #restoreOne(
    restoring: Restoring,
    sequence: number,
    record: LogRecord | undefined,
    changes: FileChanges,
  ): KvOperation[] {
    switch (record?.type) {
      case RecordType.CHECKPOINT_BEGIN:
        return sequence === restoring.begin ? this.#takeBegin(record) : [];
      case RecordType.CHECKPOINT_CONTAINER:
        restoring.noteContainer(record);
        return this.#containers.add(record, this.#digest);
      case RecordType.CHECKPOINT_FILE:
        restoring.noteFile(record);
        changes.take(record);
        return [];
      case RecordType.CHECKPOINT_END:
        if (sequence === restoring.end) this.#endRestore(restoring, record);
        return [];
      default:
        return [];
    }
  }

  #takeBegin(record: CheckpointBeginRecord): KvOperation[] {
    this.#mark.lastContainerId = record.containerId;
    this.#mark.duplicateBytes = record.duplicateBytes ?? 0;
    this.#mark.retentionMs = record.retentionMs ?? 0;
    return this.#keepConfig(record);
  }

  #endRestore(restoring: Restoring, record: CheckpointEndRecord): void {
    restoring.check(record);
    this.#mark.sequence = restoring.begin;
    this.#mark.pendingBegin = restoring.begin;
    this.#restoring = undefined;
  }

  #beginCheckpoint(sequence: number, { containerId, retentionMs = 0 }: CheckpointBeginRecord): void {
    this.#mark.pendingBegin = sequence;
    this.#mark.pendingBytes = 0;
    this.#mark.lastContainerId = Math.max(this.#mark.lastContainerId, containerId);
    this.#mark.retentionMs = Math.max(this.#mark.retentionMs, retentionMs);
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

  #keepConfig(settings: Settings): KvOperation[] {
    this.#config = settingsOf(settings);
    const value = encodeRecord({ ...this.#config, type: RecordType.CONFIG });
    return [{ type: 'put', key: CONFIG_KEY, value }];
  }
}

/** The settings alone: what else the record has must not find its way into other records. */
function settingsOf({ compression, encryption, rotationDays, quotaBytes }: Settings): Settings {
  return { compression, encryption, rotationDays, quotaBytes };
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function tableRange(table: Uint8Array): { from: Uint8Array; to: Uint8Array } {
  return { from: Buffer.from(table), to: Buffer.of(table[0]! + 1) };
}
