/** What must not keep the cleaner, or the group, from going on: chances and damage that come together. */
import { afterEach, expect, test, vi } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { liveCount } from '../../src/cleaner/emptying.js';
import { Upload } from '../../src/ingest/upload.js';
import { binding } from '../../src/native/binding.js';
import { CleaningSystem, GROUP } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

async function start(): Promise<CleaningSystem> {
  const it = await CleaningSystem.start();
  systems.push(it);
  return it;
}

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const MIB = 2 ** 20;
const A = seededBytes(1, 3 * MIB);
const B = seededBytes(2, 2 * MIB);

/** A stream whose first segments have been looked up. */
async function openStream(it: CleaningSystem, bytes: Uint8Array): Promise<Upload> {
  const upload = Upload.begin(it.system.catalog.openContainer('c').group, { size: bytes.length + 1 });
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!upload.write(bytes.subarray(at, at + 65_536))) await upload.ready();
  }
  while (upload.progress.settledBytes === 0) await new Promise(resolve => setImmediate(resolve));
  return upload;
}

/** Deletes a file until its data store lies in the trash, and stays. Answers a fingerprint of it. */
async function trashed(it: CleaningSystem, path: string): Promise<Uint8Array> {
  await it.remove(path);
  await it.restart();
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  await it.run();
  const { id } = it.group.state.stores.all()[0]!;
  const fingerprints = new Uint8Array(new SharedArrayBuffer(32 * 8));
  await it.lane.call('readFingerprints', it.group.engine, id, 0, fingerprints);
  await it.run();
  return fingerprints.slice(0, 32);
}

test('a moved data store that was held, and whose copies have died since, is looked at anew', async () => {
  const it = await start();
  const pieces = Array.from({ length: 90 }, (_, at) => seededBytes(100 + at, 300_000));
  const every = (rest: number) => Buffer.concat(pieces.filter((_, at) => at % 3 === rest));
  const held = every(1);
  await it.put('whole', Buffer.concat(pieces));
  await it.put('held', held);
  await it.put('dies', every(2));
  await it.remove('whole');
  await it.restart();
  await it.run();
  const upload = await openStream(it, held);
  await it.run();
  expect(it.group.state.stores.all().some(({ moved }) => moved !== undefined)).toBe(true);
  await it.remove('dies');
  it.lane.hookOnce('beginEpoch', async (parameters, run) => {
    await upload.close();
    return run(...parameters);
  });
  for (let cycle = 0; cycle < 5; cycle += 1) await it.run();
  await it.restart();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(it.group.state.stores.all()).toEqual([]);
  expect(await it.fileBytes()).toBeLessThan(1.2 * held.length);
  expect(await it.problems({ held })).toEqual([]);
});

test('damage that takes chunks of a condemned data store does not keep the group closed', async () => {
  const it = await start();
  await it.put('a', A);
  await it.put('b', B);
  await it.remove('a');
  await it.restart();
  await it.run();
  const stores = await it.lane.call('listDataStores', it.group.engine);
  const { id, path, fileBytes } = stores.find(store => {
    const state = it.group.state.stores.get(store.id);
    // One that has chunks of 'b', too, would take them along.
    return state !== undefined && store.chunkCount > 9 && liveCount(state, store) === 0;
  })!;
  await it.system.close();
  for (let at = 4200; at < fileBytes; at += 256) {
    binding().diskDamage(it.disk, path, at, Uint8Array.of(0xa5, 0x5a));
  }
  await it.open();
  const messages = it.events.map(({ message }) => message);
  expect(messages).toContain(`data store ${id} has fewer chunks than the log knows of`);
  expect((await it.system.get('c', 'b')).equals(B)).toBe(true);
  // It is damaged, so nothing is freed until it has been looked at; the next start takes what is left of it.
  await it.run('failed');
  for (let restart = 0; restart < 2; restart += 1) {
    await it.restart();
    for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  }
  expect(await it.problems({ b: B })).toEqual([]);
});

test('damaged chunks that no file needs do not keep their data store', async () => {
  const it = await start();
  await it.put('a', A);
  await it.put('b', B);
  await it.restart();
  const { id } = (await it.lane.call('listDataStores', it.group.engine))[0]!;
  const fingerprints = new Uint8Array(32);
  const damage = {
    dataStore: id,
    firstChunk: 0,
    chunkCount: 1,
    offset: 4096,
    reason: 'a test',
    fingerprints,
  };
  await it.group.quarantine.take(id, [damage]);
  for (let cycle = 0; cycle < 2; cycle += 1) await it.run();
  const isThere = async () =>
    (await it.lane.call('listDataStores', it.group.engine)).some(store => store.id === id);
  expect(await isThere()).toBe(true);
  for (const path of ['a', 'b']) await it.remove(path);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await isThere()).toBe(false);
});

