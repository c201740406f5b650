/** What the catalog's parts are given from outside: the world, bounds of the engine, and where events go. */
import type { Clock } from '../base/clock.js';
import {
  CHUNK_TABLE_BYTES_MAX,
  DATA_STORE_SIZE_TARGET,
  REGION_CACHE_BYTES_MAX,
  RESIDENT_INDEX_BYTES_MAX,
} from '../base/limits.js';
import type { PassphraseCost } from '../keys/slots.js';
import type { AttachParameters, DiskHandle } from '../native/binding.js';
import type { KvStore } from '../view/kv.js';
import type { Lane } from '../workers/pool.js';
import type { OpenedGroup } from './opened-group.js';

/** Something that happened and that an operator should read; not a failure of a call. */
export interface CatalogEvent {
  readonly level: 'info' | 'warn' | 'error';
  readonly group?: string;
  readonly message: string;
}

export type EngineBounds = Pick<
  AttachParameters,
  'residentIndexBytesMax' | 'chunkTableBytesMax' | 'dataStoreSizeTarget' | 'regionCacheBytesMax'
>;

export const ENGINE_BOUNDS: EngineBounds = {
  residentIndexBytesMax: RESIDENT_INDEX_BYTES_MAX,
  chunkTableBytesMax: CHUNK_TABLE_BYTES_MAX,
  dataStoreSizeTarget: DATA_STORE_SIZE_TARGET,
  regionCacheBytesMax: REGION_CACHE_BYTES_MAX,
};

/** A flow that lives as long as a group is open: cleaner, scrub. */
export interface GroupService {
  start(): void;
  /** Ends what is under way, soon; called before the group closes. */
  close(): Promise<void>;
}

/** How far the making of a view is. */
export interface RebuildProgress {
  readonly group: string;
  /** Records of the log, or bytes of data stores whose places are entered. */
  readonly stage: 'log' | 'data stores';
  readonly done: number;
  readonly total: number;
}

export interface CatalogContext {
  readonly clock: Clock;
  /** 0, or a simulated disk in tests. */
  readonly disk: DiskHandle;
  /** Of all groups but performance tiers. */
  readonly lane: Lane;
  /** A lane of its own, for a performance tier; the catalog closes it. */
  readonly createLane: (name: string) => Lane;
  readonly onEvent: (event: CatalogEvent) => void;
  readonly engineBounds: EngineBounds;
  /** What new passphrase slots cost; tests take less. */
  readonly passphraseCost?: PassphraseCost;
  /** Another view than RocksDB: tests and simulated disks. */
  readonly openStore?: (directory: string) => Promise<KvStore>;
  /** Bytes of each group's reserve; tests take less. */
  readonly reserveSize?: number;
  /** Payload bytes of log after which a checkpoint is written; tests take less. */
  readonly checkpointInterval?: number;
  /** Bytes of a checkpoint's entries that are appended together; tests take less. */
  readonly checkpointBatch?: number;
  /** Is told of each step while a view is brought up to date with its log. */
  readonly onProgress?: (progress: RebuildProgress) => void;
  /** Views of these groups are removed when the group has been attached, and made anew: rebuild. */
  readonly discardViews?: { has(group: string): boolean };
  /** Made for every group that is opened, and started behind it; main.ts gives them. */
  readonly services?: readonly ((group: OpenedGroup) => GroupService)[];
  /** Nothing is written to disks, and no background work is done: offline checks. */
  readonly isReadOnly?: boolean;
}
