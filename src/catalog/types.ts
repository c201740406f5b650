/**
 * What the catalog knows: storage groups, containers, files; and the interface that the flows, the front
 * end and the command line use. Names of files are bytes (UTF-8, 1 … FILE_NAME_SIZE_MAX, no NUL): they are
 * never paths of this machine. In TypeScript they are strings made by strict UTF-8 decoding, ordered by
 * their bytes.
 */
import type { BlockmapRoot, EngineHandle } from '../native/binding.js';
import type { KvStore } from '../view/kv.js';
import type { Lane } from '../workers/pool.js';
import type { Hold, LockMode } from './record.js';

export type Compression = 'none' | 'fast' | 'best';
export type Encryption = 'off' | 'static' | 'internal';

export interface GroupSettings {
  readonly compression: Compression;
  readonly encryption: Encryption;
  /** With internal encryption: a new key epoch begins after so many days. */
  readonly rotationDays: number;
  /** Physical bytes; 0: none. */
  readonly quotaBytes: number;
}

export interface GroupRequest extends Partial<GroupSettings> {
  readonly name: string;
  /** Absolute; by default below the data directory. */
  readonly path?: string;
  readonly isPerformanceTier?: boolean;
  /** Admit a volume that is slower than the minimum. */
  readonly acceptSlow?: boolean;
  readonly chunkSizeAverage?: number;
  readonly passphrase?: string;
  /** Content of a key file, as a second slot. */
  readonly keyFile?: Uint8Array;
}

/** What of a group can be changed; secrets go with its first encryption only. */
export type GroupChange = Partial<GroupSettings> & Pick<GroupRequest, 'passphrase' | 'keyFile'>;

/** A group as `group show --json` prints it. */
export interface GroupInfo extends GroupSettings {
  readonly name: string;
  readonly id: string;
  readonly path: string;
  readonly isPerformanceTier: boolean;
  readonly chunkSizeAverage: number;
  readonly isLocked: boolean;
  readonly keyEpoch: number;
  /** Physical bytes, and how near they are to the quota; absent while the group is not open. */
  readonly usedBytes?: number;
  readonly quotaState?: QuotaState;
  /** The retention clock, ISO 8601, and whether it stands because the wall clock cannot be right. */
  readonly retentionClock?: string;
  readonly isRetentionFrozen?: boolean;
  readonly admission?: { sequentialIops: number; randomIops: number; isRotational?: boolean };
  /** Why the group cannot be used now: missing, damaged, stopped after an I/O error. */
  readonly failure?: string;
}

/** How the cleaners of all groups work by themselves; in the system file. */
export interface CleanerSettings {
  /** Nothing begins by itself nor when asked for. */
  readonly isPaused: boolean;
  /** So long trash lies at least. */
  readonly holdHours: number;
  /** Empty: whenever a group is idle. */
  readonly windows: readonly CleanerWindow[];
}

/** A weekly window, UTC. */
export interface CleanerWindow {
  /** 0: Monday. */
  readonly day: number;
  readonly fromMinute: number;
  readonly minutes: number;
}

/** none: there is no quota; warning: QUOTA_WARN_SHARE of it is used; full: nothing more is taken. */
export type QuotaState = 'none' | 'ok' | 'warning' | 'full';

/** What the flows need of an open group. */
export interface OpenGroup {
  readonly name: string;
  readonly engine: EngineHandle;
  /** Worker lane: performance tiers have their own. */
  readonly lane: Lane;
  readonly view: KvStore;
  /** What is being read: the cleaner takes it for alive, whatever becomes of its files meanwhile. */
  readonly openReads: Set<BlockmapRoot>;
  /** Are the resident index's answers final? While not, unknown rows have to be asked of the view. */
  isResident(): boolean;
  /**
   * Data store ids (24 bytes each, zeros: absent) that the view has for packed fingerprints (32 bytes
   * each).
   */
  places(fingerprints: Uint8Array): Promise<Uint8Array>;
  /**
   * The last resort of a read, before CORRUPT: searches the tables of all data stores, then the trash, for
   * packed fingerprints. What is found can be read from then on. Answers the first that is nowhere, or
   * nothing.
   */
  rescue(fingerprints: Uint8Array): Promise<Uint8Array>;
  /**
   * Throws NO_SPACE when the volume is at its floor or the quota is used up; BUSY, IO when the group has
   * stopped writing.
   */
  admitIngest(): void;
  /** A read has found these damaged (packed fingerprints): scrub looks at them. */
  reportDamage(fingerprints: Uint8Array): void;
}

