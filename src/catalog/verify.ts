/**
 * `granary verify`: are all references whole? Every file's blockmap is walked and each of its chunks is
 * looked for; with `full` every record of every data store is read as well. Damage is named by the
 * structure it is in: superblock copies, log, view, data store, file.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { ROWS_MAX } from '../base/limits.js';
import {
  FINGERPRINT_SIZE,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  type RowsReport,
  STATE_KNOWN,
} from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import { containerRow } from './container-table.js';
import { type Group, SUPERBLOCK_COPIES } from './group.js';
import { NodeHints } from './node-hints.js';
import type { OpenedGroup } from './opened-group.js';
import type { FileRow } from './record.js';
import { SetDigest } from './set-digest.js';

export interface Damage {
  /** Empty: of no group, but the whole system. */
  readonly group: string;
  /**
   * The structure and which one: `system file`, `superblock`, `keyring`, `log`, `view`, `data store ID`,
   * `file CONTAINER/PATH`.
   */
  readonly what: string;
  readonly reason: string;
}

export interface VerifyResult {
  readonly files: number;
  readonly chunks: number;
  readonly dataStores: number;
  /** Bytes of data stores that were read (only when full). */
  readonly bytes: number;
  readonly damages: readonly Damage[];
  /** What was damaged and has been repaired, or is survived by a copy. */
  readonly healed: readonly Damage[];
}

export interface VerifyOptions {
  /** Reads every record as well. */
  readonly isFull: boolean;
  /** Of this group only. */
  readonly group?: string | undefined;
  /** Gives up in the middle; what was found so far is answered. */
  readonly signal?: AbortSignal;
}

/** Works beside everything else. NOT_FOUND: there is no such group. */
export async function verifySystem(
  catalog: { readonly groups: readonly Group[]; readonly systemDamages: readonly string[] },
  options: VerifyOptions,
): Promise<VerifyResult> {
  const groups = catalog.groups.filter(({ name }) => options.group === undefined || name === options.group);
  if (groups.length === 0) throw new StoreError('NOT_FOUND', `there is no storage group '${options.group}'`);
  const totals = { files: 0, chunks: 0, dataStores: 0, bytes: 0 };
  const damages: Damage[] = [];
  const healed: Damage[] = [];
  for (const reason of catalog.systemDamages) healed.push({ group: '', what: 'system file', reason });
  for (const group of groups) {
    for (const found of group.healed) healed.push({ group: group.name, ...found });
    if (group.opened === undefined) {
      const reason = group.info.failure ?? 'it is locked: nothing of it has been verified';
      damages.push({ group: group.name, what: 'storage group', reason });
      continue;
    }
    const check = new GroupCheck(group.opened, { damages, healed }, options.signal);
    await check.superblock(group.entry.path);
    check.recovery();
    if (options.isFull) await check.dataStores();
    await check.filesAndView();
    for (const field of ['files', 'chunks', 'dataStores', 'bytes'] as const)
      totals[field] += check.totals[field];
  }
  return { ...totals, damages, healed };
}

class GroupCheck {
  readonly totals = { files: 0, chunks: 0, dataStores: 0, bytes: 0 };
  readonly #group: OpenedGroup;
  readonly #found: { readonly damages: Damage[]; readonly healed: Damage[] };
  readonly #signal: AbortSignal | undefined;
  /** Chunks that lie in damaged records, hex. */
  readonly #damaged = new Set<string>();
  readonly #rows = sharedBytes(ROWS_MAX * ROW_SIZE);

  constructor(
    group: OpenedGroup,
    found: { readonly damages: Damage[]; readonly healed: Damage[] },
    signal: AbortSignal | undefined,
  ) {
    this.#group = group;
    this.#found = found;
    this.#signal = signal;
  }

  async superblock(directory: string): Promise<void> {
    const { superblockCopies } = await this.#group.lane.call('probeGroup', directory, this.#group.disk);
    if (superblockCopies >= SUPERBLOCK_COPIES) return;
    this.#heal('superblock', `${superblockCopies} of its ${SUPERBLOCK_COPIES} copies are valid`);
  }

  /** What the start has found. */
  recovery(): void {
    const { logRecordsRepaired, damaged } = this.#group.report;
    if (logRecordsRepaired > 0) {
      this.#heal('log', `${logRecordsRepaired} records came from the other copy`);
    }
    for (const { id, reason } of damaged) this.#damage(`data store ${id}`, reason);
    const { rebuilt } = this.#group.replayed;
    if (rebuilt !== undefined) this.#heal('view', `it was made anew at the start: ${rebuilt}`);
  }

