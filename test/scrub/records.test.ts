// Scrub of records and references over the double of the engine; the clock is frozen.
import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { SCRUB_PERIOD_MS, SCRUB_TICK_MS } from '../../src/base/limits.js';
import type { RepairSource } from '../../src/catalog/repair-source.js';
import { Scrub } from '../../src/scrub/scrub.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog, StillClock } from '../support/open-catalog.js';

const HOUR = 3600_000;

/** A data store's id, all digits alike. */
function idOf(digit: string): string {
  return digit.repeat(48);
}

/** What the double has as the fingerprint of the only chunk of a draft with that seed. */
function chunks(...seeds: readonly number[]): Uint8Array {
  const packed = new Uint8Array(seeds.length * 32);
  for (const [index, seed] of seeds.entries()) packed[index * 32] = seed;
  return packed;
}

async function opened(disk = new FakeDisk(), clock = new StillClock()) {
  const system = await openCatalog(disk, { clock });
  if (system.catalog.listContainers().length === 0) {
    await system.catalog.addContainer('c');
    await system.catalog.putFile('c', 'one', draft(100, 1));
    await system.catalog.putFile('c', 'two', draft(100, 2));
  }
  const group = system.catalog.openedGroup('DefaultGroup');
  const scrub = new Scrub(system.context, group);
  const problems = () => system.events.filter(({ level }) => level === 'error').map(({ message }) => message);
  /** Chunks that were read: data store digit and chunk of each step. */
  const steps = () =>
    disk.parameters
      .filter(({ verb }) => verb === 'scrubStore')
      .map(({ values }) => `${(values[1] as string)[0]}${values[2]}`);
  return { ...system, disk, group, scrub, problems, steps };
}

test('a data store is read back when it has been closed, once, also beyond a restart', async () => {
  const { disk, scrub, steps, catalog, clock } = await opened();
  disk.dataStores.set(idOf('a'), chunks(1, 2, 3));
  await scrub.tick();
  expect(steps()).toEqual(['a0', 'a2', 'a3']);
  await scrub.tick();
  expect(steps()).toHaveLength(3);
  await scrub.close();
  await catalog.close();
  disk.dataStores.set(idOf('b'), chunks(4));
  disk.incarnations.set(idOf('b'), 2);
  const again = await opened(disk, clock);
  await again.scrub.tick();
  expect(again.steps().slice(3)).toEqual(['b0', 'b1']);
});

test('the round reads every record within its time, spread over it, across a restart', async () => {
  const { disk, scrub, steps, clock, catalog } = await opened();
  for (const digit of '0123456') disk.dataStores.set(idOf(digit), chunks(9));
  await scrub.tick();
  disk.parameters.length = 0;
  for (let day = 0; day < 3; day += 1) {
    clock.now += SCRUB_PERIOD_MS / 7;
    await scrub.tick();
  }
  expect(steps().filter(step => step.endsWith('0'))).toEqual(['00', '10', '20']);
  await scrub.close();
  await catalog.close();
  const again = await opened(disk, clock);
  for (let day = 3; day < 7; day += 1) {
    clock.now += SCRUB_PERIOD_MS / 7;
    await again.scrub.tick();
  }
  expect(steps().filter(step => step.endsWith('0'))).toEqual(['00', '10', '20', '30', '40', '50', '60']);
  const status = await again.scrub.status();
  expect(status).toMatchObject({ roundPercent: 0, roundCompleted: new Date(clock.now).toISOString() });
});

test('a clock that is set back delays the round, and one that is set forward only hurries it', async () => {
  const { disk, scrub, steps, clock } = await opened();
  disk.dataStores.set(idOf('1'), chunks(9));
  await scrub.tick();
  disk.parameters.length = 0;
  clock.now -= 10 * 365 * 24 * HOUR;
  await scrub.tick();
  expect(steps()).toEqual([]);
  clock.now += 20 * 365 * 24 * HOUR;
  await scrub.tick();
  expect(steps()).toEqual(['10', '11']);
});

test('a damaged chunk is hidden and logged once, and the event names the files that need it', async () => {
  const { disk, scrub, group, problems } = await opened();
  disk.dataStores.set(idOf('a'), chunks(7, 7, 7, 2));
  disk.damagedRoots.add(2);
  await scrub.tick();
  expect(disk.hidden).toEqual(new Set([`${idOf('a')}/2/3`]));
  expect(group.state.stores.get(idOf('a'))?.damaged).toMatchObject([
    { firstChunk: 0, bits: Uint8Array.of(8) },
  ]);
  expect(problems()).toEqual([
    expect.stringMatching(/data store a+ is damaged at 4288: its seal/),
    expect.stringMatching(/1 chunks are lost.*: c\/two$/),
    expect.stringMatching(/file c\/two does not come out as it was put/),
  ]);
  const logged = group.state.sequence;
  await scrub.run();
  expect(group.state.sequence).toBe(logged);
  expect(await scrub.status()).toMatchObject({ quarantinedChunks: 1, healedChunks: 0, damagedFiles: 1 });
});

test('a damaged chunk that comes again is healed', async () => {
  const { disk, scrub } = await opened();
  disk.dataStores.set(idOf('a'), chunks(2));
  disk.damagedRoots.add(2);
  await scrub.tick();
  disk.damagedRoots.clear();
  disk.dataStores.set(idOf('b'), chunks(2));
  const report = await scrub.run();
  expect(report).toMatchObject({ healedChunks: 1, lostChunks: 0, damagedFiles: 0 });
  expect(await scrub.status()).toMatchObject({ quarantinedChunks: 1, healedChunks: 1, damagedFiles: 0 });
});

