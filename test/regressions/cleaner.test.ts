/**
 * What others have lost by deleting, replayed on ours: each scenario is named after the loss it comes from,
 * and fails when the rule that it rests on is broken (test/mutants). The whole system
 * over the real addon and a simulated disk; cycles run step by step beside what clients do.
 *
 * Later parts have to add: leases of a replication's receiver among the roots (`hit_then_gc_then_commit`),
 * and a bucket's listing (`list_error_is_not_empty`, `stale_last_modified`).
 */
import { afterEach, expect, test } from 'vitest';
import { Upload } from '../../src/ingest/upload.js';
import { binding } from '../../src/native/binding.js';
import { Download } from '../../src/restore/download.js';
import { filesOf } from '../simulate/flips.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';
import { codeOf, WholeSystem } from '../support/whole-system.js';

const MIB = 2 ** 20;
const DAY_MS = 86_400_000;
const A = seededBytes(1, MIB);
const B = seededBytes(2, MIB);
const systems: CleaningSystem[] = [];

/** Files a and b in closed data stores. */
async function start(change?: (it: CleaningSystem) => void): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(change);
  systems.push(it);
  await it.put('a', A);
  await it.put('b', B);
  await it.restart();
  return it;
}

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

/** A stream that has brought these bytes and is not finished. */
async function uploadOf(it: CleaningSystem, bytes: Uint8Array): Promise<Upload> {
  const upload = Upload.begin(it.system.catalog.openContainer('c').group, { size: bytes.length });
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!upload.write(bytes.subarray(at, at + 65_536))) await upload.ready();
  }
  return upload;
}

async function commit(it: CleaningSystem, path: string, upload: Upload): Promise<void> {
  await it.system.catalog.putFile('c', path, await upload.finish());
  await upload.close();
}

async function cycles(it: CleaningSystem, count: number): Promise<void> {
  for (let cycle = 0; cycle < count; cycle += 1) await it.run();
}

test('prune_between_mark_and_new_ref: what is first named behind the mark stays', async () => {
  const it = await start();
  await it.remove('a');
  // The snapshot has been taken, and nothing is decided: a client stores the same bytes under another name.
  it.lane.hookOnce('surveyStore', async (given, run) => {
    await it.put('again', A);
    return run(...given);
  });
  await cycles(it, 3);
  expect(await it.problems({ again: A, b: B })).toEqual([]);
});

test('hit_then_gc_then_commit: a chunk that a stream was told of stays until it has committed', async () => {
  const it = await start();
  const upload = await uploadOf(it, A);
  await it.remove('a');
  await cycles(it, 3);
  await commit(it, 'again', upload);
  await cycles(it, 3);
  expect(await it.problems({ again: A, b: B })).toEqual([]);
});

test('two_writers_one_old_snapshot: nothing goes that the older one relies on', async () => {
  const it = await start();
  const old = await uploadOf(it, A);
  await it.remove('a');
  await it.run();
  await commit(it, 'young', await uploadOf(it, seededBytes(5, 200_000)));
  await cycles(it, 3);
  await it.remove('young');
  await cycles(it, 2);
  await commit(it, 'old', old);
  await cycles(it, 3);
  expect(await it.problems({ old: A, b: B })).toEqual([]);
});

test('double_condemn_same_chunk: condemned, back and condemned again costs no file', async () => {
  const it = await start();
  await it.remove('a');
  await it.run();
  await it.put('second', A);
  await it.remove('second');
  await it.restart();
  await it.run();
  await it.put('third', A);
  await cycles(it, 3);
  await it.restart();
  expect(await it.problems({ third: A, b: B })).toEqual([]);
});

test('paused_writer_loses_lock: one that sleeps for thirty epochs commits what is whole', async () => {
  const it = await start();
  const sleeper = await uploadOf(it, A);
  await it.remove('a');
  for (let month = 0; month < 15; month += 1) {
    it.clock.advance(25 * DAY_MS);
    await it.run();
  }
  await commit(it, 'slept', sleeper);
  await cycles(it, 3);
  expect(await it.problems({ slept: A, b: B })).toEqual([]);
});

test('list_error_is_not_empty: a listing that lacks files frees nothing', async () => {
  const it = await start();
  const [view] = [...it.lane.views.values()];
  for await (const [key] of view!.scan({})) {
    if (Buffer.from(key).toString('latin1').endsWith('b')) await view!.batch([{ type: 'del', key }]);
  }
  expect(await it.system.list('c')).toEqual(['a']);
  const before = await it.fileBytes();
  for (let cycle = 0; cycle < 3; cycle += 1) expect((await it.run('failed')).figures.condemnedStores).toBe(0);
  expect(await it.fileBytes()).toBe(before);
  it.lane.views.clear();
  await it.restart();
  expect(await it.problems({ a: A, b: B })).toEqual([]);
});

test('list_error_is_not_empty: a directory that cannot be listed is no empty group', async () => {
  const it = await start();
  await it.system.close();
  for (let read = 1; read < 60; read += 1) {
    binding().diskPlan(it.disk, 6, read, false);
    const { lane, disk, clock } = it;
    const system = await WholeSystem.open({ lane, disk, directory: '/data', context: { clock } }).catch(
      codeOf,
    );
    binding().diskPlan(it.disk, 0, 0, false);
    if (typeof system === 'string') continue;
    const [group] = system.catalog.listGroups();
    if (group?.failure === undefined) expect([read, await system.list('c')]).toEqual([read, ['a', 'b']]);
    await system.close();
  }
  await it.open();
  await cycles(it, 2);
  expect(await it.problems({ a: A, b: B })).toEqual([]);
});

