/** kill -9 of the real server under load; GRANARY_KILLS and GRANARY_SEED change how often and which. */
import { expect, test } from 'vitest';
import { killLoops } from '../support/kill-loops.js';
import { runCount, runSeed } from '../support/ledger.js';

const KILLS = runCount('GRANARY_KILLS', 20);

test(`what was acknowledged outlives kill -9 at any moment, and nothing deleted returns`, async () => {
  const found = await killLoops({ kills: KILLS, seed: runSeed('kill -9'), isEncrypted: false });
  expect(found).toMatchObject({ kills: KILLS, problems: [], refused: [], damages: [] });
  expect(found.operations).toBeGreaterThan(KILLS);
}, 3_600_000);
