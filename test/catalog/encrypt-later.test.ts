/**
 * A group that was made without encryption gets it later: what it held is there, what it writes from then on
 * is sealed, the log from before goes, and a machine that dies at any operation of the change leaves a group
 * that one of the secrets opens.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { binding } from '../../src/native/binding.js';
import { DirectLane } from '../support/direct-lane.js';
import { seededBytes } from '../support/ledger.js';
import { codeOf, WholeSystem } from '../support/whole-system.js';

const KEY_FILE = Buffer.alloc(32, 'a key file');
const SECRETS = { passphrase: 'p', keyFile: KEY_FILE };
const TELLING_NAME = 'a-telling-name-of-a-file';
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'granary-encrypt-'));
  folders.push(folder);
  return folder;
}

async function clearGroup(system: WholeSystem): Promise<void> {
  await system.catalog.addGroup({ name: 'g' });
  await system.catalog.addContainer('c', 'g');
  await system.put('c', TELLING_NAME, seededBytes(1, 300_000));
}

function allFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile());
}

const holders = (folder: string, text: string) =>
  allFiles(folder).filter(path => readFileSync(path).includes(text));

test('an encryption that comes later seals what is written, and leaves no name in the clear', async () => {
  const directory = newFolder();
  const lane = new DirectLane();
  const system = await WholeSystem.open({ lane, directory });
  await clearGroup(system);
  expect(holders(directory, TELLING_NAME).length).toBeGreaterThan(0);
  const answer = await system.catalog.updateGroup('g', { encryption: 'static', ...SECRETS });
  expect(answer.recoveryKey).toMatch(/^[0-9A-Z]{7}(-[0-9A-Z]{7}){7}$/);
  expect([answer.encryption, answer.keyEpoch]).toEqual(['static', 1]);
  const opened = system.catalog.openedGroup('g');
  await expect.poll(() => opened.hasClearLog).toBe(false);
  await system.put('c', 'later', seededBytes(2, 200_000));
  const stores = await opened.lane.call('listDataStores', opened.engine);
  expect(new Set(stores.map(({ keyEpoch }) => keyEpoch))).toEqual(new Set([0, 1]));
  await system.close();
  expect(holders(directory, TELLING_NAME)).toEqual([]);

  const again = await WholeSystem.open({ lane, directory, unlock: { keyFile: KEY_FILE } });
  expect((await again.get('c', TELLING_NAME)).equals(seededBytes(1, 300_000))).toBe(true);
  expect((await again.get('c', 'later')).equals(seededBytes(2, 200_000))).toBe(true);
  expect((await again.verify()).damages).toEqual([]);
  expect(again.catalog.showGroup('g').encryption).toBe('static');
  await again.close();
});

test('without a secret a group that was encrypted later stays locked after a start', async () => {
  const directory = newFolder();
  const lane = new DirectLane();
  const system = await WholeSystem.open({ lane, directory });
  await clearGroup(system);
  await system.catalog.updateGroup('g', { encryption: 'internal', ...SECRETS });
  await system.close();
  const again = await WholeSystem.open({ lane, directory });
  expect(again.catalog.showGroup('g').isLocked).toBe(true);
  await again.catalog.unlockGroup('g', { passphrase: 'p' });
  expect((await again.get('c', TELLING_NAME)).length).toBe(300_000);
  await again.close();
});

test('a clear log segment that is put behind the change is a forgery', async () => {
  const directory = newFolder();
  const lane = new DirectLane();
  const system = await WholeSystem.open({ lane, directory });
  await clearGroup(system);
  const logs = join(directory, 'groups/g/log');
  const forged = readFileSync(join(logs, 'a', readdirSync(join(logs, 'a')).sort()[0]!));
  await system.catalog.updateGroup('g', { encryption: 'static', ...SECRETS });
  await system.put('c', 'later', seededBytes(2, 1000));
  await system.close();
  // The clear log from before, in the place of the newest sealed segment.
  const segments = readdirSync(join(logs, 'a')).sort();
  for (const copy of ['a', 'b']) writeFileSync(join(logs, copy, segments.at(-1)!), forged);
  const again = await WholeSystem.open({ lane, directory, unlock: { keyFile: KEY_FILE } });
  expect(again.catalog.showGroup('g').failure).toMatch(/log/);
  await again.close();
});

test.each([
  ['no passphrase', { encryption: 'static' } as const],
  ['no encryption to go with the passphrase', { passphrase: 'p' }],
])('a change with %s is INVALID and changes nothing', async (_what, change) => {
  const system = await WholeSystem.open({ lane: new DirectLane(), directory: newFolder() });
  await clearGroup(system);
  const code = await system.catalog.updateGroup('g', change).then(() => 'done', codeOf);
  expect(code).toBe('INVALID');
  expect(system.catalog.showGroup('g').encryption).toBe('off');
  expect((await system.get('c', TELLING_NAME)).length).toBe(300_000);
  await system.close();
});

test('a group with a stream under way is BUSY and stays as it is', async () => {
  const system = await WholeSystem.open({ lane: new DirectLane(), directory: newFolder() });
  await clearGroup(system);
  const { engine, lane } = system.catalog.openedGroup('g');
  const stream = lane.inline.openStream(engine, 1);
  const change = { encryption: 'static', ...SECRETS } as const;
  expect(await system.catalog.updateGroup('g', change).then(() => 'done', codeOf)).toBe('BUSY');
  lane.inline.closeStream(engine, stream);
  expect((await system.get('c', TELLING_NAME)).length).toBe(300_000);
  expect((await system.catalog.updateGroup('g', change)).encryption).toBe('static');
  await system.close();
});

test('a machine that dies at any operation of the change leaves a group that opens, whole', async () => {
  const bytes = seededBytes(1, 300_000);
  let isDone = false;
  for (let operation = 1; !isDone; operation += 3) {
    const lane = new DirectLane();
    const disk = binding().diskCreate();
    binding().makeDirectory('/data', disk);
    const open = () => WholeSystem.open({ lane, disk, directory: '/data', unlock: { keyFile: KEY_FILE } });
    const system = await open();
    await clearGroup(system);
    binding().diskPlan(disk, 1, operation, true);
    await system.catalog.updateGroup('g', { encryption: 'static', ...SECRETS }).catch(codeOf);
    isDone = !binding().diskOperations(disk).wasHit;
    binding().diskPlan(disk, 1, 1, true);
    await system.close().catch(() => undefined);
    binding().diskCrash(disk, operation % 4);
    binding().diskPlan(disk, 0, 0, false);
    const again = await open();
    const info = again.catalog.showGroup('g');
    expect([operation, info.failure, info.isLocked]).toEqual([operation, undefined, false]);
    expect((await again.get('c', TELLING_NAME)).equals(bytes)).toBe(true);
    expect((await again.verify()).damages).toEqual([]);
    await again.close();
    binding().diskDrop(disk);
  }
}, 120_000);
