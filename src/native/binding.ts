/**
 * The door between TypeScript and C++: every verb of the addon, with its contract. Written by hand; a test
 * compares names and arity with what the addon exports, and the layout constants below with its own.
 *
 * Rules. TypeScript allocates, C++ borrows: no pointer is kept after a call. All calls are synchronous and,
 * unless a verb says otherwise, made on worker threads (they may block on a device). Data crosses in batches:
 * a segment, packed rows. Handles are process-wide numbers, valid on every thread. Failures are thrown as
 * StoreError with one of its codes; wrong arguments are bugs and end the process, because TypeScript has
 * checked them.
 */
import { createRequire } from 'node:module';
import { StoreError } from '../base/errors.js';
import type {
  AttachParameters,
  AttachReport,
  BlockmapRoot,
  CopyReport,
  DataKey,
  DataStoreInfo,
  DigestHandle,
  DiskHandle,
  EngineCounters,
  EngineHandle,
  GroupFormat,
  GroupProbe,
  MarkHandle,
  MarkReport,
  ProbeHandle,
  ProbeReport,
  ReadReport,
  RowsReport,
  ScrubReport,
  SegmentReport,
  StoreReport,
  StoreSurvey,
  StreamHandle,
  StreamReport,
  VerifyReport,
  VolumeMeasure,
} from './reports.js';

export type * from './reports.js';

/** A row: what crosses per chunk. fingerprint[32], length u32, state u32; little-endian. */
export const ROW_SIZE = 40;
export const ROW_LENGTH_OFFSET = 32;
export const ROW_STATE_OFFSET = 36;
export const FINGERPRINT_SIZE = 32;
export const DATA_STORE_ID_SIZE = 24;
/** The chunk is stored, and its data store pinned for this stream. */
export const STATE_KNOWN = 0;
/** The chunk has to be stored by storeRecords. */
export const STATE_NEW = 1;
/** The resident index does not know and is not complete: ask the view, then admitRows. */
export const STATE_UNKNOWN = 2;

/** Bits of a set of digests. */
export const DIGEST_XXH3 = 1;
export const DIGEST_BLAKE3 = 2;
export const DIGEST_SHA256 = 4;
export const DIGEST_MD5 = 8;

/** Why a chunk is hidden from look-ups: nothing reaches it, or its bytes are damaged. */
export const HIDDEN_DEAD = 1;
export const HIDDEN_DAMAGED = 2;

/** A root as markRoots and probeRoots take it: fingerprint[32], length u32, depth u32; little-endian. */
export const ROOT_SIZE = 40;

/** A log record as readLog packs it: sequence u64, type u8, 3 zero bytes, payload size u32, payload. */
export const LOG_ROW_HEADER_SIZE = 16;
/** An entry as appendLog takes it: type u8, 3 zero bytes, payload size u32, payload. */
export const LOG_ENTRY_HEADER_SIZE = 8;

export interface Binding {
  /** Once per thread, at load: the class that failures are thrown as. Any thread. */
  setErrorClass(errorClass: typeof StoreError): void;
  /** Sizes of packed rows as C++ has them, and the names of its status codes, for the tests. Any thread. */
  layout(): {
    readonly rowSize: number;
    readonly logRowHeaderSize: number;
    readonly codes: readonly string[];
  };

  // --- a group's life ---
  /** Makes an empty storage group in `directory`, which must exist and be empty. EXISTS, IO. */
  formatGroup(format: GroupFormat): void;
  /** Reads the superblock. NOT_FOUND: nothing there. CORRUPT: no quorum. UNSUPPORTED: newer format. */
  probeGroup(directory: string, disk: DiskHandle): GroupProbe;
  /**
   * Locks, recovers, and opens a group; closes what an earlier process left unfinished. With keys for a group
   * that is not encrypted: from now on it is, and what it writes is sealed. BUSY: in use. DENIED: wrong key.
   */
  attach(parameters: AttachParameters): AttachReport;
  /** Closes the group: data stores get their trailers. All streams must have ended. */
  detach(engine: EngineHandle): void;
  /**
   * New data stores are sealed under this epoch from now on. Keys of epochs that are there already are
   * ignored.
   */
  setDataKeys(engine: EngineHandle, dataKeys: readonly DataKey[], activeEpoch: number): void;
  /** 0 none, 1 fast, 2 best; for chunks stored from now on. Any thread. */
  setCompression(engine: EngineHandle, compression: number): void;

