/**
 * One simulated run: the whole system with several clients at once, in an order that follows from the seed,
 * on a disk that fails and a machine that loses power. Every few steps the moment is copied and recovered
 * from in several ways, each with other unsynced writes lost, kept or torn (recovery.ts); now and then the
 * run itself goes on from one of them. The model is the ledger: what was acknowledged, and what is under way.
 *
 * The same seed and steps give the same run: order, ids, keys, time and faults all follow from them.
 */
import { createHash } from 'node:crypto';
import { binding, type DiskHandle } from '../../src/native/binding.js';
import { DirectLane } from '../support/direct-lane.js';
import { contentOf, Ledger, seededBytes, seededNumbers } from '../support/ledger.js';
import { StillClock } from '../support/open-catalog.js';
import { seedRandom } from '../support/seeded-random.js';
import { codeOf, type WholeSystem } from '../support/whole-system.js';
import { flipProblems } from './flips.js';
import {
  copyOfViews,
  DATA,
  Moment,
  openSystem,
  type Running,
  ScheduledLane,
  SECRETS,
  VIEW_FATES,
  type Views,
} from './machine.js';
import { type RecoveryPlan, recoveryProblems, stateProblems } from './recovery.js';
import { Scheduler } from './scheduler.js';

export interface Counts {
  steps: number;
  crashStates: number;
  /** Stretches between two starts in which clients overlapped, each in an order of its own. */
  interleavings: number;
  ioFaults: number;
  corruptions: number;
  operations: number;
  /** Of the cleaner. */
  cycles: number;
  lost: number;
  partial: number;
  resurrected: number;
}

export interface Outcome {
  readonly seed: number;
  readonly counts: Counts;
  readonly problems: readonly string[];
  /** Of everything that happened, in order. */
  readonly traceHash: string;
}

export function noCounts(): Counts {
  return {
    ...{ steps: 0, crashStates: 0, interleavings: 0, ioFaults: 0, corruptions: 0, operations: 0, cycles: 0 },
    ...{ lost: 0, partial: 0, resurrected: 0 },
  };
}

const CONTAINERS = ['c', 'd'];
const NAMES = ['a', 'a/b', 'b', '\u{ffee}', '\u{1f600}', 'dir/x', 'dir/y', 'z'];
const FLOWS_MAX = 3;
const DAY_MS = 86_400_000;
/** A checkpoint every few dozen commits. */
const CHECKPOINT_INTERVAL = 4096;

export class Simulation {
  readonly #seed: number;
  readonly #steps: number;
  readonly #next: (bound: number) => number;
  readonly #scheduler: Scheduler;
  readonly #hash = createHash('sha256');
  readonly #clock = new StillClock();
  /** For recoveries of copies: in the order of asking. */
  readonly #aside = new DirectLane();
  readonly #flows = new Set<Promise<void>>();
  readonly #busy = new Set<string>();
  #lane: ScheduledLane;
  #disk: DiskHandle = binding().diskCreate();
  #ledger = new Ledger();
  #running!: Running;
  #oldViews: Views = new Map();
  #isFaulty = false;
  #overlaps = 0;
  readonly #listen: ((what: string) => void) | undefined;
  readonly #counts = noCounts();
  readonly #problems: string[] = [];

  /** `listen` hears of everything that happens, in order. */
  constructor(seed: number, steps: number, listen?: (what: string) => void) {
    this.#listen = listen;
    this.#seed = seed;
    this.#steps = steps;
    this.#next = seededNumbers(seed);
    this.#scheduler = new Scheduler(this.#next, what => this.#trace(what));
    this.#lane = new ScheduledLane(this.#scheduler);
  }

