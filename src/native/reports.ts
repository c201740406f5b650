/** What the verbs of the addon take and answer (binding.ts): handles, parameters, reports. */

export type EngineHandle = number;
export type StreamHandle = number;
export type DigestHandle = number;
/** The set of live fingerprints that one walk over all roots makes (mark 1). */
export type MarkHandle = number;
/** The condemned chunks of some data stores, for the walk that looks for references to them (mark 2). */
export type ProbeHandle = number;
/** 0: the real disk. Others: simulated disks made by diskCreate (tests). */
export type DiskHandle = number;

export interface GroupFormat {
  readonly directory: string;
  readonly disk: DiskHandle;
  /** 16 random bytes each. */
  readonly storeId: Uint8Array;
  readonly realmId: Uint8Array;
  readonly chunkSizeAverage: number;
  readonly isEncrypted: boolean;
}

export interface GroupProbe {
  readonly storeId: Uint8Array;
  readonly realmId: Uint8Array;
  readonly formatVersion: number;
  readonly generation: number;
  readonly incarnation: number;
  readonly epoch: number;
  readonly chunkSizeAverage: number;
  readonly isEncrypted: boolean;
  /** Superblock copies that could be read, of four. */
  readonly superblockCopies: number;
}

export interface DataKey {
  readonly epoch: number;
  readonly key: Uint8Array;
}

export interface AttachParameters {
  readonly directory: string;
  readonly disk: DiskHandle;
  /** 32 bytes each. */
  readonly fingerprintKey: Uint8Array;
  readonly chunkerKey: Uint8Array;
  /** Absent in groups that are not encrypted. */
  readonly logKey?: Uint8Array;
  /** All epochs; empty in groups that are not encrypted. New data stores use activeEpoch (0: not sealed). */
  readonly dataKeys: readonly DataKey[];
  readonly activeEpoch: number;
  /** 0 none, 1 fast, 2 best. */
  readonly compression: number;
  readonly residentIndexBytesMax: number;
  readonly chunkTableBytesMax: number;
  readonly dataStoreSizeTarget: number;
  readonly regionCacheBytesMax: number;
  /** Reads only: takes no lock, writes nothing, repairs nothing. */
  readonly isReadOnly: boolean;
}

export interface AttachReport {
  readonly engine: EngineHandle;
  readonly incarnation: number;
  /** Of the last durable log record; 0: the log is empty. */
  readonly lastSequence: number;
  readonly firstSequence: number;
  /** Of a group that was encrypted later: log records before this one may be clear. 0: none is. */
  readonly sealedFrom: number;
  readonly dataStoreCount: number;
  /**
   * Unfinished data stores that were closed by scanning, bytes of torn log tails, log records taken from the
   * other copy.
   */
  readonly dataStoresRecovered: number;
  readonly logBytesCut: number;
  readonly logRecordsRepaired: number;
  /** Data stores that could not be opened; their chunks answer absent. Hex ids and reasons. */
  readonly damaged: readonly { readonly id: string; readonly reason: string }[];
}

export interface SegmentReport {
  readonly rowCount: number;
  /** Bytes up to the last cut; the rest has to be put in front of the stream's next segment. */
  readonly consumed: number;
  readonly newCount: number;
  readonly unknownCount: number;
}

export interface StoreReport {
  /** Plain bytes of chunks that were stored by this call, and what they take in data stores. */
  readonly newBytes: number;
  readonly storedBytes: number;
}

export interface StreamReport extends StoreReport {
  /** Of the blockmap's root; for an empty stream, too. */
  readonly root: Uint8Array;
  readonly rootLength: number;
  /** Levels of the blockmap above the chunks, at least 1. */
  readonly depth: number;
  readonly size: number;
  readonly chunkCount: number;
  readonly xxh3: Uint8Array;
  readonly blake3?: Uint8Array;
  readonly sha256?: Uint8Array;
  readonly md5?: Uint8Array;
}

/** Names a blockmap: what a file's commit record keeps of it. */
export interface BlockmapRoot {
  readonly root: Uint8Array;
  readonly rootLength: number;
  readonly depth: number;
}

export interface RowsReport {
  readonly rowCount: number;
  /** Bytes of the first row's chunk that lie before the asked offset. */
  readonly skip: number;
  /** Plain bytes covered by the rows, from the first row's start. */
  readonly covered: number;
  /** A blockmap node whose place is not resident: look it up in the view, hintPlaces, call again. */
  readonly unresolved?: Uint8Array;
}

