/** Crash, I/O error and full disk at every operation, with groups in the clear and encrypted ones. */
import { expect, test } from 'vitest';
import { enumerate, WORKLOADS } from '../support/crash-run.js';
import { runCount } from '../support/ledger.js';

const STEP = runCount('GRANARY_CRASH_STEP', 1);

for (const [index, { name }] of WORKLOADS.entries()) {
  for (const isEncrypted of [false, true]) {
    const kind = isEncrypted ? 'encrypted' : 'clear';
    test(`nothing acknowledged is lost by a fault at any operation of: ${name} (${kind})`, async () => {
      expect(await enumerate(index, isEncrypted, STEP)).toEqual([]);
    });
  }
}
