/**
 * A workload on a recorded file system of the real kernel, and then the crashes that it could have ended
 * in: for flushes of the record, and positions between them, the image of that crash is mounted (which
 * replays the journal), the store in it is opened, and what was acknowledged before that position has to
 * be there.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, SYSTEM_CLOCK } from '../../src/base/clock.js';
import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { Cleaners } from '../../src/cleaner/cleaners.js';
import { DirectLane } from '../support/direct-lane.js';
import { contentOf, type Ledger, seededBytes, seededNumbers } from '../support/ledger.js';
import { WholeSystem } from '../support/whole-system.js';
import { CrashImages, type Interval, readIntervals } from './crash-images.js';
import { History } from './history.js';
import { type FileSystemName, RecordedDisk, withMounted } from './recorded-disk.js';

const SECRETS = { passphrase: 'p', keyFile: Buffer.alloc(32, 'a key file') };
const KIB = 1024;
const SIZES = [0, 700, 12 * KIB, 70 * KIB, 300 * KIB] as const;
const NAMES = 6;
/** At once. */
const CLIENTS = 3;
/** What a crash has interrupted is gone on with, and all of it ends. */
const CYCLES_AFTERWARDS = 2;
const REST_MS_MAX = 10_000;

export interface ReplayOptions {
  readonly fileSystem: FileSystemName;
  readonly isEncrypted: boolean;
  readonly seed: number;
  /** Turns of the workload; a turn is some operations of each client and a checkpoint or a restart. */
  readonly turns: number;
  /** Crash states that are looked at, spread over the record. */
  readonly states: number;
  /** Canary: a disk that loses so many of the intervals that it has said to be flushed. */
  readonly lostIntervals?: number;
  /** No state is begun later than that. */
  readonly isOver?: () => boolean;
}

export interface ReplayReport {
  readonly states: number;
  readonly flushes: number;
  readonly operations: number;
  /** Of the cleaner, in the workload. */
  readonly cycles: number;
  /** Data stores that these have emptied and then given back. */
  readonly reclaimed: number;
  readonly problems: readonly string[];
}

type Numbers = (bound: number) => number;

/** A system whose cleaner runs when it is told to. */
interface Opened {
  readonly system: WholeSystem;
  readonly cleaners: Cleaners;
}

class Workload {
  readonly #lane = new DirectLane();
  readonly #directory: string;
  readonly #next: Numbers;
  readonly history: History;
  #opened!: Opened;
  cycles = 0;
  reclaimed = 0;

  constructor(directory: string, seed: number, history: History) {
    this.#directory = directory;
    this.#next = seededNumbers(seed);
    this.history = history;
  }

