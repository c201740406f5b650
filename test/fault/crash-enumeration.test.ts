/**
 * Crash, I/O error and full disk at every n-th operation that changes the disk, through catalog, ingest and
 * the addon. `npm run test:long` takes every operation (GRANARY_CRASH_STEP).
 */
import { expect, test } from 'vitest';
import { countOperations, type Fault, runUnder, type ViewFate, WORKLOADS } from '../support/crash-run.js';
import { runCount } from '../support/ledger.js';

const STEP = runCount('GRANARY_CRASH_STEP', 10);
/** A group with a passphrase costs ten times the time to make; in the long form none is left out. */
const STEP_ENCRYPTED = STEP === 1 ? 1 : 3 * STEP;
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

for (const [index, workload] of WORKLOADS.entries()) {
  test(`nothing acknowledged is lost by a fault during: ${workload.name}`, async () => {
    const isEncrypted = index % 2 === 1;
    const step = isEncrypted ? STEP_ENCRYPTED : STEP;
    const count = await countOperations(workload, isEncrypted);
    expect(count).toBeGreaterThan(10);
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
    expect(wrong.slice(0, 10)).toEqual([]);
  });
}
