/**
 * What others have lost at a start, in a repair or to forged bytes, replayed on ours. Each scenario is named
 * after the loss it comes from, and fails when the rule that it rests on is broken
 * (test/mutants).
 *
 * Later parts have to add: a stub whose record is only in the bucket (`heal_tiered_metadata`), and roots that
 * a peer or a bucket offers (`spoofed_root`).
 */
import { afterEach, expect, test } from 'vitest';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { type AttachParameters, binding } from '../../src/native/binding.js';
import { filesOf } from '../simulate/flips.js';
import { CleaningSystem, GROUP } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';
import { codeOf } from '../support/whole-system.js';

const A = seededBytes(1, 400_000);
const B = seededBytes(2, 100_000);
const SIZE_MAX = 2 ** 26;
const systems: CleaningSystem[] = [];

async function start(change?: (it: CleaningSystem) => void): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(change);
  systems.push(it);
  await it.put('a', A);
  await it.put('b', B);
  return it;
}

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

function logFiles(it: CleaningSystem): string[] {
  return filesOf(it.disk, '/data').filter(path => /\/log\/[ab]\//.test(path));
}

function failureOf(it: CleaningSystem): string | undefined {
  return it.system.catalog.listGroups().find(({ name }) => name === GROUP)?.failure;
}

/** Damages what lies at this part of the log's content, in these copies; answers how to undo it. */
function damageLog(it: CleaningSystem, copies: RegExp): () => void {
  const undo: (() => void)[] = [];
  for (const path of logFiles(it).filter(name => copies.test(name))) {
    const bytes = Buffer.from(binding().readSmallFile(path, SIZE_MAX, it.disk));
    const end = bytes.findLastIndex(byte => byte !== 0);
    const at = Math.floor(end / 2);
    const before = Buffer.from(bytes.subarray(at, at + 8));
    binding().diskDamage(it.disk, path, at, Buffer.from(before.map(byte => byte ^ 0xff)));
    undo.push(() => binding().diskDamage(it.disk, path, at, before));
  }
  return () => {
    for (const action of undo) action();
  };
}

test('short_listing_then_rebuild: a log that lacks a part gives no shorter catalog', async () => {
  const it = await start();
  for (const path of ['x', 'y', 'z']) {
    await it.restart();
    await it.put(path, B);
  }
  await it.system.close();
  const segments = logFiles(it).sort();
  const middle = segments[Math.floor(segments.length / 4)]!;
  for (const copy of ['a', 'b']) binding().removeTree(middle.replace(/log\/[ab]/, `log/${copy}`), it.disk);
  it.lane.views.clear();
  await it.open();
  expect(failureOf(it)).toMatch(/missing|damaged|begins at/);
  await expect(it.system.list('c')).rejects.toThrow();
});

test('repair_keeps_valid_items: damage in one copy of the log is repaired and costs nothing', async () => {
  const it = await start();
  for (let at = 0; at < 20; at += 1) await it.put(`f${at}`, seededBytes(at, 500));
  await it.system.close();
  damageLog(it, /\/log\/a\//);
  it.lane.views.clear();
  await it.open();
  expect(failureOf(it)).toBeUndefined();
  expect((await it.system.list('c')).length).toBe(22);
});

test('repair_keeps_valid_items: damage in both copies cuts nothing off', async () => {
  const it = await start();
  for (let at = 0; at < 20; at += 1) await it.put(`f${at}`, seededBytes(at, 500));
  await it.system.close();
  const undo = damageLog(it, /\/log\//);
  it.lane.views.clear();
  await it.open();
  expect(failureOf(it)).toMatch(/damaged in both copies/);
  await it.system.close();
  undo();
  await it.open();
  expect((await it.system.list('c')).length).toBe(22);
  const { damages } = await it.system.verify();
  expect(damages).toEqual([]);
});

test('forged_header_in_rebuild: a name that a rebuilt index believes is checked at each read', async () => {
  const it = await start();
  await it.system.close();
  it.lane.views.clear();
  // Another key of fingerprints: every header and trailer names chunks that the bytes are not.
  it.lane.hooks.set('attach', ([given, ...rest], run) => {
    const parameters = given as AttachParameters;
    return run({ ...parameters, fingerprintKey: new Uint8Array(32).fill(9) }, ...rest);
  });
  await it.open();
  for (const path of ['a', 'b']) {
    const code = await it.system.get('c', path).then(() => 'served', codeOf);
    expect([path, code]).toEqual([path, 'CORRUPT']);
  }
  it.lane.hooks.clear();
});

test('heal_tiered_metadata: a row that the view has lost or mistaken is made anew from the log', async () => {
  const it = await start();
  const [view] = [...it.lane.views.values()];
  for await (const [key, value] of view!.scan({})) {
    const name = Buffer.from(key).toString('latin1');
    if (name.endsWith('a') && value.length > 60) await view!.batch([{ type: 'del', key }]);
  }
  expect(await it.system.list('c')).toEqual(['b']);
  await writeCheckpoint(it.system.context, it.group);
  expect(await it.problems({ a: A, b: B })).toEqual([]);
  expect(it.events.some(({ message }) => /made anew/.test(message))).toBe(true);
});

test("spoofed_root: a client's bytes that look like log, records and blockmaps stay bytes", async () => {
  const it = await start();
  await it.system.catalog.updateGroup(GROUP, { compression: 'none' });
  const [log] = logFiles(it);
  const stores = filesOf(it.disk, '/data').filter(path => path.endsWith('.gds'));
  const spoofs: Record<string, Uint8Array> = {};
  for (const [at, path] of [log!, ...stores].entries()) {
    const bytes = binding().readSmallFile(path, SIZE_MAX, it.disk);
    spoofs[`spoof${at}`] = bytes.slice(0, 1 + bytes.findLastIndex(byte => byte !== 0));
    await it.put(`spoof${at}`, spoofs[`spoof${at}`]!);
  }
  const { chunkCount } = await it.group.space.refresh();
  // What an earlier process left open is scanned; the client's records are not among what is found.
  await it.crash(1);
  it.lane.views.clear();
  await it.restart();
  expect((await it.group.space.refresh()).chunkCount).toBe(chunkCount);
  expect(await it.problems({ a: A, b: B, ...spoofs })).toEqual([]);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run();
  expect(await it.problems({ a: A, b: B, ...spoofs })).toEqual([]);
});
