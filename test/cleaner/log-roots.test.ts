/** The replay of mark 2 against the catalog's own state, over random changes with checkpoints among them. */
import { expect, test } from 'vitest';
import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { encodeRecord, RecordType } from '../../src/catalog/record.js';
import { forEachRoot } from '../../src/cleaner/log-roots.js';
import { NameTable, TooManyNames } from '../../src/cleaner/name-table.js';
import { FakeDisk } from '../support/fake-log.js';
import { runSeed, seededNumbers } from '../support/ledger.js';
import { draft, openCatalog } from '../support/open-catalog.js';

const plain = <T>(work: () => Promise<T>): Promise<T> => work();

async function rootsOf(disk: FakeDisk, catalog: GranaryCatalog, namesMax = 1e6, begin?: number) {
  const group = catalog.openedGroup('DefaultGroup');
  const { mark, sequence } = group.state;
  const roots: number[] = [];
  const range = { lane: disk.lane(), engine: group.engine, begin: begin ?? mark.begin, last: sequence };
  const passes = await forEachRoot(range, namesMax, plain, async batch => {
    roots.push(...batch.map(({ root }) => root[0]!));
  });
  return { roots: roots.sort((a, b) => a - b), passes };
}

function unlessAbsent(thrown: unknown): void {
  expect(thrown).toMatchObject({ code: 'NOT_FOUND' });
}

async function wanted(catalog: GranaryCatalog): Promise<number[]> {
  const roots: number[] = [];
  for await (const row of catalog.openedGroup('DefaultGroup').state.scanAll()) roots.push(row.root[0]!);
  return roots.sort((a, b) => a - b);
}

async function changeAtRandom(next: (bound: number) => number, steps: number) {
  const disk = new FakeDisk();
  const { catalog, context } = await openCatalog(disk);
  await catalog.addContainer('a');
  await catalog.addContainer('b', 'DefaultGroup', { binDays: 7 });
  const names = Array.from({ length: 12 }, (_, at) => `f${at}`);
  const there = new Set<string>();
  for (let step = 0; step < steps; step += 1) {
    const [container, name] = [['a', 'b'][next(2)]!, names[next(names.length)]!];
    const key = `${container}/${name}`;
    if (next(15) === 0) {
      const written = writeCheckpoint(context, catalog.openedGroup('DefaultGroup'));
      // Among its entries, too.
      await catalog.putFile(container, name, draft(next(250), next(250)));
      there.add(key);
      await written;
    } else if (container === 'b' && next(4) === 0) {
      await catalog.restoreFromBin('b', name).then(() => there.add(key), unlessAbsent);
    } else if (next(40) === 0) {
      await catalog.purgeBin('b');
    } else if (there.has(key) && next(3) === 0) {
      await catalog.deleteFile(container, name);
      there.delete(key);
    } else {
      await catalog.putFile(container, name, draft(next(250), next(250)));
      there.add(key);
    }
  }
  return { disk, catalog };
}

test('the log alone gives the roots that the view has, whatever was changed and checkpointed', async () => {
  const next = seededNumbers(runSeed('roots of the log'));
  for (let round = 0; round < 20; round += 1) {
    const { disk, catalog } = await changeAtRandom(next, 60);
    expect((await rootsOf(disk, catalog)).roots).toEqual(await wanted(catalog));
    await catalog.close();
  }
});

test('names beyond the bound of a pass take further passes, and none is lost or given twice', async () => {
  const { disk, catalog } = await changeAtRandom(seededNumbers(7), 80);
  const all = await wanted(catalog);
  expect(await rootsOf(disk, catalog, 200)).toEqual({ roots: all, passes: 1 });
  const { roots, passes } = await rootsOf(disk, catalog, Math.ceil(all.length / 3));
  expect(passes).toBeGreaterThan(1);
  expect([...new Set(roots)]).toEqual([...new Set(all)]);
});

test('a container that is deleted takes its roots along', async () => {
  const { disk, catalog } = await changeAtRandom(seededNumbers(3), 40);
  await catalog.deleteContainer('a', true);
  const { roots } = await rootsOf(disk, catalog);
  expect(roots).toEqual(await wanted(catalog));
});

test('a wrong place to begin at, and a checkpoint that is not whole, are CORRUPT', async () => {
  const { disk, catalog } = await changeAtRandom(seededNumbers(4), 80);
  const { begin } = catalog.openedGroup('DefaultGroup').state.mark;
  expect(begin).toBeGreaterThan(0);
  await expect(rootsOf(disk, catalog, 1e6, begin + 1)).rejects.toMatchObject({ code: 'CORRUPT' });
  const log = disk.groupOf(catalog.openedGroup('DefaultGroup').engine).log;
  const at = log.findIndex(({ sequence, type }) => sequence > begin && type === RecordType.CHECKPOINT_FILE);
  const payload = Buffer.from(encodeRecord({ type: RecordType.EPOCH, epoch: 1 }));
  log[at] = { ...log[at]!, type: RecordType.EPOCH, payload };
  await expect(rootsOf(disk, catalog)).rejects.toMatchObject({ code: 'CORRUPT' });
});

const row = (name: string, at: number) => ({
  ...{ containerId: 1, name, root: new Uint8Array(32).fill(at), rootLength: 40, depth: 1 },
});

function rootsIn(names: NameTable): number[] {
  return [...names.batches()].flatMap(batch => batch.map(({ root }) => root[0]!));
}

test('a version in the recycle bin is a root until it is dropped, or is the file again', () => {
  const names = new NameTable(10, () => true);
  names.put(row('n', 1), 1, false);
  names.put(row('n', 2), 2, true);
  names.remove(row('n', 0), 2, true);
  expect(rootsIn(names)).toEqual([1, 2]);
  names.restoreFromBin(row('n', 0), 1, false);
  names.put(row('n', 3), 3, true);
  expect(rootsIn(names).sort()).toEqual([1, 2, 3]);
  names.dropFromBin(row('n', 0), 2);
  names.remove(row('n', 0), 3, false);
  expect(rootsIn(names)).toEqual([1]);
  names.removeContainer(1);
  expect(rootsIn(names)).toEqual([]);
});

test('a log that contradicts itself is CORRUPT, not guessed at', () => {
  const names = new NameTable(10, () => true);
  names.put(row('n', 1), 1, false);
  expect(() => names.remove(row('n', 0), 7, false)).toThrow(/version 7/);
  expect(() => names.restoreFromBin(row('n', 0), 7, false)).toThrow(/lacks 7/);
  expect(() => names.load(row('n', 2), 2, false)).toThrow(/at once/);
});

test('a pass takes as many versions as its bound, and not one more', () => {
  const names = new NameTable(2, () => true);
  names.put(row('a', 1), 1, false);
  names.put(row('a', 2), 2, true);
  names.put(row('a', 3), 3, false);
  expect(() => names.put(row('b', 4), 4, false)).toThrow(TooManyNames);
});
