/** A hundred thousand random corruptions of stored files. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';

test('no damage costs a wrong byte; each is named, and survived where there is a copy', async () => {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'granary-damage-'));
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  for (let round = 0; round < runCount('GRANARY_DAMAGES', 100_000); round += 1) {
    problems.push(...(await loop.round(seed + round)));
  }
  process.stdout.write(`damage: ${JSON.stringify(loop.tally)}\n`);
  expect(problems).toEqual([]);
  expect([loop.tally.healed, loop.tally.wrong]).toEqual([loop.tally.lost, 0]);
  rmSync(folder, { recursive: true });
});
