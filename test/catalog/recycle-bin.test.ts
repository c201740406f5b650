// Recycle bins: what goes in, comes back, and when it goes for good.
import { expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { StoreError } from '../../src/base/errors.js';
import {
  BIN_DROP_BATCH_MAX,
  BIN_SCAN_INTERVAL_MS,
  RETENTION_CLOCK_INTERVAL_MS,
} from '../../src/base/limits.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { RecordType } from '../../src/catalog/record.js';
import type { FileRecord } from '../../src/catalog/types.js';
import { verifySystem } from '../../src/catalog/verify.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, JumpingClock, type Opened, openCatalog } from '../support/open-catalog.js';

const VIEW = '/data/groups/DefaultGroup/view';
const settle = () => new Promise(resolve => setTimeout(resolve, 10));

async function withBin(binDays = 7) {
  const disk = new FakeDisk();
  const clock = new JumpingClock();
  const opened = await openCatalog(disk, { clock, checkpointBatch: 300 });
  await opened.catalog.addContainer('c', 'DefaultGroup', { binDays });
  const log = () => disk.groups.get('/data/groups/DefaultGroup')!.log;
  return { disk, log, ...opened, clock };
}

const binOf = async ({ catalog }: Pick<Opened, 'catalog'>): Promise<readonly FileRecord[]> =>
  (await catalog.listBin('c', {})).files;
const sizesIn = async (opened: Pick<Opened, 'catalog'>) => (await binOf(opened)).map(({ size }) => size);

/** Days pass, and background work has its turn; the log has the clock at every step. */
async function pass(clock: JumpingClock, days: number): Promise<void> {
  for (let hour = 0; hour < days * 24; hour += 12) {
    clock.advance(DAY_MS / 2);
    await settle();
  }
}

test('what is deleted or overwritten lies in the bin with all that was said of it', async () => {
  const opened = await withBin();
  const { catalog, clock } = opened;
  const first = await catalog.putFile('c', 'f', { ...draft(10), sha256: 'ab'.repeat(32) });
  const second = await catalog.putFile('c', 'f', draft(20));
  await catalog.deleteFile('c', 'f');
  const binUntilMs = clock.nowMs() + 7 * DAY_MS;
  expect(await binOf(opened)).toEqual([
    { ...first, binUntilMs },
    { ...second, binUntilMs },
  ]);
  await expect(catalog.file('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(catalog.showContainer('c')).toMatchObject({
    ...{ files: 0, logicalBytes: 0, uniqueBytes: 0, binFiles: 2, binBytes: 30 },
  });
  const { state } = catalog.openedGroup('DefaultGroup');
  expect(state.binTotals).toMatchObject({ files: 2, newBytes: 15 });
  expect(await catalog.statistics()).toMatchObject({ files: 0, binFiles: 2, binBytes: 30 });
});

test('a container without a bin keeps nothing', async () => {
  const opened = await withBin(0);
  await opened.catalog.putFile('c', 'f', draft(10));
  await opened.catalog.putFile('c', 'f', draft(20));
  await opened.catalog.deleteFile('c', 'f');
  expect(await binOf(opened)).toEqual([]);
  expect(opened.catalog.openedGroup('DefaultGroup').state.binTotals.files).toBe(0);
});

test('a version comes back as it was, and what is there goes to the bin', async () => {
  const opened = await withBin();
  const { catalog } = opened;
  const first = await catalog.putFile('c', 'f', draft(10));
  const second = await catalog.putFile('c', 'f', draft(20));
  expect(await catalog.restoreFromBin('c', 'f', first.version)).toEqual(first);
  expect(await catalog.file('c', 'f')).toEqual(first);
  expect(await sizesIn(opened)).toEqual([20]);
  expect(await catalog.restoreFromBin('c', 'f')).toEqual(second);
  expect(await sizesIn(opened)).toEqual([10]);
  expect(catalog.showContainer('c')).toMatchObject({ files: 1, logicalBytes: 20, binFiles: 1, binBytes: 10 });
});

test('without a version the newest of the name comes back', async () => {
  const { catalog } = await withBin();
  for (const size of [10, 20, 30]) await catalog.putFile('c', 'f', draft(size));
  await catalog.putFile('c', 'g', draft(40));
  await catalog.deleteFile('c', 'f');
  await catalog.deleteFile('c', 'g');
  expect((await catalog.restoreFromBin('c', 'f')).size).toBe(30);
});

test('what is not in the bin is NOT_FOUND, also under the name of another file', async () => {
  const { catalog } = await withBin();
  const { version } = await catalog.putFile('c', 'f', draft(10));
  await expect(catalog.restoreFromBin('c', 'f')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(catalog.restoreFromBin('c', 'f', version)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await catalog.deleteFile('c', 'f');
  await expect(catalog.restoreFromBin('c', 'g', version)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await catalog.restoreFromBin('c', 'f', version);
  await expect(catalog.restoreFromBin('c', 'f', version)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('changes that are committed together see each other in the bin', async () => {
  const opened = await withBin();
  const { catalog } = opened;
  const { version } = await catalog.putFile('c', 'f', draft(10));
  await Promise.all([
    catalog.deleteFile('c', 'f'),
    catalog.restoreFromBin('c', 'f', version),
    catalog.putFile('c', 'f', draft(20)),
    catalog.deleteFile('c', 'f'),
  ]);
  expect(await sizesIn(opened)).toEqual([10, 20]);
  expect(catalog.showContainer('c')).toMatchObject({ files: 0, binFiles: 2, binBytes: 30 });
});

test('nothing leaves the bin before its time, and all when the retention clock is past it', async () => {
  const opened = await withBin();
  const { catalog, clock, log } = opened;
  await catalog.putFile('c', 'f', draft(10));
  await catalog.deleteFile('c', 'f');
  await pass(clock, 6.5);
  clock.advance(DAY_MS / 2 - 5000);
  await settle();
  expect(await catalog.purgeBin('c')).toBe(0);
  expect(await sizesIn(opened)).toEqual([10]);
  clock.advance(6000);
  await settle();
  await pass(clock, 0.5);
  expect(await binOf(opened)).toEqual([]);
  const types = log().map(({ type }) => type);
  expect(types[types.lastIndexOf(RecordType.BIN_DROP) - 1]).toBe(RecordType.CLOCK);
});

test('an explicit purge drops what is due and nothing else, and logs the clock first', async () => {
  const { catalog, clock, log } = await withBin();
  await catalog.putFile('c', 'f', draft(10));
  await catalog.deleteFile('c', 'f');
  clock.advance(3 * DAY_MS);
  await catalog.putFile('c', 'g', draft(20));
  await catalog.deleteFile('c', 'g');
  const before = log().length;
  clock.now += 4 * DAY_MS + 1;
  expect(await catalog.purgeBin('c')).toBe(1);
  expect((await catalog.listBin('c', {})).files.map(({ path }) => path)).toEqual(['g']);
  expect(
    log()
      .slice(before)
      .map(({ type }) => type),
  ).toEqual([RecordType.CLOCK, RecordType.BIN_DROP]);
});

test('a purge of more than one batch drops all, each batch at its bound', async () => {
  const { catalog, clock, log } = await withBin();
  const names = Array.from({ length: BIN_DROP_BATCH_MAX + 1 }, (_, index) => `f${index}`);
  await Promise.all(names.map(name => catalog.putFile('c', name, draft(10))));
  await Promise.all(names.map(name => catalog.deleteFile('c', name)));
  clock.now += 7 * DAY_MS;
  expect(await catalog.purgeBin('c')).toBe(names.length);
  const clocks = log().flatMap(({ type }, index) => (type === RecordType.CLOCK ? [index] : []));
  expect(clocks.at(-1)! - clocks.at(-2)!).toBe(BIN_DROP_BATCH_MAX + 1);
  expect(catalog.showContainer('c')).toMatchObject({ binFiles: 0, binBytes: 0 });
});

test('a version whose hold is released goes at the next look, an interval later at most', async () => {
  const opened = await withBin();
  const { catalog, clock } = opened;
  const { version } = await catalog.putFile('c', 'f', draft(10));
  await catalog.deleteFile('c', 'f');
  await catalog.lockFile('c', 'f', { version, hold: true });
  await pass(clock, 8);
  await catalog.lockFile('c', 'f', { version, hold: false });
  expect(await sizesIn(opened)).toEqual([10]);
  clock.advance(BIN_SCAN_INTERVAL_MS);
  await settle();
  clock.advance(1000);
  await settle();
  expect(await binOf(opened)).toEqual([]);
});

test('a purge that fails on a full volume is told, and tried again an interval later', async () => {
  const opened = await withBin();
  const { catalog, clock, disk, events } = opened;
  await catalog.putFile('c', 'f', draft(10));
  await catalog.deleteFile('c', 'f');
  await settle();
  clock.now += 8 * DAY_MS;
  for (const _clockThenPurge of [1, 2]) disk.failNext('appendLog', new StoreError('NO_SPACE', 'full'));
  for (let tick = 0; tick < 5; tick += 1) {
    clock.advance(1000);
    await settle();
  }
  expect(events.filter(({ message }) => /background work: full/.test(message))).toHaveLength(2);
  expect(await sizesIn(opened)).toEqual([10]);
  clock.advance(RETENTION_CLOCK_INTERVAL_MS);
  await settle();
  expect(await binOf(opened)).toEqual([]);
});

test('a change of the days holds for what is deleted from then on', async () => {
  const opened = await withBin();
  const { catalog, clock } = opened;
  for (const name of ['f', 'g']) await catalog.putFile('c', name, draft(10));
  await catalog.deleteFile('c', 'f');
  await catalog.updateContainer('c', { binDays: 30 });
  await catalog.deleteFile('c', 'g');
  const until = (await binOf(opened)).map(({ binUntilMs }) => binUntilMs! - clock.nowMs());
  expect(until).toEqual([7 * DAY_MS, 30 * DAY_MS]);
});

test.each([6, 31, 7.5, -1])('a bin of %d days is refused', async binDays => {
  const { catalog } = await withBin(0);
  await expect(catalog.updateContainer('c', { binDays })).rejects.toMatchObject({ code: 'INVALID' });
  await expect(catalog.addContainer('d', 'DefaultGroup', { binDays })).rejects.toMatchObject({
    code: 'INVALID',
  });
});

test('a bin cannot be switched off: who may change a container cannot empty it by that', async () => {
  const { catalog } = await withBin();
  await expect(catalog.updateContainer('c', { binDays: 0 })).rejects.toMatchObject({ code: 'INVALID' });
  expect(catalog.showContainer('c').binDays).toBe(7);
});

test('a container with files or versions in its bin is not deleted, and nothing of it', async () => {
  const opened = await withBin();
  const { catalog, clock } = opened;
  await catalog.putFile('c', 'f', draft(10));
  await expect(catalog.deleteContainer('c', true)).rejects.toMatchObject({ code: 'LOCKED' });
  expect((await catalog.file('c', 'f')).size).toBe(10);
  await catalog.deleteFile('c', 'f');
  const locked = { code: 'LOCKED', message: expect.stringMatching(/recycle bin is kept until 2023-/) };
  await expect(catalog.deleteContainer('c', true)).rejects.toMatchObject(locked);
  expect(await sizesIn(opened)).toEqual([10]);
  await catalog.putFile('c', 'g', draft(1));
  await catalog.deleteFile('c', 'g');
  clock.now += 8 * DAY_MS;
  await catalog.deleteContainer('c', false);
  expect(catalog.listContainers()).toEqual([]);
});

test('a group with such a container is not deleted either', async () => {
  const { catalog } = await withBin();
  await catalog.addGroup({ name: 'g' });
  await catalog.addContainer('d', 'g', { binDays: 7 });
  await catalog.putFile('d', 'f', draft(10));
  await catalog.deleteFile('d', 'f');
  await expect(catalog.deleteGroup('g')).rejects.toMatchObject({ code: 'EXISTS' });
  expect((await catalog.listBin('d', {})).files).toHaveLength(1);
});

test('the list is by version, of one container, by prefix, page by page', async () => {
  const { catalog } = await withBin();
  await catalog.addContainer('d', 'DefaultGroup', { binDays: 7 });
  for (const name of ['b/1', 'a', 'b/2', 'b/3']) {
    await catalog.putFile('c', name, draft(10));
    await catalog.putFile('d', name, draft(10));
  }
  for (const name of ['b/3', 'a', 'b/1', 'b/2']) await catalog.deleteFile('c', name);
  const paths = async (query: Parameters<typeof catalog.listBin>[1]) => {
    const page = await catalog.listBin('c', query);
    return [page.files.map(({ path }) => path), page.next !== undefined] as const;
  };
  expect(await paths({})).toEqual([['b/1', 'a', 'b/2', 'b/3'], false]);
  expect(await paths({ limit: 4 })).toEqual([['b/1', 'a', 'b/2', 'b/3'], false]);
  expect(await paths({ prefix: 'b/', limit: 2 })).toEqual([['b/1', 'b/2'], true]);
  const { next } = await catalog.listBin('c', { prefix: 'b/', limit: 2 });
  expect(await paths({ prefix: 'b/', limit: 2, after: next! })).toEqual([['b/3'], false]);
  expect((await catalog.listBin('d', {})).files).toEqual([]);
  await expect(catalog.listBin('c', { limit: 1001 })).rejects.toMatchObject({ code: 'INVALID' });
});

test('bins outlast restarts, lost views and checkpoints, whatever happens beside these', async () => {
  const { disk, catalog, context, log } = await withBin();
  const group = catalog.openedGroup('DefaultGroup');
  const put = (name: string, size: number) => catalog.putFile('c', name, draft(size));
  for (const name of ['a', 'b', 'd', 'e', 'f']) await put(name, 10);
  await put('a', 20);
  await catalog.deleteFile('c', 'b');
  await catalog.deleteFile('c', 'd');
  await writeCheckpoint(context, group);
  const release = disk.hold('appendLog');
  const written = writeCheckpoint(context, group);
  await settle();
  // Behind BEGIN, before the checkpoint's rows: into the bin, out of it, in its place, locked.
  const changes = [
    catalog.restoreFromBin('c', 'b'),
    put('e', 30),
    catalog.deleteFile('c', 'f'),
    catalog.restoreFromBin('c', 'a'),
    catalog.lockFile('c', 'd', { version: (await binOf({ catalog }))[2]!.version, hold: true }),
    put('new', 40).then(() => catalog.deleteFile('c', 'new')),
  ];
  release();
  await Promise.all([written, ...changes]);
  expect(log()[0]!.sequence).toBeGreaterThan(1);
  const content = async (opened: Pick<Opened, 'catalog'>) => ({
    files: (await opened.catalog.listFiles('c', {})).files,
    bin: await binOf(opened),
    shown: opened.catalog.showContainer('c'),
    digest: opened.catalog.openedGroup('DefaultGroup').state.digest,
  });
  const wanted = await content({ catalog });
  expect(wanted.bin.map(({ path, size }) => [path, size])).toEqual([
    ['d', 10],
    ['e', 10],
    ['f', 10],
    ['a', 20],
    ['new', 40],
  ]);
  for (const isViewLost of [false, true]) {
    const left = await disk.crashed();
    if (isViewLost) left.views.delete(VIEW);
    const opened = await openCatalog(left);
    expect(await content(opened)).toEqual(wanted);
    expect((await verifySystem(opened.catalog, { isFull: false })).damages).toEqual([]);
  }
});

test('a restore from a checkpoint that dies anywhere begins anew or goes on', async () => {
  const { disk, catalog, context } = await withBin();
  for (let file = 0; file < 10; file += 1) await catalog.putFile('c', `f${file}`, draft(file + 1));
  for (let file = 0; file < 5; file += 1) await catalog.deleteFile('c', `f${file}`);
  await writeCheckpoint(context, catalog.openedGroup('DefaultGroup'));
  await writeCheckpoint(context, catalog.openedGroup('DefaultGroup'));
  await catalog.restoreFromBin('c', 'f0');
  const { digest } = catalog.openedGroup('DefaultGroup').state;
  for (let skip = 0; skip < 12; skip += 1) {
    const left = await disk.crashed();
    left.views.delete(VIEW);
    left.failNext('readLog', new StoreError('IO', 'died'), { skip });
    await openCatalog(left);
    const { catalog: again } = await openCatalog(await left.crashed());
    expect(again.openedGroup('DefaultGroup').state.digest).toEqual(digest);
    expect(await sizesIn({ catalog: again })).toEqual([2, 3, 4, 5]);
  }
});

test('a version in the bin whose chunk is lost is named as such', async () => {
  const { catalog, disk } = await withBin();
  const { version } = await catalog.putFile('c', 'f', draft(100, 9));
  await catalog.deleteFile('c', 'f');
  disk.lostRoots.add(9);
  const { damages } = await verifySystem(catalog, { isFull: false });
  expect(damages.map(({ what }) => what)).toEqual([`file c/f (recycle bin, version ${version})`]);
});

test('an encrypted group has no name of the bin in its view', async () => {
  const disk = new FakeDisk();
  const { catalog } = await openCatalog(disk);
  await catalog.addGroup({ name: 'e', encryption: 'static', passphrase: 'p' });
  await catalog.addContainer('c', 'e', { binDays: 7 });
  const first = await catalog.putFile('c', 'payroll-2031', draft(10));
  await catalog.deleteFile('c', 'payroll-2031');
  for await (const [key, value] of disk.views.get('/data/groups/e/view')!.scan({})) {
    const text = Buffer.concat([key, value]).toString('latin1');
    expect(text).not.toContain('payroll');
  }
  const left = await disk.crashed();
  left.views.delete('/data/groups/e/view');
  const { catalog: again } = await openCatalog(left, { unlock: { passphrase: 'p' } });
  expect(await again.restoreFromBin('c', 'payroll-2031')).toEqual(first);
});
