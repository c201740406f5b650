/**
 * Disk images of crashes, from what recorder.cc has recorded: at any position of the record all that was
 * written before the last flush is there, and of what was written since each write, or each sector of it,
 * may be there or not.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';

const HEADER_SIZE = 24;
const WRITE = 1;
const EXTENT_SIZE = 64 * 1024;
/** What a disk writes whole: old ones 512 bytes, new ones 4 KiB. */
const SECTOR_SIZES = [512, 4096] as const;
/** Of the writes that are there, one in so many is torn. */
const TEARS_OUT_OF = 4;

interface Write {
  /** Of the record, behind this entry. */
  readonly end: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Writes between two flushes. */
export interface Interval {
  /** Position of the flush before them. */
  readonly begin: number;
  readonly writes: readonly Write[];
}

type Numbers = (bound: number) => number;

/** Intervals that have writes, in order; those that end at `from` or before come as one. */
export function readIntervals(recordFile: string, from: number): Interval[] {
  const record = readFileSync(recordFile);
  const intervals: Interval[] = [];
  let writes: Write[] = [];
  let begin = 0;
  for (let at = 0; at < record.length; ) {
    const kind = record.readUInt32LE(at);
    const length = record.readUInt32LE(at + 4);
    const offset = Number(record.readBigUInt64LE(at + 8));
    const end = at + HEADER_SIZE + length;
    if (kind === WRITE) {
      writes.push({ end, offset, bytes: record.subarray(at + HEADER_SIZE, end) });
    } else if (writes.length > 0 && end > from) {
      intervals.push({ begin, writes });
      writes = [];
    }
    if (kind !== WRITE) begin = end;
    at = end;
  }
  if (writes.length > 0) intervals.push({ begin, writes });
  return intervals;
}

/** The disk as it is at a flush, and crash images that follow from it. */
export class CrashImages {
  readonly #disk: Buffer;
  readonly #extents = new Set<number>();

  constructor(size: number) {
    this.#disk = Buffer.alloc(size);
  }

  /** All of the interval is durable. */
  pass({ writes }: Interval): void {
    for (const { offset, bytes } of writes) {
      bytes.copy(this.#disk, offset);
      const last = Math.floor((offset + bytes.length - 1) / EXTENT_SIZE);
      for (let extent = Math.floor(offset / EXTENT_SIZE); extent <= last; extent += 1)
        this.#extents.add(extent);
    }
  }

  /**
   * Writes the image of a crash in the interval to `path`: `count` writes of it have been given to the disk,
   * and some of them, torn or whole, are on it (`next` undefined: none).
   */
  write(path: string, { writes }: Interval, count: number, next: Numbers | undefined): void {
    // A new file: the one of the crash before may still be mounted.
    rmSync(path, { force: true });
    const file = openSync(path, 'wx');
    try {
      ftruncateSync(file, this.#disk.length);
      for (const extent of this.#extents) {
        const from = extent * EXTENT_SIZE;
        writeSync(file, this.#disk, from, Math.min(EXTENT_SIZE, this.#disk.length - from), from);
      }
      if (next === undefined) return;
      // In a crash it may be half of what was under way, nearly nothing or nearly all.
      const keptOf10 = 1 + next(9);
      for (const { offset, bytes } of writes.slice(0, count)) {
        if (next(10) < keptOf10) writePart(file, offset, bytes, next);
      }
    } finally {
      closeSync(file);
    }
  }
}

function writePart(file: number, offset: number, bytes: Buffer, next: Numbers): void {
  const sectorSize = SECTOR_SIZES[next(SECTOR_SIZES.length)]!;
  if (bytes.length <= sectorSize || next(TEARS_OUT_OF) !== 0) {
    writeSync(file, bytes, 0, bytes.length, offset);
    return;
  }
  for (let at = 0; at < bytes.length; at += sectorSize) {
    if (next(2) === 0) continue;
    writeSync(file, bytes, at, Math.min(sectorSize, bytes.length - at), offset + at);
  }
}
