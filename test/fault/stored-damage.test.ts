/** Bytes on disk change behind our back. GRANARY_DAMAGES and GRANARY_SEED change how many and which. */
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';
import { makeMemoryFolder } from '../support/memory-folder.js';
import { report } from '../support/reliability-report.js';

test('damage of any structure gives no wrong byte, is named, and survived or healed', async () => {
  const startedMs = performance.now();
  const folder = makeMemoryFolder('granary-damage-');
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  const rounds = runCount('GRANARY_DAMAGES', 1000);
  for (let round = 0; round < rounds; round += 1) {
    problems.push(...(await loop.round(seed + round)));
  }
  report({
    harness: 'stored damage',
    figure: 'corruptions',
    count: rounds,
    failures: problems.length,
    seeds: [seed, seed + rounds - 1],
    seconds: (performance.now() - startedMs) / 1000,
  });
  process.stdout.write(`damage: ${JSON.stringify(loop.tally)}\n`);
  expect(problems).toEqual([]);
  const { lost, healed, wrong } = loop.tally;
  expect([healed, wrong]).toEqual([lost, 0]);
  rmSync(folder, { recursive: true });
}, 600_000);
