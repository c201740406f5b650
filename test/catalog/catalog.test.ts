import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

async function withContainer(disk = new FakeDisk()) {
  const opened = await openCatalog(disk);
  await opened.catalog.addContainer('c');
  return { disk, ...opened };
}

async function names(catalog: GranaryCatalog, container: string): Promise<string[]> {
  return (await catalog.listFiles(container, {})).files.map(file => file.path);
}

test('the first start makes DefaultGroup, and a second start finds it', async () => {
  const disk = new FakeDisk();
  const first = await openCatalog(disk);
  const made = first.catalog.showGroup('DefaultGroup');
  await first.catalog.close();
  const second = await openCatalog(disk);
  expect(second.catalog.showGroup('DefaultGroup').id).toBe(made.id);
  expect(second.catalog.listGroups()).toHaveLength(1);
});

test('a data directory with things in it but without a system file is refused', async () => {
  const disk = new FakeDisk();
  disk.directories.add('/data');
  disk.files.set('/data/holiday.jpg', new Uint8Array(1));
  await expect(openCatalog(disk)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a file that was put is found with all that was said of it, also after a restart', async () => {
  const { catalog, disk } = await withContainer();
  const put = await catalog.putFile('c', 'a/b', { ...draft(1000), sha256: 'ab'.repeat(32) });
  expect(await catalog.file('c', 'a/b')).toEqual(put);
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  expect(await again.file('c', 'a/b')).toEqual(put);
  expect(put).toMatchObject({ size: 1000, sha256: 'ab'.repeat(32), chunkCount: 101 });
});

test('an overwrite is a new, higher version in the place of the old one', async () => {
  const { catalog } = await withContainer();
  const first = await catalog.putFile('c', 'f', draft(1000));
  const second = await catalog.putFile('c', 'f', draft(10));
  expect(second.version).toBeGreaterThan(first.version);
  expect((await catalog.listFiles('c', {})).files).toEqual([second]);
  expect(catalog.showContainer('c')).toMatchObject({ files: 1, logicalBytes: 10, uniqueBytes: 5 });
});

test('overwrites of one name that are committed together count once', async () => {
  const { catalog } = await withContainer();
  await Promise.all([10, 20, 30].map(size => catalog.putFile('c', 'f', draft(size))));
  expect(catalog.showContainer('c')).toMatchObject({ files: 1, logicalBytes: 30 });
  expect((await catalog.file('c', 'f')).size).toBe(30);
});

test('a deleted file is gone, deleting it once more is NOT_FOUND', async () => {
  const { catalog } = await withContainer();
  await catalog.putFile('c', 'f', draft(1));
  await catalog.deleteFile('c', 'f');
  await expect(catalog.file('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(catalog.deleteFile('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(catalog.showContainer('c').files).toBe(0);
});

test('a put and a delete of one name, committed together, keep the order of the calls', async () => {
  const { catalog } = await withContainer();
  await Promise.all([catalog.putFile('c', 'f', draft(1)), catalog.deleteFile('c', 'f')]);
  await expect(catalog.file('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const [refused] = await Promise.allSettled([
    catalog.deleteFile('c', 'f'),
    catalog.putFile('c', 'f', draft(2)),
  ]);
  expect(refused).toMatchObject({ reason: { code: 'NOT_FOUND' } });
  expect((await catalog.file('c', 'f')).size).toBe(2);
});

test('listing goes by the bytes of the names, astral characters last', async () => {
  const { catalog } = await withContainer();
  const sorted = ['..', 'a\nb', 'b', 'ü', '\u{e000}', '\u{ffff}', '\u{1f600}'];
  for (const name of [...sorted].reverse()) await catalog.putFile('c', name, draft(1));
  expect(await names(catalog, 'c')).toEqual(sorted);
});

test('pages follow one another without gap or overlap and keep to the prefix', async () => {
  const { catalog } = await withContainer();
  for (const name of ['a', 'p/1', 'p/2', 'p/3', 'p0', 'q']) await catalog.putFile('c', name, draft(1));
  const first = await catalog.listFiles('c', { prefix: 'p/', limit: 2 });
  expect(first.files.map(file => file.path)).toEqual(['p/1', 'p/2']);
  expect(first.next).toBe('p/2');
  const second = await catalog.listFiles('c', { prefix: 'p/', limit: 2, after: first.next! });
  expect(second.files.map(file => file.path)).toEqual(['p/3']);
  expect(second.next).toBeUndefined();
});

test('illegal names are INVALID: empty, too long, NUL, lone surrogates', async () => {
  const { catalog } = await withContainer();
  for (const name of ['', 'x'.repeat(1025), 'a\0b', 'a\ud800', 'ü'.repeat(513)]) {
    await expect(catalog.putFile('c', name, draft(1))).rejects.toMatchObject({ code: 'INVALID' });
  }
  await catalog.putFile('c', 'x'.repeat(1024), draft(1));
});

test('a container name is unique in the system, and unknown ones are NOT_FOUND', async () => {
  const { catalog } = await withContainer();
  await catalog.addGroup({ name: 'g2' });
  await expect(catalog.addContainer('c', 'g2')).rejects.toMatchObject({ code: 'EXISTS' });
  await expect(catalog.addContainer('d', 'nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(catalog.addContainer('../d')).rejects.toMatchObject({ code: 'INVALID' });
  await expect(catalog.file('nope', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('two calls that add one container at once: one is refused', async () => {
  const { catalog } = await withContainer();
  const results = await Promise.allSettled([catalog.addContainer('x'), catalog.addContainer('x')]);
  expect(results.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('a container with files is kept unless its files are to go too', async () => {
  const { catalog, disk } = await withContainer();
  for (let file = 0; file < 30; file += 1) await catalog.putFile('c', `f${file}`, draft(1));
  await expect(catalog.deleteContainer('c', false)).rejects.toMatchObject({ code: 'EXISTS' });
  await catalog.deleteContainer('c', true);
  expect(catalog.listContainers()).toEqual([]);
  const added = await catalog.addContainer('c');
  expect(await names(catalog, 'c')).toEqual([]);
  expect(added.id).toBeGreaterThan(1);
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  expect(again.listContainers()).toEqual([added]);
});

test('nothing is put into a container while it is being deleted', async () => {
  const { catalog, disk } = await withContainer();
  await catalog.putFile('c', 'f', draft(1));
  const release = disk.hold('appendLog');
  const late = catalog.putFile('c', 'late', draft(1));
  const deleted = catalog.deleteContainer('c', true);
  release();
  const [, put] = await Promise.allSettled([deleted, late]);
  await deleted;
  expect(catalog.listContainers()).toEqual([]);
  expect(put.status === 'fulfilled' || put.reason instanceof StoreError).toBe(true);
  expect(catalog.openedGroup('DefaultGroup').state.totals.files).toBe(0);
});

test('a missing, foreign or newer group says so, and the others serve', async () => {
  const disk = new FakeDisk();
  const first = await openCatalog(disk);
  for (const name of ['gone', 'foreign', 'newer', 'good']) await first.catalog.addGroup({ name });
  await first.catalog.addContainer('in-gone', 'gone');
  await first.catalog.close();
  disk.groups.delete('/data/groups/gone');
  disk.groups.get('/data/groups/foreign')!.format.storeId.set([1, 2, 3]);
  disk.failNext('probeGroup', new StoreError('UNSUPPORTED', 'format 2'), { skip: 3 });
  const { catalog } = await openCatalog(disk);
  expect(() => catalog.openGroup('gone')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  expect(() => catalog.openGroup('foreign')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  expect(() => catalog.openGroup('newer')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  expect(catalog.openGroup('good').name).toBe('good');
  expect(catalog.showGroup('gone').failure).toMatch(/superblock/);
  await expect(catalog.file('in-gone', 'f')).rejects.toMatchObject({
    message: expect.stringMatching(/cannot be opened/),
  });
  expect(disk.groups.has('/data/groups/gone')).toBe(false);
});

test('a group that was being made when the process died is removed, and can be made again', async () => {
  const disk = new FakeDisk();
  const first = await openCatalog(disk);
  disk.hold('attach');
  first.catalog.addGroup({ name: 'g' }).catch(() => undefined);
  await new Promise(resolve => setImmediate(resolve));
  const left = await disk.crashed();
  expect(left.groups.has('/data/groups/g')).toBe(true);
  const { catalog } = await openCatalog(left);
  expect(catalog.listGroups().map(group => group.name)).toEqual(['DefaultGroup']);
  expect(left.groups.has('/data/groups/g')).toBe(false);
  await catalog.addGroup({ name: 'g' });
});

test('a group is made in an empty directory only, and not inside another group', async () => {
  const disk = new FakeDisk();
  const { catalog } = await openCatalog(disk);
  disk.directories.add('/full');
  disk.files.set('/full/x', new Uint8Array(1));
  await expect(catalog.addGroup({ name: 'a', path: '/full' })).rejects.toMatchObject({ code: 'EXISTS' });
  await expect(catalog.addGroup({ name: 'a', path: 'relative' })).rejects.toMatchObject({ code: 'INVALID' });
  await expect(catalog.addGroup({ name: 'a', path: '/' })).rejects.toMatchObject({ code: 'INVALID' });
  await catalog.addGroup({ name: 'b', path: '/vol/b' });
  await expect(catalog.addGroup({ name: 'a', path: '/vol/b/in' })).rejects.toMatchObject({ code: 'INVALID' });
  await expect(catalog.addGroup({ name: 'a', path: '/vol' })).rejects.toMatchObject({ code: 'INVALID' });
  await expect(catalog.addGroup({ name: 'b' })).rejects.toMatchObject({ code: 'EXISTS' });
});

test('a group is deleted without containers only, and leaves nothing behind', async () => {
  const disk = new FakeDisk();
  const { catalog } = await openCatalog(disk);
  await catalog.addGroup({ name: 'g' });
  await catalog.addContainer('x', 'g');
  await expect(catalog.deleteGroup('g')).rejects.toMatchObject({ code: 'EXISTS' });
  await catalog.deleteContainer('x', false);
  await catalog.deleteGroup('g');
  expect([...disk.files.keys(), ...disk.views.keys()].filter(path => path.includes('groups/g'))).toEqual([]);
  expect(catalog.listGroups().map(group => group.name)).toEqual(['DefaultGroup']);
});

test('a slow volume is no performance tier, unless it is accepted; its figures are kept', async () => {
  const disk = new FakeDisk();
  const { catalog } = await openCatalog(disk);
  const request = { name: 'fast', path: '/ssd', isPerformanceTier: true };
  await expect(catalog.addGroup(request)).rejects.toMatchObject({
    code: 'INVALID',
    message: expect.stringMatching(/1500.*400/),
  });
  const info = await catalog.addGroup({ ...request, acceptSlow: true });
  expect(info.admission).toEqual({ sequentialIops: 1500, randomIops: 400, isRotational: true });
  expect(catalog.openGroup('fast').lane.name).toBe('fast');
});

test('ingest is refused at the quota and at the floor of the volume, deletes are not', async () => {
  const { catalog, disk } = await withContainer();
  await catalog.putFile('c', 'f', draft(1));
  const group = catalog.openedGroup('DefaultGroup');
  await catalog.updateGroup('DefaultGroup', { quotaBytes: 2 ** 20 });
  disk.counters.fileBytes = 2 ** 20;
  await group.space.refresh();
  expect(() => group.admitIngest()).toThrow(
    expect.objectContaining({ code: 'NO_SPACE', message: expect.stringMatching(/quota/) }),
  );
  await catalog.updateGroup('DefaultGroup', { quotaBytes: 0 });
  group.admitIngest();
  disk.counters.freeBytes = 1000;
  await group.space.refresh();
  expect(() => group.admitIngest()).toThrow(
    expect.objectContaining({ code: 'NO_SPACE', message: expect.stringMatching(/volume/) }),
  );
  await catalog.deleteFile('c', 'f');
  disk.counters.freeBytes = 1e12;
  await group.space.refresh();
  group.admitIngest();
});

test('settings last over a restart, and encryption is not switched afterwards', async () => {
  const { catalog, disk } = await withContainer();
  await catalog.updateGroup('DefaultGroup', { compression: 'best', quotaBytes: 5e6 });
  await expect(catalog.updateGroup('DefaultGroup', { encryption: 'static' })).rejects.toMatchObject({
    code: 'INVALID',
  });
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  expect(again.showGroup('DefaultGroup')).toMatchObject({ compression: 'best', quotaBytes: 5e6 });
});

test('statistics name logical, unique and stored bytes', async () => {
  const { catalog } = await withContainer();
  await catalog.putFile('c', 'f', draft(1000));
  expect(await catalog.statistics()).toMatchObject({
    logicalBytes: 1000,
    uniqueBytes: 600,
    storedBytes: 310,
    files: 1,
    dedupSavedBytes: 400,
    compressionSavedBytes: 290,
    savingsPercent: 69,
  });
  expect(await catalog.statistics({ container: 'c' })).toMatchObject({ uniqueBytes: 500, storedBytes: 250 });
});

test('users last over a restart; a name is given once', async () => {
  const { catalog, disk } = await withContainer();
  const user = { name: 'ann', role: 'writer', tokenHash: 'ab'.repeat(32) };
  await catalog.users.add(user);
  await expect(catalog.users.add(user)).rejects.toMatchObject({ code: 'EXISTS' });
  await expect(catalog.users.delete('bob')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  expect(again.users.find(user.tokenHash)).toEqual(user);
  await again.users.delete('ann');
  expect(again.users.list()).toEqual([]);
});
