/**
 * Scrub of references: is every chunk that a file names in a data store, and not damaged? Names the files
 * that miss some, has the chunks repaired from whatever source has them, and asks again. Nothing is removed:
 * a file stays as it is until its chunks come back, by a repair or by the next backup that carries them.
 */
import { asStoreError, hasCode } from '../base/errors.js';
import { REPAIR_CHUNKS_MAX, SCRUB_FILES_NAMED_MAX } from '../base/limits.js';
import { DamagedChunks, nameOf } from '../catalog/damaged-chunks.js';
import { LocalCopies } from '../catalog/local-copies.js';
import { lostNodes } from '../catalog/lost-nodes.js';
import type { FileRow } from '../catalog/record.js';
import { nameOfFile, ReferenceCheck } from '../catalog/reference-check.js';
import { type RepairReport, repairChunks, type WantedChunk } from '../catalog/repair-source.js';
import type { BlockmapRoot } from '../native/binding.js';
import type { ScrubWork } from './work.js';

export interface ReferenceReport {
  files: number;
  /** Files that miss chunks: the first SCRUB_FILES_NAMED_MAX by name, and how many there are. */
  readonly names: string[];
  damagedFiles: number;
  /** Distinct chunks and blockmap nodes that they miss. */
  lostChunks: number;
  healedChunks: number;
}

export class ReferencePass {
  readonly #work: ScrubWork;
  readonly #wantedMax: number;
  /** Files whose blockmap was said to be damaged: once each, while it stays as it is. */
  readonly #reported = new Set<number>();
  /** Of the last complete pass. */
  last: ReferenceReport | undefined;

  constructor(work: ScrubWork, wantedMax = REPAIR_CHUNKS_MAX) {
    this.#work = work;
    this.#wantedMax = wantedMax;
  }

  /** One pass over all files; a second one when the first has led to repairs. */
  async run(progress: (done: number, total: number) => void = () => undefined): Promise<ReferenceReport> {
    let walk = await this.#walk(progress, wanted => this.#repair(wanted));
    if (walk.isRepaired) walk = await this.#walk(progress);
    this.last = walk.report;
    this.#work.state.content.referencesMs = this.#work.clock.nowMs();
    this.#tell(walk.report);
    return walk.report;
  }

