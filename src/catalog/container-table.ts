/**
 * Containers of a group, in memory and in the view (native/FORMAT.md, "View tables"): name, policy, and sums
 * over their files and over what lies in their recycle bins. What changes here, changes the set digest.
 */
import { StoreError } from '../base/errors.js';
import type { KvOperation, KvStore } from '../view/kv.js';
import {
  type ContainerPolicy,
  type ContainerRow,
  decodeRecord,
  encodeRecord,
  type FileRow,
  RecordType,
} from './record.js';
import type { SetDigest } from './set-digest.js';
import {
  addFile,
  addTotals,
  decodeTotals,
  EMPTY_TOTALS,
  encodeTotals,
  removeFile,
  type Totals,
} from './totals.js';

export interface ContainerState {
  readonly id: number;
  readonly name: string;
  readonly createdMs: number;
  /** Without what is 0 or none. */
  policy: ContainerPolicy;
  /** Of its current files. */
  totals: Totals;
  /** Of the versions in its recycle bin. */
  binTotals: Totals;
  /** It is being deleted: nothing may be put into it any more. */
  isClosing: boolean;
}

const CONTAINER_TABLE = 0x63; // 'c'
const TOTALS_TABLE = 0x73; // 's'
export const CONTAINER_TABLE_NAMES = ['c', 's'];

/** The container as checkpoints and the view have it. */
export function containerRow({ id, name, createdMs, policy }: ContainerState): ContainerRow {
  return { type: RecordType.CHECKPOINT_CONTAINER, containerId: id, name, createdMs, ...policy };
}

export class ContainerTable {
  readonly all = new Map<number, ContainerState>();
  readonly #touched = new Set<ContainerState>();

  get totals(): Totals {
    return addTotals([...this.all.values()].map(({ totals }) => totals));
  }

  get binTotals(): Totals {
    return addTotals([...this.all.values()].map(({ binTotals }) => binTotals));
  }

  async open(store: KvStore): Promise<void> {
    for await (const [, value] of store.scan(tableRange(CONTAINER_TABLE))) {
      const row = decodeRecord(RecordType.CHECKPOINT_CONTAINER, value);
      if (row?.type === RecordType.CHECKPOINT_CONTAINER) this.#keep(row);
    }
    for await (const [key, value] of store.scan(tableRange(TOTALS_TABLE))) {
      const container = this.all.get(Buffer.from(key).readUInt32BE(1));
      if (container === undefined) throw new StoreError('CORRUPT', 'view: totals of no container');
      [container.totals, container.binTotals] = decodeTotals(value);
    }
  }

  clear(): void {
    this.all.clear();
    this.#touched.clear();
  }

  /** CORRUPT: its id was given before. */
  add(row: Omit<ContainerRow, 'type'>, digest: SetDigest): KvOperation[] {
    if (this.all.has(row.containerId)) {
      throw new StoreError('CORRUPT', `container ${row.containerId} is added twice`);
    }
    const container = this.#keep(row);
    this.#touched.add(container);
    digest.add(containerRow(container));
    return [rowOperation(container)];
  }

  update(containerId: number, policy: ContainerPolicy, digest: SetDigest): KvOperation[] {
    const container = this.demand(containerId, 'was updated');
    digest.remove(containerRow(container));
    container.policy = plainPolicy(policy);
    digest.add(containerRow(container));
    return [rowOperation(container)];
  }

  remove(containerId: number, digest: SetDigest): KvOperation[] {
    const container = this.all.get(containerId);
    if (container === undefined) return [];
    digest.remove(containerRow(container));
    this.all.delete(containerId);
    this.#touched.delete(container);
    return [
      { type: 'del', key: idKey(CONTAINER_TABLE, containerId) },
      { type: 'del', key: idKey(TOTALS_TABLE, containerId) },
    ];
  }

  /** CORRUPT: there is none, though the log says that something became of it. */
  demand(containerId: number, what: string): ContainerState {
    const container = this.all.get(containerId);
    if (container !== undefined) return container;
    throw new StoreError('CORRUPT', `container ${containerId} ${what}, which is not there`);
  }

  /** Counts a row that comes into its container, as a file or, with binUntilMs, in the recycle bin. */
  count(row: FileRow): void {
    const container = this.demand(row.containerId, 'got a file');
    if (row.binUntilMs === undefined) container.totals = addFile(container.totals, row);
    else container.binTotals = addFile(container.binTotals, row);
    this.#touched.add(container);
  }

  /** Counts one that goes. */
  discount(row: FileRow): void {
    const container = this.demand(row.containerId, 'lost a file');
    if (row.binUntilMs === undefined) container.totals = removeFile(container.totals, row);
    else container.binTotals = removeFile(container.binTotals, row);
    this.#touched.add(container);
  }

  /** The sums that have changed since the last call. */
  takeTotals(): KvOperation[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched.map(({ id, totals, binTotals }) => ({
      type: 'put',
      key: idKey(TOTALS_TABLE, id),
      value: encodeTotals(totals, binTotals),
    }));
  }

  #keep(row: Omit<ContainerRow, 'type'>): ContainerState {
    const container = {
      id: row.containerId,
      name: row.name,
      createdMs: row.createdMs,
      policy: plainPolicy(row),
      totals: { ...EMPTY_TOTALS },
      binTotals: { ...EMPTY_TOTALS },
      isClosing: false,
    };
    this.all.set(container.id, container);
    return container;
  }
}

/** The one form of a policy, which the set digest counts on: without other fields, 0 and none. */
export function plainPolicy({
  binDays = 0,
  defaultLockMode = 'none',
  defaultLockDays = 0,
  logicalQuotaBytes = 0,
}: ContainerPolicy): ContainerPolicy {
  return {
    ...(binDays === 0 ? {} : { binDays }),
    ...(defaultLockMode === 'none' ? {} : { defaultLockMode }),
    ...(defaultLockDays === 0 ? {} : { defaultLockDays }),
    ...(logicalQuotaBytes === 0 ? {} : { logicalQuotaBytes }),
  };
}

function rowOperation(container: ContainerState): KvOperation {
  return {
    type: 'put',
    key: idKey(CONTAINER_TABLE, container.id),
    value: encodeRecord(containerRow(container)),
  };
}

function idKey(table: number, id: number): Buffer {
  const key = Buffer.alloc(5);
  key[0] = table;
  key.writeUInt32BE(id, 1);
  return key;
}

function tableRange(table: number): { from: Uint8Array; to: Uint8Array } {
  return { from: Buffer.of(table), to: Buffer.of(table + 1) };
}
