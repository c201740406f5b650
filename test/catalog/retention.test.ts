// May it be deleted now? One answer for every path, mode and clock.
import { describe, expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { LOCK_DAYS_MAX } from '../../src/base/limits.js';
import type { FileKeeping } from '../../src/catalog/record.js';
import { demandRemovable, keepingFrom, policyFrom, reasonKept } from '../../src/catalog/retention.js';
import type { LockRequest } from '../../src/catalog/types.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, JumpingClock, type Opened, openCatalog } from '../support/open-catalog.js';

const YEAR_MS = 365 * DAY_MS;
const NOW = 1_700_000_000_000;
const locked = (lockMode: 'governance' | 'compliance', days: number): FileKeeping => ({
  lockMode,
  lockUntilMs: NOW + days * DAY_MS,
});

async function ready(settings = {}) {
  const disk = new FakeDisk();
  const clock = new JumpingClock();
  const opened = await openCatalog(disk, { clock });
  await opened.catalog.addContainer('c', 'DefaultGroup', settings);
  return { disk, ...opened, clock };
}

describe('the answer', () => {
  test('a lock holds until its very last millisecond, a hold has no end', () => {
    const kept = { ...locked('compliance', 1), name: 'f' };
    expect(reasonKept(kept, NOW + DAY_MS - 1)).toMatch(/compliance.*until 2023-11-15T22:13:20/);
    expect(reasonKept(kept, NOW + DAY_MS)).toBeUndefined();
    expect(reasonKept({ hold: 'legal' }, NOW + 1000 * YEAR_MS)).toMatch(/legal hold/);
    expect(reasonKept({}, NOW)).toBeUndefined();
    const refusal = { code: 'LOCKED', message: expect.stringContaining("'f'") };
    expect(() => demandRemovable(kept, NOW)).toThrow(expect.objectContaining(refusal));
  });

  test('compliance is extended and never shortened, whoever asks and however', () => {
    const kept = locked('compliance', 10);
    const weaker: LockRequest[] = [
      { mode: 'none' },
      { days: 9 },
      { mode: 'compliance', days: 1 },
      { mode: 'governance', days: 100 },
      { mode: 'governance' },
      { untilMs: NOW + 10 * DAY_MS - 1 },
    ];
    for (const request of weaker) {
      for (const bypassGovernance of [false, true]) {
        const ask = () => keepingFrom(kept, { ...request, bypassGovernance }, NOW);
        expect(ask).toThrow(expect.objectContaining({ code: 'LOCKED' }));
      }
    }
    expect(keepingFrom(kept, { days: 11 }, NOW)).toEqual(locked('compliance', 11));
    expect(keepingFrom(kept, { days: 10 }, NOW)).toEqual(kept);
    expect(keepingFrom(kept, { mode: 'none' }, NOW + 10 * DAY_MS)).toEqual({});
  });

  test('governance is shortened or taken off with the bypass only', () => {
    const kept = locked('governance', 10);
    for (const request of [{ mode: 'none' }, { days: 9 }, { mode: 'compliance', days: 9 }] as LockRequest[]) {
      const refused = expect.objectContaining({ code: 'LOCKED' });
      expect(() => keepingFrom(kept, request, NOW)).toThrow(refused);
      expect(() => keepingFrom(kept, { ...request, bypassGovernance: true }, NOW)).not.toThrow();
    }
    expect(keepingFrom(kept, { mode: 'compliance' }, NOW)).toEqual(locked('compliance', 10));
    expect(keepingFrom(kept, { days: 11 }, NOW)).toEqual(locked('governance', 11));
  });

  test('a hold is set and cleared beside the lock, and neither changes the other', () => {
    const kept = locked('compliance', 10);
    const held = keepingFrom(kept, { hold: true }, NOW);
    expect(held).toEqual({ ...kept, hold: 'legal' });
    expect(keepingFrom(held, { days: 20 }, NOW)).toEqual({ ...locked('compliance', 20), hold: 'legal' });
    expect(keepingFrom(held, { hold: false }, NOW)).toEqual(kept);
  });

  test.each<LockRequest>([
    {},
    { bypassGovernance: true },
    { days: 1 },
    { mode: 'governance' },
    { mode: 'none', days: 1 },
    { mode: 'compliance', days: 0 },
    { mode: 'compliance', days: 1.5 },
    { mode: 'compliance', days: LOCK_DAYS_MAX + 1 },
    { mode: 'compliance', untilMs: NOW },
    { mode: 'compliance', untilMs: NOW + LOCK_DAYS_MAX * DAY_MS + 1 },
    { mode: 'compliance', untilMs: Number.NaN },
    { mode: 'compliance', days: 1, untilMs: NOW + 1 },
    { mode: 'weekly' as 'none', days: 1 },
  ])('%j of a file that is not locked is INVALID', request => {
    expect(() => keepingFrom({}, request, NOW)).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });

  test('the longest lock is one of LOCK_DAYS_MAX days', () => {
    const request = { mode: 'compliance', days: LOCK_DAYS_MAX } as const;
    expect(keepingFrom({}, request, NOW)).toEqual(locked('compliance', LOCK_DAYS_MAX));
  });

  test.each([
    { lockMode: 'governance' },
    { lockDays: 3 },
    { lockMode: 'none', lockDays: 3 },
    { lockMode: 'compliance', lockDays: LOCK_DAYS_MAX + 1 },
    { quotaBytes: -1 },
    { quotaBytes: 0.5 },
  ] as const)('the policy %j is INVALID', change => {
    expect(() => policyFrom({}, change)).toThrow(expect.objectContaining({ code: 'INVALID' }));
  });
});

/** Every way of taking a version away or of weakening its lock. */
const PATHS: Record<string, (opened: Pick<Opened, 'catalog'>) => Promise<unknown>> = {
  delete: ({ catalog }) => catalog.deleteFile('c', 'f'),
  overwrite: ({ catalog }) => catalog.putFile('c', 'f', draft(99)),
  'overwrite told early': ({ catalog }) => catalog.admitPut('c', 'f', 99),
  'overwrite by a version of the bin': ({ catalog }) => catalog.restoreFromBin('c', 'f'),
  'delete the container': ({ catalog }) => catalog.deleteContainer('c', true),
  'delete the group': ({ catalog }) => catalog.deleteGroup('g'),
  'no lock': ({ catalog }) => catalog.lockFile('c', 'f', { mode: 'none' }),
  'a shorter lock': ({ catalog }) => catalog.lockFile('c', 'f', { days: 1 }),
  'a weaker lock': ({ catalog }) => catalog.lockFile('c', 'f', { mode: 'governance', days: 1 }),
  bypass: ({ catalog }) => catalog.lockFile('c', 'f', { mode: 'none', bypassGovernance: true }),
};

describe('every path', () => {
  for (const settings of [{}, { binDays: 7 }]) {
    for (const jump of [0, 10 * YEAR_MS, -10 * YEAR_MS]) {
      for (const isRestarted of [false, true]) {
        const years = jump / YEAR_MS;
        const when = `${JSON.stringify(settings)}, wall clock ${years} years, restart ${isRestarted}`;
        test(`a compliance lock lets nothing happen to the version (${when})`, async () => {
          for (const [name, path] of Object.entries(PATHS)) {
            const { disk, clock, ...first } = await ready();
            await first.catalog.addGroup({ name: 'g' });
            await first.catalog.deleteContainer('c', false);
            await first.catalog.addContainer('c', 'g', settings);
            await first.catalog.putFile('c', 'f', draft(1));
            await first.catalog.putFile('c', 'f', draft(10));
            await first.catalog.lockFile('c', 'f', { mode: 'compliance', days: 30 });
            const file = await first.catalog.file('c', 'f');
            clock.advance(28 * DAY_MS);
            clock.jump(jump);
            const opened = isRestarted ? await openCatalog(await disk.crashed(), { clock }) : first;
            const code = await path(opened).then(
              () => 'done',
              thrown => thrown.code,
            );
            const wanted = { 'delete the group': 'EXISTS' }[name] ?? 'LOCKED';
            const hasNone = name === 'overwrite by a version of the bin' && !('binDays' in settings);
            expect([name, code]).toEqual([name, hasNone ? 'NOT_FOUND' : wanted]);
            expect(await opened.catalog.file('c', 'f')).toEqual(file);
          }
        });
      }
    }
  }

  test('a legal hold lets nothing happen either, until it is cleared', async () => {
    for (const name of ['delete', 'overwrite', 'overwrite told early', 'delete the container']) {
      const { clock, ...opened } = await ready();
      await opened.catalog.putFile('c', 'f', draft(10));
      await opened.catalog.lockFile('c', 'f', { hold: true });
      clock.advance(200 * YEAR_MS);
      const file = await opened.catalog.file('c', 'f');
      const refused = { code: 'LOCKED', message: expect.stringMatching(/legal hold/) };
      await expect(PATHS[name]!(opened)).rejects.toMatchObject(refused);
      expect(await opened.catalog.file('c', 'f')).toEqual(file);
      await opened.catalog.lockFile('c', 'f', { hold: false });
      await PATHS[name]!(opened);
    }
  });

  test('a governance lock ends with the bypass, or by itself', async () => {
    for (const isBypassed of [true, false]) {
      const { catalog, clock } = await ready();
      await catalog.putFile('c', 'f', draft(10));
      await catalog.lockFile('c', 'f', { mode: 'governance', days: 1 });
      await expect(catalog.deleteFile('c', 'f')).rejects.toMatchObject({ code: 'LOCKED' });
      if (isBypassed) await catalog.lockFile('c', 'f', { mode: 'none', bypassGovernance: true });
      else clock.advance(DAY_MS);
      await catalog.deleteFile('c', 'f');
    }
  });

  test('one locked file among many keeps the container and all its files', async () => {
    const { catalog } = await ready();
    const names = Array.from({ length: 1500 }, (_, index) => `f${index}`);
    await Promise.all(names.map(name => catalog.putFile('c', name, draft(10))));
    await catalog.lockFile('c', 'f999', { mode: 'governance', days: 1 });
    const refused = { code: 'LOCKED', message: expect.stringContaining("'f999'") };
    await expect(catalog.deleteContainer('c', true)).rejects.toMatchObject(refused);
    expect(catalog.showContainer('c').files).toBe(1500);
    await catalog.putFile('c', 'more', draft(1));
  });

  test('a lock that is set while the container is being deleted is refused or keeps it', async () => {
    const { catalog } = await ready();
    await catalog.putFile('c', 'f', draft(10));
    const lock = catalog.lockFile('c', 'f', { mode: 'compliance', days: 1 });
    const deleted = catalog.deleteContainer('c', true);
    const [set, gone] = await Promise.allSettled([lock, deleted]);
    expect([set!.status, gone!.status].sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('a lock that is being made durable keeps the whole container, not only its file', async () => {
    const { catalog, disk } = await ready();
    for (const name of ['a', 'b', 'd']) await catalog.putFile('c', name, draft(10));
    const release = disk.hold('appendLog');
    const lock = catalog.lockFile('c', 'b', { mode: 'compliance', days: 1 });
    await new Promise(resolve => setImmediate(resolve));
    const deleted = expect(catalog.deleteContainer('c', true)).rejects.toMatchObject({ code: 'LOCKED' });
    await new Promise(resolve => setTimeout(resolve, 20));
    release();
    await Promise.all([lock, deleted]);
    expect(catalog.showContainer('c').files).toBe(3);
  });

  test('a version in the bin that is locked or held outlasts its time there', async () => {
    const { catalog, clock } = await ready({ binDays: 7 });
    for (const name of ['held', 'locked', 'free']) {
      const { version } = await catalog.putFile('c', name, draft(10));
      await catalog.deleteFile('c', name);
      if (name === 'held') await catalog.lockFile('c', name, { version, hold: true });
      if (name === 'locked') await catalog.lockFile('c', name, { version, mode: 'compliance', days: 60 });
    }
    clock.now += 8 * DAY_MS;
    expect(await catalog.purgeBin('c')).toBe(1);
    await expect(catalog.deleteContainer('c', true)).rejects.toMatchObject({ code: 'LOCKED' });
    expect((await catalog.listBin('c', {})).files.map(({ path }) => path)).toEqual(['held', 'locked']);
    await expect(catalog.restoreFromBin('c', 'locked')).resolves.toMatchObject({ lockMode: 'compliance' });
    await expect(catalog.deleteFile('c', 'locked')).rejects.toMatchObject({ code: 'LOCKED' });
  });
});

describe('the default lock of a container', () => {
  test('is that of files which are put from then on', async () => {
    const { catalog, clock } = await ready();
    await catalog.putFile('c', 'before', draft(1));
    await catalog.updateContainer('c', { lockMode: 'compliance', lockDays: 3 });
    const file = await catalog.putFile('c', 'f', draft(10));
    expect(file).toMatchObject({ lockMode: 'compliance', lockUntilMs: clock.nowMs() + 3 * DAY_MS });
    await expect(catalog.putFile('c', 'f', draft(20))).rejects.toMatchObject({ code: 'LOCKED' });
    await catalog.deleteFile('c', 'before');
    await catalog.updateContainer('c', { lockMode: 'none' });
    expect(catalog.showContainer('c')).toMatchObject({ lockMode: 'none', lockDays: 0 });
    await expect(catalog.deleteFile('c', 'f')).rejects.toMatchObject({ code: 'LOCKED' });
    clock.advance(3 * DAY_MS);
    await catalog.deleteFile('c', 'f');
  });

  test('holds for puts that are committed behind the change, however close', async () => {
    const { catalog } = await ready();
    const changed = catalog.updateContainer('c', { lockMode: 'compliance', lockDays: 3 });
    const put = catalog.putFile('c', 'f', draft(10));
    await changed;
    expect(await put).toMatchObject({ lockMode: 'compliance' });
  });

  test('a group from before the clock was logged logs it before the first lock', async () => {
    const { disk, catalog, clock } = await ready();
    await catalog.putFile('c', 'f', draft(10));
    const entries = disk.groups.get('/data/groups/DefaultGroup')!.log;
    expect(entries[1]!.type).toBe(15);
    const left = await disk.crashed();
    const old = left.groups.get('/data/groups/DefaultGroup')!;
    old.log = old.log
      .filter(({ type }) => type !== 15)
      .map((entry, index) => ({ ...entry, sequence: index + 1 }));
    left.views.clear();
    const isReadOnly = true; // no background work
    const { catalog: again } = await openCatalog(left, { clock, isReadOnly });
    const [file, more] = await Promise.all([
      again.lockFile('c', 'f', { mode: 'compliance', days: 1 }),
      again.putFile('c', 'g', draft(1)),
    ]);
    expect(old.log.map(({ type }) => type)).toEqual([1, 2, 4, 15, 17, 4]);
    expect([file.version, more.version]).toEqual([3, 6]);
    clock.jump(10 * YEAR_MS);
    const { catalog: moved } = await openCatalog(await left.crashed(), { clock });
    await expect(moved.deleteFile('c', 'f')).rejects.toMatchObject({ code: 'LOCKED' });
  });
});
