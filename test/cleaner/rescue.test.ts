/** Scrub beside the trash: what it takes from there, and what it must not ask for. */
import { afterEach, expect, test } from 'vitest';
import { ENGINE_BOUNDS } from '../../src/catalog/context.js';
import { binding } from '../../src/native/binding.js';
import { Scrub } from '../../src/scrub/scrub.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

/** File kept, copied out of a data store that lies in the trash; its copies are damaged at 20 000. */
async function damagedCopies() {
  const it = await CleaningSystem.start();
  systems.push(it);
  const pieces = Array.from({ length: 20 }, (_, at) => seededBytes(100 + at, 100_000));
  const kept = Buffer.concat(pieces.filter((_, at) => at % 2 === 0));
  await it.put('whole', Buffer.concat(pieces));
  await it.put('kept', kept);
  await it.remove('whole');
  await it.restart();
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  const before = (await it.lane.call('listDataStores', it.group.engine)).map(({ id }) => id);
  await it.run();
  await it.run();
  await it.lane.call('sync', it.group.engine);
  const stores = await it.lane.call('listDataStores', it.group.engine);
  const { id, path } = stores.find(store => store.isClosed && !before.includes(store.id))!;
  binding().diskDamage(it.disk, path, 20_000, Uint8Array.of(0xa5, 0x5a));
  const scrub = new Scrub({ clock: it.clock, onEvent: event => void it.events.push(event) }, it.group);
  return { it, kept, id, scrub };
}

/** The damage is found and in quarantine; nothing has been repaired yet. */
async function quarantine(it: CleaningSystem, id: string): Promise<void> {
  const { damages } = await it.lane.call('scrubStore', it.group.engine, id, 0, 2 ** 30);
  expect(await it.group.quarantine.take(id, damages)).toBeGreaterThan(0);
}

test('a damaged chunk is repaired from its copy in the trash, and the cleaner stops', async () => {
  const { it, kept, scrub } = await damagedCopies();
  const { quarantinedChunks, lostChunks } = await scrub.run();
  await scrub.close();
  expect({ isDamaged: quarantinedChunks > 0, lostChunks }).toEqual({ isDamaged: true, lostChunks: 0 });
  await expect(it.run()).rejects.toMatchObject({ code: 'LOCKED' });
  expect(await it.problems({ kept })).toEqual([]);
});

test('the last whole copy of a chunk that was found damaged is not unlinked with the trash', async () => {
  for (const isRestarted of [false, true]) {
    const { it, kept, id, scrub } = await damagedCopies();
    await quarantine(it, id);
    if (isRestarted) await it.restart();
    it.clock.now += 3_600_000;
    for (let cycle = 0; cycle < 4; cycle += 1) await it.run();
    expect((await it.system.get('c', 'kept')).equals(kept)).toBe(true);
    await it.remove('kept');
    await it.restart();
    it.clock.now += 3_600_000;
    for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
    it.clock.now += 3_600_000;
    await it.run();
    await scrub.close();
    expect(await it.fileBytes()).toBeLessThan(kept.length);
    expect((await it.group.space.refresh()).trashBytes).toBe(0);
  }
});

test('damage in a data store that is being appended to is healed by the next backup', async () => {
  const it = await CleaningSystem.start(system => {
    const engineBounds = { ...ENGINE_BOUNDS, residentIndexBytesMax: 2 ** 20, regionCacheBytesMax: 2 ** 20 };
    system.context = { engineBounds: { ...engineBounds, dataStoreSizeTarget: 2 ** 30 } };
  });
  systems.push(it);
  const bytes = seededBytes(1, 300_000);
  await it.put('a', bytes);
  const [open] = await it.lane.call('listDataStores', it.group.engine);
  expect(open!.isClosed).toBe(false);
  binding().diskDamage(it.disk, open!.path, 20_000, Uint8Array.of(0xa5, 0x5a));
  await quarantine(it, open!.id);
  await expect(it.system.get('c', 'a')).rejects.toMatchObject({ code: 'CORRUPT' });
  await it.put('again', bytes);
  for (const path of ['a', 'again']) expect((await it.system.get('c', path)).equals(bytes)).toBe(true);
  await it.restart();
  for (const path of ['a', 'again']) expect((await it.system.get('c', path)).equals(bytes)).toBe(true);
});

/** Files a and b, a trash that is held, and scrub. */
async function scrubbed(size: number) {
  const it = await CleaningSystem.start();
  systems.push(it);
  await it.put('a', seededBytes(1, size));
  await it.put('b', seededBytes(2, 500_000));
  await it.restart();
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  const scrub = new Scrub({ clock: it.clock, onEvent: event => void it.events.push(event) }, it.group);
  /** What file a has alone goes to the trash. */
  const trashA = async () => {
    await it.remove('a');
    await it.run();
    await it.run();
  };
  const trashReads = async () => (await it.group.space.refresh()).trashReads;
  return { it, scrub, trashA, trashReads };
}

/** File a goes to the trash while the first references are looked for. */
async function expectNothingSoughtInTheTrash(system: Awaited<ReturnType<typeof scrubbed>>): Promise<void> {
  const { it, scrub, trashA, trashReads } = system;
  it.lane.hookOnce('findRows', async (parameters, run) => {
    await trashA();
    expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0);
    return run(...parameters);
  });
  await scrub.run();
  await scrub.close();
  expect(await trashReads()).toBe(0);
}

test('a file that is deleted while its references are checked is not repaired from the trash', async () => {
  await expectNothingSoughtInTheTrash(await scrubbed(2_000_000));
});

test('a file that is deleted before its blockmap is checked is not looked for in the trash', async () => {
  const system = await scrubbed(2_000_000);
  await system.it.put('0', seededBytes(3, 10_000));
  await expectNothingSoughtInTheTrash(system);
});

test('a file that is deleted before its damage is repaired is not repaired from the trash', async () => {
  const { it, scrub, trashA, trashReads } = await scrubbed(2_000_000);
  for (const { id, path, fileBytes } of await it.lane.call('listDataStores', it.group.engine)) {
    if (fileBytes < 100_000) continue;
    binding().diskDamage(it.disk, path, 20_000, Uint8Array.of(0xa5, 0x5a));
    await quarantine(it, id);
  }
  it.lane.hookOnce('readRecords', async (parameters, run) => {
    await trashA();
    return run(...parameters);
  });
  await scrub.run();
  await scrub.close();
  expect(await trashReads()).toBe(0);
  await it.run();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0);
});

test('a file that is deleted while scrub reads it stays until it has been read', async () => {
  const { it, scrub, trashA, trashReads } = await scrubbed(6_000_000);
  it.lane.hookOnce('readRecords', async (parameters, run) => {
    await trashA();
    expect(it.group.state.stores.all()).toEqual([]);
    return run(...parameters);
  });
  await scrub.tick();
  await scrub.close();
  expect(await trashReads()).toBe(0);
  expect(it.group.openReads.size).toBe(0);
  await it.run();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0);
});
