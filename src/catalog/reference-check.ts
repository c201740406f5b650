/**
 * Are all chunks that a file names somewhere, and whole? The walk that verify and scrub share: rows of the
 * blockmap a batch at a time, each looked for in the data stores and, as the last resort, in the trash.
 * Works beside everything else: a file that was deleted or replaced meanwhile is not asked for any more.
 */
import { ROWS_MAX } from '../base/limits.js';
import {
  FINGERPRINT_SIZE,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  type RowsReport,
  STATE_KNOWN,
} from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import { rowLength } from '../workers/verbs.js';
import { binMapKey } from './bin-index.js';
import { type DamagedChunks, nameOf } from './damaged-chunks.js';
import { fileMapKey } from './file-index.js';
import { NodeHints } from './node-hints.js';
import type { OpenedGroup } from './opened-group.js';
import type { FileRow } from './record.js';
import type { WantedChunk } from './repair-source.js';

/** A batch of a file's rows, looked for. */
export interface CheckedRows {
  readonly rowCount: number;
  /** Of the file; where the next batch begins. */
  readonly next: number;
  /** Chunks that are nowhere, or damaged without another copy. */
  readonly lost: readonly WantedChunk[];
}

/** CONTAINER/PATH, as people are told of it. */
export function nameOfFile(group: OpenedGroup, { containerId, name, version, binUntilMs }: FileRow): string {
  const container = group.state.containers.get(containerId)?.name ?? containerId;
  return `${container}/${name}${binUntilMs === undefined ? '' : ` (recycle bin, version ${version})`}`;
}

export class ReferenceCheck {
  readonly #group: OpenedGroup;
  readonly #damaged: DamagedChunks;
  readonly #rows = sharedBytes(ROWS_MAX * ROW_SIZE);

  constructor(group: OpenedGroup, damaged: DamagedChunks) {
    this.#group = group;
    this.#damaged = damaged;
  }

  /** The rows from byte `offset` of the file on, which is not its end. CORRUPT: a blockmap node is lost. */
  async batch(file: FileRow, offset: number): Promise<CheckedRows> {
    const { rowCount, skip, covered } = await this.#readRows(file, offset);
    return { rowCount, next: offset + covered - skip, lost: await this.#lost(file, rowCount) };
  }

  /** Is the version still the file of its name, or in the recycle bin? */
  async isCurrent(file: FileRow): Promise<boolean> {
    const { files, bin } = await this.#group.state.load([file], [file]);
    return files.get(fileMapKey(file))?.version === file.version || bin.get(binMapKey(file)) !== undefined;
  }

  async #readRows(file: FileRow, offset: number): Promise<RowsReport> {
    const { lane, engine } = this.#group;
    const { root, rootLength, depth } = file;
    const map = { root: new Uint8Array(root), rootLength, depth };
    const hints = new NodeHints(this.#group, () => this.isCurrent(file));
    for (;;) {
      const report = await lane.call('readRows', engine, map, offset, file.size - offset, this.#rows);
      if (report.unresolved === undefined) return report;
      await hints.resolve(report.unresolved);
    }
  }

  async #lost(file: FileRow, rowCount: number): Promise<WantedChunk[]> {
    const missing = await this.#missing(file, rowCount);
    if (missing === 0 && this.#damaged.size === 0) return [];
    const lost: WantedChunk[] = [];
    for (let index = 0; index < rowCount; index += 1) {
      const at = index * ROW_SIZE;
      const isFound = this.#rows[at + ROW_STATE_OFFSET] === STATE_KNOWN;
      if (isFound && !this.#damaged.has(nameOf(this.#rows, at))) continue;
      const fingerprint = this.#rows.slice(at, at + FINGERPRINT_SIZE);
      lost.push({ fingerprint, length: rowLength(this.#rows, index) });
    }
    return lost;
  }

  /** How many rows' chunks are neither in a data store nor in the trash; these are not STATE_KNOWN. */
  async #missing(file: FileRow, rowCount: number): Promise<number> {
    const { lane, engine } = this.#group;
    const missing = await lane.call('findRows', engine, this.#rows, rowCount);
    if (missing === 0) return 0;
    const fingerprints = new Uint8Array(missing * FINGERPRINT_SIZE);
    let count = 0;
    for (let at = 0; at < rowCount * ROW_SIZE; at += ROW_SIZE) {
      if (this.#rows[at + ROW_STATE_OFFSET] === STATE_KNOWN) continue;
      fingerprints.set(this.#rows.subarray(at, at + FINGERPRINT_SIZE), count * FINGERPRINT_SIZE);
      this.#rows[at + ROW_STATE_OFFSET] = STATE_KNOWN;
      count += 1;
    }
    // What a file that has been deleted since names may be in the trash, rightly.
    if (await this.isCurrent(file)) await this.#group.rescue(fingerprints);
    return lane.call('findRows', engine, this.#rows, rowCount);
  }
}
