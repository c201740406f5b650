import { expect, test } from 'vitest';
import { DAMAGES_NAMED_MAX } from '../../src/base/limits.js';
import { PlaceFiller } from '../../src/catalog/place-filler.js';
import { doneKey, placeKey } from '../../src/catalog/places.js';
import { rebuildViews } from '../../src/catalog/rebuild.js';
import { type VerifyProgress, verifySystem } from '../../src/catalog/verify.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

const VIEW = '/data/groups/DefaultGroup/view';
const STORE = 'ab'.repeat(24);

async function filled() {
  const disk = new FakeDisk();
  const opened = await openCatalog(disk);
  await opened.catalog.addContainer('c');
  for (const [index, name] of ['one', 'two'].entries()) {
    await opened.catalog.putFile('c', name, draft(100 * (index + 1), index + 1));
  }
  return { disk, group: opened.catalog.openedGroup('DefaultGroup'), ...opened };
}

test('nothing is damaged in a system that is whole', async () => {
  const { catalog } = await filled();
  expect(await verifySystem(catalog, { isFull: true })).toEqual({
    files: 2,
    chunks: 3,
    dataStores: 0,
    bytes: 0,
    damages: [],
    healed: [],
  });
});

test('a file whose chunk is in no data store is named', async () => {
  const { catalog, disk } = await filled();
  disk.lostRoots.add(2);
  const { damages } = await verifySystem(catalog, { isFull: false });
  expect(damages).toEqual([
    { group: 'DefaultGroup', what: 'file c/two', reason: expect.stringMatching(/are lost/) },
  ]);
});

/** What the double has as the fingerprint of the only chunk of a draft with that seed. */
function chunkOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? seed : 0));
}

test('a damaged record is named with its data store and its files, until there is a copy', async () => {
  const { catalog, disk, events } = await filled();
  disk.dataStores.set(STORE, new Uint8Array([...chunkOf(7), ...chunkOf(1)]));
  disk.damagedRoots.add(1);
  expect((await verifySystem(catalog, { isFull: false })).damages).toEqual([]);
  for (const isFull of [true, true]) {
    const { damages } = await verifySystem(catalog, { isFull });
    expect(damages.map(damage => damage.what)).toEqual([`data store ${STORE}`, 'file c/one']);
  }
  // In quarantine the files that need it are named without reading records, too, and it is said once.
  const { damages } = await verifySystem(catalog, { isFull: false });
  expect(damages.map(damage => damage.what)).toEqual(['file c/one']);
  expect(disk.hidden).toEqual(new Set([`${STORE}/2/1`]));
  expect(events.filter(({ level }) => level === 'error')).toHaveLength(1);
  disk.dataStores.set('cd'.repeat(24), chunkOf(1));
  disk.damagedRoots.clear();
  expect(await verifySystem(catalog, { isFull: false })).toMatchObject({
    damages: [],
    healed: [{ what: 'quarantine', reason: expect.stringMatching(/^1 chunks/) }],
  });
});

test('a damaged record of which nothing is needed is no damage', async () => {
  const { catalog, disk } = await filled();
  disk.dataStores.set(STORE, chunkOf(9));
  disk.damagedRoots.add(9);
  expect(await verifySystem(catalog, { isFull: true })).toMatchObject({
    damages: [],
    healed: [{ what: `data store ${STORE}` }],
  });
});

test('a data store and a file that go in the middle of it are no damage', async () => {
  const { catalog, disk } = await filled();
  disk.dataStores.set(STORE, chunkOf(7));
  const release = disk.hold('scrubStore');
  const verifying = verifySystem(catalog, { isFull: true });
  while (!disk.calls.includes('scrubStore')) await new Promise(resolve => setImmediate(resolve));
  disk.dataStores.delete(STORE);
  const releaseRows = disk.hold('findRows');
  release();
  while (!disk.calls.includes('findRows')) await new Promise(resolve => setImmediate(resolve));
  await catalog.deleteFile('c', 'one');
  disk.lostRoots.add(1);
  releaseRows();
  expect(await verifying).toMatchObject({ damages: [], dataStores: 0 });
});

