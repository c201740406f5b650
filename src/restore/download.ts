/**
 * One file, or a range of one, on its way out: rows from the blockmap, segments read ahead on the lane, every
 * chunk checked before it is in a slab, segments delivered in order.
 *
 * Slabs. A restore waits for a slab only while it holds none: the first one is waited for, further ones are
 * taken when they are free. So restores cannot block each other or ingest for ever, however many they are.
 * Main thread only.
 */
import { assert } from '../base/assert.js';
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import {
  CHUNK_SIZE_MAX,
  READ_AHEAD_FREE_SHARE,
  READ_AHEAD_SEGMENTS,
  SEGMENT_SIZE_MAX,
} from '../base/limits.js';
import { DigestCheck } from '../catalog/digest-check.js';
import { PlaceSearch } from '../catalog/place-search.js';
import { type RowPart, RowWindow } from '../catalog/row-window.js';
import type { FileRecord, OpenGroup } from '../catalog/types.js';
import { type BlockmapRoot, FINGERPRINT_SIZE, ROW_SIZE } from '../native/binding.js';
import type { Slab } from '../workers/slabs.js';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A segment that is being read, or waits to be delivered. */
interface Ahead {
  readonly slab: Slab;
  /** Its verified bytes. Handled when it is delivered or closed. */
  readonly bytes: Promise<Uint8Array>;
}

/** Segments begin in slabs where those of ingest do, so that the same pages are touched. */
const SLAB_OFFSET = CHUNK_SIZE_MAX;

export class Download {
  readonly #group: OpenGroup;
  readonly #range: ByteRange;
  /** This read's own, among the group's open ones. */
  readonly #map: BlockmapRoot;
  readonly #rows: RowWindow;
  /** Of whole files only: no digest of a part was stored. */
  readonly #check: DigestCheck | undefined;
  readonly #abort = new AbortController();
  readonly #ahead: Ahead[] = [];
  #delivered: Slab | undefined;
  /** Bytes of the range that no segment has been planned for. */
  #unplanned: number;
  #isRefilling = false;
  #isNexting = false;
  /** Digest of the segments before. */
  #digested: Promise<unknown> = Promise.resolve();
  #failure: StoreError | undefined;
  #closing: Promise<void> | undefined;