export interface ContainerInfo {
  readonly name: string;
  readonly id: number;
  readonly group: string;
  readonly createdMs: number;
}

/** What holds for a container's files; a change holds for what is put or deleted from then on. */
export interface ContainerSettings {
  /** What is deleted or overwritten lies in the recycle bin for so many days; 0: there is none. */
  readonly binDays: number;
  /** Lock of new files. */
  readonly lockMode: LockMode;
  readonly lockDays: number;
  /** Bytes of all its files as they came; 0: none. */
  readonly quotaBytes: number;
}

export interface ContainerDetails extends ContainerInfo, ContainerSettings, ByteStatistics {
  readonly quotaState: QuotaState;
}

/** How a version is to be kept from now on; what is absent stays as it is. */
export interface LockRequest {
  readonly mode?: LockMode;
  /** By the retention clock. */
  readonly untilMs?: number;
  /** From now, by the retention clock. */
  readonly days?: number;
  readonly hold?: boolean;
  /** Shortens or takes off a governance lock. */
  readonly bypassGovernance?: boolean;
  /** Of a version in the recycle bin; absent: the current file. */
  readonly version?: number;
}

export interface FileDigests {
  /** Hex. xxh3 is there always. */
  readonly xxh3: string;
  readonly blake3?: string;
  readonly sha256?: string;
  readonly md5?: string;
}

/** A committed version of a file. */
export interface FileRecord extends FileDigests {
  readonly path: string;
  /** The sequence number of its commit record. */
  readonly version: number;
  readonly size: number;
  readonly createdMs: number;
  readonly map: BlockmapRoot;
  /** Plain bytes of chunks that this file brought, and what they took in data stores, blockmap included. */
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly chunkCount: number;
  /** Absent: it is not locked, not held, not in the recycle bin. By the retention clock. */
  readonly lockMode?: LockMode;
  readonly lockUntilMs?: number;
  readonly hold?: Hold;
  readonly binUntilMs?: number;
}

/** What ingest hands over to be committed. */
export interface FileDraft extends FileDigests {
  readonly size: number;
  readonly map: BlockmapRoot;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly chunkCount: number;
}

export interface FilePage {
  readonly files: readonly FileRecord[];
  /** Give it as `after` for the next page; absent at the end. */
  readonly next?: string;
}

/** Versions in a recycle bin, by version. */
export interface BinPage {
  readonly files: readonly FileRecord[];
  /** Give it as `after` for the next page; absent at the end. */
  readonly next?: number;
}

export interface ByteStatistics {
  readonly logicalBytes: number;
  /** Plain bytes of distinct chunks (for a container or file: those it brought first). */
  readonly uniqueBytes: number;
  readonly storedBytes: number;
  readonly files: number;
  readonly chunks: number;
  readonly dataStores: number;
  readonly dedupSavedBytes: number;
  readonly compressionSavedBytes: number;
  readonly dedupSavingsPercent: number;
  readonly compressionSavingsPercent: number;
  readonly savingsPercent: number;
  /** Versions in recycle bins, and their bytes as they came; not among files and logicalBytes. */
  readonly binFiles: number;
  readonly binBytes: number;
}

