/**
 * The cleaner of one open group: one cycle at a time, by itself when there is reason (schedule.ts), or when
 * it is asked to. What stops a cycle is told; a brake lasts until an operator releases it. Main thread only.
 */

import type { Timer } from '../base/clock.js';
import { asStoreError, StoreError } from '../base/errors.js';
import { BACKGROUND_IDLE_MS, CLEANER_TICK_MS, PACER_REST_FACTOR } from '../base/limits.js';
import { Pacer } from '../base/pacer.js';
import type { CatalogContext, GroupService } from '../catalog/context.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import type { CleanerSettings } from '../catalog/types.js';
import { type CleanerContent, CleanerFile, type CycleReport } from './cleaner-file.js';
import { Cycle, type CycleOptions } from './cycle.js';
import { emptyTrashBack, pardonCondemned } from './pardon.js';
import { isDue } from './schedule.js';
import { demandUnread } from './trash.js';
import type { Thoroughness } from './victims.js';
import { BrakePulled, type CycleFigures, type Phase, Work } from './work.js';

const HOUR_MS = 3_600_000;

export interface CleanerStatus {
  readonly group: string;
  /** `braked`: released by resume only. */
  readonly state: 'idle' | 'running' | 'braked';
  readonly brake?: string;
  readonly phase?: Phase;
  readonly done?: number;
  readonly total?: number;
  /** Of the cycle that runs. */
  readonly figures?: CycleFigures;
  readonly last?: CycleReport;
  /** About so much is dead, by the deletions in the log. */
  readonly expectedBytes: number;
  readonly trashBytes: number;
}

export interface CleanerParameters {
  readonly context: Pick<CatalogContext, 'clock' | 'disk' | 'onEvent'>;
  readonly group: OpenedGroup;
  /** As they are now; undefined: not known yet, so nothing begins by itself. */
  readonly settings: () => CleanerSettings | undefined;
  readonly options?: Partial<CycleOptions>;
}

export class Cleaner implements GroupService {
  readonly #parameters: CleanerParameters;
  readonly #abort = new AbortController();
  #file: Promise<CleanerFile> | undefined;
  #running: Promise<CycleReport> | undefined;
  #cancel: AbortController | undefined;
  #work: Work | undefined;
  #timer: Timer | undefined;
  #ticking: Promise<void> | undefined;
  #reading: Promise<void> | undefined;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #answeredReads = 0;

  constructor(parameters: CleanerParameters) {
    this.#parameters = parameters;
  }