  // --- ingest: verbs of one stream are called in order, but storeRecords may run beside the next
  // prepareSegment ---
  /** `digests`: which whole-file digests are taken (XXH3 always). Any thread. */
  openStream(engine: EngineHandle, digests: number): StreamHandle;
  /**
   * Cuts slab[offset, offset + size), names the chunks, looks them up and pins what is known. The segment
   * begins at the stream's last cut. `freshOffset`: where bytes begin that no earlier call has seen (the
   * digests take each byte once). Rows go to `rows`. The resident index is asked; chunks that this very
   * stream has met before are known.
   */
  prepareSegment(
    engine: EngineHandle,
    stream: StreamHandle,
    slab: Uint8Array,
    offset: number,
    freshOffset: number,
    size: number,
    isLast: boolean,
    rows: Uint8Array,
  ): SegmentReport;
  /**
   * Settles rows that were STATE_UNKNOWN: places[i] (24 bytes a row, of all rows) is the data store id the
   * view gave, or zeros. Known places are pinned; places of data stores that are gone, and zeros, become
   * STATE_NEW. Loads the fingerprints of the data stores that were hit into the resident index. Returns the
   * count of new rows.
   */
  admitRows(
    engine: EngineHandle,
    stream: StreamHandle,
    rows: Uint8Array,
    rowCount: number,
    places: Uint8Array,
  ): number;
  /**
   * Compresses, verifies, seals and appends the STATE_NEW rows' chunks, which lie one after another from
   * slab[offset]. A failure makes the stream fail for good: finishStream will throw it. NO_SPACE, IO.
   */
  storeRecords(
    engine: EngineHandle,
    stream: StreamHandle,
    slab: Uint8Array,
    offset: number,
    rows: Uint8Array,
    rowCount: number,
  ): StoreReport;
  /** After the last segment was prepared and all were stored: stores what is left of the blockmap. */
  finishStream(engine: EngineHandle, stream: StreamHandle): StreamReport;
  /**
   * Releases pins and memory, whatever the stream's state. After the commit, or to give it up. Any thread.
   */
  closeStream(engine: EngineHandle, stream: StreamHandle): void;

  // --- commit ---
  /**
   * Makes durable everything that storeRecords and finishStream have appended before the call. IO: the engine
   * stops.
   */
  sync(engine: EngineHandle): void;
  /**
   * Appends packed entries to both copies of the log, durably. Returns the first sequence number. IO: the
   * engine stops.
   */
  appendLog(engine: EngineHandle, entries: Uint8Array): number;
  /** Packs records from sequence `from` on into `out` until it is full or the log ends. */
  readLog(
    engine: EngineHandle,
    from: number,
    out: Uint8Array,
  ): { readonly bytes: number; readonly next: number };
  /**
   * Records that a checkpoint begins at this sequence; segments that lie before `dropBefore` go. Returns the
   * first sequence that the log still gives.
   */
  setCheckpoint(engine: EngineHandle, sequence: number, dropBefore: number): number;

  // --- restore ---
  /** Rows of the chunks that hold [offset, offset + length) of a file, at most `rows` has room for. */
  readRows(
    engine: EngineHandle,
    map: BlockmapRoot,
    offset: number,
    length: number,
    rows: Uint8Array,
  ): RowsReport;
  /**
   * Fills slab[offset …] with the chunks of the rows, one after another: read, unsealed, decompressed, each
   * fingerprint checked. CORRUPT names the chunk. Nothing unverified is ever left in the slab as a success.
   */
  readRecords(
    engine: EngineHandle,
    rows: Uint8Array,
    rowCount: number,
    slab: Uint8Array,
    offset: number,
  ): ReadReport;
  /** Loads the fingerprints of these data stores (24 bytes each, packed) into the resident index. */
  hintPlaces(engine: EngineHandle, ids: Uint8Array): void;

  // --- view, verify, cleaner ---
  /** Loads trailers of further data stores into the resident index; returns how many are left. */
  warmIndex(engine: EngineHandle, dataStoreCountMax: number): number;
  listDataStores(engine: EngineHandle): DataStoreInfo[];
  /**
   * Packs the fingerprints (32 bytes each) of a data store, in data/ or in trash/, into `out`, from chunk
   * `from` on; returns how many.
   */
  readFingerprints(engine: EngineHandle, id: string, from: number, out: Uint8Array): number;
  /** These data stores' fingerprints are in the view now: the resident index may forget them. */
  markInView(engine: EngineHandle, ids: Uint8Array): void;
  /** Reads every record of a data store past the cache: seal, table, decompression, fingerprints, trailer. */
  verifyDataStore(engine: EngineHandle, id: string): VerifyReport;
  /**
   * Which of the rows' chunks cannot be found in any data store; their state becomes STATE_UNKNOWN. Returns
   * the count.
   */
  findRows(engine: EngineHandle, rows: Uint8Array, rowCount: number): number;
  /** Any thread. */
  counters(engine: EngineHandle): EngineCounters;