test('what a restore has found damaged is checked and hidden at once, without reading the rest', async () => {
  const { disk, scrub, group, clock, steps } = await opened();
  disk.dataStores.set(idOf('a'), chunks(7, 8, 9, 2, 5, 6));
  await scrub.tick();
  scrub.start();
  disk.damagedRoots.add(2);
  disk.parameters.length = 0;
  group.reportDamage(chunks(2));
  clock.advance(0);
  while (disk.hidden.size === 0) await new Promise(resolve => setImmediate(resolve));
  expect(steps()).toEqual(['a3']);
  await scrub.close();
});

test('a report whose records are sound has all records read', async () => {
  const { disk, scrub, group } = await opened();
  disk.dataStores.set(idOf('a'), chunks(2));
  disk.dataStores.set(idOf('b'), chunks(7));
  await scrub.tick();
  disk.damagedRoots.add(7);
  group.reportDamage(chunks(2));
  await scrub.tick();
  expect(disk.hidden).toEqual(new Set([`${idOf('b')}/2/0`]));
});

test('a data store that goes while it is read is no damage', async () => {
  const { disk, scrub, problems } = await opened();
  disk.dataStores.set(idOf('a'), chunks(1));
  const release = disk.hold('scrubStore');
  const ticking = scrub.tick();
  while (!disk.calls.includes('scrubStore')) await new Promise(resolve => setImmediate(resolve));
  disk.dataStores.clear();
  release();
  await ticking;
  expect(problems()).toEqual([]);
  expect(disk.hidden.size).toBe(0);
});

test('a data store that cannot be read is told, and nothing is hidden or removed', async () => {
  const { disk, scrub, problems, group } = await opened();
  disk.dataStores.set(idOf('a'), chunks(1));
  disk.failNext('scrubStore', new StoreError('IO', 'the disk does not answer'));
  const logged = group.state.sequence;
  await scrub.tick();
  expect(problems()).toEqual([expect.stringMatching(/a+ cannot be read: IO the disk/)]);
  expect(group.state.sequence).toBe(logged);
  expect(disk.hidden.size).toBe(0);
});

test('repair_keeps_valid_items: right bytes are taken, wrong ones refused, the rest stays', async () => {
  const { disk, scrub, group, problems } = await opened();
  const asked: string[] = [];
  const source = (name: string, bytes: (first: number) => number | undefined): RepairSource => ({
    name,
    async fetch(wanted) {
      asked.push(name);
      return wanted.map(({ fingerprint, length }) => {
        const value = bytes(fingerprint[0]!);
        return value === undefined ? undefined : new Uint8Array(length).fill(value);
      });
    },
  });
  disk.dataStores.set(idOf('a'), chunks(1, 2, 3));
  for (const seed of [1, 2]) disk.damagedRoots.add(seed);
  group.repairSources.push(
    source('liar', () => 99),
    source('replica', first => (first === 2 ? 2 : undefined)),
  );
  const before = new Map(disk.dataStores);
  const report = await scrub.run();
  expect(report).toMatchObject({ repairedChunks: 1, lostChunks: 1, damagedFiles: 1, names: ['c/one'] });
  expect(asked).toEqual(['liar', 'replica']);
  expect(problems()).toContainEqual(expect.stringMatching(/liar gave wrong bytes for 2 chunks/));
  for (const [id, fingerprints] of before) expect(disk.dataStores.get(id)).toEqual(fingerprints);
});

test('cannot_decide_is_not_gone: a source out of reach is asked again, nothing is removed', async () => {
  const { disk, scrub, group, catalog, events } = await opened();
  disk.dataStores.set(idOf('a'), chunks(1));
  disk.damagedRoots.add(1);
  let isThere = false;
  group.repairSources.push({
    name: 'replica',
    async fetch(wanted) {
      if (!isThere) throw new StoreError('UNAVAILABLE', 'nobody answers');
      return wanted.map(({ length }) => new Uint8Array(length).fill(1));
    },
  });
  const before = await catalog.file('c', 'one');
  expect(await scrub.run()).toMatchObject({ repairedChunks: 0, damagedFiles: 1 });
  expect(events.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/replica cannot be asked/),
  );
  expect(await catalog.file('c', 'one')).toEqual(before);
  isThere = true;
  expect(await scrub.run()).toMatchObject({ repairedChunks: 1, damagedFiles: 0 });
});

test('closing ends scrub within a step, and a signal ends a run', async () => {
  const { disk, scrub, clock } = await opened();
  disk.dataStores.set(idOf('a'), new Uint8Array(100 * 32).fill(9));
  const abort = new AbortController();
  const run = scrub.run({ signal: abort.signal, onProgress: () => abort.abort() });
  await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(disk.calls.filter(verb => verb === 'scrubStore')).toHaveLength(1);
  scrub.start();
  const release = disk.hold('scrubStore');
  clock.advance(SCRUB_TICK_MS);
  while (disk.calls.filter(verb => verb === 'scrubStore').length < 2) {
    await new Promise(resolve => setImmediate(resolve));
  }
  const closing = scrub.close();
  release();
  await closing;
  expect(disk.calls.filter(verb => verb === 'scrubStore')).toHaveLength(2);
});
