/**
 * Two sessions, a deletion and two cycles of the cleaner over the same few chunks, in every order of their
 * steps, with the power cut behind any of them: whole system, real engine. An order is a number, so that all
 * of them, or any share, can be gone through, and one be repeated. (The engine alone is gone through
 * exhaustively by test/native/engine/cleaner_interleaving_test.cc.)
 */
import { Pacer } from '../../src/base/pacer.js';
import type { FileDraft } from '../../src/catalog/types.js';
import { CleanerFile } from '../../src/cleaner/cleaner-file.js';
import { Cycle, type Step } from '../../src/cleaner/cycle.js';
import { Work } from '../../src/cleaner/work.js';
import { Upload } from '../../src/ingest/upload.js';
import { binding, type DiskHandle } from '../../src/native/binding.js';
import { DirectLane } from '../support/direct-lane.js';
import { contentOf, Ledger, seededBytes } from '../support/ledger.js';
import { StillClock } from '../support/open-catalog.js';
import { copyOfViews, DATA, Moment, openSystem, type Running, VIEW_FATES, type Views } from './machine.js';
import { recoveryProblems, stateProblems } from './recovery.js';

/** Three chunks, about; the sessions bring all of them, and the last two with another one. */
const OLD = seededBytes(1, 12_000);
const SESSIONS = [OLD, Buffer.concat([OLD.subarray(4000), seededBytes(2, 3000)])] as const;

type Move = () => Promise<void>;

/** Who takes how many steps: the two sessions, the deletion, the cleaner. */
const ACTORS = [3, 3, 1, 7] as const;
const STEPS = ACTORS.reduce((sum, count) => sum + count, 0);

/** How many orders there are, and with a power cut behind any step or none. */
export const ORDER_COUNT = multinomial(ACTORS);
export const INTERLEAVING_COUNT = ORDER_COUNT * (STEPS + 1);

function multinomial(counts: readonly number[]): number {
  let total = 0;
  let result = 1;
  for (const count of counts) {
    for (let at = 1; at <= count; at += 1) {
      total += 1;
      result = (result * total) / at;
    }
  }
  return Math.round(result);
}

/** Actors in the `rank`-th order. */
function orderOf(rank: number): number[] {
  const left: number[] = [...ACTORS];
  const order: number[] = [];
  let rest = rank;
  while (order.length < STEPS) {
    for (const [actor, count] of left.entries()) {
      if (count === 0) continue;
      left[actor] = count - 1;
      const below = multinomial(left);
      if (rest < below) {
        order.push(actor);
        break;
      }
      rest -= below;
      left[actor] = count;
    }
  }
  return order;
}

/** A system with the old file in a closed data store: where each order begins. */
export class Interleavings {
  readonly #lane = new DirectLane();
  #disk: DiskHandle = 0;
  #views: Views = new Map();