  // --- cleaner (src/cleaner, FLOWS.md "Cleaner") ---
  /**
   * Begins an epoch of the cleaner: +1 in the superblock, durable. Returns it. Every fingerprint that a
   * look-up has answered "known" for, or that was stored, counts as touched in the epochs that its stream
   * lives in; what streams did that had ended before stays forgotten, because their commits are in the log.
   * Marks that were opened before are of no use from then on.
   */
  beginEpoch(engine: EngineHandle): number;
  /** An empty mark for about so many chunks as there are. Memory: 10 bits a chunk, 24 bytes a node. */
  openMark(engine: EngineHandle): MarkHandle;
  /**
   * Marks everything below the packed roots: reads their blockmaps node by node; nodes met before are not
   * walked again. CORRUPT: a node cannot be read; the mark is of no use then.
   */
  markRoots(engine: EngineHandle, mark: MarkHandle, roots: Uint8Array, rootCount: number): MarkReport;
  closeMark(engine: EngineHandle, mark: MarkHandle): void;
  /** What condemnStore would find. NOT_FOUND. */
  surveyStore(engine: EngineHandle, mark: MarkHandle, id: string): StoreSurvey;
  /**
   * Decides, in one critical section with all look-ups: chunks of the closed data store that are neither
   * marked nor touched are hidden as dead from now on, and answered as absent. `bits` (chunk i: byte i / 8,
   * bit i % 8; room for all chunks) gets all that are hidden as dead then, earlier ones included; the counts
   * are of the new ones. In memory only: the caller logs it, or takes it back by revealChunks. A pin is no
   * hindrance: what its stream relies on is touched. BUSY: not closed. INVALID: the mark was opened in an
   * earlier epoch.
   */
  condemnStore(engine: EngineHandle, mark: MarkHandle, id: string, bits: Uint8Array): StoreSurvey;
  /**
   * Closes a data store that waits for more to be appended, so that it can be condemned; what comes goes into
   * another one. Closed already: nothing. BUSY: it is being appended to. NOT_FOUND.
   */
  closeStore(engine: EngineHandle, id: string): void;
  /**
   * Hides chunks (bit i of `bits`: chunk firstChunk + i, in the order of the trailer) for the reason: after a
   * start, before any look-up, or found damaged. Of a data store in the trash, too. Copies elsewhere of
   * damaged ones are found from then on. NOT_FOUND. INVALID: the data store has fewer chunks.
   */
  hideChunks(engine: EngineHandle, id: string, reason: number, firstChunk: number, bits: Uint8Array): void;
  /**
   * Takes back what was hidden of a data store for that reason; behind the record that says so in the log:
   * from then on streams rely on these chunks again. NOT_FOUND: there is no such data store.
   */
  revealChunks(engine: EngineHandle, id: string, reason: number): void;
  /** The dead chunks of these data stores (24 bytes each, packed). 16 bytes a chunk. */
  openProbe(engine: EngineHandle, ids: Uint8Array): ProbeHandle;
  probeRoots(engine: EngineHandle, probe: ProbeHandle, roots: Uint8Array, rootCount: number): void;
  /**
   * Reads the records of one data store that hold missing nodes, in the order of the file and again while
   * that finds children, and takes the nodes; call it for all data stores, and again while missingCount
   * falls. Uses neither view nor index; the index only says where a hit's other copy may be, which its table
   * has to confirm.
   */
  probeStore(engine: EngineHandle, probe: ProbeHandle, id: string): ProbeReport;
  probeReport(engine: EngineHandle, probe: ProbeHandle): ProbeReport;
  closeProbe(engine: EngineHandle, probe: ProbeHandle): void;
  /**
   * Copies chunks of a condemned data store that are not dead and have no other copy into new data stores,
   * from chunk `from` on, about bytesMax plain bytes; each is read past its seal, its fingerprint checked,
   * and sealed anew under the active key. Durable, and only then found at their new place, when it returns.
   */
  copyForward(engine: EngineHandle, id: string, from: number, bytesMax: number): CopyReport;
  /**
   * Moves an emptied data store's file to trash/, durably; when that was done before, makes sure that it is
   * durable. Syncs what was appended before it looks for the copies, each in its data store's own table.
   * BUSY: pinned, or not closed. INVALID: a chunk of it that is not hidden as dead has no other copy. IO: the
   * engine stops.
   */
  trashStore(engine: EngineHandle, id: string): void;
  /**
   * Brings it back, all chunks of it found again; those that were hidden stay so until revealChunks.
   * NOT_FOUND: it is not in the trash.
   */
  untrashStore(engine: EngineHandle, id: string): void;
  /** Unlinks it from trash/, durably; when it is gone already, nothing. INVALID: it is not in the trash. */
  reclaimStore(engine: EngineHandle, id: string): void;
  /** Data stores in trash/, hex. */
  listTrash(engine: EngineHandle): string[];
  /**
   * A data store (24 bytes each into `ids`, zeros: none) that has these fingerprints (32 bytes each), not
   * hidden: the one that a read would go to, else any; every table is searched. Never one in the trash.
   */
  locateChunks(engine: EngineHandle, fingerprints: Uint8Array, count: number, ids: Uint8Array): void;
  /**
   * The last resort of a read whose chunks are nowhere: every table is searched, those of the trash last.
   * Returns how many can be read from then on. Those that only the trash has are counted in
   * EngineCounters.trashReads: the cleaner was wrong and has to stop.
   */
  rescueChunks(engine: EngineHandle, fingerprints: Uint8Array, count: number): number;

