/** Many runs of the model of the whole system. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCount, runSeed } from '../support/ledger.js';
import { systemModel } from '../support/system-model.js';

test.each([false, true])('random operations and the model agree (encrypted: %s)', async isEncrypted => {
  const seed = runSeed('system model');
  for (let run = 0; run < runCount('GRANARY_RUNS', 60); run += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'granary-model-'));
    const disagreements = await systemModel(join(folder, 'data'), seed + run, isEncrypted);
    expect([seed + run, disagreements]).toEqual([seed + run, []]);
    rmSync(folder, { recursive: true });
  }
});
