/** What the cleaner has begun survives restart, crash, lost view and checkpoint, in each of its states. */
import { afterEach, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import {
  CLEANER_EXPECTED_BYTES_MIN,
  CLEANER_IDLE_MS,
  CLEANER_INTERVAL_MS,
  CLEANER_TICK_MS,
} from '../../src/base/limits.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { PlaceFiller } from '../../src/catalog/place-filler.js';
import { binding } from '../../src/native/binding.js';
import { Download } from '../../src/restore/download.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const WHOLE = seededBytes(1, 1_000_000);
const LEFT = { half: WHOLE.subarray(0, 500_000), other: seededBytes(2, 300_000) };

async function filled(): Promise<CleaningSystem> {
  const it = await CleaningSystem.start();
  systems.push(it);
  await it.put('whole', WHOLE);
  for (const [path, bytes] of Object.entries(LEFT)) await it.put(path, bytes);
  await it.remove('whole');
  await it.restart();
  return it;
}

/** Ends the cycle at this verb, as if the process had been told to. */
async function runUntil(it: CleaningSystem, verb: Parameters<typeof it.lane.hookOnce>[0]): Promise<void> {
  it.lane.hookOnce(verb, (parameters, run) => {
    it.cleaners.of(it.group.name).cancel();
    return run(...parameters);
  });
  await it.cleaners.of(it.group.name).runCycle();
}

/** Every state that a data store goes through on its way out, and how to get there. */
const STATES: Readonly<Record<string, (it: CleaningSystem) => Promise<unknown>>> = {
  'nothing condemned': async () => undefined,
  condemned: it => it.run(),
  probed: async it => {
    await it.run();
    await runUntil(it, 'closeProbe');
  },
  'copied in part': async it => {
    await it.run();
    await runUntil(it, 'copyForward');
  },
  'moved, in data': async it => {
    await it.run();
    it.lane.hookOnce('trashStore', () => undefined);
    await runUntil(it, 'listTrash');
    it.lane.hookOnce('trashStore', (_parameters, run) => {
      it.cleaners.of(it.group.name).cancel();
      return run;
    });
    await it.cleaners.of(it.group.name).runCycle();
  },
  'in the trash': async it => {
    await it.run();
    await runUntil(it, 'trashStore');
  },
  'marked again': async it => {
    await it.run();
    await runUntil(it, 'closeMark');
  },
  'unlinked without a record of it': async it => {
    await it.run();
    await runUntil(it, 'reclaimStore');
  },
  reclaimed: async it => {
    await it.run();
    await it.run();
  },
};

async function expectCleaned(it: CleaningSystem): Promise<void> {
  expect(await it.problems(LEFT)).toEqual([]);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems(LEFT)).toEqual([]);
  expect((await it.group.space.refresh()).trashBytes).toBe(0);
  await it.restart();
  expect(await it.problems(LEFT)).toEqual([]);
  const alive = LEFT.half.length + LEFT.other.length;
  // Copies that were broken off may be made once more: of what is alive in one data store.
  expect(await it.fileBytes()).toBeLessThan(1.5 * alive + LEFT.half.length);
}

for (const [state, reach] of Object.entries(STATES)) {
  test(`a restart loses nothing and the next cycles finish: ${state}`, async () => {
    const it = await filled();
    await reach(it);
    await it.restart();
    await expectCleaned(it);
  });

  test(`a machine that dies loses nothing and the next cycles finish: ${state}`, async () => {
    for (const seed of [0, 1, 5]) {
      const it = await filled();
      await reach(it);
      await it.crash(seed);
      await expectCleaned(it);
    }
  });

  test(`a view that is lost or set back is made anew: ${state}`, async () => {
    for (const isLost of [true, false]) {
      const it = await filled();
      await new PlaceFiller(it.group).fill(() => false);
      const before = await it.views();
      await reach(it);
      await it.restartWithViews(isLost ? new Map() : before);
      await expectCleaned(it);
    }
  });

  test(`a checkpoint says all that is in force: ${state}`, async () => {
    const it = await filled();
    await reach(it);
    for (let times = 0; times < 2; times += 1) await writeCheckpoint(it.system.context, it.group);
    const states = JSON.stringify(it.group.state.stores.all());
    const { duplicateBytes } = it.group.state.mark;
    await it.restartWithViews(new Map());
    expect(JSON.stringify(it.group.state.stores.all())).toBe(states);
    expect(it.group.state.mark.duplicateBytes).toBe(duplicateBytes);
    await expectCleaned(it);
  });
}

test('what was condemned before a restart is stored anew when it comes again', async () => {
  const it = await filled();
  await it.run();
  await it.restart();
  await it.put('whole', WHOLE);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ ...LEFT, whole: WHOLE })).toEqual([]);
});

test('entries of the view follow what moves, and none names what is gone', async () => {
  const it = await filled();
  await new PlaceFiller(it.group).fill(() => false);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  const present = new Set((await it.lane.call('listDataStores', it.group.engine)).map(({ id }) => id));
  let entries = 0;
  for await (const [key, value] of it.group.view.scan({ from: Buffer.from('p'), to: Buffer.from('q') })) {
    expect(key.length).toBe(33);
    expect(present.has(Buffer.from(value).toString('hex'))).toBe(true);
    entries += 1;
  }
  expect(entries).toBeGreaterThan(0);
  const marks: string[] = [];
  for await (const [key] of it.group.view.scan({ from: Buffer.from('d'), to: Buffer.from('e') })) {
    marks.push(Buffer.from(key.subarray(1)).toString('hex'));
  }
  expect(marks.every(id => present.has(id))).toBe(true);
});

