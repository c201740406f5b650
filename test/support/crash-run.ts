/**
 * Canonical workloads over a simulated disk, with one fault in the middle, and what has to hold when the
 * system is opened again: nothing acknowledged is lost, nothing is half there, nothing deleted returns, and
 * a second recovery changes nothing.
 */
import { StoreError } from '../../src/base/errors.js';
import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { Cleaners } from '../../src/cleaner/cleaners.js';
import { binding } from '../../src/native/binding.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import { DirectLane } from './direct-lane.js';
import { copyOf } from './fake-log.js';
import { contentOf, Ledger, seededBytes } from './ledger.js';
import { StillClock } from './open-catalog.js';
import { codeOf, WholeSystem } from './whole-system.js';

export const FAULTS = { die: 1, ioError: 2, noSpace: 3, shortWrite: 4, tornDie: 5 } as const;
export type Fault = keyof typeof FAULTS;

/** What becomes of the view in a crash: as it was, gone, or back at an earlier moment. */
export type ViewFate = 'kept' | 'lost' | 'rolled back';

export interface Plan {
  readonly fault: Fault;
  readonly operation: number;
  readonly isForEver: boolean;
  /** 0: all that was not synced is lost, 1: all is kept, others: some, torn. */
  readonly crashSeed: number;
  readonly viewFate: ViewFate;
}

const DATA = '/data';
/** The key file opens the group without the passphrase's price. */
const SECRETS = { passphrase: 'p', keyFile: Buffer.alloc(32, 'a key file') };

export class CrashRun {
  readonly lane = new DirectLane();
  readonly disk = binding().diskCreate();
  readonly ledger = new Ledger();
  /** What must not happen in the middle of it, either. */
  readonly wrong: string[] = [];
  readonly #isEncrypted: boolean;
  #cleaners: Cleaners | undefined;
  #system: WholeSystem | undefined;
  #oldViews = new Map<string, MemoryStore>();

  constructor(isEncrypted: boolean) {
    this.#isEncrypted = isEncrypted;
  }

  get system(): WholeSystem {
    return this.#system!;
  }

  async open(): Promise<void> {
    const { lane, disk } = this;
    this.#cleaners = new Cleaners({ clock: new StillClock(), disk, onEvent: () => undefined });
    this.#system = await WholeSystem.open({
      lane,
      disk,
      directory: DATA,
      unlock: { keyFile: SECRETS.keyFile },
      context: { services: [this.#cleaners.make] },
    });
  }

  /** A group with one container, 'c', that every workload has. */
  async prepare(): Promise<void> {
    binding().makeDirectory(DATA, this.disk);
    await this.open();
    const encryption = this.#isEncrypted ? ({ encryption: 'static', ...SECRETS } as const) : {};
    await this.system.catalog.addGroup({ name: 'g', ...encryption });
    await this.system.catalog.addContainer('c', 'g');
    await this.put('f0', 0, 30_000);
    for (const [directory, view] of this.lane.views) this.#oldViews.set(directory, await copyOf(view));
  }

  /** Each throws what went wrong, after the ledger knows of it. */
  async put(path: string, seed: number, size: number): Promise<void> {
    const bytes = seededBytes(seed, size);
    await this.#do(path, bytes, () => this.system.put('c', path, bytes));
  }

  async remove(path: string): Promise<void> {
    await this.#do(path, undefined, () => this.system.catalog.deleteFile('c', path));
  }

