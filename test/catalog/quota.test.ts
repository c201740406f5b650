// Quotas: what is refused, what is told before, and what frees.
import { expect, test } from 'vitest';
import { QUOTA_WARN_SHARE } from '../../src/base/limits.js';
import { quotaState } from '../../src/catalog/quota.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

const full = { code: 'NO_SPACE', message: expect.stringMatching(/container 'c' holds .* of its quota/) };
const settle = () => new Promise(resolve => setTimeout(resolve, 10));

async function withQuota(quotaBytes: number, settings = {}) {
  const disk = new FakeDisk();
  const opened = await openCatalog(disk);
  await opened.catalog.addContainer('c', 'DefaultGroup', { quotaBytes, ...settings });
  return { disk, ...opened };
}

test('files fill a container up to the last byte of its quota, and no further', async () => {
  const { catalog } = await withQuota(100);
  await catalog.putFile('c', 'a', draft(60));
  await expect(catalog.putFile('c', 'b', draft(41))).rejects.toMatchObject(full);
  await catalog.putFile('c', 'b', draft(40));
  await expect(catalog.putFile('c', 'd', draft(1))).rejects.toMatchObject(full);
  expect(catalog.showContainer('c')).toMatchObject({ logicalBytes: 100, quotaState: 'full' });
  await catalog.putFile('c', 'nothing', draft(0));
});

test('files that are committed together count together', async () => {
  const { catalog } = await withQuota(100);
  const puts = ['a', 'b', 'd'].map(name => catalog.putFile('c', name, draft(40)));
  const results = await Promise.allSettled(puts);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
});

test('a deletion in the same commit makes room for the put behind it', async () => {
  const { catalog } = await withQuota(100);
  await catalog.putFile('c', 'a', draft(100));
  await Promise.all([catalog.deleteFile('c', 'a'), catalog.putFile('c', 'b', draft(100))]);
  expect(catalog.showContainer('c').logicalBytes).toBe(100);
});

test('an overwrite counts by what it adds, and one that adds nothing is let through', async () => {
  const { catalog } = await withQuota(100);
  await catalog.putFile('c', 'a', draft(90));
  await catalog.putFile('c', 'a', draft(100));
  await catalog.putFile('c', 'a', draft(100));
  await expect(catalog.putFile('c', 'a', draft(101))).rejects.toMatchObject(full);
  await catalog.putFile('c', 'a', draft(10));
});

test('what is deleted is no longer counted, though it lies in the bin; coming back it counts', async () => {
  const { catalog } = await withQuota(100, { binDays: 7 });
  const { version } = await catalog.putFile('c', 'a', draft(80));
  await catalog.deleteFile('c', 'a');
  await catalog.putFile('c', 'b', draft(30));
  await expect(catalog.restoreFromBin('c', 'a', version)).rejects.toMatchObject(full);
  await catalog.deleteFile('c', 'b');
  await catalog.restoreFromBin('c', 'a', version);
  expect(catalog.showContainer('c')).toMatchObject({ logicalBytes: 80, binBytes: 30 });
});

test('an upload whose announced size cannot fit is refused before its bytes come', async () => {
  const { catalog } = await withQuota(100);
  await catalog.putFile('c', 'a', draft(60));
  await expect(catalog.admitPut('c', 'b', 41)).rejects.toMatchObject(full);
  expect(await catalog.admitPut('c', 'b', 40)).toBeUndefined();
  expect((await catalog.admitPut('c', 'a', 100))?.size).toBe(60);
  expect(await catalog.admitPut('c', 'b')).toBeUndefined();
});

test('a quota is not set below what the files have, outlasts a restart, and can be taken away', async () => {
  const { catalog, disk } = await withQuota(100);
  await catalog.putFile('c', 'a', draft(80));
  await expect(catalog.updateContainer('c', { quotaBytes: 79 })).rejects.toMatchObject({ code: 'INVALID' });
  await catalog.updateContainer('c', { quotaBytes: 80 });
  await catalog.close();
  const { catalog: again } = await openCatalog(disk);
  await expect(again.putFile('c', 'b', draft(1))).rejects.toMatchObject(full);
  await again.updateContainer('c', { quotaBytes: 0 });
  await again.putFile('c', 'b', draft(1000));
});

test('the warning begins at its share, the end at the quota itself', () => {
  const states = [0, QUOTA_WARN_SHARE * 1000 - 1, QUOTA_WARN_SHARE * 1000, 999, 1000, 2000];
  expect(states.map(used => quotaState(used, 1000))).toEqual([
    'ok',
    'ok',
    'warning',
    'warning',
    'full',
    'full',
  ]);
  expect(quotaState(5, 0)).toBe('none');
});

test('a quota is told once when nearly used up, once when full, again after it had room', async () => {
  const { catalog, events, clock } = await withQuota(100);
  const tick = async () => {
    clock.advance(1000);
    await settle();
    clock.advance(1000);
    await settle();
  };
  const told = () =>
    events.filter(({ message }) => /container 'c' uses/.test(message)).map(({ level }) => level);
  await catalog.putFile('c', 'a', draft(84));
  await tick();
  expect(told()).toEqual([]);
  await catalog.putFile('c', 'b', draft(1));
  await tick();
  expect(told()).toEqual(['warn']);
  await catalog.putFile('c', 'd', draft(15));
  await tick();
  expect(told()).toEqual(['warn', 'error']);
  await catalog.deleteFile('c', 'b');
  await tick();
  await catalog.deleteFile('c', 'a');
  await tick();
  expect(told()).toEqual(['warn', 'error']);
  await catalog.putFile('c', 'a', draft(75));
  await tick();
  expect(told()).toEqual(['warn', 'error', 'warn']);
});

test("a group's quota is told and shown before it is refused", async () => {
  const { catalog, disk, events, clock } = await withQuota(0);
  await catalog.updateGroup('DefaultGroup', { quotaBytes: 2 ** 20 });
  disk.counters.fileBytes = 900_000;
  await settle();
  clock.advance(1000);
  await settle();
  expect(events.map(({ message }) => message).join()).toMatch(/storage group 'DefaultGroup' uses 878.91 KiB/);
  expect(catalog.showGroup('DefaultGroup')).toMatchObject({ usedBytes: 900_000, quotaState: 'warning' });
  catalog.openGroup('DefaultGroup').admitIngest();
  disk.counters.fileBytes = 2 ** 20;
  clock.advance(1000);
  await settle();
  expect(() => catalog.openGroup('DefaultGroup').admitIngest()).toThrow(
    expect.objectContaining({ code: 'NO_SPACE' }),
  );
  expect(catalog.showGroup('DefaultGroup').quotaState).toBe('full');
  disk.counters.fileBytes = 100;
  clock.advance(1000);
  await settle();
  catalog.openGroup('DefaultGroup').admitIngest();
});
