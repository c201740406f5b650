// One suite over both implementations of FileIndex.
import { describe, expect, test } from 'vitest';
import { ClearFileIndex, type FileIndex } from '../../src/catalog/file-index.js';
import { SealedFileIndex } from '../../src/catalog/file-index-sealed.js';
import { compareNames } from '../../src/catalog/names.js';
import { type FileRow, RecordType } from '../../src/catalog/record.js';
import type { KvStore } from '../../src/view/kv.js';
import { MemoryStore } from '../../src/view/memory-store.js';

const KEY = new Uint8Array(32).fill(3);
const implementations: Record<string, (store: KvStore) => FileIndex> = {
  clear: store => new ClearFileIndex(store),
  sealed: store => new SealedFileIndex(store, KEY),
};

function row(containerId: number, name: string, version = 1): FileRow {
  return {
    type: RecordType.CHECKPOINT_FILE,
    containerId,
    name,
    version,
    createdMs: 0,
    size: 1,
    root: new Uint8Array(32),
    rootLength: 1,
    depth: 1,
    chunkCount: 1,
    newBytes: 1,
    storedBytes: 1,
    xxh3: '00'.repeat(16),
  };
}

for (const [name, make] of Object.entries(implementations)) {
  describe(`FileIndex: ${name}`, () => {
    async function filled(rows: readonly FileRow[]) {
      const store = new MemoryStore();
      const index = make(store);
      const put = async (each: FileRow): Promise<void> => {
        await store.batch([index.operation(each, each)]);
        index.note(each, true);
      };
      const drop = async (each: FileRow): Promise<void> => {
        await store.batch([index.operation(each, undefined)]);
        index.note(each, false);
      };
      for (const each of rows) await put(each);
      return { store, index, put, drop };
    }
    const list = async (
      index: FileIndex,
      container: number,
      query: Partial<Parameters<FileIndex['list']>[1]>,
    ) => (await index.list(container, { prefix: '', limit: 100, ...query })).map(each => each.name);

    test('a file is found under its container and name only', async () => {
      const { index } = await filled([row(1, 'a', 5), row(2, 'a', 6)]);
      const found = await index.load([
        { containerId: 2, name: 'a' },
        { containerId: 1, name: 'a' },
        { containerId: 1, name: 'b' },
      ]);
      expect(found.map(each => each?.version)).toEqual([6, 5, undefined]);
    });

    test('a list is in byte order, of one container, and follows puts and deletes', async () => {
      const names = ['\u{1f600}', '\u{ffff}', 'b', 'a', 'a/', 'Z'];
      const { index, put, drop } = await filled([...names.map(each => row(1, each)), row(2, 'other')]);
      const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await list(index, 1, {})).toEqual(sorted);
      await put(row(1, 'aa'));
      await drop(row(1, 'b'));
      expect(await list(index, 1, {})).toEqual(['Z', 'a', 'a/', 'aa', '\u{ffff}', '\u{1f600}']);
    });

    test('a scan goes on behind the key of any row, and gives each row once', async () => {
      const { index } = await filled([row(1, 'a'), row(1, 'aa'), row(1, 'b'), row(2, 'a'), row(9, 'z')]);
      const seen: string[] = [];
      for (let after: Uint8Array | undefined; ; ) {
        const { value: next } = await index.scan(after)[Symbol.asyncIterator]().next();
        if (next === undefined) break;
        seen.push(`${next.containerId}/${next.name}`);
        after = index.operation(next, undefined).key;
      }
      const all: string[] = [];
      for await (const each of index.scan()) all.push(`${each.containerId}/${each.name}`);
      expect(seen).toEqual(all);
      expect(seen.sort()).toEqual(['1/a', '1/aa', '1/b', '2/a', '9/z']);
    });

    test('prefix, after and limit cut the list', async () => {
      const { index } = await filled(['a', 'p', 'p/1', 'p/2', 'p/3', 'p0', 'q'].map(each => row(1, each)));
      expect(await list(index, 1, { prefix: 'p/' })).toEqual(['p/1', 'p/2', 'p/3']);
      expect(await list(index, 1, { prefix: 'p/', after: 'p/1', limit: 1 })).toEqual(['p/2']);
      expect(await list(index, 1, { prefix: 'p/', after: 'a' })).toEqual(['p/1', 'p/2', 'p/3']);
      expect(await list(index, 1, { prefix: 'p/', after: 'z' })).toEqual([]);
      expect(await list(index, 1, { after: 'p/3' })).toEqual(['p0', 'q']);
      expect(await list(index, 9, {})).toEqual([]);
    });

    test('what is committed while a container is listed for the first time is in the next list', async () => {
      const { index, put, drop } = await filled(['a', 'c'].map(each => row(1, each)));
      const first = list(index, 1, {});
      await Promise.all([put(row(1, 'b')), drop(row(1, 'c'))]);
      await first;
      expect(await list(index, 1, {})).toEqual(['a', 'b']);
    });

    test('a scan gives every file as it was when it was asked for', async () => {
      const { index, put } = await filled(['a', 'b'].map(each => row(1, each)));
      const scan = index.scan();
      await put(row(1, 'c'));
      const found: string[] = [];
      for await (const each of scan) found.push(each.name);
      expect(found.sort()).toEqual(['a', 'b']);
    });
  });
}

test('the sealed index has no name in its keys', async () => {
  const index = new SealedFileIndex(new MemoryStore(), KEY);
  const operation = index.operation(row(1, 'secret'), undefined);
  expect(Buffer.from(operation.key).toString('latin1')).not.toContain('secret');
  expect(operation.key.length).toBe(29);
});

test('a container of too many names is UNSUPPORTED to list, but its files are found', async () => {
  const store = new MemoryStore();
  const index = new SealedFileIndex(store, KEY, 2);
  for (const name of ['a', 'b', 'c']) await store.batch([index.operation(row(1, name), row(1, name))]);
  await expect(index.list(1, { prefix: '', limit: 10 })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  expect((await index.load([{ containerId: 1, name: 'c' }]))[0]?.name).toBe('c');
});

test('names compare as their UTF-8 bytes do', () => {
  const names = [
    '',
    'a',
    'ab',
    'b',
    '\u{7f}',
    '\u{80}',
    '\u{7ff}',
    '\u{800}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{ffff}',
    '\u{10000}',
    '\u{10ffff}',
    'a\u{10000}',
    'a\u{e000}',
  ];
  for (const a of names) {
    for (const b of names) {
      const wanted = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(Math.sign(compareNames(a, b))).toBe(wanted);
    }
  }
});
