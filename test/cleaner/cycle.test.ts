/** The cleaner over the real addon on a simulated disk: what returns, and what never goes. */
import { afterEach, expect, test } from 'vitest';
import { ENGINE_BOUNDS } from '../../src/catalog/context.js';
import { Upload } from '../../src/ingest/upload.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

async function start(change?: (it: CleaningSystem) => void): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(change);
  systems.push(it);
  return it;
}

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const MIB = 2 ** 20;
const A = seededBytes(1, 5 * MIB);
const B = seededBytes(2, 2 * MIB);
const C = seededBytes(3, 700_000);

/** Files a, b, c in closed data stores; what is named is deleted. */
async function filled(removed: readonly string[], change?: (it: CleaningSystem) => void) {
  const it = await start(change);
  await it.put('a', A);
  await it.put('b', B);
  await it.put('c', C);
  for (const path of removed) await it.remove(path);
  await it.restart();
  return it;
}

test('space of deleted files returns in two cycles, and what is left reads back bit for bit', async () => {
  const it = await filled(['a']);
  const before = await it.fileBytes();
  const first = await it.run();
  expect(first.figures.condemnedBytes).toBeGreaterThan(0.95 * A.length);
  expect(await it.problems({ b: B, c: C })).toEqual([]);
  const second = await it.run();
  const after = await it.fileBytes();
  expect(second.figures.freedBytes).toBeGreaterThan(0.95 * A.length);
  expect(before - after).toBeGreaterThan(0.95 * A.length);
  expect((await it.group.space.refresh()).trashBytes).toBe(0);
  expect(await it.problems({ b: B, c: C })).toEqual([]);
  await it.restart();
  expect(await it.problems({ b: B, c: C })).toEqual([]);
});

test('what lies dead in data stores that are still open returns, too, without a restart', async () => {
  const it = await start();
  await it.put('a', A.subarray(0, 200_000));
  await it.put('c', C.subarray(0, 100_000));
  await it.remove('a');
  await it.run();
  const { figures } = await it.run();
  expect(figures.freedBytes).toBeGreaterThan(190_000);
  expect(await it.problems({ c: C.subarray(0, 100_000) })).toEqual([]);
});

test('files that share chunks with deleted ones keep them', async () => {
  const it = await start();
  const mixed = Buffer.concat([A.subarray(0, MIB), seededBytes(9, MIB), A.subarray(2 * MIB)]);
  await it.put('a', A);
  await it.put('mixed', mixed);
  await it.remove('a');
  await it.restart();
  const before = await it.fileBytes();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(before - (await it.fileBytes())).toBeGreaterThan(0.8 * MIB);
  expect(await it.problems({ mixed })).toEqual([]);
});

test('chunks of overwritten files are freed', async () => {
  const it = await start();
  for (const seed of [1, 2, 3]) await it.put('a', seededBytes(seed, 2 * MIB));
  await it.restart();
  await it.run();
  await it.run();
  expect(await it.fileBytes()).toBeLessThan(1.2 * 2 * MIB);
  expect(await it.problems({ a: seededBytes(3, 2 * MIB) })).toEqual([]);
});

test('blockmap nodes that nobody reaches are freed: nothing is left of nothing', async () => {
  const it = await filled(['a', 'b', 'c']);
  expect((await it.group.space.refresh()).blockmapPlainBytes).toBeGreaterThan(0);
  await it.run();
  await it.run();
  const { dataStoreCount, plainBytes, blockmapPlainBytes } = await it.group.space.refresh();
  expect({ dataStoreCount, plainBytes, blockmapPlainBytes }).toEqual({
    ...{ dataStoreCount: 0, plainBytes: 0, blockmapPlainBytes: 0 },
  });
});

test('a data store without a live chunk is trashed without copying anything', async () => {
  const it = await filled(['a', 'b', 'c']);
  await it.run();
  const { figures } = await it.run();
  expect(figures.emptiedStores).toBeGreaterThan(3);
  expect(figures.copiedBytes).toBe(0);
  expect(it.lane.counts.get('copyForward')).toBeUndefined();
});

