/**
 * What a lane runs: the verbs of the addon, and tasks made of several verbs in a row, because a round trip to
 * a worker costs 25-94 us. Plain synchronous functions, no `await`; they run on worker threads.
 */
import { SEGMENT_SIZE_MAX } from '../base/limits.js';
import {
  type Binding,
  type BlockmapRoot,
  type EngineHandle,
  type ReadReport,
  ROW_LENGTH_OFFSET,
  ROW_SIZE,
  type RowsReport,
  type SegmentReport,
  type StreamHandle,
  type StreamReport,
} from '../native/binding.js';

export interface WholeReport {
  readonly prepared: SegmentReport;
  /** Absent: rows are unknown; go on with admitRows, storeRecords, finishStream. */
  readonly finished?: StreamReport;
}

export interface WholeRead {
  readonly rows: RowsReport;
  /** Absent: a row is unresolved, or there are more bytes than one segment; go on with the single verbs. */
  readonly read?: ReadReport;
}

export interface CompositeVerbs {
  /** A stream that fits one slab: prepareSegment, storeRecords, finishStream. */
  ingestWhole(
    engine: EngineHandle,
    stream: StreamHandle,
    slab: Uint8Array,
    offset: number,
    size: number,
    rows: Uint8Array,
  ): WholeReport;
  /** A range that fits one segment: readRows, readRecords. */
  readWhole(
    engine: EngineHandle,
    map: BlockmapRoot,
    offset: number,
    length: number,
    rows: Uint8Array,
    slab: Uint8Array,
    slabOffset: number,
  ): WholeRead;
}

export type LaneVerbs = Binding & CompositeVerbs;
export type LaneVerb = keyof LaneVerbs;

export function compositeVerbs(addon: Binding): CompositeVerbs {
  return {
    ingestWhole(engine, stream, slab, offset, size, rows) {
      const prepared = addon.prepareSegment(engine, stream, slab, offset, offset, size, true, rows);
      if (prepared.unknownCount > 0) return { prepared };
      if (prepared.newCount > 0) addon.storeRecords(engine, stream, slab, offset, rows, prepared.rowCount);
      return { prepared, finished: addon.finishStream(engine, stream) };
    },

    readWhole(engine, map, offset, length, rows, slab, slabOffset) {
      const found = addon.readRows(engine, map, offset, length, rows);
      const isWhole = found.covered - found.skip >= length && found.covered <= SEGMENT_SIZE_MAX;
      if (found.unresolved !== undefined || !isWhole) return { rows: found };
      return { rows: found, read: addon.readRecords(engine, rows, found.rowCount, slab, slabOffset) };
    },
  };
}

/**
 * Positions of the arguments that a verb fills or that are too big to be cloned: they have to be shared
 * memory.
 */
export const SHARED_ARGUMENTS: { readonly [V in LaneVerb]?: readonly number[] } = {
  prepareSegment: [2, 7],
  admitRows: [2],
  storeRecords: [2, 4],
  readLog: [2],
  readRows: [4],
  readRecords: [1, 3],
  readFingerprints: [3],
  findRows: [1],
  condemnStore: [3],
  locateChunks: [3],
  admitRecords: [1, 3],
  digestUpdate: [1],
  ingestWhole: [2, 5],
  readWhole: [4, 5],
};

/** Length of the chunk of row `index`. */
export function rowLength(rows: Uint8Array, index: number): number {
  const at = index * ROW_SIZE + ROW_LENGTH_OFFSET;
  return (rows[at]! | (rows[at + 1]! << 8) | (rows[at + 2]! << 16) | (rows[at + 3]! << 24)) >>> 0;
}
