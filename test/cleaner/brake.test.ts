/**
 * What stops the cleaner: each test makes it wrong on purpose, by falsifying what one verb or the view says,
 * and shows that nothing needed has gone.
 */
import { afterEach, expect, test, vi } from 'vitest';
import { binding, ROOT_SIZE } from '../../src/native/binding.js';
import type { KvRange } from '../../src/view/kv.js';
import { MemoryStore } from '../../src/view/memory-store.js';
import { CleaningSystem, GROUP } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const MIB = 2 ** 20;
const FILES = { a: seededBytes(1, 3 * MIB), b: seededBytes(2, 2 * MIB), c: seededBytes(3, 500_000) };
const LEFT = { b: FILES.b, c: FILES.c };

/** Files b and c, and the garbage that a has left. */
async function filled(change?: (it: CleaningSystem) => void): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(change);
  systems.push(it);
  for (const [path, bytes] of Object.entries(FILES)) await it.put(path, bytes);
  await it.remove('a');
  await it.restart();
  return it;
}

/** From now on mark 1 does not see this file: another root is marked in its place. */
async function hideFromMark(it: CleaningSystem, path: string): Promise<void> {
  const { root } = (await it.system.catalog.file('c', path)).map;
  it.lane.hooks.set('markRoots', ([engine, mark, packed, count], run) => {
    const roots = (packed as Uint8Array).slice();
    for (let at = 0; at < roots.length; at += ROOT_SIZE) {
      if (Buffer.compare(roots.subarray(at, at + root.length), root) !== 0) continue;
      const other = at === 0 ? roots.length - ROOT_SIZE : 0;
      roots.set(roots.slice(other, other + ROOT_SIZE), at);
    }
    return run(engine, mark, roots, count);
  });
}

async function expectNothingGone(it: CleaningSystem): Promise<void> {
  it.lane.hooks.clear();
  expect(await it.problems(LEFT)).toEqual([]);
  await it.restart();
  expect(await it.problems(LEFT)).toEqual([]);
}

test('more dead than the deletions account for pulls the brake, and nothing is condemned', async () => {
  const it = await filled();
  await hideFromMark(it, 'b');
  const { failure, figures } = await it.run('braked');
  expect(failure).toMatch(/more than the deletions in the log account for/);
  expect(figures.condemnedStores).toBe(0);
  await expectNothingGone(it);
});

test('the brake survives a restart and a pause, and is released by resume alone', async () => {
  const it = await filled();
  await hideFromMark(it, 'b');
  await it.run('braked');
  it.lane.hooks.clear();
  await it.restart();
  expect((await it.status()).state).toBe('braked');
  await expect(it.cleaners.of(GROUP).runCycle()).rejects.toMatchObject({ code: 'LOCKED' });
  await it.cleaners.pause();
  await it.restart();
  await expect(it.cleaners.begin()).rejects.toMatchObject({ code: 'LOCKED' });
  expect((await it.cleaners.resume()).groups[0]!.state).toBe('idle');
  await it.run();
  expect((await it.run()).figures.freedBytes).toBeGreaterThan(0.9 * FILES.a.length);
  await expectNothingGone(it);
});

test('when the marks disagree nothing is moved, and resume pardons what was condemned', async () => {
  const it = await filled();
  // Small enough for the brake's slack.
  await hideFromMark(it, 'c');
  await it.run();
  it.lane.hooks.clear();
  expect(await it.problems(LEFT)).toEqual([]);
  const { failure, figures } = await it.run('braked');
  expect(failure).toMatch(/the marks disagree/);
  expect(figures.emptiedStores).toBe(0);
  expect(await it.problems(LEFT)).toEqual([]);
  await it.cleaners.resume();
  expect(it.group.state.stores.all()).toEqual([]);
  await it.run();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBe(0);
  await expectNothingGone(it);
});

