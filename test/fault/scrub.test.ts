// Damage of data stores under a running system: what scrub finds, what dedup answers then, what comes back.
import { afterEach, expect, test } from 'vitest';
import { ROWS_MAX } from '../../src/base/limits.js';
import { LocalCopies } from '../../src/catalog/local-copies.js';
import type { RepairSource } from '../../src/catalog/repair-source.js';
import { binding, FINGERPRINT_SIZE, ROW_SIZE } from '../../src/native/binding.js';
import { Scrub } from '../../src/scrub/scrub.js';
import { sharedBytes } from '../../src/workers/shared-bytes.js';
import { rowLength } from '../../src/workers/verbs.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { type Place, placesIn } from '../support/damage.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const A = seededBytes(1, 300_000);
const B = seededBytes(2, 200_000);
const FILE_SIZE_MAX = 2 ** 26;

/** Files a and b in closed data stores. */
async function filled(): Promise<CleaningSystem> {
  const it = await CleaningSystem.start();
  systems.push(it);
  await it.put('a', A);
  await it.put('b', B);
  await it.restart();
  return it;
}

function scrubOf(it: CleaningSystem): Scrub {
  return new Scrub({ clock: it.clock, onEvent: event => void it.events.push(event) }, it.group);
}

async function dataStores(it: CleaningSystem): Promise<{ id: string; path: string; bytes: Buffer }[]> {
  const stores = await it.lane.call('listDataStores', it.group.engine);
  return stores.map(({ id, path }) => ({
    ...{ id, path },
    bytes: Buffer.from(binding().readSmallFile(path, FILE_SIZE_MAX, it.disk)),
  }));
}

/** Records of the chunks of regions, in the order of the data stores and of their files. */
async function records(it: CleaningSystem): Promise<(Place & { bytes: Buffer })[]> {
  const stores = await dataStores(it);
  return stores.flatMap(({ path, bytes }) =>
    placesIn(new Map([[path, bytes]]))
      .filter(({ structure, offset }) => structure === 'record' && bytes[offset + 8] === 1)
      .map(place => ({ ...place, bytes: bytes.subarray(place.offset, place.offset + place.size) })),
  );
}

/** The middle of a record gets a bit flipped. */
function rot(it: CleaningSystem, { path, offset, size, bytes }: Place & { bytes: Buffer }): void {
  const at = size >> 1;
  binding().diskDamage(it.disk, path, offset + at, Uint8Array.of(bytes[at]! ^ 4));
}

/** Every record of blockmap nodes gets a bit flipped. */
async function rotNodes(it: CleaningSystem): Promise<void> {
  for (const { path, bytes } of await dataStores(it)) {
    const nodes = placesIn(new Map([[path, bytes]])).filter(
      ({ structure, offset }) => structure === 'record' && bytes[offset + 8] === 2,
    );
    for (const { offset, size } of nodes) {
      binding().diskDamage(it.disk, path, offset + size - 30, Uint8Array.of(bytes[offset + size - 30]! ^ 1));
    }
  }
}

function errorsOf(it: CleaningSystem): string[] {
  return it.events.filter(({ level }) => level === 'error').map(({ message }) => message);
}

async function readable(it: CleaningSystem): Promise<Record<string, boolean>> {
  const whole = async (path: string, bytes: Buffer) =>
    it.system.get('c', path).then(
      found => {
        if (!found.equals(bytes)) throw new Error(`wrong bytes of ${path}`);
        return true;
      },
      () => false,
    );
  return { a: await whole('a', A), b: await whole('b', B) };
}

