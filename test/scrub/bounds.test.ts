// What scrub keeps in memory, names and stores is bounded, and what happens at the bounds.
import { expect, test } from 'vitest';
import { SCRUB_CHECKED_MAX, SCRUB_FILES_NAMED_MAX } from '../../src/base/limits.js';
import { ReferencePass } from '../../src/scrub/reference-pass.js';
import { Scrub } from '../../src/scrub/scrub.js';
import { ScrubState } from '../../src/scrub/scrub-state.js';
import { ScrubWork } from '../../src/scrub/work.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

async function opened() {
  const disk = new FakeDisk();
  const system = await openCatalog(disk);
  await system.catalog.addContainer('c');
  return { ...system, disk, group: system.catalog.openedGroup('DefaultGroup') };
}

test('files are named up to the bound, and counted beyond it', async () => {
  const { disk, catalog, context, group, events } = await opened();
  for (let file = 0; file <= SCRUB_FILES_NAMED_MAX; file += 1) {
    await catalog.putFile('c', `f${file}`, draft(100, 1));
  }
  disk.lostRoots.add(1);
  const report = await new Scrub(context, group).run();
  expect(report.damagedFiles).toBe(SCRUB_FILES_NAMED_MAX + 1);
  expect(report.names).toHaveLength(SCRUB_FILES_NAMED_MAX);
  expect(events.map(({ message }) => message)).toContainEqual(expect.stringMatching(/ and 1 more$/));
});

test('of more lost chunks than can be asked for at once the rest is asked for when those have come', async () => {
  const { disk, catalog, context, group } = await opened();
  for (let seed = 1; seed <= 5; seed += 1) await catalog.putFile('c', `f${seed}`, draft(100, seed));
  disk.dataStores.set('ab'.repeat(24), new Uint8Array(32));
  for (let seed = 1; seed <= 5; seed += 1) disk.lostRoots.add(seed);
  const asked: number[] = [];
  group.repairSources.push({
    name: 'replica',
    async fetch(wanted) {
      asked.push(wanted.length);
      for (const { fingerprint } of wanted) disk.lostRoots.delete(fingerprint[0]!);
      return wanted.map(({ fingerprint, length }) => new Uint8Array(length).fill(fingerprint[0]!));
    },
  });
  for (let seed = 1; seed <= 5; seed += 1) disk.damagedRoots.add(seed);
  const state = await ScrubState.open(group, 0);
  const work = new ScrubWork(group, state, { ...context, signal: new AbortController().signal });
  const pass = new ReferencePass(work, 3);
  expect(await pass.run()).toMatchObject({ damagedFiles: 2 });
  expect(await pass.run()).toMatchObject({ damagedFiles: 0 });
  expect(asked).toEqual([3, 2]);
});

test('of the data stores that were read back the latest are remembered', async () => {
  const { group } = await opened();
  const state = await ScrubState.open(group, 0);
  const idOf = (number: number) => number.toString(16).padStart(48, '0');
  for (let number = 0; number <= SCRUB_CHECKED_MAX; number += 1) state.noteChecked(idOf(number));
  expect(state.content.checked).toHaveLength(SCRUB_CHECKED_MAX);
  expect(state.content.checked[0]).toBe(idOf(1));
  await state.save();
  expect((await ScrubState.open(group, 0)).content.checked.at(-1)).toBe(idOf(SCRUB_CHECKED_MAX));
});