test('dup_chunk_in_one_container: one copy stays, whichever is emptied', async () => {
  const it = await start();
  const twice = seededBytes(7, 300_000);
  const [one, other] = await Promise.all([uploadOf(it, twice), uploadOf(it, twice)]);
  await Promise.all([commit(it, 'one', one), commit(it, 'other', other)]);
  await it.remove('a');
  await it.remove('one');
  await it.restart();
  await cycles(it, 4);
  expect(await it.problems({ other: twice, b: B })).toEqual([]);
  await it.restart();
  expect(await it.problems({ other: twice, b: B })).toEqual([]);
});

test('stale_cache_after_interrupted_gc: an old view makes no client trust what is gone', async () => {
  const it = await start();
  await it.remove('a');
  const stale = await it.views();
  await it.run();
  // Power goes when the MOVE is in the log and the file has not left.
  it.lane.hookOnce('trashStore', async () => {
    binding().diskPlan(it.disk, 1, 1, true);
    throw new Error('the power is gone');
  });
  await it.cleaners
    .of('DefaultGroup')
    .runCycle()
    .catch(() => undefined);
  await it.crash(0);
  await it.restartWithViews(stale);
  await it.put('again', A);
  expect(await it.problems({ again: A, b: B })).toEqual([]);
  await cycles(it, 3);
  await it.restart();
  expect(await it.problems({ again: A, b: B })).toEqual([]);
});

test('a condemned chunk stays unknown to look-ups over a restart', async () => {
  const it = await start();
  await it.remove('a');
  await it.run();
  await it.restart();
  await it.put('again', A);
  await cycles(it, 3);
  expect(await it.problems({ again: A, b: B })).toEqual([]);
});

test('marker_vs_lru_race: what moves while it is read is read right', async () => {
  const it = await start();
  await it.remove('a');
  const kept = Buffer.concat([A.subarray(0, 300_000), seededBytes(8, 700_000)]);
  await it.put('kept', kept);
  await it.restart();
  const { group } = it.system.catalog.openContainer('c');
  const reading = Download.begin(group, await it.system.catalog.file('c', 'kept'), {
    offset: 0,
    length: 900_000,
  });
  const cleaning = cycles(it, 3);
  const parts: Buffer[] = [];
  for (let part = await reading.next(); part !== undefined; part = await reading.next()) {
    parts.push(Buffer.from(new Uint8Array(part)));
  }
  await reading.close();
  await cleaning;
  expect(Buffer.concat(parts).equals(kept.subarray(0, 900_000))).toBe(true);
  await it.put('copy', kept);
  expect((await it.system.catalog.file('c', 'copy')).newBytes).toBe(0);
  expect(await it.problems({ kept, copy: kept, b: B })).toEqual([]);
});

test('cannot_decide_is_not_gone: while a data store cannot be read nothing is freed', async () => {
  const it = await start();
  const stores = filesOf(it.disk, '/data').filter(path => path.endsWith('.gds'));
  await it.remove('a');
  await it.system.close();
  // The first one holds chunks of `a` alone, which nobody needs: still, nobody can say so.
  const { stored } = await storeOf(it, stores);
  binding().diskDamage(it.disk, stored, 0, new Uint8Array(64));
  await it.open();
  const before = await it.fileBytes();
  const { failure } = await it.run('failed');
  expect(failure).toMatch(/damaged/);
  await it.run('failed');
  expect(await it.fileBytes()).toBe(before);
  const found = await it.system.get('c', 'b');
  expect(found.equals(B)).toBe(true);
});

/** A data store that no blockmap lies in. */
async function storeOf(it: CleaningSystem, paths: readonly string[]): Promise<{ stored: string }> {
  await it.open();
  const infos = await it.lane.call('listDataStores', it.group.engine);
  await it.system.close();
  const info = infos.find(({ blockmapPlainBytes }) => blockmapPlainBytes === 0)!;
  return { stored: paths.find(path => path.includes(info.id))! };
}

test('gc_stuck_on_missing_file: a file that is gone from the trash already is reclaimed', async () => {
  const it = await start(system => {
    system.options = { holdMs: DAY_MS };
  });
  await it.remove('a');
  await cycles(it, 2);
  const trash = filesOf(it.disk, '/data').filter(path => path.includes('/trash/'));
  expect(trash.length).toBeGreaterThan(0);
  for (const path of trash) binding().removeTree(path, it.disk);
  it.clock.advance(2 * DAY_MS);
  await cycles(it, 2);
  expect((await it.group.space.refresh()).trashBytes).toBe(0);
  expect(it.group.state.stores.all()).toEqual([]);
  expect(await it.problems({ b: B })).toEqual([]);
});

test('stale_last_modified: clocks that jump by years free nothing early, and nothing twice', async () => {
  const it = await start();
  await it.remove('a');
  await it.run();
  it.clock.now += 3650 * DAY_MS;
  // The cycle ends behind the emptying: no complete mark follows it.
  it.lane.hookOnce('openMark', () => {
    throw new Error('no mark');
  });
  await it.cleaners
    .of('DefaultGroup')
    .runCycle()
    .catch(() => undefined);
  expect((await it.group.space.refresh()).trashBytes).toBeGreaterThan(0);
  it.clock.now += 3650 * DAY_MS;
  const order: string[] = [];
  const noted = (what: string, run: (...given: unknown[]) => unknown, given: unknown[]): unknown => {
    order.push(what);
    return run(...given);
  };
  it.lane.hooks.set('reclaimStore', (given, run) => noted('reclaim', run, given));
  it.lane.hooks.set('openMark', (given, run) => noted('mark', run, given));
  await it.run();
  expect(order[0]).toBe('mark');
  it.clock.now -= 7300 * DAY_MS;
  await cycles(it, 2);
  expect(await it.problems({ b: B })).toEqual([]);
});