export interface ReadReport {
  readonly bytes: number;
  /** Rows whose place is not resident; their state is STATE_UNKNOWN now. Nothing was written when not 0. */
  readonly unresolvedCount: number;
}

export interface DataStoreInfo {
  readonly id: string;
  readonly path: string;
  readonly isClosed: boolean;
  readonly keyEpoch: number;
  readonly incarnation: number;
  readonly chunkCount: number;
  readonly recordCount: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly blockmapPlainBytes: number;
  readonly blockmapStoredBytes: number;
  readonly fileBytes: number;
}

export interface Damage {
  readonly dataStore: string;
  readonly offset: number;
  /** Position of the record's first chunk among the data store's chunks, and their count. */
  readonly firstChunk: number;
  readonly chunkCount: number;
  readonly reason: string;
  /** Packed fingerprints (32 bytes each) of the chunks that cannot be read, as far as they are known. */
  readonly fingerprints: Uint8Array;
}

export interface VerifyReport {
  readonly recordCount: number;
  readonly chunkCount: number;
  readonly bytes: number;
  readonly damages: readonly Damage[];
}

export interface ScrubReport extends VerifyReport {
  /** Chunk to go on from; the data store's count of chunks at its end. */
  readonly next: number;
}

export interface EngineCounters {
  readonly chunkCount: number;
  readonly dataStoreCount: number;
  /** Plain bytes of all chunks stored, what they take in records, and the same of blockmap nodes. */
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly blockmapPlainBytes: number;
  readonly blockmapStoredBytes: number;
  readonly fileBytes: number;
  readonly logBytes: number;
  readonly residentEntries: number;
  readonly residentBytes: number;
  /** Tables of closed data stores that are in memory, and 64 KiB for the file of each. */
  readonly chunkTableBytes: number;
  readonly residentIsComplete: boolean;
  readonly streamsOpen: number;
  readonly lastSequence: number;
  readonly freeBytes: number;
  /** Of a data store that is begun now: less than asked for on a small volume. */
  readonly dataStoreSizeTarget: number;
  readonly epoch: number;
  /** Of files in trash/. */
  readonly trashBytes: number;
  /** Chunks that had to be read from the trash: the cleaner was wrong. */
  readonly trashReads: number;
  /**
   * Reads of chunks that are hidden as dead: of files that were deleted while they were read, or an error.
   */
  readonly deadReads: number;
  /** Set when the engine refuses to write (I10): why. */
  readonly stopped?: string;
}

export interface MarkReport {
  /** Roots of this call that are marked with all below them; less than given only with `unresolved`. */
  readonly done: number;
  /** A blockmap node whose place only the view can know: hintPlaces, then go on with the roots left. */
  readonly unresolved?: Uint8Array;
  /** Chunks and blockmap nodes that this mark has taken so far, each node once, chunks once a node. */
  readonly nodeCount: number;
  readonly chunkCount: number;
}

/** A data store as the cleaner sees it under a mark. Chunks include blockmap nodes. */
export interface StoreSurvey {
  readonly isClosed: boolean;
  readonly pinCount: number;
  readonly keyEpoch: number;
  readonly chunkCount: number;
  /** Neither marked nor touched since the epoch's beginning, and not hidden as dead before. */
  readonly deadCount: number;
  readonly deadPlainBytes: number;
  /** Plain bytes of all chunks, and what the whole file takes. */
  readonly plainBytes: number;
  readonly fileBytes: number;
}

export interface ProbeReport {
  /** Nodes that roots and found nodes name and that no scan has met yet. */
  readonly missingCount: number;
  readonly nodeCount: number;
  /** Condemned chunks that a node or root names and that have no other copy; 0 when both marks agree. */
  readonly hitCount: number;
  /** The first of them, packed, at most 64 (32 bytes each). */
  readonly hits: Uint8Array;
}

export interface CopyReport {
  /** Chunk to go on from; chunkCount of the data store when all is copied. */
  readonly next: number;
  readonly copiedCount: number;
  readonly copiedPlainBytes: number;
  readonly copiedStoredBytes: number;
  /** Plain bytes of chunks that were not copied, because another data store has them, too. */
  readonly duplicatePlainBytes: number;
  /** Chunks that cannot be read: packed fingerprints. The data store has to stay then. */
  readonly damaged: Uint8Array;
}

export interface VolumeMeasure {
  readonly sequentialIops: number;
  readonly randomIops: number;
  /** Of the block device, where it can be read. */
  readonly isRotational?: boolean;
}
