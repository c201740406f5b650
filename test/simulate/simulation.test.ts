/** The simulator in the normal run, and that what it does can be repeated. */
import { afterAll, expect, test } from 'vitest';
import { runCount, runSeed } from '../support/ledger.js';
import { report } from '../support/reliability-report.js';
import { restoreRandom } from '../support/seeded-random.js';
import { INTERLEAVING_COUNT, Interleavings } from './interleavings.js';
import { type Counts, noCounts, Simulation } from './simulation.js';

const CRASH_STATES = runCount('GRANARY_CRASH_STATES', 2000);
const INTERLEAVINGS = runCount('GRANARY_INTERLEAVINGS', 500);
const FIGURES = [
  ['crash-states', 'crashStates'],
  ['interleavings', 'interleavings'],
  ['io-faults', 'ioFaults'],
  ['corruptions', 'corruptions'],
  ['model-operations', 'operations'],
] as const;

afterAll(restoreRandom);

test('the same seed gives the same run, step by step', async () => {
  const [first, second] = [await new Simulation(4, 600).run(), await new Simulation(4, 600).run()];
  expect(second).toEqual(first);
  expect((await new Simulation(5, 600).run()).traceHash).not.toBe(first.traceHash);
});

test('nothing is lost, half there or back from the dead in any order, over any fault and any crash', async () => {
  const begun = performance.now();
  const first = runSeed('simulator') % 1_000_000;
  const total = noCounts();
  let seed = first;
  for (; total.crashStates < CRASH_STATES; seed += 1) {
    const { counts, problems } = await new Simulation(seed, 2000).run();
    for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += counts[name];
    expect([`npm run simulate -- --seed ${seed} --steps 2000`, problems]).toEqual([expect.anything(), []]);
  }
  const seconds = (performance.now() - begun) / 1000;
  process.stdout.write(`simulator: ${JSON.stringify(total)} in ${seconds.toFixed(0)} s\n`);
  for (const [figure, name] of FIGURES) {
    report({
      harness: 'simulate',
      figure,
      count: total[name],
      failures: 0,
      seeds: [first, seed - 1],
      seconds,
    });
  }
}, 600_000);

test('two sessions, a deletion, two cycles and a crash lose no chunk in any order of their steps', async () => {
  const begun = performance.now();
  const interleavings = new Interleavings();
  await interleavings.prepare();
  const wrong: string[] = [];
  // Evenly over all orders; the odd step takes each place of the crash in turn.
  const stride = Math.max(1, Math.floor(INTERLEAVING_COUNT / INTERLEAVINGS)) | 1;
  let count = 0;
  for (let number = 0; number < INTERLEAVING_COUNT && count < INTERLEAVINGS; number += stride) {
    const problems = await interleavings.problems(number);
    wrong.push(...problems.map(problem => `${number}: ${problem}`));
    count += 1;
  }
  const seconds = (performance.now() - begun) / 1000;
  const failures = wrong.length;
  report({ harness: 'interleavings', figure: 'interleavings', count, failures, seeds: [], seconds });
  expect(wrong.slice(0, 5)).toEqual([]);
}, 600_000);
