/** A thousand random corruptions of stored files. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';

test('no damage costs a wrong byte; each is named, and survived where there is a copy', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-damage-'));
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  for (let round = 0; round < runCount('GRANARY_DAMAGES', 1000); round += 1) {
    problems.push(...(await loop.round(seed + round)));
  }
  expect(problems).toEqual([]);
  rmSync(folder, { recursive: true });
});
