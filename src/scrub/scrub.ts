/**
 * Scrub of one storage group (src/FLOWS.md, "Scrub"): reads everything again before anybody needs it. Passes
 * run beside each other, each looked for every SCRUB_TICK_MS: records that are new or said to be damaged, and
 * all in a rolling round (record-pass.ts), references (reference-pass.ts), whole files (file-pass.ts). What
 * they find is in quarantine before they go on, told as an event, and repaired where a source has the bytes.
 * How far they are is durable (scrub-state.ts).
 */
import { type Clock, isoTime, type Timer } from '../base/clock.js';
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { SCRUB_REFERENCES_MS, SCRUB_SAVE_MS, SCRUB_TICK_MS } from '../base/limits.js';
import type { CatalogEvent, GroupService } from '../catalog/context.js';
import { DamagedChunks } from '../catalog/damaged-chunks.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import { FilePass } from './file-pass.js';
import { RecordPass } from './record-pass.js';
import { ReferencePass } from './reference-pass.js';
import { ScrubState } from './scrub-state.js';
import { ScrubWork } from './work.js';

export interface ScrubContext {
  readonly clock: Clock;
  readonly onEvent: (event: CatalogEvent) => void;
}

export type ScrubStage = 'records' | 'references' | 'files';
type Piece = 'fresh' | ScrubStage;
const PIECES: readonly Piece[] = ['fresh', 'records', 'references', 'files'];

export interface ScrubProgress {
  readonly group: string;
  readonly stage: ScrubStage;
  /** Bytes of data stores, files, log records. */
  readonly done: number;
  readonly total: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ScrubProgress) => void) | undefined;
}

/** What `granary scrub run` answers of a group. */
export interface ScrubRunReport {
  readonly group: string;
  readonly bytesRead: number;
  readonly filesRead: number;
  readonly damagedRecords: number;
  readonly quarantinedChunks: number;
  readonly repairedChunks: number;
  readonly healedChunks: number;
  readonly lostChunks: number;
  /** How many, and the first of them by name. */
  readonly damagedFiles: number;
  readonly names: readonly string[];
}

/** What `granary scrub status` answers of a group. */
export interface ScrubStatus {
  readonly group: string;
  /** A run on demand, as far as it is. */
  readonly running?: ScrubProgress;
  /** Of the round over all records, by the order of data stores; and when the last one was complete. */
  readonly roundPercent: number;
  readonly roundStarted: string;
  readonly roundCompleted?: string;
  /** Closed data stores that have not been read back yet. */
  readonly unreadDataStores: number;
  readonly referencesChecked?: string;
  /** Files up to this version have been read as a whole; `lastVersion`: that of the newest commit. */
  readonly checkedVersion: number;
  readonly lastVersion: number;
  readonly bytesRead: number;
  readonly filesRead: number;
  readonly quarantinedChunks: number;
  /** Of these, chunks that have another copy now. */
  readonly healedChunks: number;
  readonly repairedChunks: number;
  /** As the last pass over the references found it. */
  readonly lostChunks: number;
  readonly damagedFiles: number;
  readonly names: readonly string[];
}

/** The passes of one activity: until they are told to end. */
interface Activity {
  readonly abort: AbortController;
  readonly work: ScrubWork;
  /** Two, since one must not take what the other finds for its own. */
  readonly fresh: RecordPass;
  readonly records: RecordPass;
  readonly references: ReferencePass;
  readonly files: FilePass;
}

export class Scrub implements GroupService {
  readonly #context: ScrubContext;
  readonly #group: OpenedGroup;
  #opening: Promise<ScrubState> | undefined;
  #background: Activity | undefined;
  readonly #pieces = new Map<Piece, Promise<void>>();
  readonly #timers = new Map<Piece, Timer>();
  #running: ScrubProgress | undefined;
  #isRunning = false;
  #runs: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #savedMs = Number.NEGATIVE_INFINITY;
  #needsReferences = false;
  #lastReferences: ReferencePass['last'];

  constructor(context: ScrubContext, group: OpenedGroup) {
    this.#context = context;
    this.#group = group;
  }

