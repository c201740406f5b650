/**
 * Scrub of whole files: each is read as a restore would read it, and all digests that are stored with it are
 * taken again. New files first, found in the commit log behind the version up to which all have been read;
 * then, in a rolling round of SCRUB_FILES_MS, all files in the order of their keys, so that the one whose
 * check is oldest comes next.
 */
import { asStoreError } from '../base/errors.js';
import { ROWS_MAX, SCRUB_FILES_MS, SCRUB_FILES_NAMED_MAX, SEGMENT_SIZE_MAX } from '../base/limits.js';
import { DigestCheck } from '../catalog/digest-check.js';
import { decoded, readLog } from '../catalog/log-reader.js';
import { PlaceSearch } from '../catalog/place-search.js';
import { type FileRow, RecordType } from '../catalog/record.js';
import { nameOfFile } from '../catalog/reference-check.js';
import { type RowPart, RowWindow } from '../catalog/row-window.js';
import { FINGERPRINT_SIZE, ROW_SIZE } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { ScrubWork } from './work.js';

export class FilePass {
  readonly #work: ScrubWork;
  /** Made when the first file is read, and dropped when nothing is due. */
  #memory: { readonly rows: Uint8Array; readonly bytes: Uint8Array } | undefined;
  /** Files whose bytes were not those that were put; the latest ones. */
  readonly failed: string[] = [];
  failedCount = 0;

  constructor(work: ScrubWork) {
    this.#work = work;
  }

  async due(): Promise<void> {
    await this.newFiles();
    await this.#round();
    this.#memory = undefined;
  }

  /** Files that were put since the last one that was looked for here, in the order of their commits. */
  async newFiles(progress: (done: number, total: number) => void = () => undefined): Promise<void> {
    const { group, state } = this.#work;
    const first = Math.max(
      state.content.checkedVersion + 1,
      group.state.mark.previousBegin,
      group.report.firstSequence,
    );
    const last = group.state.sequence;
    for await (const records of readLog(group.lane, group.engine, first, last)) {
      const puts = records.filter(({ type }) => type === RecordType.PUT).map(decoded);
      for (const { sequence, record } of puts) {
        if (record?.type === RecordType.PUT) {
          const [row] = await group.state.index.load([record]);
          if (row?.version === sequence) await this.#file(row);
        }
        state.content.checkedVersion = sequence;
        progress(sequence - first + 1, last - first + 1);
      }
      state.content.checkedVersion = Math.max(state.content.checkedVersion, records.at(-1)!.sequence);
    }
  }

  /** Reads files as far as the round's time has come. */
  async #round(): Promise<void> {
    const { group, state, clock } = this.#work;
    const { content } = state;
    const nowMs = clock.nowMs();
    content.fileRoundMs = Math.min(content.fileRoundMs, nowMs);
    const { logicalBytes, files } = group.state.totals;
    // Files without bytes cost something, too.
    const due = (logicalBytes + files) * Math.min(1, (nowMs - content.fileRoundMs) / SCRUB_FILES_MS);
    if (content.fileBytes >= due) return;
    const after = content.fileKey === '' ? undefined : Buffer.from(content.fileKey, 'hex');
    for await (const row of group.state.index.scan(after)) {
      if (row.version <= content.checkedVersion) await this.#file(row);
      content.fileKey = Buffer.from(group.state.index.operation(row, undefined).key).toString('hex');
      content.fileBytes += row.size + 1;
      if (content.fileBytes >= due) return;
    }
    Object.assign(content, { fileKey: '', fileBytes: 0, fileRoundMs: nowMs });
  }

  async #file(row: FileRow): Promise<void> {
    const { group, state } = this.#work;
    const { root, rootLength, depth } = row;
    const map = { root, rootLength, depth };
    // Before it is asked whether the file is there still: the cleaner lets what is read be from then on.
    group.openReads.add(map);
    try {
      const [current] = await group.state.index.load([row]);
      if (current?.version !== row.version) return;
      await new WholeFile(this.#work, row, this.#buffers()).read();
      state.content.filesRead += 1;
    } catch (thrown) {
      const { code, message } = asStoreError(thrown);
      if (code === 'CANCELLED' || code === 'BUSY') throw thrown;
      const [current] = await group.state.index.load([row]);
      if (current?.version !== row.version) return;
      const name = nameOfFile(group, row);
      this.failedCount += 1;
      this.failed.push(name);
      if (this.failed.length > SCRUB_FILES_NAMED_MAX) this.failed.shift();
      this.#work.event('error', `file ${name} does not come out as it was put: ${code} ${message}`);
    } finally {
      group.openReads.delete(map);
    }
  }

  #buffers(): { readonly rows: Uint8Array; readonly bytes: Uint8Array } {
    this.#memory ??= { rows: sharedBytes(ROWS_MAX * ROW_SIZE), bytes: sharedBytes(SEGMENT_SIZE_MAX) };
    return this.#memory;
  }
}

/** One file from its first to its last byte, a segment a unit of work. */
class WholeFile {
  readonly #work: ScrubWork;
  readonly #row: FileRow;
  readonly #memory: { readonly rows: Uint8Array; readonly bytes: Uint8Array };
  readonly #window: RowWindow;

  constructor(work: ScrubWork, row: FileRow, memory: { rows: Uint8Array; bytes: Uint8Array }) {
    this.#work = work;
    this.#row = row;
    this.#memory = memory;
    const { root, rootLength, depth, size } = row;
    this.#window = new RowWindow(work.group, { root, rootLength, depth }, { offset: 0, length: size });
  }

  /** CORRUPT: a chunk is damaged or lost, or a digest is another one. */
  async read(): Promise<void> {
    const check = new DigestCheck(this.#work.group.lane, { ...this.#row, path: this.#row.name });
    try {
      while (!this.#window.isExhausted) {
        await this.#work.unit(async () => {
          const part = await this.#part();
          await this.#records(part);
          await check.update(this.#memory.bytes.subarray(0, part.bytes));
        });
      }
      check.finish();
    } finally {
      check.drop();
    }
  }

  async #part(): Promise<RowPart> {
    if (this.#window.isEmpty) await this.#window.refill(this.#memory.rows);
    return this.#window.give(this.#memory.rows);
  }

  async #records({ rowCount }: RowPart): Promise<void> {
    const { engine, lane } = this.#work.group;
    const { rows, bytes } = this.#memory;
    const search = new PlaceSearch(this.#work.group);
    try {
      while ((await lane.call('readRecords', engine, rows, rowCount, bytes, 0)).unresolvedCount > 0) {
        await search.rows(rows, rowCount);
      }
    } catch (thrown) {
      if (asStoreError(thrown).code === 'CORRUPT')
        this.#work.group.reportDamage(this.#fingerprints(rowCount));
      throw thrown;
    }
  }

  #fingerprints(rowCount: number): Uint8Array {
    const fingerprints = new Uint8Array(rowCount * FINGERPRINT_SIZE);
    for (let row = 0; row < rowCount; row += 1) {
      const from = row * ROW_SIZE;
      fingerprints.set(this.#memory.rows.subarray(from, from + FINGERPRINT_SIZE), row * FINGERPRINT_SIZE);
    }
    return fingerprints;
  }
}