  async run(): Promise<Outcome> {
    seedRandom(this.#seed);
    try {
      await this.#begin();
      while (this.#counts.steps < this.#steps && this.#problems.length === 0) {
        this.#counts.steps += 1;
        await this.#step();
      }
      if (this.#problems.length === 0) await this.#end();
    } catch (thrown) {
      this.#problems.push((thrown as Error).stack ?? String(thrown));
    }
    binding().diskDrop(this.#disk);
    const traceHash = this.#hash.digest('hex').slice(0, 32);
    return { seed: this.#seed, counts: this.#counts, problems: this.#problems, traceHash };
  }

  async #begin(): Promise<void> {
    binding().makeDirectory(DATA, this.#disk);
    await this.#open();
    await this.#rest();
    const { catalog } = this.#system;
    const isEncrypted = this.#seed % 4 === 0;
    const encryption = isEncrypted ? ({ encryption: 'internal', rotationDays: 7, ...SECRETS } as const) : {};
    await this.#drive(catalog.addGroup({ name: 'g', chunkSizeAverage: 4096, ...encryption }));
    for (const name of CONTAINERS) await this.#drive(catalog.addContainer(name, 'g'));
  }

  async #end(): Promise<void> {
    await this.#rest();
    await this.#restart();
    this.#report(await this.#drive(stateProblems(this.#system, this.#ledger, true)));
    await this.#drive(this.#system.close());
  }

  async #step(): Promise<void> {
    const dice = this.#next(1000);
    if (dice < 120) this.#startOperation();
    else if (dice < 124) await this.#explore();
    else if (dice < 128) await this.#loseFlips();
    else if (dice < 130) await this.#losePower();
    else if (dice < 132) await this.#restart();
    else if (dice < 138) this.#startFlow('clean', () => this.#clean());
    else if (dice < 140) this.#startFlow('scrub', () => this.#scrub());
    else if (dice < 146) await this.#passTime();
    else if (dice < 149) this.#planFault();
    else if (dice < 151) this.#oldViews = await copyOfViews(this.#lane.views);
    else await this.#scheduler.step();
  }

  // --- what clients do ---

  #startOperation(): void {
    if (this.#flows.size >= FLOWS_MAX) return;
    const container = CONTAINERS[this.#next(CONTAINERS.length)]!;
    const path = NAMES[this.#next(NAMES.length)]!;
    const name = `${container}/${path}`;
    if (this.#busy.has(name) || this.#ledger.isPending(name)) return;
    const kind = this.#next(20);
    if (kind < 10) this.#startFlow(name, () => this.#put(container, path));
    else if (kind < 13) this.#startFlow(name, () => this.#remove(container, path));
    else if (kind < 18) this.#startFlow(name, () => this.#get(container, path));
    else this.#startFlow(`list ${container}`, () => this.#list(container));
  }

  #startFlow(name: string, action: () => Promise<void>): void {
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    this.#counts.operations += 1;
    this.#overlaps = Math.max(this.#overlaps, this.#flows.size + 1);
    this.#trace(`start ${name}`);
    const flow = action()
      .then(
        () => this.#trace(`done ${name}`),
        (thrown: unknown) => this.#refused(name, thrown),
      )
      .finally(() => {
        this.#flows.delete(flow);
        this.#busy.delete(name);
      });
    this.#flows.add(flow);
  }

  /** A failure is a fault's doing, or a bug. */
  #refused(name: string, thrown: unknown): void {
    const text = (thrown as Error).stack ?? String(thrown);
    if (!this.#isFaulty && !this.#lane.isDead) return void this.#problems.push(`${name}: ${text}`);
    const code = codeOf(thrown);
    this.#trace(`refused ${name} ${code}`);
    // After an I/O error nobody knows: the next start shows it.
    if (code !== 'IO' && code !== 'CANCELLED' && this.#ledger.isPending(name)) this.#ledger.refuse(name);
  }

  /** Much of what is put is there already, at another place. */
  #bytes(): Buffer {
    const sizes = [0, 1, this.#next(600), this.#next(9000), this.#next(40_000), this.#next(120_000)];
    const size = sizes[this.#next(sizes.length)]!;
    const bytes = Buffer.from(seededBytes(this.#next(4), size));
    if (size > 0 && this.#next(3) === 0) bytes[this.#next(size)]! ^= 1;
    return bytes;
  }

  async #put(container: string, path: string): Promise<void> {
    const bytes = this.#bytes();
    const name = `${container}/${path}`;
    this.#ledger.send(name, contentOf(bytes));
    const ledger = this.#ledger;
    const version = await this.#system.put(container, path, bytes);
    ledger.acknowledge(name);
    this.#trace(`version ${version}`);
  }

  async #remove(container: string, path: string): Promise<void> {
    const name = `${container}/${path}`;
    const isThere = this.#ledger.acknowledged(name) !== undefined;
    this.#ledger.send(name, undefined);
    const ledger = this.#ledger;
    try {
      await this.#system.catalog.deleteFile(container, path);
      if (!isThere) this.#problems.push(`${name}: deleted, though it was not there`);
    } catch (thrown) {
      if (codeOf(thrown) !== 'NOT_FOUND') throw thrown;
      if (isThere) this.#problems.push(`${name}: not found by a delete`);
    }
    ledger.acknowledge(name);
  }

  async #get(container: string, path: string): Promise<void> {
    const name = `${container}/${path}`;
    const wanted = this.#ledger.acknowledged(name);
    if (wanted !== undefined && this.#next(2) === 0) {
      const offset = this.#next(wanted.size + 1);
      const length = this.#next(wanted.size - offset + 1);
      const part = await this.#system.get(container, path, { offset, length });
      if (part.length !== length) this.#problems.push(`${name}: ${part.length} of ${length} bytes`);
      return;
    }
    const found = await this.#system.state(container, path);
    const problem = this.#ledger.problem(name, found);
    if (problem !== undefined) this.#problems.push(problem);
  }

  async #list(container: string): Promise<void> {
    for (const path of await this.#system.list(container)) {
      const name = `${container}/${path}`;
      const isKnown = this.#ledger.paths.includes(name);
      if (!isKnown) this.#problems.push(`${name}: listed, and never put`);
    }
  }

  /** A brake is wrong, whatever the disk does; other failures only while nothing is wrong with the disk. */
  async #clean(): Promise<void> {
    const lane = this.#lane;
    const { outcome, failure, figures } = await this.#running.cleaners.of('g').runCycle();
    this.#trace(`cycle ${outcome} ${JSON.stringify(figures)}`);
    this.#counts.cycles += 1;
    const isExcused = this.#isFaulty || lane.isDead || outcome === 'cancelled';
    if (outcome === 'done' || (isExcused && outcome !== 'braked')) return;
    this.#problems.push(`a cycle of the cleaner ended ${outcome}: ${failure ?? ''}`);
  }

  async #scrub(): Promise<void> {
    if (!this.#isScrubbed) return;
    const lane = this.#lane;
    const [report] = await this.#running.scrubs.run({ group: 'g' });
    const { damagedRecords, lostChunks, damagedFiles } = report!;
    const found = damagedRecords + lostChunks + damagedFiles;
    if (found === 0 || this.#isFaulty || lane.isDead) return;
    this.#problems.push(`scrub finds damage where there is none: ${JSON.stringify(report)}`);
  }

  // --- what happens to the machine ---

  /** Seconds mostly, so that background work is due; sometimes days, so that keys rotate. */
  async #passTime(): Promise<void> {
    this.#clock.advance(this.#next(4) === 0 ? 8 * DAY_MS : 1000 * (1 + this.#next(40)));
    await this.#scheduler.step();
  }

  #planFault(): void {
    if (this.#isFaulty) return;
    const kinds = this.#isScrubbed ? [2, 3, 4] : [2, 3, 4, 6];
    const kind = kinds[this.#next(kinds.length)]!;
    const operation = 1 + this.#next(25);
    const isForEver = this.#next(3) === 0;
    this.#trace(`fault ${kind} at ${operation} ${isForEver}`);
    binding().diskPlan(this.#disk, kind, operation, isForEver);
    this.#counts.ioFaults += 1;
    this.#isFaulty = true;
  }

  /** An orderly stop and start; the way out of a fault, too. */
  async #restart(): Promise<void> {
    await this.#rest();
    this.#trace('restart');
    if (this.#isFaulty) {
      // What failed has stopped: the machine is switched off and on.
      await this.#losePower();
      return;
    }
    await this.#drive(this.#system.close());
    await this.#open();
  }

  async #losePower(): Promise<void> {
    const moment = await Moment.take(this.#disk, this.#lane.views, this.#oldViews);
    await this.#die();
    const fate = VIEW_FATES[this.#next(VIEW_FATES.length)]!;
    const seed = this.#crashSeed();
    this.#trace(`crash ${seed} ${fate}`);
    this.#disk = await moment.crashed(this.#aside, seed, fate);
    moment.drop();
    const lane = new ScheduledLane(this.#scheduler);
    for (const [directory, view] of this.#aside.views) lane.views.set(directory, view);
    this.#lane = lane;
    await this.#open();
    this.#counts.crashStates += 1;
    this.#report(await this.#drive(stateProblems(this.#system, this.#ledger, this.#next(4) === 0)));
  }

  /** Everything that runs fails and ends; what it does meanwhile happens to a disk that is thrown away. */
  async #die(): Promise<void> {
    binding().diskPlan(this.#disk, 1, 1, true);
    this.#lane.isDead = true;
    // What the dying ones still learn no client hears.
    const ledger = this.#ledger;
    this.#ledger = ledger.copy();
    await this.#rest();
    await this.#drive(this.#system.close().catch(codeOf));
    await this.#rest();
    binding().diskDrop(this.#disk);
    this.#isFaulty = false;
  }

  #crashSeed(): number {
    const kind = this.#next(5);
    return kind < 2 ? kind : 2 + this.#next(2 ** 31 - 2);
  }

  /** This moment, recovered from in several ways; the run itself does not notice. */
  async #explore(): Promise<void> {
    const moment = await Moment.take(this.#disk, this.#lane.views, this.#oldViews);
    const ways = 10 + this.#next(12);
    for (let way = 0; way < ways && this.#problems.length === 0; way += 1) {
      const seed = way < 2 ? way : this.#crashSeed();
      const fate = VIEW_FATES[this.#next(VIEW_FATES.length)]!;
      const disk = await moment.crashed(this.#aside, seed, fate);
      const plan: RecoveryPlan = {
        lane: this.#aside,
        disk,
        ledger: this.#ledger.copy(),
        interruptions: this.#interruptions(),
        isFull: this.#next(4) === 0,
        isThorough: this.#next(16) === 0,
      };
      this.#trace(`explore ${seed} ${fate} ${plan.interruptions.length}`);
      this.#report(await recoveryProblems(plan));
      this.#counts.crashStates += 1 + plan.interruptions.length;
      binding().diskDrop(disk);
    }
    moment.drop();
  }

  #interruptions(): { operation: number; seed: number }[] {
    const count = Math.max(0, this.#next(8) - 5);
    return Array.from({ length: count }, () => ({
      operation: 1 + this.#next(40),
      seed: this.#crashSeed(),
    }));
  }

  /** Bits of a copy flip after an orderly crash: each file reads right or is refused. */
  async #loseFlips(): Promise<void> {
    const moment = await Moment.take(this.#disk, this.#lane.views, this.#oldViews);
    const disk = await moment.crashed(this.#aside, 1, 'kept');
    const parts = { lane: this.#aside, disk, ledger: this.#ledger.copy(), next: this.#next };
    const rounds = 1 + this.#next(4);
    this.#report(
      await flipProblems({ ...parts, rounds, giveViews: () => moment.giveViews(this.#aside, 'kept') }),
    );
    this.#counts.corruptions += rounds;
    binding().diskDrop(disk);
    moment.drop();
  }

  // --- parts ---

  /** What scrub cannot read is in quarantine until it comes again: runs with read errors go without it. */
  get #isScrubbed(): boolean {
    return this.#seed % 2 === 1;
  }

  get #system(): WholeSystem {
    return this.#running.system;
  }

  async #open(): Promise<void> {
    const opening = {
      lane: this.#lane,
      disk: this.#disk,
      clock: this.#clock,
      checkpointInterval: CHECKPOINT_INTERVAL,
      isScrubbed: this.#isScrubbed,
    };
    this.#running = await this.#drive(openSystem(opening));
    if (this.#overlaps > 1) this.#counts.interleavings += 1;
    this.#overlaps = 0;
  }

  #drive<T>(promise: Promise<T>): Promise<T> {
    return this.#scheduler.drive(promise);
  }

  async #rest(): Promise<void> {
    while (this.#flows.size > 0) {
      // What rests, rests by the clock.
      if (!(await this.#scheduler.step())) this.#clock.advance(1000);
    }
    await this.#scheduler.rest();
  }

  #report(problems: readonly string[]): void {
    for (const problem of problems) {
      this.#problems.push(problem);
      this.#trace(problem);
      if (/found nothing/.test(problem)) this.#counts.lost += 1;
      else if (/allowed nothing$/.test(problem)) this.#counts.resurrected += 1;
      else if (/: found /.test(problem)) this.#counts.partial += 1;
    }
  }

  #trace(what: string): void {
    this.#listen?.(what);
    this.#hash.update(what).update('\n');
  }
}
