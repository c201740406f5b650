/** Bytes on disk change behind our back. GRANARY_DAMAGES and GRANARY_SEED change how many and which. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';

test('damage of any structure gives no wrong byte, is named, survived where a copy is, and heals', async () => {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'granary-damage-'));
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  for (let round = 0; round < runCount('GRANARY_DAMAGES', 1000); round += 1) {
    problems.push(...(await loop.round(seed + round)));
  }
  process.stdout.write(`damage: ${JSON.stringify(loop.tally)}\n`);
  expect(problems).toEqual([]);
  const { lost, healed, wrong } = loop.tally;
  expect([healed, wrong]).toEqual([lost, 0]);
  rmSync(folder, { recursive: true });
}, 600_000);