test('bit rot is found, kept from dedup over a restart, and healed by the next backup', async () => {
  const it = await filled();
  rot(it, (await records(it))[0]!);
  const report = await scrubOf(it).run();
  expect(report).toMatchObject({ damagedRecords: 1, damagedFiles: 1 });
  expect(report.quarantinedChunks).toBeGreaterThan(0);
  const path = report.names[0]!.slice(2);
  expect(errorsOf(it)).toEqual([
    expect.stringMatching(/data store \w+ is damaged at \d+: .*in quarantine/),
    expect.stringMatching(new RegExp(`files need: c/${path}$`)),
    expect.stringMatching(new RegExp(`file c/${path} does not come out`)),
  ]);
  await it.restart();
  expect(await readable(it)).toEqual({ a: path !== 'a', b: path !== 'b' });
  await it.put('again', path === 'a' ? A : B);
  expect(await readable(it)).toEqual({ a: true, b: true });
  await it.restart();
  const files = { a: A, again: path === 'a' ? A : B, b: B };
  expect(await it.problems(files)).toEqual([]);
  expect(await scrubOf(it).run()).toMatchObject({ damagedFiles: 0, healedChunks: report.quarantinedChunks });
  // A start of the view from nothing but log and data stores knows of it, too.
  await it.restartWithViews(new Map());
  expect(await it.problems(files)).toEqual([]);
});

test('a write that was lost, and one that went to another place, are found', async () => {
  const it = await filled();
  const [first, second, third] = await records(it);
  binding().diskDamage(it.disk, first!.path, first!.offset, new Uint8Array(first!.size));
  const size = Math.min(second!.size, third!.size);
  binding().diskDamage(it.disk, third!.path, third!.offset, second!.bytes.subarray(0, size));
  const report = await scrubOf(it).run();
  expect(report.damagedRecords).toBe(2);
  const lost = Object.entries(await readable(it)).flatMap(([path, isThere]) =>
    isThere ? [] : [`c/${path}`],
  );
  expect(lost.length).toBeGreaterThan(0);
  expect(report.names).toEqual(lost);
});

test('damage of a blockmap is found, its file named, and healed by the next backup', async () => {
  const it = await filled();
  await rotNodes(it);
  expect(await scrubOf(it).run()).toMatchObject({ damagedFiles: 2, names: ['c/a', 'c/b'] });
  await it.put('a', A);
  await it.put('b', B);
  expect(await it.problems({ a: A, b: B })).toEqual([]);
});

test('a damaged blockmap is repaired from a source, too', async () => {
  const it = await filled();
  const replica = await replicaOf(it, { a: A, b: B });
  await rotNodes(it);
  it.group.repairSources.push(LIAR, replica);
  expect(await scrubOf(it).run()).toMatchObject({ repairedChunks: 2, damagedFiles: 0 });
  await it.restart();
  expect(await it.problems({ a: A, b: B })).toEqual([]);
});

test('what a restore finds damaged is in quarantine without a round of scrub', async () => {
  const it = await filled();
  const scrub = scrubOf(it);
  await scrub.tick();
  const before = await scrub.status();
  scrub.start();
  rot(it, (await records(it))[0]!);
  expect(Object.values(await readable(it)).sort()).toEqual([false, true]);
  it.clock.advance(0);
  for (let turn = 0; it.group.state.stores.all().length === 0; turn += 1) {
    expect(turn).toBeLessThan(10_000);
    await new Promise(resolve => setImmediate(resolve));
  }
  await scrub.close();
  const after = await scrubOf(it).status();
  expect(after.quarantinedChunks).toBeGreaterThan(0);
  // Only the records of the segment that the restore was at have been read for it.
  expect(after.bytesRead - before.bytesRead).toBeLessThan(A.length + 50_000);
});

test('with both copies damaged nothing gets worse, and what comes back from a source is whole', async () => {
  const it = await filled();
  const replica = await replicaOf(it, { a: A, b: B });
  const before = await dataStores(it);
  for (const record of await records(it)) rot(it, record);
  await scrubOf(it).run();
  await it.put('a', A);
  await it.restart();
  const isNew = ({ path }: Place) => before.every(store => store.path !== path);
  for (const record of (await records(it)).filter(isNew)) rot(it, record);
  const damagedNow = new Map((await dataStores(it)).map(({ id, bytes }) => [id, bytes]));
  const report = await scrubOf(it).run();
  expect(report.damagedFiles).toBeGreaterThan(0);
  expect(await readable(it)).toEqual({ a: false, b: false });
  // Nothing was written over or removed: each file of a data store is what it was.
  for (const { id } of before) expect(damagedNow.has(id)).toBe(true);
  for (const { id, bytes } of await dataStores(it)) {
    if (damagedNow.has(id)) expect(bytes.equals(damagedNow.get(id)!)).toBe(true);
  }
  it.group.repairSources.push(LIAR, replica);
  const repaired = await scrubOf(it).run();
  expect(repaired).toMatchObject({ damagedFiles: 0, lostChunks: 0 });
  expect(repaired.repairedChunks).toBeGreaterThan(0);
  expect(errorsOf(it)).toContainEqual(expect.stringMatching(/liar gave wrong bytes for \d+ chunks/));
  await it.restart();
  expect(await it.problems({ a: A, b: B })).toEqual([]);
});

