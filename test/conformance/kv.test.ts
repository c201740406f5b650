// One suite over every implementation of KvStore.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { KvRange, KvStore } from '../../src/view/kv.js';
import { MemoryStore } from '../../src/view/memory-store.js';
import { RocksStore } from '../../src/view/rocks-store.js';
import { SealedStore } from '../../src/view/sealed-store.js';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const implementations: Record<string, () => Promise<KvStore>> = {
  memory: async () => new MemoryStore(),
  sealed: () => SealedStore.open(new MemoryStore(), new Uint8Array(32).fill(7)),
  rocksdb: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'granary-kv-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    return RocksStore.open(join(directory, 'view'));
  },
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

async function keysOf(store: KvStore, range: KvRange): Promise<number[][]> {
  const keys: number[][] = [];
  for await (const [key] of store.scan(range)) keys.push([...key]);
  return keys;
}

for (const [name, make] of Object.entries(implementations)) {
  describe(`KvStore: ${name}`, () => {
    const opened = async (): Promise<KvStore> => {
      const store = await make();
      cleanups.push(() => store.close());
      return store;
    };

    test('a value that was put is got, one that was deleted is not', async () => {
      const store = await opened();
      await store.batch([
        { type: 'put', key: bytes(1), value: bytes(10, 11) },
        { type: 'put', key: bytes(2), value: bytes(20) },
      ]);
      await store.batch([{ type: 'del', key: bytes(2) }]);
      expect([...(await store.get(bytes(1)))!]).toEqual([10, 11]);
      expect(await store.get(bytes(2))).toBeUndefined();
    });

    test('getMany answers each key in the order asked, absent ones with undefined', async () => {
      const store = await opened();
      await store.batch([
        { type: 'put', key: bytes(5), value: bytes(50) },
        { type: 'put', key: bytes(3), value: bytes(30) },
      ]);
      const values = await store.getMany([bytes(5), bytes(4), bytes(3)]);
      expect(values.map(value => value && [...value])).toEqual([[50], undefined, [30]]);
    });

    test('later operations of a batch win over earlier ones of the same key', async () => {
      const store = await opened();
      await store.batch([
        { type: 'put', key: bytes(1), value: bytes(1) },
        { type: 'del', key: bytes(1) },
        { type: 'put', key: bytes(1), value: bytes(2) },
      ]);
      expect([...(await store.get(bytes(1)))!]).toEqual([2]);
    });

    test('a scan goes by unsigned bytes, from inclusive, to exclusive, shorter keys first', async () => {
      const store = await opened();
      const keys = [[0x7f], [0x80], [0xff], [0x80, 0], [0x80, 0xff], [0xff, 0xff]];
      await store.batch(keys.map(key => ({ type: 'put', key: bytes(...key), value: bytes(1) })));
      expect(await keysOf(store, { from: bytes(0x80), to: bytes(0xff, 0xff) })).toEqual([
        [0x80],
        [0x80, 0],
        [0x80, 0xff],
        [0xff],
      ]);
    });

    test('a reverse scan gives the last keys first and keeps to its limit', async () => {
      const store = await opened();
      await store.batch(
        [1, 2, 3, 4].map(key => ({ type: 'put', key: bytes(key), value: bytes(key) }) as const),
      );
      expect(await keysOf(store, { isReverse: true, limit: 2, to: bytes(4) })).toEqual([[3], [2]]);
    });

    test('a scan sees the state of the moment it was asked for', async () => {
      const store = await opened();
      await store.batch([{ type: 'put', key: bytes(1), value: bytes(1) }]);
      const pairs = store.scan({ from: bytes(0), to: bytes(9) });
      await store.batch([
        { type: 'put', key: bytes(2), value: bytes(2) },
        { type: 'del', key: bytes(1) },
      ]);
      const seen: number[] = [];
      for await (const [key] of pairs) seen.push(key[0]!);
      expect(seen).toEqual([1]);
    });

    test('a scan may be left early', async () => {
      const store = await opened();
      await store.batch([1, 2, 3].map(key => ({ type: 'put', key: bytes(key), value: bytes(0) }) as const));
      for await (const _pair of store.scan({})) break;
      expect(await store.get(bytes(3))).toBeDefined();
    });

    test('clear deletes what lies in its range and nothing else', async () => {
      const store = await opened();
      await store.batch(
        [1, 2, 3, 4].map(key => ({ type: 'put', key: bytes(key), value: bytes(0) }) as const),
      );
      await store.clear({ from: bytes(2), to: bytes(4) });
      expect(await keysOf(store, {})).toEqual([[1], [4]]);
      await store.clear({});
      expect(await keysOf(store, {})).toEqual([]);
      await store.batch([{ type: 'put', key: bytes(7), value: bytes(1) }]);
      expect([...(await store.get(bytes(7)))!]).toEqual([1]);
    });

    test('what is handed back belongs to the caller', async () => {
      const store = await opened();
      const value = Buffer.from([1]);
      await store.batch([{ type: 'put', key: bytes(1), value }]);
      value[0] = 8;
      (await store.get(bytes(1)))![0] = 9;
      expect([...(await store.get(bytes(1)))!]).toEqual([1]);
    });
  });
}
