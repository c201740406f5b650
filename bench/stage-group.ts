/**
 * A storage group of the stage benches, driven through the door without catalog and workers: encrypted, on
 * the real disk, its keys random.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import {
  CHUNK_SIZE_AVERAGE_DEFAULT,
  CHUNK_TABLE_BYTES_MAX,
  DATA_STORE_SIZE_TARGET,
  REGION_CACHE_BYTES_MAX,
  RESIDENT_INDEX_BYTES_MAX,
  ROWS_MAX,
  SEGMENT_SIZE_MAX,
} from '../src/base/limits.js';
import {
  type BlockmapRoot,
  binding,
  DIGEST_XXH3,
  type EngineHandle,
  ROW_SIZE,
  type StreamHandle,
} from '../src/native/binding.js';

const COMPRESSION_CODES = { none: 0, fast: 1, best: 2 } as const;
/**
 * Chunks are no smaller than a quarter of the average: a mark in each such stretch makes every chunk another.
 */
const MARK_DISTANCE = CHUNK_SIZE_AVERAGE_DEFAULT / 4;
const KEY_EPOCH = 1;

/** A segment that was cut, with its rows. */
interface PreparedSegment {
  readonly offset: number;
  readonly rowCount: number;
  readonly rows: Uint8Array;
}

export interface PreparedStream {
  readonly stream: StreamHandle;
  readonly segments: readonly PreparedSegment[];
  readonly newCount: number;
}

export class StageGroup {
  readonly #open = new Set<StreamHandle>();
  readonly engine: EngineHandle;
  private readonly rowsPool: Uint8Array[] = [];
  private readonly rows = new Uint8Array(new SharedArrayBuffer(ROWS_MAX * ROW_SIZE));

  constructor(
    private readonly directory: string,
    readonly compression: keyof typeof COMPRESSION_CODES,
  ) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    binding().formatGroup({
      directory,
      disk: 0,
      storeId: randomBytes(16),
      realmId: randomBytes(16),
      chunkSizeAverage: CHUNK_SIZE_AVERAGE_DEFAULT,
      isEncrypted: true,
    });
    this.engine = binding().attach({
      directory,
      disk: 0,
      fingerprintKey: randomBytes(32),
      chunkerKey: randomBytes(32),
      logKey: randomBytes(32),
      dataKeys: [{ epoch: KEY_EPOCH, key: randomBytes(32) }],
      activeEpoch: KEY_EPOCH,
      compression: COMPRESSION_CODES[compression],
      residentIndexBytesMax: RESIDENT_INDEX_BYTES_MAX,
      chunkTableBytesMax: CHUNK_TABLE_BYTES_MAX,
      dataStoreSizeTarget: DATA_STORE_SIZE_TARGET,
      regionCacheBytesMax: REGION_CACHE_BYTES_MAX,
      isReadOnly: false,
    }).engine;
  }

  /** Writes a mark into every stretch that is as short as the shortest chunk, so that no chunk is known. */
  makeUnknown(sample: Uint8Array, turn: number): void {
    const words = new DataView(sample.buffer, sample.byteOffset, sample.byteLength);
    for (let at = 0; at + 8 <= sample.length; at += MARK_DISTANCE) {
      words.setUint32(at, turn, true);
      words.setUint32(at + 4, at / MARK_DISTANCE, true);
    }
  }

  /** Cuts a whole stream that lies in memory, segment by segment as ingest does, but in place. */
  prepare(sample: Uint8Array): PreparedStream {
    const stream = binding().openStream(this.engine, DIGEST_XXH3);
    this.#open.add(stream);
    const segments: PreparedSegment[] = [];
    let newCount = 0;
    for (let offset = 0, fresh = 0; fresh < sample.length; ) {
      const end = Math.min(fresh + SEGMENT_SIZE_MAX, sample.length);
      const rows = this.rowsOf(segments.length);
      const isLast = end === sample.length;
      const report = binding().prepareSegment(
        this.engine,
        stream,
        sample,
        offset,
        fresh,
        end - offset,
        isLast,
        rows,
      );
      if (report.unknownCount !== 0)
        throw new Error('the resident index of a small group has to be complete');
      segments.push({ offset, rowCount: report.rowCount, rows });
      newCount += report.newCount;
      offset += report.consumed;
      fresh = end;
    }
    return { stream, segments, newCount };
  }

  /** Stores the new chunks of a prepared stream; returns the bytes they take. */
  storePrepared(prepared: PreparedStream, sample: Uint8Array): number {
    let stored = 0;
    for (const { offset, rows, rowCount } of prepared.segments) {
      stored += binding().storeRecords(
        this.engine,
        prepared.stream,
        sample,
        offset,
        rows,
        rowCount,
      ).storedBytes;
    }
    return stored;
  }

  /** A whole stream, durable; returns its blockmap. */
  store(sample: Uint8Array): BlockmapRoot {
    const prepared = this.prepare(sample);
    this.storePrepared(prepared, sample);
    const { root, rootLength, depth } = binding().finishStream(this.engine, prepared.stream);
    binding().sync(this.engine);
    this.closeStream(prepared);
    return { root, rootLength, depth };
  }

  closeStream(prepared: PreparedStream): void {
    this.#open.delete(prepared.stream);
    binding().closeStream(this.engine, prepared.stream);
  }

  /** Of a count that does not hang on the group's random keys. */
  hashRows(prepared: PreparedStream): string {
    const rowCount = prepared.segments.reduce((total, segment) => total + segment.rowCount, 0);
    return `known ${rowCount > 0 && prepared.newCount === 0}`;
  }

  readRows(map: BlockmapRoot, size: number): number {
    let count = 0;
    for (let offset = 0; offset < size; ) {
      const report = binding().readRows(
        this.engine,
        map,
        offset,
        Math.min(SEGMENT_SIZE_MAX, size - offset),
        this.rows,
      );
      count += report.rowCount;
      offset += report.covered - report.skip;
    }
    return count;
  }

  /** Reads a stream segment by segment into the slab; `take` sees the bytes of each. */
  readStream(
    map: BlockmapRoot,
    size: number,
    slab: Uint8Array,
    take: ((bytes: Uint8Array) => void) | undefined,
  ): void {
    const addon = binding();
    for (let offset = 0; offset < size; ) {
      const length = Math.min(SEGMENT_SIZE_MAX, size - offset);
      const rows = addon.readRows(this.engine, map, offset, length, this.rows);
      const read = addon.readRecords(this.engine, this.rows, rows.rowCount, slab, 0);
      if (read.unresolvedCount !== 0) throw new Error('a chunk that was stored has no place');
      const end = Math.min(rows.skip + length, rows.covered);
      take?.(slab.subarray(rows.skip, end));
      offset += end - rows.skip;
    }
  }

  digestStream(map: BlockmapRoot, size: number, slab: Uint8Array): string {
    const digest = binding().digestOpen(DIGEST_XXH3);
    this.readStream(map, size, slab, bytes => binding().digestUpdate(digest, bytes));
    return Buffer.from(binding().digestFinish(digest).xxh3).toString('hex');
  }

  close(): void {
    // A bench that ended in mid-turn leaves its stream behind.
    for (const stream of this.#open) binding().closeStream(this.engine, stream);
    binding().detach(this.engine);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private rowsOf(segment: number): Uint8Array {
    this.rowsPool[segment] ??= new Uint8Array(new SharedArrayBuffer(ROWS_MAX * ROW_SIZE));
    return this.rowsPool[segment];
  }
}
