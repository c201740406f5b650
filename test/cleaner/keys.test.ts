/** Encrypted groups: cleaning, sealing anew after a rotation or a later encryption, and keys that go. */
import { afterEach, expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { StoreError } from '../../src/base/errors.js';
import { rotateIfDue } from '../../src/catalog/rotation.js';
import { Upload } from '../../src/ingest/upload.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { seededBytes } from '../support/ledger.js';

const systems: CleaningSystem[] = [];

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

const KEY_FILE = Buffer.alloc(32, 'a key file');
const GROUP = 'sealed';
const FILES = { a: seededBytes(1, 900_000), b: seededBytes(2, 300_000) };

async function filled(encryption: 'internal' | 'off'): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(system => {
    system.unlock = { keyFile: KEY_FILE };
  });
  systems.push(it);
  await it.system.catalog.deleteContainer('c', false);
  const secrets = encryption === 'off' ? {} : { passphrase: 'p', keyFile: KEY_FILE };
  await it.system.catalog.addGroup({ name: GROUP, encryption, rotationDays: 7, ...secrets });
  await it.system.catalog.addContainer('c', GROUP);
  for (const [path, bytes] of Object.entries(FILES)) await it.put(path, bytes);
  return it;
}

const group = (it: CleaningSystem) => it.system.catalog.openedGroup(GROUP);
const epochs = async (it: CleaningSystem) =>
  [
    ...new Set((await it.lane.call('listDataStores', group(it).engine)).map(({ keyEpoch }) => keyEpoch)),
  ].sort();
const keys = (it: CleaningSystem) => group(it).keyring.dataKeys.map(({ epoch }) => epoch);

test('an encrypted group is cleaned like any other', async () => {
  const it = await filled('internal');
  await it.remove('a');
  await it.restart();
  await it.run('done', GROUP);
  const { figures } = await it.run('done', GROUP);
  expect(figures.freedBytes).toBeGreaterThan(0.9 * FILES.a.length);
  expect(await it.problems({ b: FILES.b })).toEqual([]);
  await it.restart();
  expect(await it.problems({ b: FILES.b })).toEqual([]);
});

test('after a rotation old data is sealed under the new key, and the old key goes', async () => {
  const it = await filled('internal');
  it.clock.now += 8 * DAY_MS;
  await rotateIfDue(it.system.context, group(it));
  await it.put('new', seededBytes(3, 200_000));
  await it.restart();
  expect(keys(it)).toEqual([1, 2]);
  expect(await epochs(it)).toEqual([1, 2]);
  const { figures } = await it.run('done', GROUP);
  expect(figures.resealStores).toBeGreaterThan(0);
  await it.run('done', GROUP);
  // What the copies went into is closed by the restart; the old data stores are gone, and with them the key.
  expect(await epochs(it)).toEqual([2]);
  expect(keys(it)).toEqual([2]);
  const files = { ...FILES, new: seededBytes(3, 200_000) };
  expect(await it.problems(files)).toEqual([]);
  await it.restart();
  expect(keys(it)).toEqual([2]);
  expect(await it.problems(files)).toEqual([]);
});

test('a key stays while anything in the trash is sealed with it', async () => {
  const it = await filled('internal');
  await it.system.catalog.changeCleanerSettings({ holdHours: 1 });
  it.clock.now += 8 * DAY_MS;
  await rotateIfDue(it.system.context, group(it));
  await it.restart();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run('done', GROUP);
  expect(await epochs(it)).toEqual([2]);
  expect(keys(it)).toEqual([1, 2]);
  it.clock.now += 3_600_000;
  await it.run('done', GROUP);
  expect(keys(it)).toEqual([2]);
});

test('the data of a group that is encrypted later is sealed by cleaning', async () => {
  const it = await filled('off');
  await it.restart();
  expect(await epochs(it)).toEqual([0]);
  await it.system.catalog.updateGroup(GROUP, {
    ...{ encryption: 'static', passphrase: 'p', keyFile: KEY_FILE },
  });
  await it.run('done', GROUP);
  await it.run('done', GROUP);
  expect(await epochs(it)).toEqual([1]);
  expect(await it.problems(FILES)).toEqual([]);
  await it.restart();
  expect(await it.problems(FILES)).toEqual([]);
});

test('a rotation that is not committed never costs the key that is in use', async () => {
  const it = await filled('internal');
  for (const path of ['a', 'b']) await it.remove(path);
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run('done', GROUP);
  await it.restart();
  for (let cycle = 0; cycle < 3; cycle += 1) await it.run('done', GROUP);
  expect(await epochs(it)).toEqual([]);
  it.clock.now += 8 * DAY_MS;
  it.lane.hookOnce('appendLog', () => Promise.reject(new StoreError('NO_SPACE', 'the disk is full')));
  await expect(rotateIfDue(it.system.context, group(it))).rejects.toMatchObject({ code: 'NO_SPACE' });
  await it.run('done', GROUP);
  for (const [path, bytes] of Object.entries(FILES)) await it.put(path, bytes);
  expect(await epochs(it)).toEqual([2]);
  await it.restart();
  expect(await it.problems(FILES)).toEqual([]);
});

test('a stream that begins while its group is being encrypted is refused', async () => {
  const it = await filled('off');
  const { group: before } = it.system.catalog.openContainer('c');
  const encryption = { encryption: 'static' as const, passphrase: 'p', keyFile: KEY_FILE };
  const held = Upload.begin(before);
  await expect(it.system.catalog.updateGroup(GROUP, encryption)).rejects.toMatchObject({ code: 'BUSY' });
  await expect(it.lane.call('detach', before.engine)).rejects.toMatchObject({ code: 'BUSY' });
  await held.close();
  await it.put('b', FILES.b);
  let begin: () => unknown = () => undefined;
  it.lane.hookOnce('detach', (parameters, run) => {
    begin = () => Upload.begin(before);
    expect(begin).toThrow(/being closed/);
    return run(...parameters);
  });
  await it.system.catalog.updateGroup(GROUP, encryption);
  expect(begin).toThrow(/being closed/);
  expect(await it.problems(FILES)).toEqual([]);
});
