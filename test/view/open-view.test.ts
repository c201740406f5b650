import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KvStore } from '../../src/view/kv.js';
import { condemnView, openView } from '../../src/view/open-view.js';

const KEY = Buffer.from('k');
let directory: string;
let store: KvStore | undefined;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'granary-view-')), 'view');
});

afterEach(async () => {
  await store?.close();
  store = undefined;
  rmSync(join(directory, '..'), { recursive: true });
});

async function open(options: { id?: number; viewKey?: Uint8Array } = {}) {
  const { id = 1, viewKey } = options;
  await store?.close();
  store = undefined;
  const opened = await openView({
    directory,
    storeId: new Uint8Array(16).fill(id),
    removeDirectory: path => rm(path, { recursive: true }),
    ...(viewKey === undefined ? {} : { viewKey }),
  });
  store = opened.store;
  return opened;
}

async function filled(viewKey?: Uint8Array): Promise<void> {
  const { store: made } = await open(viewKey === undefined ? {} : { viewKey });
  await made.batch([{ type: 'put', key: KEY, value: Buffer.from('value') }]);
}

test('a view opens again with what was put into it', async () => {
  await filled();
  const { store: again, replaced } = await open();
  expect([Buffer.from((await again.get(KEY))!).toString(), replaced]).toEqual(['value', undefined]);
});

test('a view of another storage group is replaced by an empty one', async () => {
  await filled();
  const { store: made, replaced } = await open({ id: 2 });
  expect(replaced).toMatch(/another storage group/);
  expect(await made.get(KEY)).toBeUndefined();
});

for (const damage of ['CURRENT', 'MANIFEST']) {
  test(`a view whose ${damage} is rubbish is replaced by an empty one`, async () => {
    await filled();
    await store!.close();
    store = undefined;
    const name = readdirSync(directory).find(each => each.startsWith(damage))!;
    writeFileSync(join(directory, name), 'rubbish');
    const { store: made, replaced } = await open();
    expect(replaced).toBeDefined();
    expect(await made.get(KEY)).toBeUndefined();
    await made.batch([{ type: 'put', key: KEY, value: Buffer.from('again') }]);
  });
}

test('a condemned view is replaced at the next opening', async () => {
  await filled();
  await condemnView(store!);
  expect((await open()).replaced).toMatch(/whose it is/);
});

test('a sealed view opens with its key, and a value under another key is CORRUPT', async () => {
  const viewKey = new Uint8Array(32).fill(5);
  await filled(viewKey);
  const { store: again } = await open({ viewKey });
  expect(Buffer.from((await again.get(KEY))!).toString()).toBe('value');
  const { store: wrong } = await open({ viewKey: new Uint8Array(32) });
  await expect(wrong.get(KEY)).rejects.toMatchObject({ code: 'CORRUPT' });
});