  // --- scrub ---
  /**
   * As verifyDataStore, for records from the one that holds chunk `from` on, about bytesMax stored bytes and
   * at least one record. NOT_FOUND.
   */
  scrubStore(engine: EngineHandle, id: string, from: number, bytesMax: number): ScrubReport;
  /**
   * Stores bytes of chunks that a copy elsewhere has given, one after another in `bytes`, rows as readRecords
   * takes them: fingerprints are checked (CORRUPT: one does not fit, nothing is stored), then they are
   * compressed, sealed, appended and found at their new place; the rows' states do not matter. Durable after
   * sync. Returns how many.
   */
  admitRecords(engine: EngineHandle, rows: Uint8Array, rowCount: number, bytes: Uint8Array): number;

  // --- copies into and out of shared memory; pure, any thread ---
  /**
   * Copies all of `source` to `target` from `offset` on. TypedArray.set does the same at a quarter of the
   * speed when one of them is shared.
   */
  copyBytes(target: Uint8Array, offset: number, source: Uint8Array): void;

  // --- whole-file digests outside of ingest; pure, any thread ---
  digestOpen(digests: number): DigestHandle;
  digestUpdate(digest: DigestHandle, bytes: Uint8Array): void;
  /** Ends the digest and frees it. */
  digestFinish(digest: DigestHandle): {
    xxh3: Uint8Array;
    blake3?: Uint8Array;
    sha256?: Uint8Array;
    md5?: Uint8Array;
  };
  digestDrop(digest: DigestHandle): void;

  // --- small files and directories, durably (through native/io) ---
  readSmallFile(path: string, sizeMax: number, disk: DiskHandle): Uint8Array;
  /** Files are made readable and writable by the owner only (0600), directories likewise (0700). */
  replaceFile(path: string, content: Uint8Array, disk: DiskHandle): void;
  makeDirectory(path: string, disk: DiskHandle): void;
  listDirectory(path: string, disk: DiskHandle): string[];
  removeTree(path: string, disk: DiskHandle): void;
  /** BUSY when another process holds it. The lock lives until unlockFile or the process's end. */
  lockFile(path: string, disk: DiskHandle): number;
  unlockFile(lock: number): void;
  measureVolume(directory: string): VolumeMeasure;
  /**
   * Kernel buffer sizes of the socket that listens on `port`; its connections inherit them. NOT_FOUND. Any
   * thread.
   */
  tuneListener(port: number, receiveBytes: number, sendBytes: number): void;
  /**
   * Any file we write, as JSON text, from the same decoders. Keys may be absent: then the clear fields only.
   */
  inspectFile(path: string, dataKeys: readonly DataKey[], logKey?: Uint8Array): string;

  // --- simulated disks, for tests ---
  /** Operations on it happen in the order of the calls, none on a thread beside the caller's. */
  diskCreate(): DiskHandle;
  diskPlan(disk: DiskHandle, kind: number, operation: number, isForEver: boolean): void;
  diskOperations(disk: DiskHandle): { readonly count: number; readonly wasHit: boolean };
  diskCrash(disk: DiskHandle, seed: number): void;
  diskCapacity(disk: DiskHandle, sizeMax: number): void;
  diskDamage(disk: DiskHandle, path: string, offset: number, bytes: Uint8Array): void;
  /** A disk of its own in the same state, synced and not, without plan, locks and open files. */
  diskCopy(disk: DiskHandle): DiskHandle;
  /** With plan kind 7: the disk as it was before each operation since the plan was set; drop each copy. */
  diskCopies(disk: DiskHandle): DiskHandle[];
  diskDrop(disk: DiskHandle): void;
}

let loaded: Binding | undefined;

/** The addon, loaded once per thread. UNAVAILABLE when it has not been built. */
export function binding(): Binding {
  if (loaded === undefined) {
    const require = createRequire(import.meta.url);
    const root = new URL(import.meta.url).pathname.includes('/dist/src/') ? '../../../' : '../../';
    try {
      loaded = require(`${root}build-native/Release/granary.node`) as Binding;
    } catch (cause) {
      throw new StoreError(
        'UNAVAILABLE',
        `the addon cannot be loaded (run: npm run build): ${String(cause)}`,
        {
          cause,
        },
      );
    }
    loaded.setErrorClass(StoreError);
  }
  return loaded;
}
