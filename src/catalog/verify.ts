/**
 * `granary verify`: are all references whole? Every file's blockmap is walked and each of its chunks is
 * looked for; with `full` every record of every data store is read as well, and what is damaged there goes
 * into quarantine. Damage is named by the structure it is in: superblock copies, log, view, data store, file.
 * Beside the cleaner: a data store that goes meanwhile is no damage, and neither is a file that does.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { DAMAGES_NAMED_MAX, SCRUB_STEP_BYTES } from '../base/limits.js';
import { FINGERPRINT_SIZE, type Damage as StoreDamage } from '../native/binding.js';
import { containerRow } from './container-table.js';
import { DamagedChunks, nameOf } from './damaged-chunks.js';
import { type Group, SUPERBLOCK_COPIES } from './group.js';
import type { OpenedGroup } from './opened-group.js';
import type { FileRow } from './record.js';
import { nameOfFile, ReferenceCheck } from './reference-check.js';
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
  /** At most DAMAGES_NAMED_MAX of a group; the last one counts those left out. */
  readonly damages: readonly Damage[];
  /** What was damaged and has been repaired, or is survived by a copy. */
  readonly healed: readonly Damage[];
}

export interface VerifyProgress {
  readonly group: string;
  readonly stage: 'data stores' | 'files';
  /** Bytes of data stores, or files. */
  readonly done: number;
  readonly total: number;
}

export interface VerifyOptions {
  /** Reads every record as well. */
  readonly isFull: boolean;
  /** Of this group only. */
  readonly group?: string | undefined;
  /** CANCELLED in the middle. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
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
    const check = new GroupCheck(group.opened, options);
    await check.run(group.entry.path);
    damages.push(...check.damages);
    healed.push(...check.healed);
    for (const field of ['files', 'chunks', 'dataStores', 'bytes'] as const)
      totals[field] += check.totals[field];
  }
  return { ...totals, damages, healed };
}

/** A damaged record, until the files have told whether anything needs it. */
interface RecordDamage {
  readonly id: string;
  readonly reason: string;
  readonly fingerprints: Uint8Array;
}

class GroupCheck {
  readonly totals = { files: 0, chunks: 0, dataStores: 0, bytes: 0 };
  readonly damages: Damage[] = [];
  readonly healed: Damage[] = [];
  readonly #group: OpenedGroup;
  readonly #options: VerifyOptions;
  readonly #records: RecordDamage[] = [];
  readonly #unhidden: Uint8Array[] = [];
  /** Names of lost chunks that a file needs. */
  readonly #needed = new Set<string>();
  #hasLostNode = false;
  #leftOut = 0;

  constructor(group: OpenedGroup, options: VerifyOptions) {
    this.#group = group;
    this.#options = options;
  }

  async run(directory: string): Promise<void> {
    await this.#superblock(directory);
    this.#recovery();
    if (this.#options.isFull) await this.#dataStores();
    const damaged = await DamagedChunks.of(this.#group);
    for (const fingerprints of this.#unhidden) damaged.add(fingerprints);
    const before = this.damages.splice(0);
    await this.#filesAndView(damaged);
    const files = this.damages.splice(0);
    this.damages.push(...before);
    this.#settleRecords(damaged);
    this.damages.push(...files);
    if (this.#leftOut > 0) this.damages.push(this.#named('', `${this.#leftOut} more are damaged`));
  }

  async #superblock(directory: string): Promise<void> {
    const { superblockCopies } = await this.#group.lane.call('probeGroup', directory, this.#group.disk);
    if (superblockCopies >= SUPERBLOCK_COPIES) return;
    this.#heal('superblock', `${superblockCopies} of its ${SUPERBLOCK_COPIES} copies are valid`);
  }

  /** What the start has found. */
  #recovery(): void {
    const { logRecordsRepaired, damaged } = this.#group.report;
    if (logRecordsRepaired > 0) {
      this.#heal('log', `${logRecordsRepaired} records came from the other copy`);
    }
    for (const { id, reason } of damaged) this.#damage(`data store ${id}`, reason);
    const { rebuilt } = this.#group.replayed;
    if (rebuilt !== undefined) this.#heal('view', `it was made anew at the start: ${rebuilt}`);
  }

  async #dataStores(): Promise<void> {
    const { lane, engine } = this.#group;
    const stores = await lane.call('listDataStores', engine);
    const total = stores.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    let done = 0;
    for (const { id, fileBytes } of stores) {
      const isThere = await this.#dataStore(id, bytes => this.#progress('data stores', done + bytes, total));
      done += fileBytes;
      if (isThere) this.totals.dataStores += 1;
    }
  }

  /** False: it has gone meanwhile. */
  async #dataStore(id: string, progress: (bytes: number) => void): Promise<boolean> {
    const { lane, engine } = this.#group;
    const damages: StoreDamage[] = [];
    let bytes = 0;
    try {
      for (let from = 0; ; ) {
        progress(bytes);
        const report = await lane.call('scrubStore', engine, id, from, SCRUB_STEP_BYTES);
        bytes += report.bytes;
        damages.push(...report.damages);
        if (report.recordCount === 0) break;
        from = report.next;
      }
    } catch (thrown) {
      if (hasCode(thrown, 'CANCELLED')) throw thrown;
      if (!(await this.#isThere(id))) return false;
      this.#damage(`data store ${id}`, asStoreError(thrown).message);
    }
    this.totals.bytes += bytes;
    await this.#quarantine(id, damages);
    return true;
  }

  async #isThere(id: string): Promise<boolean> {
    const stores = await this.#group.lane.call('listDataStores', this.#group.engine);
    return stores.some(store => store.id === id);
  }

  async #quarantine(id: string, damages: readonly StoreDamage[]): Promise<void> {
    for (const { offset, reason, fingerprints } of damages) {
      this.#records.push({ id, reason: `at ${offset}: ${reason}`, fingerprints });
    }
    try {
      await this.#group.quarantine.take(id, damages);
    } catch (thrown) {
      // A group that has stopped writing is verified all the same.
      asStoreError(thrown);
      this.#unhidden.push(...damages.map(({ fingerprints }) => fingerprints));
    }
  }

