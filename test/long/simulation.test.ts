/** The simulator, and interleavings of sessions, deletion, cleaner and crash, for as long as is given. */
import { afterAll, expect, test } from 'vitest';
import { interleave, simulated } from '../simulate/campaign.js';
import { runCount, runSeed } from '../support/ledger.js';
import { restoreRandom } from '../support/seeded-random.js';

const SECONDS = runCount('GRANARY_SIMULATE_SECONDS', 1200);

afterAll(restoreRandom);

test('in any order, over any fault and crash, nothing is lost, half there or back', async () => {
  const count = runCount('GRANARY_CRASH_STATES', 1_000_000);
  expect(await simulated(runSeed('simulator'), 3000, { count, seconds: SECONDS })).toEqual([]);
});

test('sessions, a deletion, cycles and a crash lose no chunk in any order of their steps', async () => {
  const count = runCount('GRANARY_INTERLEAVINGS', 1_000_000);
  expect((await interleave({ count, seconds: SECONDS })).slice(0, 5)).toEqual([]);
});
