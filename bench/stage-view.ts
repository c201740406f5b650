/**
 * The view's batches as the background writer and a segment's look-up make them: places of fingerprints,
 * random keys.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../src/native/binding.js';
import type { KvOperation } from '../src/view/kv.js';
import { RocksStore } from '../src/view/rocks-store.js';
import { fillContent } from './content.js';
import type { StageBench } from './harness.js';

/** The chunks of a 4 MiB segment at 16 KiB. */
const SEGMENT_KEYS = 256;
const BATCH_KEYS = 4096;
const KEYS_SMALL = 20_000;
const KEYS_REAL = 400_000;
const SAMPLE_SIZE_REAL = 2 ** 26;

export interface ViewBenches {
  readonly benches: readonly StageBench[];
  close(): Promise<void>;
}

function keysOf(seed: number, count: number): Uint8Array[] {
  const flat = new Uint8Array(count * FINGERPRINT_SIZE);
  fillContent('media', seed, flat);
  return Array.from({ length: count }, (_, i) =>
    flat.subarray(i * FINGERPRINT_SIZE, (i + 1) * FINGERPRINT_SIZE),
  );
}

/** Present keys spread over the whole store, so that they come from many blocks. */
function spread(keys: readonly Uint8Array[], count: number): Uint8Array[] {
  const step = Math.max(1, Math.floor(keys.length / count));
  return Array.from({ length: count }, (_, i) => keys[(i * step) % keys.length]!);
}

function batchBench(store: RocksStore): StageBench {
  let operations: KvOperation[] = [];
  let turn = 0;
  return {
    name: 'view-batch',
    parameters: { keys: BATCH_KEYS },
    bytes: BATCH_KEYS * (FINGERPRINT_SIZE + DATA_STORE_ID_SIZE),
    operations: BATCH_KEYS,
    prepare: () => {
      turn += 1;
      const keys = keysOf(1_000_000 + turn, BATCH_KEYS).sort((a, b) => Buffer.compare(a, b));
      operations = keys.map(key => ({ type: 'put', key, value: key.subarray(0, DATA_STORE_ID_SIZE) }));
    },
    run: () => store.batch(operations),
    hash: () => '',
  };
}

function getBench(store: RocksStore, name: string, keys: readonly Uint8Array[]): StageBench {
  let last = '';
  return {
    name: 'view-get',
    parameters: { keys: keys.length, kind: name },
    bytes: keys.length * FINGERPRINT_SIZE,
    operations: keys.length,
    run: async () => {
      const hash = createHash('sha256');
      for (const value of await store.getMany(keys)) hash.update(value ?? 'absent');
      last = hash.digest('hex');
    },
    hash: () => last,
  };
}

export async function viewBenches(directory: string, sampleSize: number): Promise<ViewBenches> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const store = await RocksStore.open(directory);
  const keys = keysOf(1, sampleSize >= SAMPLE_SIZE_REAL ? KEYS_REAL : KEYS_SMALL);
  for (let at = 0; at < keys.length; at += BATCH_KEYS) {
    const part = keys.slice(at, at + BATCH_KEYS);
    await store.batch(part.map(key => ({ type: 'put', key, value: key.subarray(0, DATA_STORE_ID_SIZE) })));
  }
  return {
    benches: [
      getBench(store, 'present', spread(keys, SEGMENT_KEYS)),
      getBench(store, 'absent', keysOf(2, SEGMENT_KEYS)),
      batchBench(store),
    ],
    close: async () => {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
