/**
 * One cycle of the cleaner over one group (src/FLOWS.md, "Cleaner"): what earlier epochs have condemned is
 * checked by the second mark and emptied; then the next epoch is begun, everything marked, and condemned what
 * nothing reaches. Two cycles bring space back. Every step is one awaitable call that leaves a state which
 * the next cycle, after a crash too, goes on from.
 */
import { CLEANER_TRASH_EPOCHS_MAX } from '../base/limits.js';
import type { CleanerFile } from './cleaner-file.js';
import { condemn } from './condemn.js';
import { emptyStores } from './emptying.js';
import { demandGate } from './gate.js';
import { retireKeys } from './key-retirement.js';
import { probe } from './probe.js';
import { demandUnread, reclaim, settleTrash } from './trash.js';
import type { Thoroughness } from './victims.js';
import { markFromView, type ViewMark } from './view-mark.js';
import type { Work } from './work.js';

export interface CycleOptions {
  readonly thoroughness: Thoroughness;
  /** How long trash lies at least. */
  readonly holdMs: number;
  /** Names of one pass of mark 2; tests take less. */
  readonly namesMax?: number;
}

export interface Step {
  readonly name: string;
  run(): Promise<void>;
}

export class Cycle {
  readonly #work: Work;
  readonly #file: CleanerFile;
  readonly #options: CycleOptions;
  #mark: ViewMark | undefined;

  constructor(work: Work, file: CleanerFile, options: CycleOptions) {
    this.#work = work;
    this.#file = file;
    this.#options = options;
  }

  /** In their order; each may be the last that runs. end() has to be called behind them in any case. */
  get steps(): readonly Step[] {
    const work = this.#work;
    return [
      { name: 'gate', run: () => this.#gate() },
      { name: 'settle the trash', run: () => settleTrash(work) },
      { name: 'reclaim', run: () => this.#reclaim() },
      { name: 'probe', run: () => this.#probe() },
      { name: 'empty', run: () => this.#empty() },
      { name: 'mark', run: () => this.#markAll() },
      { name: 'condemn', run: () => this.#condemn() },
      { name: 'reclaim what this cycle emptied', run: () => this.#reclaim() },
      { name: 'retire keys', run: () => this.#retire() },
    ];
  }

  async run(): Promise<void> {
    try {
      for (const step of this.steps) await step.run();
    } finally {
      await this.end();
    }
  }

  /** Gives the mark's memory back. */
  async end(): Promise<void> {
    const mark = this.#mark;
    this.#mark = undefined;
    if (mark !== undefined) await this.#work.callAnyway('closeMark', this.#work.engine, mark.handle);
  }

  async #gate(): Promise<void> {
    await demandGate(this.#work.group);
    await demandUnread(this.#work);
  }

  get #condemned() {
    return this.#work.group.state.stores
      .all()
      .filter(({ condemned, moved }) => condemned.length > 0 && moved === undefined);
  }

  /** In an epoch of its own: everything condemned was condemned in an earlier one. */
  async #probe(): Promise<void> {
    const stores = await this.#work.dataStores();
    const ids = this.#condemned.flatMap(({ id }) => (stores.has(id) ? [id] : []));
    if (ids.length === 0) return;
    await this.#work.beginEpoch();
    await probe(this.#work, ids, this.#options.namesMax);
  }

  async #empty(): Promise<void> {
    await emptyStores(this.#work, this.#condemned);
    await this.#noteTrash();
  }

  async #markAll(): Promise<void> {
    const epoch = await this.#work.beginEpoch();
    this.#mark = await markFromView(this.#work);
    await demandUnread(this.#work);
    await this.#file.change(content => ({ ...content, markedEpoch: epoch }));
  }

  async #condemn(): Promise<void> {
    const { thoroughness } = this.#options;
    const { namedBytes } = this.#mark!;
    const settled = await condemn(this.#work, this.#mark!, thoroughness);
    await this.#file.change(content => ({
      ...{ ...content, ...settled, namedBytes, wasGentle: thoroughness === 'gentle' },
    }));
    await this.end();
  }

  /** Since when something lies in the trash is noted before the hold is counted from it. */
  async #noteTrash(): Promise<void> {
    const nowMs = this.#work.clock.nowMs();
    const epochs = new Set(this.#work.group.state.stores.all().flatMap(({ moved }) => moved?.epoch ?? []));
    const noted = this.#file.content.trash;
    // Since a time that is still to come: the clock has been set back, and the hold begins anew.
    const known = noted.filter(({ epoch, sinceMs }) => epochs.has(epoch) && sinceMs <= nowMs);
    const fresh = [...epochs].filter(epoch => !known.some(entry => entry.epoch === epoch));
    if (fresh.length === 0 && known.length === noted.length) return;
    // Beyond the bound an epoch waits for those before it: its hold begins when there is room.
    const all = [...known, ...fresh.map(epoch => ({ epoch, sinceMs: nowMs }))];
    const trash = all.slice(0, CLEANER_TRASH_EPOCHS_MAX);
    await this.#file.change(content => ({ ...content, trash }));
  }

  async #reclaim(): Promise<void> {
    await this.#noteTrash();
    const { markedEpoch, trash } = this.#file.content;
    const nowMs = this.#work.clock.nowMs();
    const { holdMs } = this.#options;
    await reclaim(this.#work, epoch => {
      const sinceMs = trash.find(entry => entry.epoch === epoch)?.sinceMs ?? nowMs;
      return epoch < markedEpoch && (holdMs === 0 || nowMs - sinceMs >= holdMs);
    });
  }

  async #retire(): Promise<void> {
    this.#work.figures.retiredKeys = await retireKeys(this.#work);
  }
}