test('the brake that a read from the trash has pulled is released by resume, without a restart', async () => {
  const it = await start();
  await it.put('a', A);
  await it.put('b', B);
  const lost = await trashed(it, 'a');
  await it.lane.call('rescueChunks', it.group.engine, lost, 1);
  await it.run('braked');
  await it.cleaners.resume();
  for (let cycle = 0; cycle < 2; cycle += 1) await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0.9 * A.length);
  expect(await it.problems({ b: B })).toEqual([]);
});

test('what could not be brought back from the trash is tried again by resume', async () => {
  const it = await start();
  await it.put('a', A);
  const lost = await trashed(it, 'a');
  await it.lane.call('rescueChunks', it.group.engine, lost, 1);
  it.lane.hookOnce('untrashStore', () => Promise.reject(new StoreError('IO', 'a bad moment')));
  await it.run('braked');
  expect((await it.lane.call('listTrash', it.group.engine)).length).toBeGreaterThan(0);
  await it.restart();
  await it.cleaners.resume();
  expect(await it.lane.call('listTrash', it.group.engine)).toEqual([]);
  expect((await it.status(GROUP)).state).toBe('idle');
});

test('a read from the trash pulls the brake at once, so that no restart forgets it', async () => {
  const it = await start();
  await it.put('a', A);
  const lost = await trashed(it, 'a');
  await it.group.rescue(lost);
  await it.restart();
  expect((await it.status()).state).toBe('braked');
  expect(await it.lane.call('listTrash', it.group.engine)).toEqual([]);
});

test('what is damaged in a data store that comes back from the trash stays hidden', async () => {
  const it = await start();
  await it.put('a', A);
  await it.restart();
  const { id } = (await it.lane.call('listDataStores', it.group.engine))[0]!;
  const fingerprints = new Uint8Array(new SharedArrayBuffer(32 * 8));
  await it.lane.call('readFingerprints', it.group.engine, id, 0, fingerprints);
  const first = fingerprints.slice(0, 32);
  const damage = { ...{ dataStore: id, firstChunk: 0, chunkCount: 1, offset: 4096 }, reason: 'a test' };
  await it.group.quarantine.take(id, [{ ...damage, fingerprints: first }]);
  await it.remove('a');
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  await it.run();
  await it.run();
  await it.restart();
  await it.group.rescue(fingerprints.slice(32, 64));
  await vi.waitFor(async () => expect(await it.lane.call('listTrash', it.group.engine)).toEqual([]));
  await it.cleaners.resume();
  const places = new Uint8Array(new SharedArrayBuffer(24 * 2));
  await it.lane.call('locateChunks', it.group.engine, fingerprints.slice(0, 64), 2, places);
  expect(places.subarray(0, 24).some(byte => byte !== 0)).toBe(false);
  expect(Buffer.from(places.slice(24)).toString('hex')).toBe(id);
});

test('a checkpoint that is completed while mark 2 begins does not end the cycle', async () => {
  const it = await start();
  await it.put('a', A);
  await it.put('b', B);
  await it.remove('a');
  await it.restart();
  await it.run();
  it.lane.hookOnce('openProbe', (parameters, run) => {
    it.lane.hookOnce('counters', async (counted, count) => {
      const counters = await count(...counted);
      await writeCheckpoint(it.system.context, it.group);
      return counters;
    });
    return run(...parameters);
  });
  expect((await it.run()).figures.freedBytes).toBeGreaterThan(0.9 * A.length);
  expect(await it.problems({ b: B })).toEqual([]);
});

test('a volume that has no room for a name in the trash keeps nothing that lies there', async () => {
  const it = await start();
  await it.put('a', A);
  await it.put('b', B);
  await it.remove('a');
  await it.restart();
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  await it.run();
  await it.run();
  await it.remove('b');
  await it.run();
  it.lane.hooks.set('trashStore', () => {
    throw new StoreError('NO_SPACE', 'no room for a name');
  });
  await it.run();
  it.clock.now += 2 * 3_600_000;
  expect((await it.run()).figures.freedBytes).toBeGreaterThan(0.9 * A.length);
  it.lane.hooks.clear();
  await it.run();
  await it.run();
  expect(it.group.state.stores.all()).toEqual([]);
  expect(await it.fileBytes()).toBe(0);
});