export interface Catalog {
  // --- groups ---
  addGroup(request: GroupRequest): Promise<GroupInfo & { recoveryKey?: string }>;
  listGroups(): GroupInfo[];
  showGroup(name: string): GroupInfo;
  /**
   * Settings hold for what is stored from now on. A group without encryption gets one with a passphrase:
   * what is stored already is sealed by the cleaner, and the recovery key is answered, once. BUSY: streams
   * are under way. An encrypted group stays encrypted (INVALID).
   */
  updateGroup(name: string, change: GroupChange): Promise<GroupInfo & { recoveryKey?: string }>;
  /** EXISTS while it has containers. Its directory is emptied. */
  deleteGroup(name: string): Promise<void>;
  /**
   * Opens an encrypted group with a passphrase, a key file's content or a recovery key. DENIED: it does not
   * fit.
   */
  unlockGroup(
    name: string,
    secret: { passphrase?: string; keyFile?: Uint8Array; recoveryKey?: string },
  ): Promise<GroupInfo>;
  /**
   * Puts one passphrase in the place of another. DENIED: `current` is none of the group's, or the group is
   * locked; nothing has changed then.
   */
  changePassphrase(name: string, current: string, next: string): Promise<void>;
  /** A further key file that opens the group. DENIED as changePassphrase. */
  addSecret(name: string, current: { passphrase: string }, secret: { keyFile: Uint8Array }): Promise<void>;
  /** NOT_FOUND; DENIED while locked; the failure it stopped with. */
  openGroup(name: string): OpenGroup;

  // --- containers ---
  addContainer(name: string, group?: string, settings?: Partial<ContainerSettings>): Promise<ContainerInfo>;
  listContainers(): ContainerInfo[];
  showContainer(name: string): ContainerDetails;
  /** For what is put and deleted from then on. INVALID: a recycle bin cannot be switched off. */
  updateContainer(name: string, change: Partial<ContainerSettings>): Promise<ContainerDetails>;
  /**
   * EXISTS while it has files, unless `withFiles`. LOCKED, and nothing is deleted, while any of them is
   * locked or held, or while the container has a recycle bin and files, or versions in it.
   */
  deleteContainer(name: string, withFiles: boolean): Promise<void>;
  /** The container and its open group: NOT_FOUND, DENIED as openGroup. */
  openContainer(name: string): { container: ContainerInfo; group: OpenGroup };

  // --- files ---
  /** NOT_FOUND when there is none. */
  file(container: string, path: string): Promise<FileRecord>;
  listFiles(container: string, query: { prefix?: string; after?: string; limit?: number }): Promise<FilePage>;
  /**
   * The commit point: syncs the group's data stores, writes the commit record durably, updates the view,
   * then resolves. A file of that name is replaced: it goes to the recycle bin where there is one, else its
   * bytes are freed by the cleaner. Many calls at once share the syncs. LOCKED: it may not be replaced;
   * NO_SPACE: the container's quota.
   */
  putFile(container: string, path: string, draft: FileDraft): Promise<FileRecord>;
  /**
   * The file that a put of this name will replace. LOCKED, NO_SPACE: its commit would be refused, as far as
   * that can be told before the bytes have come.
   */
  admitPut(container: string, path: string, size?: number): Promise<FileRecord | undefined>;
  /** LOCKED: it may not go yet. */
  deleteFile(container: string, path: string): Promise<void>;

  // --- retention ---
  /** LOCKED: the lock would be shortened and may not be. */
  lockFile(container: string, path: string, request: LockRequest): Promise<FileRecord>;
  listBin(container: string, query: { prefix?: string; after?: number; limit?: number }): Promise<BinPage>;
  /**
   * The version, without one the newest of that name in the bin, is the file of its name again; what is
   * there goes to the bin. LOCKED: that may not be replaced.
   */
  restoreFromBin(container: string, path: string, version?: number): Promise<FileRecord>;
  /** Drops what may go by the retention clock, and answers how many that were; nothing goes earlier. */
  purgeBin(container: string): Promise<number>;

  // --- statistics ---
  statistics(scope?: { group?: string; container?: string }): Promise<ByteStatistics>;

  /** Ends background work, closes views and groups. No call may be under way. */
  close(): Promise<void>;
}