  /** `repair`: of what is wanted; answers whether something has come back. */
  async #walk(
    progress: (done: number, total: number) => void,
    repair: (wanted: readonly WantedChunk[]) => Promise<boolean> = async () => false,
  ): Promise<Walk> {
    const { group } = this.#work;
    const damaged = await DamagedChunks.of(group);
    const walk = new Walk(damaged.healedCount, this.#wantedMax);
    const check = new ReferenceCheck(group, damaged);
    const total = group.state.totals.files + group.state.binTotals.files;
    try {
      for await (const row of group.state.scanAll()) {
        progress(Math.min(walk.report.files, total), total);
        walk.report.files += 1;
        await this.#file(check, row, walk);
      }
      walk.isRepaired = walk.wanted.size > 0 && (await repair([...walk.wanted.values()]));
      return walk;
    } finally {
      for (const map of walk.held) group.openReads.delete(map);
    }
  }

  async #file(check: ReferenceCheck, row: FileRow, walk: Walk): Promise<void> {
    let isDamaged = false;
    let isNodeLost = false;
    const wanted: WantedChunk[] = [];
    try {
      for (let offset = 0; offset < row.size; ) {
        const { next, lost } = await this.#work.unit(() => check.batch(row, offset));
        isDamaged ||= lost.length > 0;
        if (wanted.length < REPAIR_CHUNKS_MAX) wanted.push(...lost);
        offset = next;
      }
    } catch (thrown) {
      if (!hasCode(thrown, 'CORRUPT')) throw thrown;
      this.#reportNode(row);
      isDamaged = true;
      isNodeLost = true;
    }
    if (!isDamaged) return;
    const { group } = this.#work;
    const { root, rootLength, depth } = row;
    const map = { root, rootLength, depth };
    const wantedCount = walk.wanted.size;
    // Before it is asked whether the file is there still: the cleaner lets what is read be from then on.
    group.openReads.add(map);
    walk.held.add(map);
    // What a file that has gone meanwhile needed is looked for nowhere, least of all in the trash.
    if (await check.isCurrent(row)) {
      if (isNodeLost) await this.#wantNodes(row, walk);
      for (const chunk of wanted) walk.want(chunk);
      walk.name(nameOfFile(group, row));
    }
    // Others hold what it wants.
    if (walk.wanted.size === wantedCount && walk.held.delete(map)) group.openReads.delete(map);
  }

  async #wantNodes(row: FileRow, walk: Walk): Promise<void> {
    const nodes = lostNodes(this.#work.group, row, work => this.#work.unit(work));
    for await (const node of nodes) {
      if (!walk.want(node)) return;
    }
  }

  /** A node of its blockmap: which one, those find out who read the records. */
  #reportNode({ root, version }: FileRow): void {
    if (this.#reported.has(version) || this.#reported.size >= SCRUB_FILES_NAMED_MAX) return;
    this.#reported.add(version);
    this.#work.group.reportDamage(new Uint8Array(root));
  }

  /** True: something has come back. */
  async #repair(wanted: readonly WantedChunk[]): Promise<boolean> {
    const { group } = this.#work;
    const sources = [new LocalCopies(group), ...group.repairSources];
    try {
      const report = await repairChunks(group, sources, wanted);
      this.#work.state.content.chunksRepaired += report.repaired;
      this.#tellRepair(report);
      return report.repaired > 0;
    } catch (thrown) {
      const { code, message } = asStoreError(thrown);
      if (code === 'CANCELLED') throw thrown;
      this.#work.event('error', `repair failed and is tried again: ${code} ${message}`);
      return false;
    }
  }

  #tellRepair({ wanted, repaired, refused, unreachable }: RepairReport): void {
    for (const [source, count] of refused) {
      this.#work.event('error', `${source} gave wrong bytes for ${count} chunks: they were refused`);
    }
    for (const [source, reason] of unreachable) {
      this.#work.event('warn', `${source} cannot be asked for lost chunks now: ${reason}`);
    }
    if (repaired > 0) this.#work.event('info', `${repaired} of ${wanted} lost chunks have been repaired`);
  }

  #tell({ names, damagedFiles, lostChunks }: ReferenceReport): void {
    if (damagedFiles === 0) return;
    const more = damagedFiles > names.length ? ` and ${damagedFiles - names.length} more` : '';
    this.#work.event(
      'error',
      `${lostChunks} chunks are lost, which these files need: ${names.join(', ')}${more}`,
    );
  }
}

/** What one walk has found. */
class Walk {
  readonly report: ReferenceReport;
  /** By name; what is beyond the bound is asked for when these are there again. */
  readonly wanted = new Map<string, WantedChunk>();
  /** Blockmaps of files that want them: kept for as long as the walk and its repair take. */
  readonly held = new Set<BlockmapRoot>();
  isRepaired = false;
  readonly #wantedMax: number;

  constructor(healedChunks: number, wantedMax: number) {
    this.#wantedMax = wantedMax;
    const none = { files: 0, damagedFiles: 0, lostChunks: 0 };
    this.report = { ...none, healedChunks, names: [] };
  }

  /** False: there is no room for more. */
  want(chunk: WantedChunk): boolean {
    const name = nameOf(chunk.fingerprint, 0);
    if (this.wanted.has(name)) return true;
    if (this.wanted.size >= this.#wantedMax) return false;
    this.wanted.set(name, chunk);
    this.report.lostChunks += 1;
    return true;
  }

  name(file: string): void {
    this.report.damagedFiles += 1;
    if (this.report.names.length < SCRUB_FILES_NAMED_MAX) this.report.names.push(file);
  }
}