  async #do(path: string, bytes: Uint8Array | undefined, action: () => Promise<unknown>): Promise<void> {
    this.ledger.send(`c/${path}`, bytes === undefined ? undefined : contentOf(bytes));
    await action();
    this.ledger.acknowledge(`c/${path}`);
  }

  async restart(): Promise<void> {
    await this.system.close();
    await this.open();
  }

  async checkpoint(): Promise<void> {
    await writeCheckpoint(this.system.context, this.system.catalog.openedGroup('g'));
  }

  /** One cycle; a brake is wrong whatever the disk does. Throws what ended it. */
  async clean(): Promise<void> {
    const { outcome, failure } = await this.#cleaners!.of('g').runCycle();
    if (outcome === 'braked') this.wrong.push(`the brake was pulled: ${failure}`);
    if (outcome !== 'done') throw new StoreError('IO', failure ?? outcome);
  }

  plan({ fault, operation, isForEver }: Pick<Plan, 'fault' | 'operation' | 'isForEver'>): void {
    binding().diskPlan(this.disk, FAULTS[fault], operation, isForEver);
  }

  /** The machine dies as it is: nothing more reaches the disk. */
  async crash(seed: number, viewFate: ViewFate): Promise<void> {
    binding().diskPlan(this.disk, FAULTS.die, 1, true);
    await this.#system?.close().catch(() => undefined);
    // What the closing has left open, too.
    this.#system = undefined;
    binding().diskCrash(this.disk, seed);
    binding().diskPlan(this.disk, 0, 0, false);
    if (viewFate === 'kept') return;
    for (const directory of [...this.lane.views.keys()]) {
      const old = this.#oldViews.get(directory);
      if (viewFate === 'rolled back' && old !== undefined) this.lane.views.set(directory, await copyOf(old));
      else this.lane.views.delete(directory);
    }
  }

  dispose(): void {
    binding().diskDrop(this.disk);
  }
}