/** Gives each chunk bytes of its length that are not its own. */
const LIAR: RepairSource = {
  name: 'liar',
  fetch: async wanted => wanted.map(({ length }) => new Uint8Array(length)),
};

/** What a replica would have: the bytes of all chunks of these files, by fingerprint. */
async function replicaOf(it: CleaningSystem, files: Readonly<Record<string, Buffer>>): Promise<RepairSource> {
  const chunks = new Map<string, Buffer>();
  for (const [path, bytes] of Object.entries(files)) {
    const { map, size } = await it.system.catalog.file('c', path);
    const rows = sharedBytes(ROWS_MAX * ROW_SIZE);
    const { rowCount } = await it.lane.call('readRows', it.group.engine, map, 0, size, rows);
    for (let row = 0, from = 0; row < rowCount; row += 1) {
      const name = Buffer.from(rows.slice(row * ROW_SIZE, row * ROW_SIZE + FINGERPRINT_SIZE)).toString('hex');
      const to = from + rowLength(rows, row);
      chunks.set(name, bytes.subarray(from, to));
      from = to;
    }
    const root = { fingerprint: new Uint8Array(map.root), length: map.rootLength };
    const [node] = await new LocalCopies(it.group).fetch([root]);
    chunks.set(Buffer.from(map.root).toString('hex'), Buffer.from(node!));
  }
  return {
    name: 'replica',
    fetch: async wanted =>
      wanted.map(({ fingerprint }) => chunks.get(Buffer.from(fingerprint).toString('hex'))),
  };
}

test('damage whose last good copy lies in the trash is repaired from it, and the cleaner stops', async () => {
  const it = await CleaningSystem.start();
  systems.push(it);
  await it.cleaners.change({ holdHours: 24 });
  await it.put('dead', Buffer.concat([A, seededBytes(7, 400_000)]));
  await it.put('a', A);
  await it.remove('dead');
  await it.restart();
  const before = await dataStores(it);
  await it.run();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(A.length);
  await it.restart();
  const isCopy = ({ path }: Place) => before.every(store => store.path !== path);
  for (const record of (await records(it)).filter(isCopy)) rot(it, record);
  const report = await scrubOf(it).run();
  expect(report).toMatchObject({ damagedFiles: 0, lostChunks: 0 });
  expect(report.repairedChunks).toBeGreaterThan(0);
  expect((await it.system.get('c', 'a')).equals(A)).toBe(true);
  await expect(it.run()).rejects.toThrow(/read from the trash/);
  await it.restart();
  expect(await it.problems({ a: A })).toEqual([]);
});

test('scrub beside ingest and cleaner raises no false alarm', async () => {
  const it = await filled();
  const files: Record<string, Buffer> = { a: A, b: B };
  for (let round = 0; round < 6; round += 1) {
    const scrub = scrubOf(it);
    const bytes = seededBytes(10 + round, 400_000);
    const work = [
      scrub.run(),
      it.put(`f${round}`, bytes),
      it.run().catch(() => undefined),
      it.system.verify(),
      ...(round > 1 ? [it.remove(`f${round - 2}`)] : []),
    ] as const;
    const [report, , , verified] = await Promise.all(work);
    files[`f${round}`] = bytes;
    delete files[`f${round - 2}`];
    expect(report).toMatchObject({ damagedRecords: 0, damagedFiles: 0 });
    expect(verified.damages).toEqual([]);
    if (round % 2 === 1) await it.restart();
  }
  expect(errorsOf(it)).toEqual([]);
  expect(await it.problems(files)).toEqual([]);
});
