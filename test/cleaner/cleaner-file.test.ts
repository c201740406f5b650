import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { CleanerFile } from '../../src/cleaner/cleaner-file.js';
import { FakeDisk } from '../support/fake-log.js';

const open = (disk: FakeDisk) =>
  CleanerFile.open({ lane: disk.lane(), disk: 0, directory: '/g', nowMs: () => 5 });

test('a brake is there after a restart, and so is the epoch that was marked', async () => {
  const disk = new FakeDisk();
  const file = await open(disk);
  await file.change(content => ({ ...content, markedEpoch: 9, brake: { reason: 'why', sinceMs: 3 } }));
  expect((await open(disk)).content).toMatchObject({ markedEpoch: 9, brake: { reason: 'why', sinceMs: 3 } });
});

test('a brake that cannot be written holds all the same', async () => {
  const disk = new FakeDisk();
  const file = await open(disk);
  disk.failNext('replaceFile', new StoreError('IO', 'gone'));
  const changed = file.change(content => ({ ...content, brake: { reason: 'why', sinceMs: 3 } }));
  await expect(changed).rejects.toMatchObject({ code: 'IO' });
  expect(file.content.brake?.reason).toBe('why');
});

test('a lost file makes the cleaner wait, a damaged one stops it', async () => {
  const disk = new FakeDisk();
  await (await open(disk)).change(content => ({ ...content, markedEpoch: 9 }));
  for (const copy of ['a', 'b']) disk.files.set(`/g/cleaner.${copy}`, Buffer.from('{}\n0\n'));
  expect((await open(disk)).content).toMatchObject({ markedEpoch: 0, brake: { sinceMs: 5 } });
  disk.files.clear();
  const { content } = await open(disk);
  expect(content.markedEpoch).toBe(0);
  expect(content.brake).toBeUndefined();
});
