/** Bytes on disk change behind our back. GRANARY_DAMAGES and GRANARY_SEED change how many and which. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';

test('damage of any structure gives no wrong byte, is named, and survived where a copy is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-damage-'));
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  for (let round = 0; round < runCount('GRANARY_DAMAGES', 40); round += 1) {
    problems.push(...(await loop.round(seed + round)));
  }
  expect(problems).toEqual([]);
  rmSync(folder, { recursive: true });
}, 600_000);