test('a read from the trash is served, brings everything back, and stops the cleaner', async () => {
  const it = await filled();
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  await hideFromMark(it, 'c');
  await it.run();
  // The second mark is blind as well.
  const nothing = { missingCount: 0, nodeCount: 0, hitCount: 0, hits: new Uint8Array(0) };
  for (const verb of ['probeReport', 'probeStore'] as const) it.lane.hooks.set(verb, () => nothing);
  await it.run();
  it.lane.hooks.clear();
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0);
  expect((await it.system.get('c', 'c')).equals(FILES.c)).toBe(true);
  await expect(it.run()).rejects.toThrow(/read from the trash/);
  await vi.waitFor(async () => expect(await it.lane.call('listTrash', it.group.engine)).toEqual([]));
  expect(await it.problems(LEFT)).toEqual([]);
  await it.cleaners.resume();
  await it.run();
  await it.run();
  await expectNothingGone(it);
});

/** A view whose walk over the files ends early when it is told to. */
class ShortView extends MemoryStore {
  static isShort = false;

  override async *scan(range: KvRange): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    let files = 0;
    for await (const pair of super.scan(range)) {
      if (pair[0][0] === 0x66) files += 1;
      if (ShortView.isShort && files > 1) return;
      yield pair;
    }
  }
}

test('a walk over the files that ends early ends the cycle, and nothing changes', async () => {
  const views = new Map<string, MemoryStore>();
  const it = await filled(system => {
    system.context = {
      openStore: async directory => {
        const view = views.get(directory) ?? new ShortView();
        views.set(directory, view);
        return view;
      },
    };
  });
  ShortView.isShort = true;
  const { failure, figures } = await it.run('failed');
  ShortView.isShort = false;
  expect(failure).toMatch(/not the 2 that were committed/);
  expect(figures.condemnedStores).toBe(0);
  expect(it.group.state.stores.all()).toEqual([]);
  await expectNothingGone(it);
});

test('a damaged blockmap ends the cycle with the name of the file, and nothing changes', async () => {
  const it = await filled();
  const stores = await it.lane.call('listDataStores', it.group.engine);
  for (const { path, fileBytes } of stores) {
    // A byte of each 256, behind the header: no record is left whole, and the trailers are in memory.
    for (let at = 4200; at < fileBytes; at += 256) {
      binding().diskDamage(it.disk, path, at, Uint8Array.of(0xa5, 0x5a));
    }
  }
  const { failure, figures } = await it.run('failed');
  expect(failure).toMatch(/file c\/[bc]: /);
  expect(figures.condemnedStores).toBe(0);
  expect((await it.lane.call('listDataStores', it.group.engine)).length).toBe(stores.length);
});

test('a blockmap node that mark 2 cannot find ends the cycle, and nothing is moved', async () => {
  const it = await filled();
  await it.run();
  const lost = { missingCount: 1, nodeCount: 1, hitCount: 0, hits: new Uint8Array(0) };
  for (const verb of ['probeReport', 'probeStore'] as const) it.lane.hooks.set(verb, () => lost);
  const { failure, figures } = await it.run('failed');
  expect(failure).toMatch(/1 blockmap nodes are in no data store/);
  expect(figures.emptiedStores).toBe(0);
  await expectNothingGone(it);
});

test('damage, a view that is made anew and a group that has stopped keep the gate closed', async () => {
  const it = await filled();
  const { group } = it;
  Object.defineProperty(group, 'isRebuilding', { value: true, configurable: true });
  expect((await it.run('failed')).failure).toMatch(/made anew/);
  Object.defineProperty(group, 'isRebuilding', { value: false });
  const damaged = [{ id: 'ab', reason: 'its trailer' }];
  Object.defineProperty(group, 'report', { value: { ...group.report, damaged }, configurable: true });
  expect((await it.run('failed')).failure).toMatch(/data store ab is damaged/);
  Object.defineProperty(group, 'report', { value: { ...group.report, damaged: [] } });
  binding().diskPlan(it.disk, 2, 1, true);
  await it.put('x', seededBytes(9, 100)).catch(() => undefined);
  binding().diskPlan(it.disk, 0, 0, false);
  expect((await it.run('failed')).failure).toMatch(/stopped writing/);
});