test('a cycle with nothing to free changes nothing, however often it runs', async () => {
  const it = await filled(['a']);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  const bytes = await it.fileBytes();
  const stores = (await it.lane.call('listDataStores', it.group.engine)).map(({ id }) => id).sort();
  for (let cycle = 0; cycle < 3; cycle += 1) {
    const { figures } = await it.run();
    expect(figures).toMatchObject({ condemnedStores: 0, emptiedStores: 0, freedBytes: 0 });
  }
  expect(await it.fileBytes()).toBe(bytes);
  expect((await it.lane.call('listDataStores', it.group.engine)).map(({ id }) => id).sort()).toEqual(stores);
});

test('what is deleted and comes again between cycles is stored anew, and stays', async () => {
  const it = await filled(['a']);
  await it.run();
  await it.put('a', A);
  expect(await it.problems({ a: A, b: B, c: C })).toEqual([]);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ a: A, b: B, c: C })).toEqual([]);
});

/** A stream that has met all of A and is not finished. */
async function openStream(it: CleaningSystem): Promise<Upload> {
  const upload = Upload.begin(it.system.catalog.openContainer('c').group, { size: A.length + 10 });
  for (let at = 0; at < A.length; at += 65_536) {
    if (!upload.write(A.subarray(at, at + 65_536))) await upload.ready();
  }
  while (upload.progress.settledBytes === 0) await new Promise(resolve => setImmediate(resolve));
  return upload;
}

test('a chunk that a stream has found survives as many cycles as the stream', async () => {
  const it = await filled(['a']);
  const upload = await openStream(it);
  for (let cycle = 0; cycle < 4; cycle += 1) await it.run();
  upload.write(Buffer.alloc(10));
  const { version } = await it.system.catalog.putFile('c', 'late', await upload.finish());
  await upload.close();
  expect(version).toBeGreaterThan(0);
  const late = Buffer.concat([A, Buffer.alloc(10)]);
  expect(await it.problems({ b: B, c: C, late })).toEqual([]);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ b: B, c: C, late })).toEqual([]);
});

test('a file put between snapshot and decision keeps the dead chunks that it found', async () => {
  const it = await filled(['a']);
  it.lane.hookOnce('surveyStore', async (parameters, run) => {
    await it.put('again', A);
    return run(...parameters);
  });
  await it.run();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ again: A, b: B, c: C })).toEqual([]);
});

/** Nothing is closed by its size. */
function startWithLargeStores(): Promise<CleaningSystem> {
  const engineBounds = { ...ENGINE_BOUNDS, residentIndexBytesMax: 2 ** 20, regionCacheBytesMax: 2 ** 20 };
  return start(system => {
    system.context = { engineBounds: { ...engineBounds, dataStoreSizeTarget: 2 ** 30 } };
  });
}

test('what an open data store takes on before it is closed is seen before it is condemned', async () => {
  const it = await startWithLargeStores();
  await it.put('a', A);
  await it.remove('a');
  it.lane.hookOnce('closeStore', async (parameters, run) => {
    await it.put('b', B);
    return run(...parameters);
  });
  expect((await it.run()).outcome).toBe('done');
  await it.run();
  expect(await it.problems({ b: B })).toEqual([]);
});

test('what is dead in data stores that are open still returns without a restart', async () => {
  const it = await startWithLargeStores();
  await it.put('a', A);
  await it.put('b', B);
  await it.remove('a');
  expect((await it.lane.call('listDataStores', it.group.engine)).map(({ isClosed }) => isClosed)).toEqual([
    false,
  ]);
  await it.run();
  const { figures } = await it.run();
  expect(figures.freedBytes).toBeGreaterThan(A.length + B.length);
  expect(figures.copiedBytes).toBeGreaterThan(B.length);
  expect(await it.problems({ b: B })).toEqual([]);
  await it.restart();
  expect(await it.fileBytes()).toBeLessThan(1.1 * B.length);
});