test('damages are named up to the bound, and counted beyond it', async () => {
  const { catalog, disk } = await filled();
  for (let file = 0; file <= DAMAGES_NAMED_MAX; file += 1) {
    await catalog.putFile('c', `f${file}`, draft(100, 9));
  }
  disk.lostRoots.add(9);
  const { damages } = await verifySystem(catalog, { isFull: false });
  expect(damages).toHaveLength(DAMAGES_NAMED_MAX + 1);
  expect(damages.at(-1)!.reason).toBe('1 more are damaged');
});

test('verify tells how far it is, and ends when it is given up', async () => {
  const { catalog, disk } = await filled();
  disk.dataStores.set(STORE, new Uint8Array(5 * 32).fill(7));
  const told: string[] = [];
  const onProgress = ({ stage, done, total }: VerifyProgress) => void told.push(`${stage} ${done}/${total}`);
  await verifySystem(catalog, { isFull: true, onProgress });
  const steps = [0, 128, 256, 320].map(bytes => `data stores ${bytes}/320`);
  expect(told).toEqual([...steps, 'files 0/2', 'files 1/2']);
  const abort = new AbortController();
  const given = verifySystem(catalog, {
    isFull: true,
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await expect(given).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('a view that has lost a file is named', async () => {
  const { catalog, disk } = await filled();
  const view = disk.views.get(VIEW)!;
  for await (const [key] of view.scan({ from: Buffer.from('f'), to: Buffer.from('g'), limit: 1 })) {
    await view.batch([{ type: 'del', key }]);
  }
  const { damages } = await verifySystem(catalog, { isFull: false });
  expect(damages.map(damage => damage.what)).toEqual(['view']);
});

test('a locked group is not said to be whole', async () => {
  const { catalog, disk } = await filled();
  await catalog.addGroup({ name: 'e', encryption: 'static', passphrase: 'p' });
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  const { damages } = await verifySystem(again, { isFull: false });
  expect(damages).toEqual([{ group: 'e', what: 'storage group', reason: expect.stringMatching(/locked/) }]);
  await expect(verifySystem(again, { isFull: false, group: 'x' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('rebuild makes the view anew from log and data stores, whatever was in it', async () => {
  const { catalog, disk, context } = await filled();
  const before = (await catalog.listFiles('c', {})).files;
  const fingerprints = Uint8Array.from({ length: 320 }, (_, index) => index * 3);
  disk.dataStores.set(STORE, fingerprints);
  await catalog.close();
  const view = disk.views.get(VIEW)!;
  await view.batch([{ type: 'put', key: Buffer.from('f\0\0\0\x01ghost'), value: Buffer.from('ghost') }]);
  const reports = await rebuildViews({ context, dataDirectory: '/data', group: 'DefaultGroup' });
  expect(reports).toEqual([
    { group: 'DefaultGroup', records: 5, containers: 1, files: 2, dataStores: 1, fingerprints: 10 },
  ]);
  const { catalog: again } = await openCatalog(disk);
  expect((await again.listFiles('c', {})).files).toEqual(before);
  const places = await again.openGroup('DefaultGroup').places(fingerprints);
  expect(Buffer.from(places).toString('hex')).toBe(STORE.repeat(10));
});

test('a data store is marked only when all of its fingerprints are in the view', async () => {
  const { disk, group } = await filled();
  disk.dataStores.set(STORE, new Uint8Array(320).fill(7));
  disk.calls.length = 0;
  const release = disk.hold('markInView');
  const filling = new PlaceFiller(group).fill(() => false);
  while (!disk.calls.includes('markInView')) await new Promise(resolve => setImmediate(resolve));
  const entries = await group.view.getMany([placeKey(new Uint8Array(32).fill(7)), doneKey(STORE)]);
  expect(entries.every(entry => entry !== undefined)).toBe(true);
  release();
  expect(await filling).toBe(10);
  disk.calls.length = 0;
  expect(await new PlaceFiller(group).fill(() => false)).toBe(0);
  expect(disk.calls).toEqual(['listDataStores']);
});

test('places of fingerprints that the view does not have are zeros', async () => {
  const { group } = await filled();
  expect(await group.places(new Uint8Array(64))).toEqual(new Uint8Array(48));
});
