/** GRANARY_FILL_CYCLES and GRANARY_SEED change how often and with which sizes. */
import { expect, test } from 'vitest';
import { fillCycles } from '../support/fill-cycles.js';
import { runCount, runSeed } from '../support/ledger.js';
import { report } from '../support/reliability-report.js';

test('a volume that fills up again and again: deletes and the cleaner bring the service back', async () => {
  const seed = runSeed('fill cycles');
  const startedMs = performance.now();
  const { cycles, problems } = await fillCycles(runCount('GRANARY_FILL_CYCLES', 2), seed);
  report({
    harness: 'fill cycles',
    figure: 'fill-cycles',
    count: cycles,
    failures: problems.length,
    seeds: [seed, seed],
    seconds: (performance.now() - startedMs) / 1000,
  });
  expect(problems).toEqual([]);
}, 3_600_000);
