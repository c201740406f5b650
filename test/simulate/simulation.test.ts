/** The simulator in the normal run, and that what it does can be repeated. */
import { afterAll, expect, test } from 'vitest';
import { runCount, runSeed } from '../support/ledger.js';
import { restoreRandom } from '../support/seeded-random.js';
import { interleave, simulated } from './campaign.js';
import { Simulation } from './simulation.js';

const CRASH_STATES = runCount('GRANARY_CRASH_STATES', 2000);
const INTERLEAVINGS = runCount('GRANARY_INTERLEAVINGS', 500);
const SECONDS = 600;

afterAll(restoreRandom);

test('the same seed gives the same run, step by step', async () => {
  const [first, second] = [await new Simulation(4, 600).run(), await new Simulation(4, 600).run()];
  expect(second).toEqual(first);
  expect((await new Simulation(5, 600).run()).traceHash).not.toBe(first.traceHash);
}, 300_000);

test('in any order, over any fault and crash, nothing is lost, half there or back', async () => {
  const seed = runSeed('simulator') % 1_000_000;
  expect(await simulated(seed, 2000, { count: CRASH_STATES, seconds: SECONDS })).toEqual([]);
}, 900_000);

test('sessions, a deletion, cycles and a crash lose no chunk in any order of their steps', async () => {
  expect((await interleave({ count: INTERLEAVINGS, seconds: SECONDS })).slice(0, 5)).toEqual([]);
}, 900_000);
