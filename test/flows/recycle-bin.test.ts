/**
 * A backup is deleted by mistake, and the cleaner runs: it comes back bit for bit. When its time in the
 * recycle bin is over, its space comes back instead.
 */
import { afterEach, expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

let it: CleaningSystem | undefined;

afterEach(async () => {
  await it?.dispose();
  it = undefined;
});

const SIZE = 1_500_000;
const kept = seededBytes(1, SIZE);
const gone = seededBytes(2, SIZE);

async function started(isEncrypted: boolean): Promise<CleaningSystem> {
  it = await CleaningSystem.start(one => {
    if (isEncrypted) one.unlock = { passphrase: 'p' };
  });
  const { catalog } = it.system;
  if (isEncrypted) await catalog.updateGroup('DefaultGroup', { encryption: 'static', passphrase: 'p' });
  await catalog.updateContainer('c', { binDays: 7 });
  await it.put('kept', kept);
  await it.put('gone', gone);
  await it.restart();
  return it;
}

for (const isEncrypted of [false, true]) {
  test(`the bin outlives the cleaner, then its space returns (encrypted: ${isEncrypted})`, async () => {
    const system = await started(isEncrypted);
    await system.remove('gone');
    const full = await system.fileBytes();
    for (let cycle = 0; cycle < 3; cycle += 1) await system.run();
    expect(await system.fileBytes()).toBeGreaterThan(full * 0.9);
    await system.system.catalog.restoreFromBin('c', 'gone');
    expect(await system.problems({ kept, gone })).toEqual([]);

    await system.remove('gone');
    for (let cycle = 0; cycle < 3; cycle += 1) await system.run();
    system.lane.views.clear();
    await system.crash();
    await system.system.catalog.restoreFromBin('c', 'gone');
    expect(await system.problems({ kept, gone })).toEqual([]);

    await system.remove('gone');
    system.clock.now += 7 * DAY_MS;
    expect(await system.system.catalog.purgeBin('c')).toBe(1);
    for (let cycle = 0; cycle < 3; cycle += 1) await system.run();
    // What an open data store has reserved is given back when it is closed.
    await system.restart();
    expect(await system.fileBytes()).toBeLessThan(full * 0.7);
    expect(await system.problems({ kept })).toEqual([]);
  });
}

test('an overwritten generation comes back after cycles of the cleaner, the newer one, too', async () => {
  const system = await started(false);
  const versions: number[] = [];
  for (const seed of [10, 11, 12]) versions.push(await system.put('kept', seededBytes(seed, SIZE)));
  for (let cycle = 0; cycle < 2; cycle += 1) await system.run();
  await system.system.catalog.restoreFromBin('c', 'kept', versions[0]!);
  await system.run();
  expect(await system.problems({ kept: seededBytes(10, SIZE), gone })).toEqual([]);
  await system.system.catalog.restoreFromBin('c', 'kept', versions[2]!);
  expect(await system.problems({ kept: seededBytes(12, SIZE), gone })).toEqual([]);
});
