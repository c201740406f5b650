import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { COMMIT_GROUP_MAX, COMMIT_QUEUE_MAX } from '../../src/base/limits.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

async function ready() {
  const disk = new FakeDisk();
  const opened = await openCatalog(disk);
  await opened.catalog.addContainer('c');
  disk.calls.length = 0;
  const logged = () => disk.groups.get('/data/groups/DefaultGroup')!.log;
  return { disk, logged, ...opened };
}

const count = (calls: readonly string[], verb: string): number => calls.filter(call => call === verb).length;

test('files that are put together share one sync and one append', async () => {
  const { catalog, disk } = await ready();
  await Promise.all(Array.from({ length: 100 }, (_, file) => catalog.putFile('c', `f${file}`, draft(1))));
  expect(count(disk.calls, 'sync')).toBe(1);
  expect(count(disk.calls, 'appendLog')).toBe(1);
});

test('no group is larger than its bound', async () => {
  const { catalog, disk } = await ready();
  const files = 2 * COMMIT_GROUP_MAX + 1;
  await Promise.all(Array.from({ length: files }, (_, file) => catalog.putFile('c', `f${file}`, draft(1))));
  expect(count(disk.calls, 'appendLog')).toBe(3);
});

test('while one group is made durable the next one collects, and goes in one piece', async () => {
  const { catalog, disk } = await ready();
  const release = disk.hold('sync');
  const puts = [catalog.putFile('c', 'first', draft(1))];
  await new Promise(resolve => setImmediate(resolve));
  for (let file = 0; file < 50; file += 1) puts.push(catalog.putFile('c', `f${file}`, draft(1)));
  release();
  const records = await Promise.all(puts);
  expect(count(disk.calls, 'appendLog')).toBe(2);
  expect(records.map(record => record.version)).toEqual(
    records.map((_, index) => records[0]!.version + index),
  );
});

test('entries stand in the log in the order in which the calls were made', async () => {
  const { catalog, logged } = await ready();
  const before = logged().length;
  await Promise.all(['b', 'a', 'c'].map(name => catalog.putFile('c', name, draft(1))));
  const names = logged()
    .slice(before)
    .map(entry => /[abc]$/.exec(entry.payload.subarray(7, 11).toString('latin1'))?.[0]);
  expect(names).toEqual(['b', 'a', 'c']);
});

test('data stores are synced before the log, and nothing is visible before the log is durable', async () => {
  const { catalog, disk } = await ready();
  const release = disk.hold('appendLog');
  const put = catalog.putFile('c', 'f', draft(1));
  await new Promise(resolve => setImmediate(resolve));
  expect(disk.calls).toEqual(['sync', 'appendLog']);
  await expect(catalog.file('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  release();
  await put;
  expect((await catalog.file('c', 'f')).size).toBe(1);
});

test('a delete needs no sync of data stores', async () => {
  const { catalog, disk } = await ready();
  await catalog.putFile('c', 'f', draft(1));
  disk.calls.length = 0;
  await catalog.deleteFile('c', 'f');
  expect(disk.calls).toEqual(['appendLog']);
});

for (const verb of ['sync', 'appendLog']) {
  test(`a failed ${verb} stops the group for writing for good, and nothing is acknowledged`, async () => {
    const { catalog, disk } = await ready();
    await catalog.putFile('c', 'before', draft(1));
    disk.failNext(verb, new StoreError('IO', 'the device failed'));
    const release = disk.hold(verb);
    const puts = [catalog.putFile('c', 'a', draft(1)), catalog.putFile('c', 'b', draft(1))];
    await new Promise(resolve => setImmediate(resolve));
    puts.push(catalog.putFile('c', 'waiting', draft(1)));
    release();
    for (const put of await Promise.allSettled(puts)) {
      expect(put).toMatchObject({ status: 'rejected', reason: { code: 'IO' } });
    }
    await expect(catalog.putFile('c', 'later', draft(1))).rejects.toMatchObject({ code: 'IO' });
    expect(() => catalog.openGroup('DefaultGroup').admitIngest()).toThrow(/stopped writing/);
    expect(catalog.showGroup('DefaultGroup').failure).toMatch(/the device failed/);
    expect((await catalog.file('c', 'before')).size).toBe(1);
  });
}

test('an append that failed after all is there after a restart, whole', async () => {
  const { catalog, disk } = await ready();
  disk.failNext('appendLog', new StoreError('IO', 'no answer'), { isAfter: true });
  await expect(catalog.putFile('c', 'f', draft(5))).rejects.toMatchObject({ code: 'IO' });
  const { catalog: again } = await openCatalog(await disk.crashed());
  expect(await again.file('c', 'f')).toMatchObject({ size: 5 });
});

test('an append without space fails its group only', async () => {
  const { catalog, disk } = await ready();
  disk.failNext('appendLog', new StoreError('NO_SPACE', 'full'));
  await expect(catalog.putFile('c', 'f', draft(5))).rejects.toMatchObject({ code: 'NO_SPACE' });
  expect((await catalog.putFile('c', 'f', draft(6))).size).toBe(6);
});

test('a log that goes on at another number than expected stops the group', async () => {
  const { catalog, disk } = await ready();
  // The append said NO_SPACE, but its entries are there: the next one finds out.
  disk.failNext('appendLog', new StoreError('NO_SPACE', 'full'), { isAfter: true });
  await expect(catalog.putFile('c', 'f', draft(5))).rejects.toMatchObject({ code: 'NO_SPACE' });
  await expect(catalog.putFile('c', 'g', draft(6))).rejects.toMatchObject({ code: 'IO' });
  const { catalog: again } = await openCatalog(await disk.crashed());
  expect((await again.listFiles('c', {})).files.map(file => file.path)).toEqual(['f', 'g']);
});

test('beyond the bound of the queue a put is BUSY, and those before it go through', async () => {
  const { catalog } = await ready();
  const group = catalog.openedGroup('DefaultGroup');
  const change = { keys: [], needsSync: false, build: () => ({ records: [], result: 1 }) };
  const results = await Promise.allSettled(
    Array.from({ length: COMMIT_QUEUE_MAX + 3 }, () => group.commit(change)),
  );
  const refused = results.filter(result => result.status === 'rejected');
  expect(refused.length).toBe(3);
  expect(refused[0]).toMatchObject({ reason: { code: 'BUSY' } });
});

test('a view whose records cannot be read stops the group, and the next start makes it anew', async () => {
  const { catalog, disk } = await ready();
  await catalog.putFile('c', 'f', draft(5));
  const view = disk.views.get('/data/groups/DefaultGroup/view')!;
  for await (const [key] of view.scan({ from: Buffer.from('f'), to: Buffer.from('g') })) {
    await view.batch([{ type: 'put', key, value: Buffer.from('rubbish') }]);
  }
  await expect(catalog.putFile('c', 'f', draft(6))).rejects.toMatchObject({ code: 'IO' });
  const { catalog: again, events } = await openCatalog(await disk.crashed());
  expect(await again.file('c', 'f')).toMatchObject({ size: 5 });
  expect(events.some(event => /made anew/.test(event.message))).toBe(true);
});
