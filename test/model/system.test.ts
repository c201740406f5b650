/**
 * Random operations of a whole system (catalog, ingest, restore, RocksDB, the addon on a real folder) against
 * a small model. A failure shows the seed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCount, runSeed } from '../support/ledger.js';
import { systemModel } from '../support/system-model.js';

for (const isEncrypted of [false, true]) {
  test(`random operations and the model agree (${isEncrypted ? 'encrypted' : 'clear'})`, async () => {
    const seed = runSeed('system model');
    for (let run = 0; run < runCount('GRANARY_RUNS', 1); run += 1) {
      const folder = mkdtempSync(join(tmpdir(), 'granary-model-'));
      const disagreements = await systemModel(join(folder, 'data'), seed + run, isEncrypted);
      expect([seed + run, disagreements]).toEqual([seed + run, []]);
      rmSync(folder, { recursive: true });
    }
  }, 3_600_000);
}
