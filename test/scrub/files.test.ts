// Scrub of whole files, over the double of the engine: which come first, how often, where a restart goes on.
import { expect, test } from 'vitest';
import { SCRUB_FILES_MS } from '../../src/base/limits.js';
import { Scrub } from '../../src/scrub/scrub.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog, StillClock } from '../support/open-catalog.js';

async function opened(disk = new FakeDisk(), clock = new StillClock(), encryption: 'off' | 'static' = 'off') {
  const isNew = disk.groups.size === 0;
  const system = await openCatalog(disk, { clock, unlock: { passphrase: 'p' } });
  if (isNew) {
    const secret = encryption === 'off' ? {} : { passphrase: 'p' };
    await system.catalog.addGroup({ name: 'g', encryption, ...secret });
    await system.catalog.addContainer('c', 'g');
  }
  const scrub = new Scrub(system.context, system.catalog.openedGroup('g'));
  const put = (seed: number, name = `f${seed}`) => system.catalog.putFile('c', name, draft(100, seed));
  return { ...system, disk, scrub, put };
}

/** Seeds of the files that were read since the last asking. */
function watchReads(disk: FakeDisk): () => number[] {
  const seen: number[] = [];
  const push = disk.parameters.push.bind(disk.parameters);
  disk.parameters.push = (...calls) => {
    for (const { verb, values } of calls)
      if (verb === 'readRecords') seen.push((values[1] as Uint8Array)[0]!);
    return push(...calls);
  };
  return () => seen.splice(0);
}

test('each file is read once when it is new, in the order of the commits, unless replaced', async () => {
  const { disk, scrub, put, catalog, clock } = await opened();
  const reads = watchReads(disk);
  for (const seed of [3, 1, 2]) await put(seed);
  await put(9, 'f1');
  await scrub.tick();
  expect(reads()).toEqual([3, 2, 9]);
  await put(4);
  await scrub.tick();
  expect(reads()).toEqual([4]);
  await scrub.close();
  await catalog.close();
  const again = await opened(disk, clock);
  await again.put(5);
  await again.scrub.tick();
  expect(reads()).toEqual([5]);
});

for (const encryption of ['off', 'static'] as const) {
  test(`old files are read in a round, each once, across restarts (encryption ${encryption})`, async () => {
    const first = await opened(new FakeDisk(), new StillClock(), encryption);
    const { disk, clock } = first;
    for (let seed = 1; seed <= 10; seed += 1) await first.put(seed);
    await first.scrub.tick();
    const reads = watchReads(disk);
    for (let part = 0; part < 5; part += 1) {
      clock.now += SCRUB_FILES_MS / 10;
      await first.scrub.tick();
    }
    const half = reads();
    expect(half).toHaveLength(5);
    await first.scrub.close();
    await first.catalog.close();
    const stored = Buffer.from(disk.files.get('/data/groups/g/scrub.a')!).toString();
    if (encryption === 'static') expect(stored).not.toContain(Buffer.from('f5').toString('hex'));
    const again = await opened(disk, clock, encryption);
    clock.now += SCRUB_FILES_MS / 2;
    await again.scrub.tick();
    expect([...half, ...reads()].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
}

test('a file whose bytes have another digest than was stored is named', async () => {
  const { scrub, catalog, events } = await opened();
  await catalog.putFile('c', 'wrong', { ...draft(100, 7), xxh3: 'f'.repeat(32) });
  const report = await scrub.run();
  expect(report).toMatchObject({ damagedFiles: 1, names: ['c/wrong'], filesRead: 0 });
  expect(events.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/c\/wrong does not come out/),
  );
});

test('a scrub state that is damaged is begun anew, and says so', async () => {
  const { disk, scrub, catalog, clock, put } = await opened();
  await put(1);
  await scrub.tick();
  await scrub.close();
  await catalog.close();
  for (const copy of ['a', 'b']) disk.files.set(`/data/groups/g/scrub.${copy}`, Buffer.from('{}\nx\n'));
  const again = await opened(disk, clock);
  const reads = watchReads(disk);
  await again.scrub.tick();
  expect(reads()).toEqual([1]);
  expect(again.events.map(({ message }) => message)).toContainEqual(expect.stringMatching(/begun anew/));
});
