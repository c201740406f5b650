/**
 * What others have lost on the way in, replayed on ours. Each scenario is named after the loss it comes from,
 * and fails when the rule that it rests on is broken (test/mutants).
 *
 * Later parts have to add: a whole replication of a corrupt stream, then `verify --full` on the replica
 * (`replica_raw_stream_corrupt` stands at the door through which a replica's and a bucket's bytes come).
 */
import { afterEach, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { Upload } from '../../src/ingest/upload.js';
import { binding, FINGERPRINT_SIZE, ROW_SIZE } from '../../src/native/binding.js';
import { sharedBytes } from '../../src/workers/shared-bytes.js';
import { filesOf } from '../simulate/flips.js';
import { CleaningSystem } from '../support/cleaning-system.js';
import { contentOf, seededBytes } from '../support/ledger.js';
import { codeOf } from '../support/whole-system.js';

const A = seededBytes(1, 400_000);
const SIZE_MAX = 2 ** 26;
const systems: CleaningSystem[] = [];

async function start(change?: (it: CleaningSystem) => void): Promise<CleaningSystem> {
  const it = await CleaningSystem.start(change);
  systems.push(it);
  await it.put('a', A);
  return it;
}

afterEach(async () => {
  for (const it of systems.splice(0)) await it.dispose();
});

test('enospc_is_fatal_for_commit: no commit when one chunk could not be written', async () => {
  const it = await start();
  const next = Buffer.concat([seededBytes(2, 9_000_000), seededBytes(3, 5_000_000)]);
  const failing = { count: 0 };
  it.lane.hooks.set('storeRecords', (given, run) => {
    failing.count += 1;
    if (failing.count === 2) throw new StoreError('NO_SPACE', 'the volume is full');
    return run(...given);
  });
  const code = await it.put('a', next).then(() => 'committed', codeOf);
  it.lane.hooks.clear();
  expect(code).toBe('NO_SPACE');
  expect(await it.problems({ a: A })).toEqual([]);
});

test('index_hash_table_wrap: a small index whose entries come and go finds what is there', async () => {
  const it = await start(system => {
    system.context = {
      engineBounds: {
        residentIndexBytesMax: 2 ** 16,
        chunkTableBytesMax: 2 ** 18,
        dataStoreSizeTarget: 2 ** 17,
        regionCacheBytesMax: 2 ** 18,
      },
    };
  });
  const files: Record<string, Buffer> = { a: A };
  for (let round = 0; round < 6; round += 1) {
    for (let at = 0; at < 4; at += 1) {
      files[`f${at}`] = seededBytes(10 + ((round * 3 + at) % 7), 500_000 + at);
      await it.put(`f${at}`, files[`f${at}`]!);
    }
    await it.restart();
    await it.run();
  }
  expect(await it.problems(files)).toEqual([]);
  for (const [path, bytes] of Object.entries(files)) {
    await it.put(path, bytes);
    expect([path, (await it.system.catalog.file('c', path)).newBytes]).toEqual([path, 0]);
  }
});

test('codec_corrupts_rarely: what the codec spoils is noticed before it is written', async () => {
  const it = await start();
  const files: Record<string, Buffer> = { a: A };
  for (let at = 0; at < 40; at += 1) {
    files[`text${at}`] = Buffer.from(`${at} line of a text that shrinks well\n`.repeat(400 + at));
    await it.put(`text${at}`, files[`text${at}`]!);
  }
  expect(await it.problems(files)).toEqual([]);
});

test('holes_and_sparse: zeros that the source never had are refused by the digest', async () => {
  const it = await start();
  const whole = seededBytes(4, 300_000);
  const holed = Buffer.from(whole);
  holed.fill(0, 65_536, 131_072);
  const upload = Upload.begin(it.system.catalog.openContainer('c').group, {
    size: holed.length,
    expected: { sha256: contentOf(whole).sha256 },
  });
  upload.write(holed);
  const code = await upload.finish().then(() => 'accepted', codeOf);
  await upload.close();
  expect(code).toBe('INVALID');
  const sparse = Buffer.alloc(3_000_000);
  sparse.set(seededBytes(5, 5000), 1_400_000);
  await it.put('sparse', sparse);
  expect(await it.problems({ a: A, sparse })).toEqual([]);
});

test('replica_raw_stream_corrupt: bytes that are not what their name says are not stored', async () => {
  const it = await start();
  const { lane, group } = it;
  await it.restart();
  const before = await it.group.space.refresh();
  const [store] = await lane.call('listDataStores', it.group.engine);
  const fingerprints = sharedBytes(FINGERPRINT_SIZE);
  await lane.call('readFingerprints', it.group.engine, store!.id, 0, fingerprints);
  const rows = sharedBytes(ROW_SIZE);
  rows.set(fingerprints, 0);
  new DataView(rows.buffer).setUint32(FINGERPRINT_SIZE, 1000, true);
  const admit = lane.call('admitRecords', it.group.engine, rows, 1, sharedBytes(1000));
  expect(await admit.then(() => 'stored', codeOf)).toBe('CORRUPT');
  const after = await it.group.space.refresh();
  expect(after.chunkCount).toBe(before.chunkCount);
  expect(group.name).toBe('DefaultGroup');
  expect(await it.problems({ a: A })).toEqual([]);
});

/** native/FORMAT.md, "Record": what the seal of a record is bound to. */
const RECORD_MAGIC = Buffer.from('debbd2d900b5565b', 'hex');
const ORDINAL_AT = 16;

test('nonce_after_refactor: no ordinal seals two texts, over crashes and starts', async () => {
  const it = await CleaningSystem.start(system => {
    system.unlock = { keyFile: Buffer.alloc(32, 7) };
  });
  systems.push(it);
  const secrets = { passphrase: 'p', keyFile: Buffer.alloc(32, 7) };
  await it.system.catalog.addGroup({ name: 'g', encryption: 'static', ...secrets });
  await it.system.catalog.addContainer('e', 'g');
  const put = (path: string, seed: number): Promise<number> =>
    it.system.put('e', path, seededBytes(seed, 300_000));
  await put('one', 1);
  await Promise.all([put('two', 2), put('three', 3)]);
  await it.crash(1);
  await put('four', 4);
  await it.system.catalog.deleteFile('e', 'two');
  await it.restart();
  for (let cycle = 0; cycle < 2; cycle += 1) await it.run('done', 'g');
  await put('five', 5);
  await it.restart();
  const ordinals = filesOf(it.disk, '/data/groups/g/data').map(path => ordinalsOf(it, path));
  expect(ordinals.flat().length).toBeGreaterThan(10);
  for (const found of ordinals) expect(new Set(found).size).toBe(found.length);
  const ids = filesOf(it.disk, '/data/groups/g/data').map(path => path.split('/').at(-1));
  expect(new Set(ids).size).toBe(ids.length);
});

function ordinalsOf(it: CleaningSystem, path: string): bigint[] {
  const bytes = Buffer.from(binding().readSmallFile(path, SIZE_MAX, it.disk));
  const found: bigint[] = [];
  for (let at = bytes.indexOf(RECORD_MAGIC); at >= 0; at = bytes.indexOf(RECORD_MAGIC, at + 8)) {
    if (at % 8 === 0) found.push(bytes.readBigUInt64LE(at + ORDINAL_AT));
  }
  return found;
}
