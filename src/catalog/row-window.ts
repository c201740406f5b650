/**
 * The rows of a range that is being read, in order: read from the blockmap a batch at a time, given out a
 * segment at a time. Segments end where chunks end, so no chunk is read twice.
 */
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import { SEGMENT_SIZE_MAX } from '../base/limits.js';
import { type BlockmapRoot, ROW_SIZE, type RowsReport } from '../native/binding.js';
import { rowLength } from '../workers/verbs.js';
import { NodeHints } from './node-hints.js';
import type { OpenGroup } from './types.js';

/** A segment's worth of rows, at the start of a slab's row memory. */
export interface RowPart {
  readonly rowCount: number;
  /** Plain bytes of all of its chunks. */
  readonly bytes: number;
  /** Bytes of the first chunk that lie before the range. */
  readonly skip: number;
}

const NONE = new Uint8Array(0);

export class RowWindow {
  readonly #group: OpenGroup;
  readonly map: BlockmapRoot;
  /** Of the file; where the next batch of rows begins. */
  #offset: number;
  readonly #end: number;
  #rows: Uint8Array = NONE;
  #given = 0;
  #skip = 0;

  constructor(group: OpenGroup, map: BlockmapRoot, range: { offset: number; length: number }) {
    this.#group = group;
    // A root decoded out of a log payload would take all of that payload along to the worker.
    this.map = { ...map, root: new Uint8Array(map.root) };
    this.#offset = range.offset;
    this.#end = range.offset + range.length;
  }

  /** All rows have been given out. */
  get isExhausted(): boolean {
    return this.isEmpty && this.#offset >= this.#end;
  }

  /** Nothing can be given out before the next batch has been read. */
  get isEmpty(): boolean {
    return this.#given === this.#rows.length;
  }

  /** Reads the next batch of rows through `memory`, which is shared and may be used otherwise afterwards. */
  async refill(memory: Uint8Array): Promise<void> {
    assert(this.isEmpty && !this.isExhausted, 'a window is refilled when it is empty, and not at the end');
    const { engine, lane } = this.#group;
    const length = this.#end - this.#offset;
    const hints = new NodeHints(this.#group);
    for (;;) {
      const report = await lane.call('readRows', engine, this.map, this.#offset, length, memory);
      if (report.unresolved === undefined) {
        this.accept(report, memory);
        return;
      }
      await hints.resolve(report.unresolved);
    }
  }

  /** Takes over rows that were read from the window's offset on. CORRUPT: the blockmap ends too early. */
  accept(report: RowsReport, memory: Uint8Array): void {
    const fresh = report.covered - report.skip;
    if (report.rowCount === 0 || fresh <= 0) {
      throw new StoreError('CORRUPT', `the blockmap ends at ${this.#offset}, the file at ${this.#end}`);
    }
    this.#rows = memory.slice(0, report.rowCount * ROW_SIZE);
    this.#given = 0;
    this.#skip = report.skip;
    this.#offset += fresh;
  }

  /** Copies the rows of the next segment to `memory`. */
  give(memory: Uint8Array): RowPart {
    assert(!this.isEmpty, 'rows are given out of a window that has some');
    const first = this.#given / ROW_SIZE;
    const count = this.#rows.length / ROW_SIZE;
    let rowCount = 0;
    let bytes = 0;
    while (first + rowCount < count) {
      const length = rowLength(this.#rows, first + rowCount);
      if (rowCount > 0 && bytes + length > SEGMENT_SIZE_MAX) break;
      bytes += length;
      rowCount += 1;
    }
    const from = this.#given;
    this.#given += rowCount * ROW_SIZE;
    memory.set(this.#rows.subarray(from, this.#given));
    const part = { rowCount, bytes, skip: this.#skip };
    this.#skip = 0;
    if (bytes > SEGMENT_SIZE_MAX)
      throw new StoreError('CORRUPT', `the blockmap has a chunk of ${bytes} bytes`);
    return part;
  }
}
