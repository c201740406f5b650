import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

const VIEW = '/data/groups/DefaultGroup/view';

async function filled(files = 10) {
  const disk = new FakeDisk();
  const opened = await openCatalog(disk, { checkpointBatch: 300 });
  await opened.catalog.addContainer('c');
  for (let file = 0; file < files; file += 1) await opened.catalog.putFile('c', `f${file}`, draft(file + 1));
  const group = opened.catalog.openedGroup('DefaultGroup');
  const log = () => disk.groups.get('/data/groups/DefaultGroup')!.log;
  return { disk, group, log, ...opened };
}

async function sizes(catalog: Awaited<ReturnType<typeof filled>>['catalog']): Promise<number[]> {
  return (await catalog.listFiles('c', {})).files.map(file => file.size).sort((a, b) => a - b);
}

async function pairsOf(disk: FakeDisk): Promise<string[]> {
  const pairs: string[] = [];
  for await (const [key, value] of disk.views.get(VIEW)!.scan({})) {
    pairs.push(`${Buffer.from(key).toString('hex')}=${Buffer.from(value).toString('hex')}`);
  }
  return pairs;
}

const ALL = Array.from({ length: 10 }, (_, file) => file + 1);

test('a view that is ahead of its log is made anew', async () => {
  const { disk, log } = await filled();
  const left = await disk.crashed();
  left.groups.get('/data/groups/DefaultGroup')!.log.pop();
  const { catalog, events } = await openCatalog(left);
  expect(await sizes(catalog)).toEqual(ALL.slice(0, -1));
  expect(log().length).toBeGreaterThan(10);
  expect(events.map(event => event.message).join()).toMatch(/made anew from the log/);
});

test('a view of another storage group is removed and made anew', async () => {
  const { disk } = await filled();
  const left = await disk.crashed();
  const view = left.views.get(VIEW)!;
  await view.batch([{ type: 'put', key: Buffer.from('!storeId'), value: new Uint8Array(16) }]);
  const { catalog, events } = await openCatalog(left);
  expect(await sizes(catalog)).toEqual(ALL);
  expect(events.map(event => event.message).join()).toMatch(/belongs to another/);
});

test('a view that does not open is removed and made anew', async () => {
  const { disk } = await filled();
  const left = await disk.crashed();
  let attempts = 0;
  const openStore: typeof left.openStore = directory => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(new StoreError('CORRUPT', 'MANIFEST is missing'));
    return left.openStore(directory);
  };
  const { catalog } = await openCatalog(left, { openStore });
  expect(await sizes(catalog)).toEqual(ALL);
});

test('every single record of the view damaged, or lost, leaves the same catalog after a start', async () => {
  const { disk } = await filled(3);
  const keys: Uint8Array[] = [];
  for await (const [key] of disk.views.get(VIEW)!.scan({ to: Buffer.from('f') })) keys.push(key);
  for await (const [key] of disk.views.get(VIEW)!.scan({ from: Buffer.from('g') })) keys.push(key);
  expect(keys.length).toBeGreaterThan(4);
  for (const key of keys) {
    const left = await disk.crashed();
    await left.views.get(VIEW)!.batch([{ type: 'put', key, value: Buffer.from('rubbish') }]);
    const { catalog } = await openCatalog(left);
    expect(await sizes(catalog)).toEqual([1, 2, 3]);
  }
});

test('a second start replays nothing and changes nothing', async () => {
  const { disk, catalog } = await filled();
  await catalog.close();
  const { catalog: second } = await openCatalog(disk);
  const { replayed } = second.openedGroup('DefaultGroup');
  const before = await pairsOf(disk);
  expect(replayed).toEqual({ records: 0 });
  await second.close();
  await (await openCatalog(disk)).catalog.close();
  expect(await pairsOf(disk)).toEqual(before);
  expect(before.length).toBeGreaterThan(10);
});