  start(): void {
    this.group.onTrashRead = () => {
      this.#reading ??= this.#trashWasRead().finally(() => {
        this.#reading = undefined;
      });
    };
    this.#ticking = this.#tick();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.cancel();
    this.#timer?.cancel();
    await this.#ticking;
    await this.#running;
    await this.#reading;
  }

  get group(): OpenedGroup {
    return this.#parameters.group;
  }

  /**
   * Runs a cycle, or waits for the one that runs. Never throws for what stops a cycle: the report says it.
   * LOCKED: the brake is pulled; CANCELLED: the group is being closed.
   */
  async runCycle(thoroughness: Thoroughness = 'thorough'): Promise<CycleReport> {
    if (this.#running !== undefined) return this.#running;
    const file = await this.#open();
    if (this.#abort.signal.aborted) throw new StoreError('CANCELLED', 'the storage group is being closed');
    if (file.content.brake !== undefined) {
      throw new StoreError('LOCKED', `${file.content.brake.reason}; 'granary cleaner resume' releases it`);
    }
    this.#running ??= this.#run(file, thoroughness).finally(() => {
      this.#running = undefined;
      this.#lastEndMs = this.#parameters.context.clock.monotonicMs();
    });
    return this.#running;
  }

  /** Ends the cycle that runs, soon, in a state from which the next one goes on. */
  cancel(): void {
    this.#cancel?.abort();
  }

  /** Releases the brake: what was condemned before is not believed any more. Nothing, when there is none. */
  async release(): Promise<void> {
    await this.#running;
    await this.#reading;
    const file = await this.#open();
    if (file.content.brake === undefined) return;
    const work = this.#makeWork(new AbortController().signal);
    // What a crash or a failure has left there when the brake was pulled.
    await emptyTrashBack(work);
    const { trashReads } = await work.callAnyway('counters', work.engine);
    await pardonCondemned(work);
    this.#answeredReads = trashReads;
    await file.change(({ brake: _released, ...content }) => content);
    work.note('info', 'the brake has been released; what was condemned is pardoned');
  }

  async status(): Promise<CleanerStatus> {
    const { content } = await this.#open();
    const { group } = this;
    const isClosing = this.#abort.signal.aborted;
    const { trashBytes } = isClosing ? group.space.counters : await group.space.refresh();
    const work = this.#running === undefined ? undefined : this.#work;
    return {
      group: group.name,
      state: content.brake !== undefined ? 'braked' : this.#running !== undefined ? 'running' : 'idle',
      ...(content.brake === undefined ? {} : { brake: content.brake.reason }),
      ...(work === undefined ? {} : { ...work.progress, figures: { ...work.figures } }),
      ...(content.last === undefined ? {} : { last: content.last }),
      expectedBytes: expectedOf(group, content).expectedBytes,
      trashBytes,
    };
  }

  #open(): Promise<CleanerFile> {
    const { context, group } = this.#parameters;
    this.#file ??= CleanerFile.open({
      lane: group.lane,
      disk: context.disk,
      directory: group.directory,
      nowMs: () => context.clock.nowMs(),
    });
    return this.#file;
  }

  async #run(file: CleanerFile, thoroughness: Thoroughness): Promise<CycleReport> {
    const { clock } = this.#parameters.context;
    const startedMs = clock.nowMs();
    this.#cancel = new AbortController();
    const work = this.#makeWork(this.#cancel.signal);
    this.#work = work;
    let ending: Pick<CycleReport, 'outcome' | 'failure'> = { outcome: 'done' };
    try {
      const holdMs = (this.#parameters.settings()?.holdHours ?? 0) * HOUR_MS;
      await new Cycle(work, file, { thoroughness, holdMs, ...this.#parameters.options }).run();
    } catch (thrown) {
      ending = await this.#endingOf(work, file, thrown);
    }
    const report = { startedMs, endedMs: clock.nowMs(), ...ending, figures: work.figures };
    await file
      .change(content => ({ ...content, last: report }))
      .catch((thrown: unknown) =>
        work.note('warn', `its report is not kept: ${asStoreError(thrown).message}`),
      );
    return report;
  }

  async #endingOf(
    work: Work,
    file: CleanerFile,
    thrown: unknown,
  ): Promise<Pick<CycleReport, 'outcome' | 'failure'>> {
    const error = asStoreError(thrown);
    if (thrown instanceof BrakePulled) return this.#brake(work, file, thrown);
    if (error.code === 'CANCELLED') return { outcome: 'cancelled', failure: error.message };
    work.note('error', `this cycle frees nothing: ${error.message}`);
    return { outcome: 'failed', failure: error.message };
  }

  /** The brake is durable before anything else is done. */
  async #brake(
    work: Work,
    file: CleanerFile,
    { message: reason }: BrakePulled,
  ): Promise<Pick<CycleReport, 'outcome' | 'failure'>> {
    work.note('error', `${reason}; nothing is freed before 'granary cleaner resume'`);
    const sinceMs = this.#parameters.context.clock.nowMs();
    try {
      await file.change(content => ({ ...content, brake: { reason, sinceMs } }));
      await emptyTrashBack(work);
    } catch (thrown) {
      work.note('error', `what is in the trash stays there: ${asStoreError(thrown).message}`);
    }
    return { outcome: 'braked', failure: reason };
  }

  /** The brake is pulled at once: a restart would forget the read, and the trash would go. Never rejects. */
  async #trashWasRead(): Promise<void> {
    await this.#running;
    const work = this.#makeWork(new AbortController().signal);
    try {
      const file = await this.#open();
      if (file.content.brake === undefined) {
        await demandUnread(work).catch((thrown: unknown) => this.#endingOf(work, file, thrown));
      }
    } catch (thrown) {
      work.note('error', `the brake is not pulled: ${asStoreError(thrown).message}`);
    }
  }

  #makeWork(signal: AbortSignal): Work {
    const { context, group } = this.#parameters;
    const { clock, onEvent } = context;
    const pacer = new Pacer({
      clock,
      isForegroundBusy: () => group.idleMs < BACKGROUND_IDLE_MS,
      restFactor: PACER_REST_FACTOR,
      signal,
    });
    return new Work({ group, clock, pacer, onEvent, answeredReads: this.#answeredReads });
  }

  async #tick(): Promise<void> {
    const { context, group } = this.#parameters;
    try {
      const thoroughness = await this.#due(await this.#open());
      if (thoroughness !== undefined) await this.runCycle(thoroughness);
    } catch (thrown) {
      if (!this.#abort.signal.aborted) {
        const message = `cleaner: ${asStoreError(thrown).message}`;
        context.onEvent({ level: 'error', group: group.name, message });
      }
    }
    if (this.#abort.signal.aborted) return;
    this.#timer = context.clock.after(CLEANER_TICK_MS, () => this.start());
  }

  async #due({ content }: CleanerFile): Promise<Thoroughness | undefined> {
    const { context, group, settings } = this.#parameters;
    const { clock } = context;
    const situation = {
      settings: settings(),
      isBraked: content.brake !== undefined,
      nowMs: clock.nowMs(),
      sinceLastMs: clock.monotonicMs() - this.#lastEndMs,
      idleMs: group.idleMs,
      ...expectedOf(group, content),
      wasGentle: content.wasGentle,
      isPending: this.#isPending(content),
      isOutdated: false,
      ...spaceOf(group),
    };
    const due = isDue(situation);
    // The data stores are looked at only when it would make the difference.
    if (due !== undefined || isDue({ ...situation, isOutdated: true }) === undefined) return due;
    return (await this.#isOutdated()) ? 'gentle' : undefined;
  }

  /** Something is condemned, or the hold of what lies in the trash is over. */
  #isPending({ trash }: CleanerContent): boolean {
    const { context, group, settings } = this.#parameters;
    const nowMs = context.clock.nowMs();
    const holdMs = (settings()?.holdHours ?? 0) * HOUR_MS;
    return group.state.stores.all().some(({ condemned, moved }) => {
      if (moved === undefined) return condemned.length > 0;
      const sinceMs = trash.find(({ epoch }) => epoch === moved.epoch)?.sinceMs ?? nowMs;
      return sinceMs > nowMs || nowMs - sinceMs >= holdMs;
    });
  }

  /** Is anything sealed with another key than the active one, that could be sealed anew? */
  async #isOutdated(): Promise<boolean> {
    const { keyring, state, lane, engine } = this.group;
    if (!keyring.isEncrypted) return false;
    return (await lane.call('listDataStores', engine)).some(
      ({ id, isClosed, keyEpoch }) =>
        isClosed && keyEpoch !== keyring.activeEpoch && state.stores.get(id) === undefined,
    );
  }
}

/** So many bytes no current file has brought: they are dead, or others than their first files name them. */
function boundBytes({ space, state }: OpenedGroup): number {
  const { plainBytes, blockmapPlainBytes } = space.counters;
  const named = state.totals.newBytes + state.binTotals.newBytes;
  return plainBytes + blockmapPlainBytes - named + state.mark.duplicateBytes;
}

/** Of what the last mark has found alive, as much may have died as the files have become smaller since. */
function expectedOf(group: OpenedGroup, { aliveBytes, settledBytes, namedBytes }: CleanerContent) {
  const { totals, binTotals } = group.state;
  const goneBytes = Math.max(0, namedBytes - totals.logicalBytes - binTotals.logicalBytes);
  const expected = boundBytes(group) + Math.min(aliveBytes, goneBytes);
  return {
    expectedBytes: Math.max(0, expected - aliveBytes),
    freshBytes: Math.max(0, expected - settledBytes),
  };
}

function spaceOf({ space, settings }: OpenedGroup) {
  const { freeBytes, fileBytes, plainBytes } = space.counters;
  return { freeBytes, fileBytes, plainBytes, quotaBytes: settings.quotaBytes };
}