/** Six files whose first halves are files of their own; the whole ones are deleted. */
async function mixed(change?: (it: CleaningSystem) => void) {
  const it = await start(change);
  const whole = Array.from({ length: 6 }, (_, at) => seededBytes(200 + at, 400_000));
  const left: Record<string, Uint8Array> = {};
  for (const [at, bytes] of whole.entries()) {
    await it.put(`m${at}`, bytes);
    left[`k${at}`] = bytes.subarray(0, 200_000);
    await it.put(`k${at}`, left[`k${at}`]!);
  }
  for (const at of whole.keys()) await it.remove(`m${at}`);
  await it.restart();
  return { it, left, gone: Buffer.concat(whole) };
}

test('what is alive in half dead data stores is copied, and nothing but that is left', async () => {
  const { it, left, gone } = await mixed();
  await it.run();
  const { figures } = await it.run();
  const alive = Object.values(left).reduce((sum, { length }) => sum + length, 0);
  // The last chunk of each half is in a data store of its own.
  expect(figures.copiedBytes).toBeGreaterThan(0.8 * alive);
  expect(figures.freedBytes).toBeGreaterThan(0.9 * gone.length);
  await it.restart();
  expect(await it.fileBytes()).toBeLessThan(1.3 * alive);
  expect(await it.problems(left)).toEqual([]);
});

test('a file that is put at any moment of the emptying of what it names is whole', async () => {
  for (const verb of ['openProbe', 'copyForward', 'appendLog', 'trashStore', 'reclaimStore'] as const) {
    const { it, left, gone } = await mixed();
    await it.run();
    let putting: Promise<unknown> | undefined;
    it.lane.hookOnce(verb, async (parameters, run) => {
      putting = it.put('again', gone);
      // Beside it, not behind it: an append waits for the one under way.
      if (verb !== 'appendLog') await putting;
      return run(...parameters);
    });
    await it.run();
    await putting;
    await it.run();
    await it.run();
    expect([verb, ...(await it.problems({ ...left, again: gone }))]).toEqual([verb]);
  }
});

test('a file that is deleted between the marks stays readable until it is, and harms nobody', async () => {
  const it = await filled(['a']);
  await it.run();
  it.lane.hookOnce('openProbe', async (parameters, run) => {
    await it.remove('b');
    return run(...parameters);
  });
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ c: C })).toEqual([]);
  expect(await it.fileBytes()).toBeLessThan(2 * C.length);
});

test('a held trash is kept by the clock, and never shorter than an epoch', async () => {
  const it = await filled(['a']);
  await it.system.catalog.changeCleanerSettings({ holdHours: 2 });
  await it.run();
  await it.run();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0.9 * A.length);
  await it.restart();
  it.clock.now += 2 * 3_600_000;
  const { figures } = await it.run();
  expect(figures.freedBytes).toBeGreaterThan(0.9 * A.length);
  expect(await it.problems({ b: B, c: C })).toEqual([]);
});

test('a clock that is set back prolongs the hold of the trash by no more than the hold itself', async () => {
  const it = await filled(['a']);
  await it.system.catalog.changeCleanerSettings({ holdHours: 2 });
  it.clock.now += 365 * 24 * 3_600_000;
  await it.run();
  await it.run();
  await it.system.close();
  it.clock.now -= 365 * 24 * 3_600_000;
  await it.open();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0.9 * A.length);
  it.clock.now += 2 * 3_600_000;
  expect((await it.run()).figures.freedBytes).toBeGreaterThan(0.9 * A.length);
});

test('names of mark 2 in many passes free what one pass frees', async () => {
  const it = await filled(['a'], system => {
    system.options = { namesMax: 2 };
  });
  for (let at = 0; at < 9; at += 1) await it.put(`f${at}`, seededBytes(100 + at, 3000));
  await it.run();
  const { figures } = await it.run();
  expect(figures.freedBytes).toBeGreaterThan(0.9 * A.length);
});

test('a quota is given back by cleaning', async () => {
  const it = await filled(['a', 'b']);
  await it.system.catalog.updateGroup('DefaultGroup', { quotaBytes: await it.fileBytes() });
  await it.group.space.refresh();
  await expect(it.put('d', C)).rejects.toMatchObject({ code: 'NO_SPACE' });
  await it.run();
  await it.run();
  await it.group.space.refresh();
  await it.put('d', seededBytes(50, 100_000));
  expect(await it.problems({ c: C, d: seededBytes(50, 100_000) })).toEqual([]);
});