  async dataStores(): Promise<void> {
    const { lane, engine } = this.#group;
    for (const { id } of await lane.call('listDataStores', engine)) {
      if (this.#signal?.aborted === true) return;
      try {
        const report = await lane.call('verifyDataStore', engine, id);
        this.totals.bytes += report.bytes;
        for (const { offset, reason, fingerprints } of report.damages) {
          this.#damage(`data store ${id}`, `at ${offset}: ${reason}`);
          this.#noteDamaged(fingerprints);
        }
      } catch (thrown) {
        // The cleaner has emptied it meanwhile: its chunks are looked for with the files.
        if (this.#group.state.stores.get(id)?.moved !== undefined || (await this.#isGone(id))) continue;
        this.#damage(`data store ${id}`, asStoreError(thrown).message);
      }
      this.totals.dataStores += 1;
    }
  }

  async #isGone(id: string): Promise<boolean> {
    const { lane, engine } = this.#group;
    return !(await lane.call('listDataStores', engine)).some(store => store.id === id);
  }

  /** Walks the files as they are at one moment, and compares them with what the commits have counted. */
  async filesAndView(): Promise<void> {
    const { state, queue } = this.#group;
    let files: AsyncIterable<FileRow> | undefined;
    const digest = new SetDigest();
    let wanted: Uint8Array = digest.bytes;
    await queue.exclusive(async () => {
      files = state.scanAll();
      wanted = state.digest;
      for (const container of state.containers.values()) digest.add(containerRow(container));
    });
    try {
      for await (const row of files!) {
        if (this.#signal?.aborted === true) return;
        digest.add(row);
        await this.#file(row);
      }
      if (digest.equals(wanted)) return;
      this.#damage('view', 'its files are not those that were committed: rebuild it');
    } catch (thrown) {
      if (!hasCode(thrown, 'CORRUPT')) throw thrown;
      this.#damage('view', `${asStoreError(thrown).message}: rebuild it`);
    }
  }

  async #file(row: FileRow): Promise<void> {
    this.totals.files += 1;
    const container = this.#group.state.containers.get(row.containerId)?.name ?? row.containerId;
    const isBinned = row.binUntilMs !== undefined;
    const what = `file ${container}/${row.name}${isBinned ? ` (recycle bin, version ${row.version})` : ''}`;
    try {
      for (let offset = 0; offset < row.size; ) {
        const { rowCount, skip, covered } = await this.#readRows(row, offset);
        const lost = await this.#lostRows(rowCount);
        if (lost > 0) {
          this.#damage(what, `${lost} chunks from byte ${offset} on are lost`);
          return;
        }
        this.totals.chunks += rowCount;
        offset += covered - skip;
      }
    } catch (thrown) {
      if (!hasCode(thrown, 'CORRUPT')) throw thrown;
      this.#damage(what, asStoreError(thrown).message);
    }
  }

  async #readRows(row: FileRow, offset: number): Promise<RowsReport> {
    const { lane, engine } = this.#group;
    const { root, rootLength, depth } = row;
    const map = { root, rootLength, depth };
    const hints = new NodeHints(this.#group);
    for (;;) {
      const report = await lane.call('readRows', engine, map, offset, row.size - offset, this.#rows);
      if (report.unresolved === undefined) return report;
      await hints.resolve(report.unresolved);
    }
  }

  /** Chunks of the rows that are in no data store, or in a damaged record. */
  async #lostRows(rowCount: number): Promise<number> {
    const missing = await this.#group.lane.call('findRows', this.#group.engine, this.#rows, rowCount);
    if (missing === 0 && this.#damaged.size === 0) return 0;
    let lost = 0;
    for (let index = 0; index < rowCount; index += 1) {
      const row = this.#rows.subarray(index * ROW_SIZE, (index + 1) * ROW_SIZE);
      const isFound = row[ROW_STATE_OFFSET] === STATE_KNOWN;
      if (!isFound || this.#damaged.has(hexOf(row.subarray(0, FINGERPRINT_SIZE)))) lost += 1;
    }
    return lost;
  }

  #noteDamaged(fingerprints: Uint8Array): void {
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
      this.#damaged.add(hexOf(fingerprints.subarray(at, at + FINGERPRINT_SIZE)));
    }
  }

  #damage(what: string, reason: string): void {
    this.#found.damages.push({ group: this.#group.name, what, reason });
  }

  #heal(what: string, reason: string): void {
    this.#found.healed.push({ group: this.#group.name, what, reason });
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
