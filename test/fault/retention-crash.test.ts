/**
 * The machine dies, fails or is full in the middle of work with recycle bin and locks: what was acknowledged
 * is there after the start, in its place, and so is what keeps it.
 */
import { expect, test } from 'vitest';
import type { FileRecord } from '../../src/catalog/types.js';
import { binding } from '../../src/native/binding.js';
import { CrashRun, type Fault, type ViewFate } from '../support/crash-run.js';
import { codeOf } from '../support/whole-system.js';

/** Where versions are: by `place name version`, with what keeps them. */
type State = ReadonlyMap<string, string>;

function entry(place: string, { path, version, lockMode, hold }: FileRecord): [string, string] {
  return [`${place} ${path} ${version}`, [lockMode ?? 'none', hold ?? 'none'].join()];
}

async function stateOf(it: CrashRun): Promise<State> {
  const { catalog } = it.system;
  const { files } = await catalog.listFiles('b', {});
  const binned = (await catalog.listBin('b', {})).files;
  return new Map([...files.map(file => entry('file', file)), ...binned.map(file => entry('bin', file))]);
}

/** Each step leads from one state to the next; a fault leaves the one before or the one behind it. */
const STEPS: readonly ((it: CrashRun) => Promise<unknown>)[] = [
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

async function prepared(isEncrypted: boolean): Promise<CrashRun> {
  const it = new CrashRun(isEncrypted);
  await it.prepare();
  await it.system.catalog.addContainer('b', 'g', { binDays: 7 });
  return it;
}

/** The states between the steps, and how many operations all of them take. */
async function reference(isEncrypted: boolean): Promise<{ states: State[]; operations: number }> {
  const it = await prepared(isEncrypted);
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
async function runUntilFault(it: CrashRun): Promise<number> {
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

const FATES: readonly ViewFate[] = ['kept', 'lost', 'rolled back'];

for (const isEncrypted of [false, true]) {
  test(`every version is where it was acknowledged to be (encrypted: ${isEncrypted})`, async () => {
    const { states, operations } = await reference(isEncrypted);
    const stride = isEncrypted ? 23 : 3;
    let count = 0;
    for (const [kind, fault] of (['die', 'tornDie', 'ioError', 'noSpace'] as Fault[]).entries()) {
      for (let operation = 1 + (kind % stride); operation <= operations; operation += stride) {
        const viewFate = FATES[(operation + kind) % FATES.length]!;
        const what = { fault, operation, viewFate };
        const it = await prepared(isEncrypted);
        it.plan({ fault, operation, isForEver: true });
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
