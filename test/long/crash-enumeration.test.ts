/** Power cuts, I/O errors, short writes and a full disk at every operation of the canonical workloads. */
import { expect, test } from 'vitest';
import { enumerateWorkloads } from '../support/enumerate.js';
import { runCount } from '../support/ledger.js';

const STEP = runCount('GRANARY_CRASH_STEP', 1);

test('nothing acknowledged is lost by a power cut at any operation, whatever was not synced', async () => {
  expect(await enumerateWorkloads('crash-points', STEP)).toEqual([]);
});

test('no I/O error, short write or full disk at any operation loses anything acknowledged', async () => {
  expect(await enumerateWorkloads('io-faults', STEP)).toEqual([]);
});
