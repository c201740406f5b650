/**
 * What the log says of single data stores: which of their chunks are condemned or damaged, and which data
 * stores belong into the trash. In memory, about a bit a chunk of the data stores concerned, and in the view
 * (native/FORMAT.md, "View tables"). Records set a state and do not change one, so that a checkpoint repeats
 * them behind its BEGIN.
 */
import { DATA_STORE_ID_SIZE } from '../native/binding.js';
import type { KvOperation } from '../view/kv.js';
import {
  type CondemnRecord,
  decodeRecord,
  encodeRecord,
  type LogRecord,
  type MoveRecord,
  type PardonRecord,
  type QuarantineRecord,
  type ReclaimRecord,
  RecordType,
} from './record.js';

export type StoreStateRecord = CondemnRecord | MoveRecord | QuarantineRecord;
export type StoreRecord = StoreStateRecord | PardonRecord | ReclaimRecord;

/** One data store of which the log says something. */
export interface StoreState {
  /** Hex. */
  readonly id: string;
  readonly condemned: readonly CondemnRecord[];
  /** It is empty and belongs into trash/. */
  readonly moved: MoveRecord | undefined;
  readonly damaged: readonly QuarantineRecord[];
}

const STORE_TABLE = 0x78; // 'x'
export const STORE_TABLE_NAME = 'x';

export class StoreStates {
  /** By hex id, then by key in the view. */
  readonly #stores = new Map<string, Map<string, StoreStateRecord>>();

  /** A row that the view holds. CORRUPT when it is none. */
  load(key: Uint8Array, value: Uint8Array): void {
    const type = key[1 + DATA_STORE_ID_SIZE] ?? 0;
    const record = decodeRecord(type, value);
    if (isStateRecord(record)) this.#rows(record.dataStore).set(rowName(record), record);
  }

  clear(): void {
    this.#stores.clear();
  }

  /** What is to be done in the view. */
  apply(record: StoreRecord): KvOperation[] {
    const id = hexOf(record.dataStore);
    if (isStateRecord(record)) {
      this.#rows(record.dataStore).set(rowName(record), record);
      return [{ type: 'put', key: rowKey(record), value: encodeRecord(record) }];
    }
    const rows = [...(this.#stores.get(id)?.values() ?? [])];
    const stays = (row: StoreStateRecord) =>
      record.type === RecordType.PARDON && row.type === RecordType.QUARANTINE;
    this.#stores.delete(id);
    for (const row of rows.filter(stays)) this.#rows(row.dataStore).set(rowName(row), row);
    return rows.filter(row => !stays(row)).map(row => ({ type: 'del', key: rowKey(row) }));
  }

  /** Undefined: the log says nothing of it. */
  get(id: string): StoreState | undefined {
    const rows = this.#stores.get(id);
    return rows === undefined ? undefined : stateOf(id, [...rows.values()]);
  }

  all(): StoreState[] {
    return [...this.#stores].map(([id, rows]) => stateOf(id, [...rows.values()]));
  }

  /** What a checkpoint repeats. */
  records(): LogRecord[] {
    return [...this.#stores.values()].flatMap(rows => [...rows.values()]);
  }

  /** Of the data stores that are in the trash now. */
  get movedDuplicateBytes(): number {
    return this.all().reduce((sum, { moved }) => sum + (moved?.duplicateBytes ?? 0), 0);
  }

  #rows(dataStore: Uint8Array): Map<string, StoreStateRecord> {
    const id = hexOf(dataStore);
    const rows = this.#stores.get(id) ?? new Map<string, StoreStateRecord>();
    this.#stores.set(id, rows);
    return rows;
  }
}

function stateOf(id: string, rows: readonly StoreStateRecord[]): StoreState {
  return {
    id,
    condemned: rows.filter(row => row.type === RecordType.CONDEMN),
    moved: rows.find(row => row.type === RecordType.MOVE),
    damaged: rows.filter(row => row.type === RecordType.QUARANTINE),
  };
}

function isStateRecord(record: LogRecord | undefined): record is StoreStateRecord {
  return (
    record?.type === RecordType.CONDEMN ||
    record?.type === RecordType.MOVE ||
    record?.type === RecordType.QUARANTINE
  );
}

function rowName(record: StoreStateRecord): string {
  return `${record.type}/${record.type === RecordType.MOVE ? 0 : record.firstChunk}`;
}

/** 'x', data store id, record type u8, first chunk u32 big-endian. */
function rowKey(record: StoreStateRecord): Buffer {
  const key = Buffer.alloc(1 + DATA_STORE_ID_SIZE + 5);
  key[0] = STORE_TABLE;
  key.set(record.dataStore, 1);
  key[1 + DATA_STORE_ID_SIZE] = record.type;
  key.writeUInt32BE(record.type === RecordType.MOVE ? 0 : record.firstChunk, 2 + DATA_STORE_ID_SIZE);
  return key;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