export interface Workload {
  readonly name: string;
  readonly run: (it: CrashRun) => Promise<void>;
  /** Cycles of the cleaner follow behind the recovery. */
  readonly isCleaned?: boolean;
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'small files, overwrites and deletes',
    run: async it => {
      for (const [at, size] of [700, 12_000, 0, 70_000].entries()) await it.put(`f${at}`, at, size);
      await it.put('f1', 11, 40_000);
      await it.remove('f0');
      await it.remove('f3');
      await it.put('f0', 20, 5000);
    },
  },
  {
    name: 'many files at once',
    run: async it => {
      const puts = [1, 2, 3, 4, 5, 6].map(at => it.put(`f${at}`, at, at * 9000));
      const settled = await Promise.allSettled([...puts, it.remove('f0')]);
      const failed = settled.find(result => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  },
  {
    name: 'a file over several data stores, and again with a change',
    run: async it => {
      await it.put('big', 3, 1_400_000);
      await it.put('big', 3, 1_500_000);
      await it.remove('big');
    },
  },
  {
    name: 'restart and checkpoint between puts',
    run: async it => {
      await it.put('f1', 1, 50_000);
      await it.checkpoint();
      await it.restart();
      await it.put('f2', 2, 50_000);
      await it.remove('f1');
      await it.checkpoint();
      await it.put('f3', 3, 3000);
      await it.checkpoint();
    },
  },
  {
    name: 'deletes and cycles of the cleaner',
    isCleaned: true,
    run: async it => {
      await it.put('big', 3, 400_000);
      await it.put('half', 3, 200_000);
      await it.put('f1', 1, 60_000);
      await it.remove('big');
      await it.restart();
      await it.clean();
      // In part it comes again, while it is condemned.
      await it.put('big', 3, 300_000);
      await it.clean();
      await it.checkpoint();
      await it.remove('f1');
      await it.restart();
      await it.clean();
      await it.clean();
    },
  },
  {
    name: 'groups and containers are made and deleted',
    run: async it => {
      const { catalog } = it.system;
      await catalog.addContainer('d', 'g');
      await catalog.addGroup({ name: 'h' });
      await catalog.addContainer('e', 'h');
      await it.put('f1', 1, 20_000);
      await catalog.deleteContainer('e', true);
      await catalog.deleteGroup('h');
      await catalog.deleteContainer('d', true);
    },
  },
];

/** Operations that change the disk, of a run without faults. */
export async function countOperations(workload: Workload, isEncrypted: boolean): Promise<number> {
  const it = new CrashRun(isEncrypted);
  await it.prepare();
  binding().diskPlan(it.disk, 0, 0, false);
  await workload.run(it);
  const { count } = binding().diskOperations(it.disk);
  const problems = await it.system.problems(it.ledger);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  await it.system.close();
  it.dispose();
  return count;
}

/** Runs the workload under the plan, lets the machine die, and returns what does not hold afterwards. */
export async function runUnder(workload: Workload, isEncrypted: boolean, plan: Plan): Promise<string[]> {
  const it = new CrashRun(isEncrypted);
  try {
    await it.prepare();
    it.plan(plan);
    try {
      await workload.run(it);
    } catch (thrown) {
      codeOf(thrown);
    }
    await it.crash(plan.crashSeed, plan.viewFate);
    const problems = await recovered(it, workload.isCleaned === true);
    return [...it.wrong, ...problems];
  } catch (thrown) {
    return [(thrown as Error).stack ?? String(thrown)];
  } finally {
    it.dispose();
  }
}

async function recovered(it: CrashRun, isCleaned: boolean): Promise<string[]> {
  await it.open();
  const problems = await stateProblems(it);
  const first = summary(it.system.catalog);
  await it.restart();
  const second = summary(it.system.catalog);
  if (first !== second) problems.push(`a second start changed ${first} to ${second}`);
  problems.push(...(await stateProblems(it)));
  await it.put('after', 4711, 30_000);
  problems.push(...(await stateProblems(it)));
  for (let cycle = 0; isCleaned && cycle < 3; cycle += 1) {
    await it.clean();
    problems.push(...(await stateProblems(it)));
  }
  await it.system.close();
  return problems;
}

async function stateProblems(it: CrashRun): Promise<string[]> {
  const { catalog } = it.system;
  const failures = catalog.listGroups().flatMap(({ name, failure, isLocked }) => {
    if (failure === undefined && !isLocked) return [];
    return [`group ${name}: ${failure ?? 'locked'}`];
  });
  if (failures.length > 0) return failures;
  const { damages } = await it.system.verify();
  const damaged = damages.map(({ group, what, reason }) => `${group}: ${what}: ${reason}`);
  return [...damaged, ...(await it.system.problems(it.ledger))];
}

function summary(catalog: GranaryCatalog): string {
  const groups = catalog.listGroups().map(({ name }) => {
    const { sequence, totals } = catalog.openedGroup(name).state;
    return [name, sequence, totals];
  });
  return JSON.stringify([groups, catalog.listContainers()]);
}

const VIEW_FATES: readonly ViewFate[] = ['kept', 'lost', 'rolled back'];

/** Each a fault, how long it lasts, and what the crash that ends the run does to what was not synced. */
const KINDS: readonly { fault: Fault; isForEver: boolean; crashSeeds: readonly number[] }[] = [
  { fault: 'die', isForEver: true, crashSeeds: [0, 1, 2] },
  { fault: 'tornDie', isForEver: true, crashSeeds: [3] },
  { fault: 'ioError', isForEver: false, crashSeeds: [4] },
  { fault: 'ioError', isForEver: true, crashSeeds: [0] },
  { fault: 'shortWrite', isForEver: false, crashSeeds: [5] },
  { fault: 'noSpace', isForEver: false, crashSeeds: [1] },
  { fault: 'noSpace', isForEver: true, crashSeeds: [6] },
];

/** Every fault at each `step`-th operation of the workload; what did not hold, by plan. */
export async function enumerate(index: number, isEncrypted: boolean, step: number): Promise<string[]> {
  const workload = WORKLOADS[index]!;
  const count = await countOperations(workload, isEncrypted);
  const wrong: string[] = [];
  let states = 0;
  for (const [kindIndex, { fault, isForEver, crashSeeds }] of KINDS.entries()) {
    for (const seed of crashSeeds) {
      const first = 1 + ((index * 3 + kindIndex + seed) % step);
      for (let operation = first; operation <= count; operation += step) {
        const viewFate = VIEW_FATES[(operation + kindIndex + seed) % VIEW_FATES.length]!;
        const crashSeed = seed < 2 ? seed : seed * 1000 + operation;
        const plan = { fault, operation, isForEver, crashSeed, viewFate };
        const problems = await runUnder(workload, isEncrypted, plan);
        if (problems.length > 0) wrong.push(`${JSON.stringify(plan)}: ${problems.slice(0, 3).join('; ')}`);
        states += 1;
      }
    }
  }
  process.stdout.write(`${workload.name}: ${count} operations, ${states} states\n`);
  return wrong;
}