test('a log record of a newer version keeps its group from opening, and the others serve', async () => {
  const { disk, log } = await filled();
  const newer = { sequence: log().at(-1)!.sequence + 1, type: 99, payload: Buffer.alloc(0) };
  const left = await disk.crashed();
  left.groups.get('/data/groups/DefaultGroup')!.log.push(newer);
  const { catalog } = await openCatalog(left);
  expect(() => catalog.openGroup('DefaultGroup')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  await catalog.addGroup({ name: 'other' });
  // The failed group gave its lock back.
  expect([...left.attached.values()]).toEqual(['/data/groups/other']);
});

test('the second checkpoint drops the log before the first, and views are made from it', async () => {
  const { disk, group, log, context, catalog } = await filled();
  await writeCheckpoint(context, group);
  expect(log()[0]!.sequence).toBe(1);
  const firstBegin = group.state.mark.begin;
  await catalog.deleteFile('c', 'f0');
  await writeCheckpoint(context, group);
  expect(log()[0]!.sequence).toBe(firstBegin);
  const left = await disk.crashed();
  left.views.delete(VIEW);
  const { catalog: again } = await openCatalog(left);
  expect(await sizes(again)).toEqual(ALL.slice(1));
  const { state } = again.openedGroup('DefaultGroup');
  expect([state.digest, state.sequence]).toEqual([group.state.digest, group.state.sequence]);
  expect((await again.file('c', 'f5')).version).toBe((await catalog.file('c', 'f5')).version);
  expect(again.showGroup('DefaultGroup').compression).toBe('fast');
});

test('puts, overwrites and deletes between BEGIN and END win over the checkpoint', async () => {
  const { disk, group, log, context, catalog } = await filled();
  await writeCheckpoint(context, group);
  const release = disk.hold('appendLog');
  const written = writeCheckpoint(context, group);
  await new Promise(resolve => setImmediate(resolve));
  // BEGIN waits; these are committed behind it, before the checkpoint's files.
  const changes = [
    catalog.deleteFile('c', 'f0'),
    catalog.putFile('c', 'f1', draft(1000)),
    catalog.putFile('c', 'new', draft(2000)),
    catalog.deleteFile('c', 'f2').then(() => catalog.putFile('c', 'f2', draft(3000))),
    catalog.putFile('c', 'brief', draft(1)).then(() => catalog.deleteFile('c', 'brief')),
  ];
  release();
  await Promise.all([written, ...changes]);
  const end = log().findLast(entry => entry.type === 10)!;
  const put = log().findLast(entry => entry.type === 4)!;
  expect(put.sequence).toBeLessThan(end.sequence);
  const left = await disk.crashed();
  left.views.delete(VIEW);
  const { catalog: again } = await openCatalog(left);
  expect(await sizes(again)).toEqual([...ALL.slice(3), 1000, 2000, 3000]);
  expect(again.openedGroup('DefaultGroup').state.digest).toEqual(group.state.digest);
});

test('a checkpoint without END counts for nothing', async () => {
  const { disk, group, context } = await filled();
  await writeCheckpoint(context, group);
  await writeCheckpoint(context, group);
  await writeCheckpoint(context, group, () => true);
  const left = await disk.crashed();
  left.views.delete(VIEW);
  const { catalog } = await openCatalog(left);
  expect(await sizes(catalog)).toEqual(ALL);
});

test('a restore that dies half way begins anew', async () => {
  const { disk, group, context } = await filled();
  await writeCheckpoint(context, group);
  await writeCheckpoint(context, group);
  const left = await disk.crashed();
  left.views.delete(VIEW);
  left.failNext('readLog', new StoreError('IO', 'died'), { skip: 4 });
  const { catalog: dead } = await openCatalog(left);
  expect(dead.showGroup('DefaultGroup').failure).toMatch(/died/);
  const { catalog } = await openCatalog(await left.crashed());
  expect(await sizes(catalog)).toEqual(ALL);
});

test('a view that lost a file without notice gives no checkpoint, and is made anew', async () => {
  const { disk, group, context, catalog, events, log } = await filled();
  const view = disk.views.get(VIEW)!;
  for await (const [key] of view.scan({ from: Buffer.from('f'), to: Buffer.from('g'), limit: 1 })) {
    await view.batch([{ type: 'del', key }]);
  }
  expect(await sizes(catalog)).toEqual(ALL.slice(1));
  await writeCheckpoint(context, group);
  expect(log().some(entry => entry.type === 10)).toBe(false);
  expect(events.at(-1)?.message).toMatch(/disagrees/);
  expect(await sizes(catalog)).toEqual(ALL);
  await writeCheckpoint(context, group);
  expect(log().some(entry => entry.type === 10)).toBe(true);
});

test('a checkpoint whose entries do not add up is not restored from', async () => {
  const { disk, group, log, context } = await filled();
  await writeCheckpoint(context, group);
  await writeCheckpoint(context, group);
  const left = await disk.crashed();
  left.views.delete(VIEW);
  const entries = left.groups.get('/data/groups/DefaultGroup')!.log;
  const at = entries.findLastIndex(entry => entry.type === 9);
  entries[at] = { ...entries[at - 1]!, sequence: entries[at]!.sequence };
  const { catalog } = await openCatalog(left);
  expect(() => catalog.openGroup('DefaultGroup')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  expect(log().length).toBe(entries.length);
});
