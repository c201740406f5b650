/**
 * Crash, I/O error and full disk at every n-th operation that changes the disk, through catalog, ingest and
 * the addon. The long form takes every operation.
 */
import { expect, test } from 'vitest';
import { enumerate, WORKLOADS } from '../support/crash-run.js';

const STEP = 10;
/** A group with a passphrase costs ten times the time to make. */
const STEP_ENCRYPTED = 60;
/** Many operations, and three cycles behind each recovery. */
const STEP_CLEANED = 40;

for (const [index, { name, isCleaned }] of WORKLOADS.entries()) {
  test(`nothing acknowledged is lost by a fault during: ${name}`, async () => {
    const isEncrypted = index % 2 === 1;
    const step = isEncrypted ? STEP_ENCRYPTED : isCleaned === true ? STEP_CLEANED : STEP;
    expect(await enumerate(index, isEncrypted, step)).toEqual([]);
  }, 300_000);
}
