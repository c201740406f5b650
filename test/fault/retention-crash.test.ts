/**
 * The machine dies, fails or is full in the middle of work with recycle bin and locks: what was acknowledged
 * is there after the start, in its place, and so is what keeps it.
 */
import { expect, test } from 'vitest';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import type { FileRecord } from '../../src/catalog/types.js';
import { binding } from '../../src/native/binding.js';
import {
  copyOfViews,
  DATA,
  openSystem,
  SECRETS,
  VIEW_FATES,
  type ViewFate,
  type Views,
} from '../simulate/machine.js';
import { DirectLane } from '../support/direct-lane.js';
import { StillClock } from '../support/open-catalog.js';
import { codeOf, type WholeSystem } from '../support/whole-system.js';

const FAULTS = { die: 1, ioError: 2, noSpace: 3, tornDie: 5 } as const;
type Fault = keyof typeof FAULTS;

/** A system with a container that has a recycle bin, on a disk that fails as told. */
class Machine {
  readonly lane = new DirectLane();
  readonly disk = binding().diskCreate();
  readonly clock = new StillClock();
  #system: WholeSystem | undefined;
  #oldViews: Views = new Map();

  static async prepare(isEncrypted: boolean): Promise<Machine> {
    const it = new Machine();
    binding().makeDirectory(DATA, it.disk);
    await it.open();
    const encryption = isEncrypted ? ({ encryption: 'static', ...SECRETS } as const) : {};
    await it.system.catalog.addGroup({ name: 'g', ...encryption });
    await it.system.catalog.addContainer('b', 'g', { binDays: 7 });
    it.#oldViews = await copyOfViews(it.lane.views);
    return it;
  }

  get system(): WholeSystem {
    return this.#system!;
  }

  async open(): Promise<void> {
    const { lane, disk, clock } = this;
    this.#system = (await openSystem({ lane, disk, clock })).system;
  }

  async checkpoint(): Promise<void> {
    await writeCheckpoint(this.system.context, this.system.catalog.openedGroup('g'));
  }

  /** The machine dies as it is: nothing more reaches the disk. */
  async crash(seed: number, viewFate: ViewFate): Promise<void> {
    binding().diskPlan(this.disk, FAULTS.die, 1, true);
    await this.system.close().catch(() => undefined);
    binding().diskCrash(this.disk, seed);
    binding().diskPlan(this.disk, 0, 0, false);
    if (viewFate === 'kept') return;
    this.lane.views.clear();
    if (viewFate === 'lost') return;
    for (const [directory, view] of await copyOfViews(this.#oldViews)) this.lane.views.set(directory, view);
  }

  dispose(): void {
    binding().diskDrop(this.disk);
  }
}

/** Where versions are: by `place name version`, with what keeps them. */
type State = ReadonlyMap<string, string>;

function entry(place: string, { path, version, lockMode, hold }: FileRecord): [string, string] {
  return [`${place} ${path} ${version}`, [lockMode ?? 'none', hold ?? 'none'].join()];
}

async function stateOf(it: Machine): Promise<State> {
  const { catalog } = it.system;
  const { files } = await catalog.listFiles('b', {});
  const binned = (await catalog.listBin('b', {})).files;
  return new Map([...files.map(file => entry('file', file)), ...binned.map(file => entry('bin', file))]);
}

/** Each step leads from one state to the next; a fault leaves the one before or the one behind it. */
const STEPS: readonly ((it: Machine) => Promise<unknown>)[] = [
  it => it.system.put('b', 'f', Buffer.alloc(5000, 1)),
  it => it.system.put('b', 'f', Buffer.alloc(6000, 2)),
  it => it.system.catalog.deleteFile('b', 'f'),
  it => it.system.catalog.restoreFromBin('b', 'f'),
  it => it.checkpoint(),
  it => it.system.catalog.restoreFromBin('b', 'f'),
  it => it.system.catalog.lockFile('b', 'f', { mode: 'compliance', days: 1 }),
  it => it.checkpoint(),
  it => it.system.put('b', 'g', Buffer.alloc(7000, 3)),
  it => it.system.catalog.lockFile('b', 'g', { hold: true }),
  it => it.checkpoint(),
];

/** The states between the steps, and how many operations all of them take. */
async function reference(isEncrypted: boolean): Promise<{ states: State[]; operations: number }> {
  const it = await Machine.prepare(isEncrypted);
  binding().diskPlan(it.disk, 0, 0, false);
  const states = [await stateOf(it)];
  for (const step of STEPS) {
    await step(it);
    states.push(await stateOf(it));
  }
  const { count } = binding().diskOperations(it.disk);
  await it.system.close();
  it.dispose();
  return { states, operations: count };
}

/** How many steps were acknowledged before the fault. */
async function runUntilFault(it: Machine): Promise<number> {
  for (const [done, step] of STEPS.entries()) {
    try {
      await step(it);
    } catch (thrown) {
      codeOf(thrown);
      return done;
    }
  }
  return STEPS.length;
}

for (const isEncrypted of [false, true]) {
  test(`every version is where it was acknowledged to be (encrypted: ${isEncrypted})`, async () => {
    const { states, operations } = await reference(isEncrypted);
    const stride = isEncrypted ? 23 : 3;
    let count = 0;
    for (const [kind, fault] of (['die', 'tornDie', 'ioError', 'noSpace'] as Fault[]).entries()) {
      for (let operation = 1 + (kind % stride); operation <= operations; operation += stride) {
        const viewFate = VIEW_FATES[(operation + kind) % VIEW_FATES.length]!;
        const what = { fault, operation, viewFate };
        const it = await Machine.prepare(isEncrypted);
        binding().diskPlan(it.disk, FAULTS[fault], operation, true);
        const done = await runUntilFault(it);
        await it.crash(operation, viewFate);
        for (let start = 0; start < 2; start += 1) {
          await it.open();
          expect([what, it.system.catalog.showGroup('g').failure]).toEqual([what, undefined]);
          const found = await stateOf(it);
          const allowed = states.slice(done, done + 2).map(state => JSON.stringify([...state]));
          expect([what, allowed]).toEqual([what, expect.arrayContaining([JSON.stringify([...found])])]);
          expect([what, (await it.system.verify()).damages]).toEqual([what, []]);
          await it.system.close();
        }
        it.dispose();
        count += 1;
      }
    }
    process.stdout.write(`recycle bin and locks: ${operations} operations, ${count} states\n`);
  }, 300_000);
}
