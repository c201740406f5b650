/**
 * Power cuts, I/O errors, short writes and a full disk at operations of the canonical workloads, through
 * catalog, ingest and the addon: one operation of many. The long form takes every one.
 */
import { expect, test } from 'vitest';
import { enumerateWorkloads } from '../support/enumerate.js';
import { runCount } from '../support/ledger.js';

/** A prime: over the workloads all kinds of operations have their turn. */
const STEP = runCount('GRANARY_CRASH_STEP', 29);

test('nothing acknowledged is lost by a power cut at any operation, whatever was not synced', async () => {
  expect(await enumerateWorkloads('crash-points', STEP)).toEqual([]);
}, 300_000);

test('no I/O error, short write or full disk at any operation loses anything acknowledged', async () => {
  expect(await enumerateWorkloads('io-faults', STEP)).toEqual([]);
}, 300_000);
