/**
 * A workload on a recorded file system of the real kernel, and then the crashes that it could have ended
 * in: for flushes of the record, and positions between them, the image of that crash is mounted (which
 * replays the journal), the store in it is opened, and what was acknowledged before that position has to
 * be there.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
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
  readonly problems: readonly string[];
}

type Numbers = (bound: number) => number;

class Workload {
  readonly #lane = new DirectLane();
  readonly #directory: string;
  readonly #next: Numbers;
  readonly history: History;
  #system!: WholeSystem;

  constructor(directory: string, seed: number, history: History) {
    this.#directory = directory;
    this.#next = seededNumbers(seed);
    this.history = history;
  }

  async prepare(isEncrypted: boolean): Promise<void> {
    mkdirSync(this.#directory);
    this.#system = await openSystem(this.#lane, this.#directory);
    const encryption = isEncrypted ? ({ encryption: 'static', ...SECRETS } as const) : {};
    await this.#system.catalog.addGroup({ name: 'g', ...encryption });
    await this.#system.catalog.addContainer('c', 'g');
  }

  async turn(): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#client(client)));
    const { context, catalog } = this.#system;
    if (this.#next(2) === 0) await writeCheckpoint(context, catalog.openedGroup('g'));
    else await this.#restart();
  }

  close(): Promise<void> {
    return this.#system.close();
  }

  async #restart(): Promise<void> {
    await this.#system.close();
    this.#system = await openSystem(this.#lane, this.#directory);
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

function openSystem(lane: DirectLane, directory: string): Promise<WholeSystem> {
  return WholeSystem.open({ lane, directory, unlock: { keyFile: SECRETS.keyFile } });
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

/** What does not hold in a store that a crash has left, after recovery and after a second start. */
async function recoveryProblems(directory: string, ledger: Ledger): Promise<string[]> {
  const lane = new DirectLane();
  const problems: string[] = [];
  const before = await opened(lane, directory, async system => {
    problems.push(...(await stateProblems(system, ledger)));
    return summary(system.catalog);
  });
  await opened(lane, directory, async system => {
    const after = summary(system.catalog);
    if (before !== after) problems.push(`a second start changed ${before} to ${after}`);
    problems.push(...(await stateProblems(system, ledger)));
    const bytes = seededBytes(4711, 20_000);
    ledger.send('c/after', contentOf(bytes));
    await system.put('c', 'after', bytes);
    ledger.acknowledge('c/after');
    problems.push(...(await system.problems(ledger)));
  });
  return problems;
}

async function opened<T>(
  lane: DirectLane,
  directory: string,
  use: (system: WholeSystem) => Promise<T>,
): Promise<T> {
  const system = await openSystem(lane, directory);
  try {
    return await use(system);
  } finally {
    await system.close();
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

async function record(
  disk: RecordedDisk,
  options: ReplayOptions,
): Promise<{ from: number; history: History }> {
  const history = new History(() => disk.position());
  const workload = new Workload(join(disk.mount, 'data'), options.seed, history);
  await workload.prepare(options.isEncrypted);
  const from = disk.position();
  for (let turn = 0; turn < options.turns; turn += 1) await workload.turn();
  await workload.close();
  disk.unmount();
  return { from, history };
}

export async function replayBlocks(options: ReplayOptions): Promise<ReplayReport> {
  const disk = await RecordedDisk.start(options.fileSystem);
  try {
    const { from, history } = await record(disk, options);
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
    return { states, flushes: intervals.length, operations: history.length, problems };
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
