/**
 * Crashes of ext4 and xfs from a recorded block device. GRANARY_BLOCK_STATES and GRANARY_SEED change how
 * many and which. Skipped, and said so, where FUSE, loop devices or root are not to be had.
 */
import { expect, test } from 'vitest';
import { runCount, runSeed } from '../support/ledger.js';
import { report } from '../support/reliability-report.js';
import { replayBlocks } from './block-replay.js';
import { FILE_SYSTEMS, reasonAgainst } from './recorded-disk.js';

const STATES = runCount('GRANARY_BLOCK_STATES', 24);
const TURNS = 3;
const missing = reasonAgainst();
if (missing !== undefined) process.stdout.write(`block replay is skipped: ${missing}\n`);

for (const fileSystem of FILE_SYSTEMS) {
  test.skipIf(missing !== undefined)(
    `what was acknowledged outlives a crash of ${fileSystem}`,
    async () => {
      const seed = runSeed(`block replay ${fileSystem}`);
      const isEncrypted = fileSystem === 'xfs';
      const options = { fileSystem, isEncrypted, seed, turns: TURNS, states: STATES };
      const startedMs = performance.now();
      const { problems, ...counts } = await replayBlocks(options);
      report({
        harness: `block replay ${fileSystem}`,
        figure: 'block-crash-states',
        count: counts.states,
        failures: problems.length,
        seeds: [seed, seed],
        seconds: (performance.now() - startedMs) / 1000,
      });
      process.stdout.write(`${fileSystem}: ${JSON.stringify(counts)}\n`);
      expect(problems).toEqual([]);
      expect(counts.states).toBe(STATES);
    },
    600_000,
  );
}

test.skipIf(missing !== undefined)(
  'a disk that forgets what it has said to be flushed is caught',
  async () => {
    const options = { fileSystem: 'ext4', isEncrypted: false, seed: 7, turns: 1, states: 6 } as const;
    const { problems } = await replayBlocks({ ...options, lostIntervals: 60 });
    expect(problems.length).toBeGreaterThan(0);
  },
  600_000,
);