  start(): void {
    this.#group.damageReports.onReport = () => this.#begin('fresh', 0);
    for (const piece of PIECES) this.#begin(piece, SCRUB_TICK_MS);
  }

  /** Ends what is under way within a unit of work, and makes durable how far it was. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#endBackground();
    await this.#runs;
    if (this.#opening === undefined || this.#group.queue.failure !== undefined) return;
    const state = await this.#opening.catch(() => undefined);
    await state?.save().catch((thrown: unknown) => this.#warn(thrown));
  }

  /** All that is due now, each pass once. */
  async tick(): Promise<void> {
    for (const piece of PIECES) await this.#piece(piece);
  }

  /**
   * Reads everything now: all records, all references, files that are new. One run at a time. CANCELLED: the
   * signal came, or the group closes.
   */
  run(options: RunOptions = {}): Promise<ScrubRunReport> {
    const run = this.#runs.then(() => this.#run(options));
    this.#runs = run.catch(() => undefined);
    return run;
  }

  async status(): Promise<ScrubStatus> {
    const state = await this.#state();
    const { content } = state;
    const stores = await this.#group.lane.call('listDataStores', this.#group.engine);
    const total = stores.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    const read = stores.filter(({ id }) => id < content.dataStore).reduce((sum, s) => sum + s.fileBytes, 0);
    const { work, records } = this.#activity(state);
    const unread = await records.unread();
    const damaged = await DamagedChunks.of(work.group);
    const last = this.#lastReferences;
    return {
      group: this.#group.name,
      ...(this.#running === undefined ? {} : { running: this.#running }),
      roundPercent: total === 0 ? 0 : Math.floor((100 * read) / total),
      roundStarted: isoTime(content.roundMs),
      ...(content.roundDoneMs === 0 ? {} : { roundCompleted: isoTime(content.roundDoneMs) }),
      unreadDataStores: unread.length,
      ...(content.referencesMs === 0 ? {} : { referencesChecked: isoTime(content.referencesMs) }),
      checkedVersion: content.checkedVersion,
      lastVersion: this.#group.state.sequence,
      bytesRead: content.bytesRead,
      filesRead: content.filesRead,
      quarantinedChunks: damaged.size + damaged.healedCount,
      healedChunks: damaged.healedCount,
      repairedChunks: content.chunksRepaired,
      lostChunks: last?.lostChunks ?? 0,
      damagedFiles: last?.damagedFiles ?? 0,
      names: last?.names ?? [],
    };
  }

  // --- on demand ---

  async #run(options: RunOptions): Promise<ScrubRunReport> {
    if (this.#isClosed) throw new StoreError('CANCELLED', `storage group '${this.#group.name}' closes`);
    this.#isRunning = true;
    await this.#endBackground();
    const state = await this.#state();
    const activity = this.#activity(state);
    this.#background = activity;
    const abort = () => activity.abort.abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    if (options.signal?.aborted === true) abort();
    const before = { ...state.content };
    const progress = (stage: ScrubStage) => (done: number, total: number) => {
      this.#running = { group: this.#group.name, stage, done, total };
      options.onProgress?.(this.#running);
    };
    try {
      await activity.records.reported();
      await activity.records.all(progress('records'));
      const damagedRecords = activity.records.damages;
      this.#lastReferences = await activity.references.run(progress('references'));
      await activity.files.newFiles(progress('files'));
      const found = activity.records.quarantined;
      await activity.records.reported();
      if (activity.records.quarantined > found) this.#lastReferences = await activity.references.run();
      return this.#report(activity, before, damagedRecords);
    } finally {
      options.signal?.removeEventListener('abort', abort);
      this.#running = undefined;
      this.#isRunning = false;
      this.#background = undefined;
      await this.#save(state);
      for (const piece of PIECES) this.#begin(piece, SCRUB_TICK_MS);
    }
  }

  #report(
    { work, records, references, files }: Activity,
    before: ScrubState['content'],
    damagedRecords: number,
  ): ScrubRunReport {
    const { content } = work.state;
    const { lostChunks, damagedFiles, names, healedChunks } = references.last!;
    return {
      group: this.#group.name,
      bytesRead: content.bytesRead - before.bytesRead,
      filesRead: content.filesRead - before.filesRead,
      damagedRecords,
      quarantinedChunks: records.quarantined,
      repairedChunks: content.chunksRepaired - before.chunksRepaired,
      ...{ healedChunks, lostChunks },
      damagedFiles: Math.max(damagedFiles, files.failedCount),
      names: [...new Set([...names, ...files.failed])],
    };
  }

  // --- in the background ---

  /** The piece runs `delayMs` from now, and then every SCRUB_TICK_MS behind its end. */
  #begin(piece: Piece, delayMs: number): void {
    if (this.#isClosed) return;
    this.#timers.get(piece)?.cancel();
    const run = () => void this.#piece(piece).then(() => this.#begin(piece, SCRUB_TICK_MS));
    this.#timers.set(piece, this.#context.clock.after(delayMs, run));
  }

  /** Never rejects. While it runs already, nothing. */
  #piece(piece: Piece): Promise<void> {
    const running = this.#pieces.get(piece);
    if (running !== undefined) return running;
    if (this.#isClosed || this.#isRunning || this.#isStopped) return Promise.resolve();
    const started = this.#work(piece)
      .catch((thrown: unknown) => this.#warn(thrown))
      .finally(() => this.#pieces.delete(piece));
    this.#pieces.set(piece, started);
    return started;
  }

  get #isStopped(): boolean {
    return this.#group.queue.failure !== undefined || this.#group.isRebuilding;
  }

  async #work(piece: Piece): Promise<void> {
    const state = await this.#state();
    this.#background ??= this.#activity(state);
    const { fresh, records, references, files } = this.#background;
    const before = fresh.quarantined + records.quarantined;
    if (piece === 'fresh') await fresh.fresh();
    else if (piece === 'records') await records.round();
    else if (piece === 'references') await this.#references(state, references);
    else await files.due();
    if (fresh.quarantined + records.quarantined > before) {
      this.#needsReferences = true;
      this.#begin('references', 0);
    }
    await this.#saveNowAndThen(state);
  }

  /** Due daily, and when there is new damage: which files need it? */
  async #references(state: ScrubState, references: ReferencePass): Promise<void> {
    const age = this.#context.clock.nowMs() - state.content.referencesMs;
    if (!this.#needsReferences && age >= 0 && age < SCRUB_REFERENCES_MS) return;
    this.#needsReferences = false;
    this.#lastReferences = await references.run();
  }

  async #endBackground(): Promise<void> {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#background?.abort.abort();
    await Promise.all(this.#pieces.values());
    this.#background = undefined;
  }

  // --- state ---

  #activity(state: ScrubState): Activity {
    const abort = new AbortController();
    const work = new ScrubWork(this.#group, state, { ...this.#context, signal: abort.signal });
    return {
      abort,
      work,
      fresh: new RecordPass(work),
      records: new RecordPass(work),
      references: new ReferencePass(work),
      files: new FilePass(work),
    };
  }

  #state(): Promise<ScrubState> {
    this.#opening ??= this.#open().catch((thrown: unknown) => {
      this.#opening = undefined;
      throw thrown;
    });
    return this.#opening;
  }

  async #open(): Promise<ScrubState> {
    const state = await ScrubState.open(this.#group, this.#context.clock.nowMs());
    if (state.failure !== undefined) this.#event('warn', `its state is begun anew: ${state.failure}`);
    return state;
  }

  async #saveNowAndThen(state: ScrubState): Promise<void> {
    if (this.#context.clock.monotonicMs() - this.#savedMs >= SCRUB_SAVE_MS) await this.#save(state);
  }

  async #save(state: ScrubState): Promise<void> {
    this.#savedMs = this.#context.clock.monotonicMs();
    await state.save().catch((thrown: unknown) => this.#warn(thrown));
  }

  #warn(thrown: unknown): void {
    if (hasCode(thrown, 'CANCELLED')) return;
    const { code, message } = asStoreError(thrown);
    this.#event('warn', `${code} ${message}; it is tried again`);
  }

  #event(level: CatalogEvent['level'], message: string): void {
    this.#context.onEvent({ level, group: this.#group.name, message: `scrub: ${message}` });
  }
}
