/** A restore while the cleaner empties what it reads: it has to find each chunk where it can be read now. */
import { afterEach, expect, test } from 'vitest';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

let it: CleaningSystem | undefined;
afterEach(async () => {
  await it?.dispose();
  it = undefined;
});

test('what was copied is read at its old place until it can be read at the new one', async () => {
  it = await CleaningSystem.start();
  const system = it;
  // The first half of a file that goes is a file that stays.
  const gone = seededBytes(1, 400_000);
  const kept = gone.subarray(0, 200_000);
  await system.put('gone', gone);
  await system.put('kept', kept);
  await system.remove('gone');
  await system.restart();
  await system.run();
  let reads = 0;
  system.lane.hooks.set('copyForward', async (parameters, run) => {
    const report = await run(...parameters);
    // Nothing has been synced since.
    expect((await system.system.get('c', 'kept')).equals(kept)).toBe(true);
    reads += 1;
    return report;
  });
  await system.run();
  expect(reads).toBeGreaterThan(0);
});
