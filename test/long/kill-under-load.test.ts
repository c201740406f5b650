/** kill -9 of the real server under load, hundreds of times, a clear and an encrypted group side by side. */
import { expect, test } from 'vitest';
import { killLoops } from '../support/kill-loops.js';
import { runCount, runSeed } from '../support/ledger.js';

const KILLS = runCount('GRANARY_KILLS', 200);

test('what was acknowledged outlives hundreds of kills, and nothing deleted returns', async () => {
  const found = await killLoops({ kills: KILLS, seed: runSeed('kill -9'), isEncrypted: true });
  expect(found).toMatchObject({ kills: KILLS, problems: [], refused: [], damages: [] });
  expect(found.operations).toBeGreaterThan(KILLS);
});