  /** Walks the files as they are at one moment, and compares them with what the commits have counted. */
  async #filesAndView(damaged: DamagedChunks): Promise<void> {
    const { state, queue } = this.#group;
    let files: AsyncIterable<FileRow> | undefined;
    const digest = new SetDigest();
    let wanted: Uint8Array = digest.bytes;
    let total = 0;
    await queue.exclusive(async () => {
      files = state.scanAll();
      wanted = state.digest;
      total = state.totals.files + state.binTotals.files;
      for (const container of state.containers.values()) digest.add(containerRow(container));
    });
    const check = new ReferenceCheck(this.#group, damaged);
    try {
      for await (const row of files!) {
        this.#progress('files', this.totals.files, total);
        digest.add(row);
        await this.#file(check, row);
      }
      if (digest.equals(wanted)) return;
      this.#damage('view', 'its files are not those that were committed: rebuild it');
    } catch (thrown) {
      if (!hasCode(thrown, 'CORRUPT')) throw thrown;
      this.#damage('view', `${asStoreError(thrown).message}: rebuild it`);
    }
  }

  async #file(check: ReferenceCheck, row: FileRow): Promise<void> {
    this.totals.files += 1;
    try {
      for (let offset = 0; offset < row.size; ) {
        const { rowCount, next, lost } = await check.batch(row, offset);
        if (lost.length > 0) {
          const reason = `${lost.length} chunks from byte ${offset} on are lost`;
          if (await this.#fileDamage(check, row, reason)) {
            for (const { fingerprint } of lost) this.#needed.add(nameOf(fingerprint, 0));
          }
          return;
        }
        this.totals.chunks += rowCount;
        offset = next;
        this.#throwIfAborted();
      }
    } catch (thrown) {
      if (!hasCode(thrown, 'CORRUPT')) throw thrown;
      if (await this.#fileDamage(check, row, asStoreError(thrown).message)) this.#hasLostNode = true;
    }
  }

  /** False: the file has been deleted or replaced meanwhile, and what it needed may be gone. */
  async #fileDamage(check: ReferenceCheck, row: FileRow, reason: string): Promise<boolean> {
    if (!(await check.isCurrent(row))) return false;
    this.#damage(`file ${nameOfFile(this.#group, row)}`, reason);
    return true;
  }

  /**
   * A damaged record is no damage any more when each of its chunks has another copy or is needed by no file.
   * Which blockmap nodes are needed cannot be told when one of them is lost.
   */
  #settleRecords(damaged: DamagedChunks): void {
    for (const { id, reason, fingerprints } of this.#records) {
      let isHealed = fingerprints.length > 0;
      for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
        const name = nameOf(fingerprints, at);
        if (damaged.has(name) && (this.#hasLostNode || this.#needed.has(name))) isHealed = false;
      }
      if (isHealed) this.#heal(`data store ${id}`, `${reason}; what is needed of it has another copy`);
      else this.#damage(`data store ${id}`, reason);
    }
    const { healedCount, isCut } = damaged;
    if (healedCount > 0 && this.#records.length === 0) {
      this.#heal('quarantine', `${healedCount} chunks that were damaged have another copy`);
    }
    if (isCut) this.#damage('quarantine', 'more chunks are damaged than can be followed to their files');
  }

  #progress(stage: VerifyProgress['stage'], done: number, total: number): void {
    this.#throwIfAborted();
    this.#options.onProgress?.({ group: this.#group.name, stage, done: Math.min(done, total), total });
  }

  #throwIfAborted(): void {
    if (this.#options.signal?.aborted === true) throw new StoreError('CANCELLED', 'verify was given up');
  }

  #damage(what: string, reason: string): void {
    if (this.damages.length < DAMAGES_NAMED_MAX) this.damages.push(this.#named(what, reason));
    else this.#leftOut += 1;
  }

  #heal(what: string, reason: string): void {
    if (this.healed.length < DAMAGES_NAMED_MAX) this.healed.push(this.#named(what, reason));
  }

  #named(what: string, reason: string): Damage {
    return { group: this.#group.name, what, reason };
  }
}