  /** INVALID: the range is not inside the file. An absent range is the whole file. */
  static begin(group: OpenGroup, file: FileRecord, range?: ByteRange): Download {
    const { offset, length } = range ?? { offset: 0, length: file.size };
    const isInside =
      Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!isInside || offset + length > file.size) {
      throw new StoreError(
        'INVALID',
        `bytes ${offset} to ${offset + length} of ${file.path} (${file.size} bytes)`,
      );
    }
    return new Download(group, file, { offset, length });
  }

  private constructor(group: OpenGroup, file: FileRecord, range: ByteRange) {
    this.#group = group;
    this.#range = range;
    this.#unplanned = range.length;
    this.#map = { ...file.map };
    group.openReads.add(this.#map);
    this.#rows = new RowWindow(group, this.#map, range);
    this.#check = range.length === file.size ? new DigestCheck(group.lane, file) : undefined;
  }

  /**
   * The next verified bytes, or undefined at the end. They are valid until the next call of next() or
   * close(). The last bytes of a whole file are given only when its digests agree: CORRUPT otherwise. Not
   * while another next() runs.
   */
  async next(): Promise<Uint8Array | undefined> {
    assert(!this.#isNexting, 'one next() at a time');
    this.#isNexting = true;
    try {
      this.#throwIfOver();
      this.#releaseDelivered();
      return await this.#deliver();
    } catch (thrown) {
      this.#failure ??= asStoreError(thrown);
      throw this.#failure;
    } finally {
      this.#isNexting = false;
    }
  }

  /** Gives up or ends: waits for running tasks, gives the slabs back. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    this.#releaseDelivered();
    while (this.#ahead.length > 0) {
      const { slab, bytes } = this.#ahead.shift()!;
      await bytes.catch(noValue);
      slab.release();
    }
    await this.#digested.catch(noValue);
    this.#group.openReads.delete(this.#map);
    this.#check?.drop();
  }

  async #deliver(): Promise<Uint8Array | undefined> {
    if (this.#ahead.length === 0) {
      if (this.#unplanned === 0) return this.#end();
      await this.#startFirst();
    }
    this.#readAhead();
    // It stays in the row until its tasks have ended: close() waits for those.
    const bytes = await this.#ahead[0]!.bytes;
    this.#throwIfOver();
    this.#delivered = this.#ahead.shift()!.slab;
    return bytes;
  }

  /** Files without bytes have a digest, too. */
  #end(): undefined {
    this.#check?.finish();
    return undefined;
  }

  async #startFirst(): Promise<void> {
    const slab = await this.#group.lane.restoreSlabs.take(this.#abort.signal);
    if (this.#closing === undefined) this.#start(slab);
    else slab.release();
    this.#throwIfOver();
  }

  #readAhead(): void {
    const slabs = this.#group.lane.restoreSlabs;
    const reserve = Math.floor(slabs.countMax * READ_AHEAD_FREE_SHARE);
    while (this.#mayStart && slabs.free > reserve) {
      const slab = slabs.tryTake();
      if (slab === undefined) return;
      this.#start(slab);
    }
  }

  /** Segments are planned one after another: not while rows are missing. */
  get #mayStart(): boolean {
    const isOver = this.#closing !== undefined || this.#failure !== undefined;
    return !isOver && !this.#isRefilling && this.#unplanned > 0 && this.#ahead.length < READ_AHEAD_SEGMENTS;
  }

  #start(slab: Slab): void {
    const bytes = this.#segment(slab);
    bytes.catch(noValue);
    this.#ahead.push({ slab, bytes });
  }

  /** The next segment's bytes: read, checked, and taken into the file's digest. */
  async #segment(slab: Slab): Promise<Uint8Array> {
    let isRead = false;
    const isRefilled = this.#rows.isEmpty;
    if (isRefilled) isRead = await this.#refill(slab);
    const part = this.#rows.give(slab.rows);
    const size = Math.min(part.bytes - part.skip, this.#unplanned);
    this.#unplanned -= size;
    const isLast = this.#unplanned === 0;
    const from = SLAB_OFFSET + part.skip;
    const read = isRead ? Promise.resolve() : this.#read(slab, part);
    const bytes = this.#digest(read, slab.bytes.subarray(from, from + size), isLast);
    if (isRefilled) this.#readAhead();
    return await bytes;
  }

  /** Gets rows; true: their records are in the slab already, because the range is one segment's. */
  async #refill(slab: Slab): Promise<boolean> {
    this.#isRefilling = true;
    try {
      this.#throwIfOver();
      const { offset, length } = this.#range;
      if (length <= SEGMENT_SIZE_MAX && this.#unplanned === length) {
        const { engine, lane } = this.#group;
        const { map } = this.#rows;
        const { rows, bytes } = slab;
        const call = lane.call('readWhole', engine, map, offset, length, rows, bytes, SLAB_OFFSET);
        // What is damaged, the single verbs find out.
        const whole = await call.catch(unlessCorrupt);
        if (whole !== undefined && whole.rows.unresolved === undefined) {
          this.#rows.accept(whole.rows, rows);
          return whole.read?.unresolvedCount === 0;
        }
      }
      await this.#reporting(() => this.#rows.map.root, this.#rows.refill(slab.rows));
      return false;
    } finally {
      this.#isRefilling = false;
    }
  }

  async #read(slab: Slab, part: RowPart): Promise<void> {
    const search = new PlaceSearch(this.#group);
    const fingerprints = () => fingerprintsOf(slab.rows, part.rowCount);
    while (!(await this.#reporting(fingerprints, this.#readResident(slab, part)))) {
      await search.rows(slab.rows, part.rowCount);
    }
  }

  /** Damage that a read meets is told to scrub: it is one of these, or a node below them. */
  async #reporting<T>(fingerprints: () => Uint8Array, read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (thrown) {
      if (hasCode(thrown, 'CORRUPT')) this.#group.reportDamage(fingerprints());
      throw thrown;
    }
  }

  /** False: some rows' places are not resident. */
  async #readResident({ rows, bytes }: Slab, part: RowPart): Promise<boolean> {
    this.#throwIfOver();
    const { engine, lane } = this.#group;
    const report = await lane.call('readRecords', engine, rows, part.rowCount, bytes, SLAB_OFFSET);
    if (report.unresolvedCount > 0) return false;
    assert(report.bytes === part.bytes, `${report.bytes} bytes were read for rows of ${part.bytes}`);
    return true;
  }

  /**
   * Resolves with `bytes` when they have been read and the digest has them; the last ones only when it
   * agrees.
   */
  #digest(read: Promise<void>, bytes: Uint8Array, isLast: boolean): Promise<Uint8Array> {
    const check = this.#check;
    if (check === undefined) return read.then(() => bytes);
    const before = this.#digested;
    const digested = read.then(async () => {
      // Only now: a failure of an earlier segment must not end this one while its read still fills the slab.
      await before;
      this.#throwIfOver();
      await check.update(bytes);
      if (isLast) check.finish();
      return bytes;
    });
    this.#digested = digested;
    return digested;
  }

  #releaseDelivered(): void {
    this.#delivered?.release();
    this.#delivered = undefined;
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw new StoreError('CANCELLED', 'the restore was given up');
  }
}

function noValue(): void {}

function unlessCorrupt(thrown: unknown): undefined {
  if (!hasCode(thrown, 'CORRUPT')) throw thrown;
}

function fingerprintsOf(rows: Uint8Array, rowCount: number): Uint8Array {
  const fingerprints = new Uint8Array(rowCount * FINGERPRINT_SIZE);
  for (let row = 0; row < rowCount; row += 1) {
    const from = row * ROW_SIZE;
    fingerprints.set(rows.subarray(from, from + FINGERPRINT_SIZE), row * FINGERPRINT_SIZE);
  }
  return fingerprints;
}