  async prepare(): Promise<void> {
    this.#disk = binding().diskCreate();
    binding().makeDirectory(DATA, this.#disk);
    const { system } = await openSystem({ lane: this.#lane, disk: this.#disk, clock: new StillClock() });
    await system.catalog.addGroup({ name: 'g', chunkSizeAverage: 4096 });
    await system.catalog.addContainer('c', 'g');
    await system.put('c', 'old', OLD);
    await system.close();
    this.#views = await copyOfViews(this.#lane.views);
  }

  /** What does not hold of one interleaving, 0 … INTERLEAVING_COUNT - 1. */
  async problems(number: number): Promise<string[]> {
    const cut = number % (STEPS + 1);
    const order = orderOf(Math.floor(number / (STEPS + 1)));
    const disk = binding().diskCopy(this.#disk);
    this.#lane.views.clear();
    for (const [directory, view] of await copyOfViews(this.#views)) this.#lane.views.set(directory, view);
    try {
      return await this.#run(disk, order, cut, number);
    } catch (thrown) {
      return [(thrown as Error).stack ?? String(thrown)];
    } finally {
      binding().diskDrop(disk);
    }
  }

  async #run(disk: DiskHandle, order: readonly number[], cut: number, number: number): Promise<string[]> {
    const clock = new StillClock();
    const running = await openSystem({ lane: this.#lane, disk, clock, isScrubbed: false });
    const ledger = new Ledger();
    ledger.send('c/old', contentOf(OLD));
    ledger.acknowledge('c/old');
    const play = new Play(running, ledger, disk, clock);
    await play.open();
    for (const [at, actor] of order.entries()) {
      if (at === cut) break;
      await play.next(actor);
    }
    const problems: string[] = [];
    if (cut < STEPS) {
      const moment = await Moment.take(disk, this.#lane.views, this.#views);
      await play.end();
      await running.system.close();
      const lane = new DirectLane();
      const seed = number % 3 === 2 ? number + 2 : number % 3;
      const crashed = await moment.crashed(lane, seed, VIEW_FATES[number % VIEW_FATES.length]!);
      moment.drop();
      const plan = { lane, disk: crashed, ledger, interruptions: [], isFull: false };
      problems.push(...(await recoveryProblems({ ...plan, isThorough: number % 2 === 0 })));
      binding().diskDrop(crashed);
      return problems;
    }
    problems.push(...(await stateProblems(running.system, ledger, false)));
    await running.system.close();
    return problems;
  }
}

/** The actors of one order, and how far each is. */
class Play {
  readonly #running: Running;
  readonly #ledger: Ledger;
  readonly #disk: DiskHandle;
  readonly #clock: StillClock;
  readonly #uploads: Upload[] = [];
  #cycle: Cycle | undefined;
  #actors: Move[][] = [];

  constructor(running: Running, ledger: Ledger, disk: DiskHandle, clock: StillClock) {
    this.#running = running;
    this.#ledger = ledger;
    this.#disk = disk;
    this.#clock = clock;
  }

  async open(): Promise<void> {
    const cleaner = await this.#cleaner();
    this.#actors = [this.#session(0), this.#session(1), [() => this.#remove()], cleaner];
  }

  async next(actor: number): Promise<void> {
    await this.#actors[actor]!.shift()!();
  }

  /** What is still open is given up. */
  async end(): Promise<void> {
    await this.#cycle?.end();
    for (const upload of this.#uploads) await upload.close();
  }

  #session(index: number): Move[] {
    const bytes = SESSIONS[index]!;
    const { catalog } = this.#running.system;
    let upload: Upload;
    let draft: FileDraft;
    return [
      async () => {
        upload = Upload.begin(catalog.openContainer('c').group, { size: bytes.length });
        this.#uploads.push(upload);
        upload.write(bytes);
        draft = await upload.finish();
      },
      async () => {
        this.#ledger.send(`c/new${index}`, contentOf(bytes));
        await catalog.putFile('c', `new${index}`, draft);
        this.#ledger.acknowledge(`c/new${index}`);
      },
      () => upload.close(),
    ];
  }

  async #remove(): Promise<void> {
    this.#ledger.send('c/old', undefined);
    await this.#running.system.catalog.deleteFile('c', 'old');
    this.#ledger.acknowledge('c/old');
  }

  /** Two cycles; steps between which nothing can come that matters are taken together. */
  async #cleaner(): Promise<Move[]> {
    const group = this.#running.system.catalog.openedGroup('g');
    const clock = this.#clock;
    const { lane, directory } = group;
    const file = await CleanerFile.open({ lane, disk: this.#disk, directory, nowMs: () => clock.nowMs() });
    const pacer = new Pacer({ clock, isForegroundBusy: () => false, restFactor: 0 });
    const cycle = (): Map<string, Step> => {
      const work = new Work({ group, clock, pacer, onEvent: () => undefined, answeredReads: 0 });
      this.#cycle = new Cycle(work, file, { thoroughness: 'thorough', holdMs: 0 });
      return new Map(this.#cycle.steps.map(step => [step.name, step]));
    };
    let steps = new Map<string, Step>();
    const take = (names: readonly string[]) => async (): Promise<void> => {
      if (names[0] === 'gate') steps = cycle();
      for (const name of names) await steps.get(name)!.run();
      if (names.at(-1) === 'retire keys') await this.#cycle!.end();
    };
    const before = ['gate', 'settle the trash', 'reclaim', 'probe'];
    const behind = ['condemn', 'reclaim what this cycle emptied', 'retire keys'];
    return [
      ...[[...before, 'empty'], ['mark'], behind].map(take),
      ...[before, ['empty'], ['mark'], behind].map(take),
    ];
  }
}