test('a pause is there after a restart, and ends a cycle that runs', async () => {
  const it = await filled();
  await it.run();
  it.lane.hookOnce('openProbe', async (parameters, run) => {
    await it.cleaners.pause();
    return run(...parameters);
  });
  await it.run('cancelled');
  await it.restart();
  await expect(it.cleaners.begin()).rejects.toMatchObject({ code: 'LOCKED' });
  expect(await it.cleaners.status()).toMatchObject({ isPaused: true });
  await it.cleaners.resume();
  await expectCleaned(it);
});

test('a live chunk that cannot be copied keeps its data store, is quarantined, and heals', async () => {
  const it = await filled();
  await it.run();
  const condemned = it.group.state.stores.all().map(({ id }) => id);
  const stores = await it.lane.call('listDataStores', it.group.engine);
  // The one that holds WHOLE, of which the first half is alive.
  const mixed = stores.filter(({ id }) => condemned.includes(id)).sort((a, b) => b.plainBytes - a.plainBytes);
  binding().diskDamage(it.disk, mixed[0]!.path, 4096 + 100_000, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const { figures } = await it.run();
  expect(figures.copiedBytes).toBeLessThan(LEFT.half.length);
  const state = it.group.state.stores.get(mixed[0]!.id)!;
  expect(state).toMatchObject({ condemned: [], moved: undefined });
  expect(state.damaged.length).toBeGreaterThan(0);
  await expect(it.system.get('c', 'half')).rejects.toMatchObject({ code: 'CORRUPT' });
  for (let cycle = 0; cycle < 2; cycle += 1) await it.run();
  expect((await it.lane.call('listDataStores', it.group.engine)).map(({ id }) => id)).toContain(mixed[0]!.id);
  await it.restart();
  await it.put('half', LEFT.half);
  await it.restart();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems(LEFT)).toEqual([]);
  expect(it.group.state.stores.all()).toEqual([]);
});

test('a file that is deleted while it is restored is restored whole, over any number of cycles', async () => {
  const it = await filled();
  const { group } = it.system.catalog.openContainer('c');
  const file = await it.system.catalog.file('c', 'other');
  const download = Download.begin(group, file);
  await it.remove('other');
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  const parts: Buffer[] = [];
  for (let part = await download.next(); part !== undefined; part = await download.next()) {
    parts.push(Buffer.from(new Uint8Array(part)));
  }
  expect(Buffer.concat(parts).equals(LEFT.other)).toBe(true);
  await download.close();
  expect((await it.group.space.refresh()).trashReads).toBe(0);
  for (let cycle = 0; cycle < 2; cycle += 1) await it.run();
  expect(await it.problems({ half: LEFT.half })).toEqual([]);
  // What an open data store has reserved is given back when it is closed.
  await it.restart();
  expect(await it.fileBytes()).toBeLessThan(1.5 * LEFT.half.length);
});

/** What is under way comes to its end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) await new Promise(resolve => setImmediate(resolve));
}

/** Nobody does anything for so long that cycles begin by themselves. */
async function idle(it: CleaningSystem): Promise<void> {
  for (let waited = 0; waited <= CLEANER_IDLE_MS + CLEANER_TICK_MS; waited += CLEANER_TICK_MS) {
    it.clock.advance(CLEANER_TICK_MS);
    await settle();
  }
}

test('what is condemned is finished by itself when the group is idle, and not while paused', async () => {
  const it = await filled();
  await it.run();
  await it.cleaners.pause();
  it.clock.advance(CLEANER_INTERVAL_MS);
  await settle();
  expect((await it.status()).last!.figures.emptiedStores).toBe(0);
  await it.cleaners.resume();
  // Other background work has committed something: the group has to become idle once more.
  await idle(it);
  const { state, last } = await it.status();
  expect(state).toBe('idle');
  expect(last).toMatchObject({ outcome: 'done' });
  expect(last!.figures.freedBytes).toBeGreaterThan(0);
  expect(await it.problems(LEFT)).toEqual([]);
});

test('what a file has brought that went before others of the same chunks returns by itself', async () => {
  const it = await CleaningSystem.start();
  systems.push(it);
  const bytes = seededBytes(1, 1.1 * CLEANER_EXPECTED_BYTES_MIN);
  for (const path of ['first', 'second']) await it.put(path, bytes);
  for (const path of ['first', 'second']) {
    await it.remove(path);
    for (let cycle = 0; cycle < 3; cycle += 1) {
      it.clock.advance(CLEANER_INTERVAL_MS);
      await settle();
      await idle(it);
    }
    expect((await it.status()).last).toMatchObject({ outcome: 'done' });
  }
  expect(await it.fileBytes()).toBeLessThan(0.1 * bytes.length);
});

test('nothing in the trash is unlinked before a complete mark has passed since', async () => {
  const it = await filled();
  await STATES['in the trash']!(it);
  const { trashBytes } = await it.group.space.refresh();
  expect(trashBytes).toBeGreaterThan(0);
  await it.restart();
  it.lane.hooks.set('openMark', () => {
    throw new StoreError('IO', 'no mark today');
  });
  const { figures } = await it.run('failed');
  expect(figures).toMatchObject({ reclaimedStores: 0, freedBytes: 0 });
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThanOrEqual(trashBytes);
  it.lane.hooks.clear();
  await it.run();
  expect((await it.group.space.refresh()).trashBytes).toBe(0);
});
