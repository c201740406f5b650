/**
 * Crashes of ext4 and xfs from recorded block devices: new workloads until GRANARY_BLOCK_STATES crash
 * states have been looked at. Skipped, and said so, where FUSE, loop devices or root are not to be had.
 */
import { expect, test } from 'vitest';
import { replayBlocks } from '../real-machine/block-replay.js';
import { FILE_SYSTEMS, reasonAgainst } from '../real-machine/recorded-disk.js';
import { runCount, runSeed } from '../support/ledger.js';
import { report } from '../support/reliability-report.js';

const STATES = runCount('GRANARY_BLOCK_STATES', 2000);
/** Of one record: some at each of its flushes. */
const STATES_OF_A_RECORD = 500;
const TURNS = 5;
const missing = reasonAgainst();
if (missing !== undefined) process.stdout.write(`block replay is skipped: ${missing}\n`);

for (const fileSystem of FILE_SYSTEMS) {
  test.skipIf(missing !== undefined)(
    `what was acknowledged outlives any crash of ${fileSystem}`,
    async () => {
      const first = runSeed(`block replay ${fileSystem}`);
      const startedMs = performance.now();
      const problems: string[] = [];
      let states = 0;
      let seed = first;
      for (; states < STATES && problems.length === 0; seed += 1) {
        const isEncrypted = (seed + fileSystem.length) % 2 === 0;
        const wanted = Math.min(STATES_OF_A_RECORD, STATES - states);
        const found = await replayBlocks({ fileSystem, isEncrypted, seed, turns: TURNS, states: wanted });
        states += found.states;
        problems.push(...found.problems.map(what => `seed ${seed}: ${what}`));
        process.stdout.write(`${fileSystem}: ${states} states\n`);
      }
      report({
        harness: `block replay ${fileSystem}`,
        figure: 'block-crash-states',
        count: states,
        failures: problems.length,
        seeds: [first, seed - 1],
        seconds: (performance.now() - startedMs) / 1000,
      });
      expect(problems).toEqual([]);
    },
  );
}