  async prepare(isEncrypted: boolean): Promise<void> {
    mkdirSync(this.#directory);
    this.#opened = await openSystem(this.#lane, this.#directory);
    const encryption = isEncrypted ? ({ encryption: 'static', ...SECRETS } as const) : {};
    await this.#system.catalog.addGroup({ name: 'g', ...encryption });
    await this.#system.catalog.addContainer('c', 'g');
  }

  async turn(): Promise<void> {
    const clients = Array.from({ length: CLIENTS }, (_, client) => this.#client(client));
    await Promise.all([...clients, this.#clean()]);
    const { context, catalog } = this.#system;
    if (this.#next(2) === 0) await writeCheckpoint(context, catalog.openedGroup('g'));
    else await this.#restart();
    await this.#clean();
  }

  get #system(): WholeSystem {
    return this.#opened.system;
  }

  /** One cycle; two of them, without a deletion between, give all space back. */
  async #clean(): Promise<void> {
    const report = await this.#opened.cleaners.of('g').runCycle('thorough');
    if (report.outcome !== 'done') throw new Error(`cleaner: ${report.outcome}: ${report.failure}`);
    this.cycles += 1;
    this.reclaimed += report.figures.reclaimedStores;
  }

  close(): Promise<void> {
    return this.#system.close();
  }

  async #restart(): Promise<void> {
    await this.#system.close();
    this.#opened = await openSystem(this.#lane, this.#directory);
  }

  async #client(client: number): Promise<void> {
    for (let count = 2 + this.#next(3); count > 0; count -= 1) {
      const path = `client${client}/f${this.#next(NAMES)}`;
      const isThere = this.history.ledgerAt(Infinity).acknowledged(`c/${path}`) !== undefined;
      if (isThere && this.#next(3) === 0) await this.#remove(path);
      else await this.#put(path);
    }
  }

  async #put(path: string): Promise<void> {
    // Few seeds: much of what is put is there already.
    const bytes = seededBytes(this.#next(8), SIZES[this.#next(SIZES.length)]! + this.#next(3) * 1000);
    await this.history.run(`c/${path}`, contentOf(bytes), () => this.#system.put('c', path, bytes));
  }

  async #remove(path: string): Promise<void> {
    await this.history.run(`c/${path}`, undefined, () => this.#system.catalog.deleteFile('c', path));
  }
}

/** The cleaner rests hardly at all; whether a cycle begins by itself it asks as seldom as ever. */
const HURRIED_CLOCK: Clock = {
  ...SYSTEM_CLOCK,
  after: (delayMs, action) => SYSTEM_CLOCK.after(delayMs < REST_MS_MAX ? 0 : delayMs, action),
};

async function openSystem(lane: DirectLane, directory: string): Promise<Opened> {
  const cleaners = new Cleaners({ clock: HURRIED_CLOCK, disk: 0, onEvent: () => undefined });
  const context = { clock: SYSTEM_CLOCK, services: [cleaners.make] };
  const unlock = { keyFile: SECRETS.keyFile };
  const system = await WholeSystem.open({ lane, directory, unlock, context });
  return { system, cleaners };
}

function summary(catalog: GranaryCatalog): string {
  const groups = catalog.listGroups().map(({ name }) => {
    const { sequence, totals } = catalog.openedGroup(name).state;
    return [name, sequence, totals];
  });
  return JSON.stringify([groups, catalog.listContainers()]);
}

async function stateProblems(system: WholeSystem, ledger: Ledger): Promise<string[]> {
  const failures = system.catalog.listGroups().flatMap(({ name, failure, isLocked }) => {
    if (failure === undefined && !isLocked) return [];
    return [`group ${name}: ${failure ?? 'locked'}`];
  });
  if (failures.length > 0) return failures;
  const { damages } = await system.verify();
  const damaged = damages.map(({ what, reason }) => `${what}: ${reason}`);
  return [...damaged, ...(await system.problems(ledger))];
}

/** What does not hold in a store that a crash has left, after recovery, a second start, and a cleaning. */
async function recoveryProblems(directory: string, ledger: Ledger): Promise<string[]> {
  const lane = new DirectLane();
  const problems: string[] = [];
  const before = await opened(lane, directory, async ({ system }) => {
    problems.push(...(await stateProblems(system, ledger)));
    return summary(system.catalog);
  });
  await opened(lane, directory, async ({ system, cleaners }) => {
    const after = summary(system.catalog);
    if (before !== after) problems.push(`a second start changed ${before} to ${after}`);
    problems.push(...(await stateProblems(system, ledger)));
    const bytes = seededBytes(4711, 20_000);
    ledger.send('c/after', contentOf(bytes));
    await system.put('c', 'after', bytes);
    ledger.acknowledge('c/after');
    for (let cycle = 0; cycle < CYCLES_AFTERWARDS; cycle += 1) {
      const { outcome, failure } = await cleaners.of('g').runCycle('thorough');
      if (outcome !== 'done') problems.push(`cleaner afterwards: ${outcome}: ${failure}`);
    }
    problems.push(...(await stateProblems(system, ledger)));
  });
  return problems;
}

async function opened<T>(
  lane: DirectLane,
  directory: string,
  use: (opened: Opened) => Promise<T>,
): Promise<T> {
  const found = await openSystem(lane, directory);
  try {
    return await use(found);
  } finally {
    await found.system.close();
  }
}

interface Crash {
  readonly interval: number;
  /** Writes that were given to the disk. */
  readonly count: number;
  /** 0: none of them is on it. */
  readonly seed: number;
}

/** Crashes in order; each interval has one at its flush and others between its writes, evenly thinned. */
function chooseCrashes(intervals: readonly Interval[], states: number, next: Numbers): Crash[] {
  const perInterval = Math.max(2, Math.ceil(states / intervals.length));
  const all = intervals.flatMap(({ writes }, interval) =>
    Array.from({ length: perInterval }, (_, at): Crash => {
      if (at === 0) return { interval, count: 0, seed: 0 };
      return { interval, count: 1 + next(writes.length), seed: 1 + next(2 ** 30) };
    }),
  );
  const step = all.length / states;
  if (step <= 1) return all;
  const phase = next(1000) / 1000;
  return Array.from({ length: states }, (_, at) => all[Math.floor((at + phase) * step)]!);
}

interface Recorded {
  readonly from: number;
  readonly history: History;
  readonly cycles: number;
  readonly reclaimed: number;
}

async function record(disk: RecordedDisk, options: ReplayOptions): Promise<Recorded> {
  const history = new History(() => disk.position());
  const workload = new Workload(join(disk.mount, 'data'), options.seed, history);
  await workload.prepare(options.isEncrypted);
  const from = disk.position();
  for (let turn = 0; turn < options.turns; turn += 1) await workload.turn();
  await workload.close();
  disk.unmount();
  return { from, history, cycles: workload.cycles, reclaimed: workload.reclaimed };
}

export async function replayBlocks(options: ReplayOptions): Promise<ReplayReport> {
  const disk = await RecordedDisk.start(options.fileSystem);
  try {
    const { from, history, ...cleaned } = await record(disk, options);
    const [base, ...intervals] = readIntervals(disk.recordFile, from);
    const images = new CrashImages(disk.size);
    images.pass(base!);
    const image = join(disk.folder, 'image');
    const problems: string[] = [];
    let states = 0;
    let passed = 0;
    for (const crash of chooseCrashes(intervals, options.states, seededNumbers(options.seed + 1))) {
      if (options.isOver?.() === true) break;
      const durable = crash.interval - (options.lostIntervals ?? 0);
      for (; passed < durable; passed += 1) images.pass(intervals[passed]!);
      const interval = intervals[crash.interval]!;
      const numbers = crash.seed === 0 ? undefined : seededNumbers(crash.seed);
      images.write(image, interval, crash.count, numbers);
      const position = crash.count === 0 ? interval.begin : interval.writes[crash.count - 1]!.end;
      const wrong = await crashProblems(image, options.fileSystem, history.ledgerAt(position));
      if (wrong.length > 0) problems.push(`${JSON.stringify(crash)}: ${wrong.slice(0, 3).join('; ')}`);
      states += 1;
    }
    rmSync(image, { force: true });
    return { states, flushes: intervals.length, operations: history.length, ...cleaned, problems };
  } finally {
    disk.close();
  }
}

async function crashProblems(image: string, fileSystem: FileSystemName, ledger: Ledger): Promise<string[]> {
  try {
    return await withMounted(image, fileSystem, mount => recoveryProblems(join(mount, 'data'), ledger));
  } catch (thrown) {
    return [(thrown as Error).stack ?? String(thrown)];
  }
}
