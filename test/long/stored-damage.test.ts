/** A hundred thousand random corruptions of stored files. */
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DamageLoop } from '../support/damage-loop.js';
import { runCount, runSeed } from '../support/ledger.js';
import { makeMemoryFolder } from '../support/memory-folder.js';
import { report } from '../support/reliability-report.js';

test('no damage costs a wrong byte; each is named, and survived where there is a copy', async () => {
  const startedMs = performance.now();
  const folder = makeMemoryFolder('granary-damage-');
  const seed = runSeed('damage');
  const loop = new DamageLoop(folder);
  await loop.prepare();
  const problems: string[] = [];
  const rounds = runCount('GRANARY_DAMAGES', 100_000);
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
  expect([loop.tally.healed, loop.tally.wrong]).toEqual([loop.tally.lost, 0]);
  rmSync(folder, { recursive: true });
});
