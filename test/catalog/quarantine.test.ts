// Quarantine, what is damaged without another copy, reports of reads, sources of repair: rules and bounds.
import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import {
  CONDEMN_CHUNKS_MAX,
  DAMAGE_REPORTS_MAX,
  REPAIR_BATCH_CHUNKS,
  SEGMENT_SIZE_MAX,
} from '../../src/base/limits.js';
import { recordsChange } from '../../src/catalog/changes.js';
import { DamageReports } from '../../src/catalog/damage-reports.js';
import { DamagedChunks, nameOf } from '../../src/catalog/damaged-chunks.js';
import { RecordType } from '../../src/catalog/record.js';
import { type RepairSource, repairChunks, type WantedChunk } from '../../src/catalog/repair-source.js';
import type { Damage } from '../../src/native/binding.js';
import { FakeDisk } from '../support/fake-log.js';
import { openCatalog } from '../support/open-catalog.js';

const STORE = 'ab'.repeat(24);
const OTHER = 'cd'.repeat(24);

/** One chunk each, named by its first byte. */
function chunks(...seeds: readonly number[]): Uint8Array {
  const packed = new Uint8Array(seeds.length * 32);
  for (const [index, seed] of seeds.entries()) packed[index * 32] = seed;
  return packed;
}

function damage(firstChunk: number, chunkCount: number): Damage {
  const fingerprints = new Uint8Array(0);
  return { dataStore: STORE, offset: 4096, firstChunk, chunkCount, reason: 'its seal', fingerprints };
}

async function opened() {
  const disk = new FakeDisk();
  const system = await openCatalog(disk);
  disk.dataStores.set(STORE, chunks(1, 2, 3, 4));
  const group = system.catalog.openedGroup('DefaultGroup');
  const rows = () =>
    group.state.stores.get(STORE)?.damaged.map(({ firstChunk, bits }) => [firstChunk, [...bits]]);
  return { disk, group, rows, ...system };
}

test('damage is hidden, logged and told once; what is added later is added to it', async () => {
  const { group, rows, disk, events } = await opened();
  expect(await group.quarantine.take(STORE, [damage(1, 2)])).toBe(2);
  expect(await group.quarantine.take(STORE, [damage(1, 2)])).toBe(0);
  expect(await group.quarantine.take(STORE, [damage(2, 2)])).toBe(1);
  expect(rows()).toEqual([[0, [0b1110]]]);
  expect(disk.hidden).toEqual(new Set([1, 2, 3].map(chunk => `${STORE}/2/${chunk}`)));
  expect(events.filter(({ level }) => level === 'error')).toHaveLength(2);
});

test('two that quarantine at once do not take from each other', async () => {
  const { group, rows } = await opened();
  await Promise.all([0, 1, 2, 3].map(chunk => group.quarantine.take(STORE, [damage(chunk, 1)])));
  expect(rows()).toEqual([[0, [0b1111]]]);
});

test('bits beyond one record go to the next, and those of other records count', async () => {
  const { group, rows } = await opened();
  const dataStore = Buffer.from(STORE, 'hex');
  const earlier = { type: RecordType.QUARANTINE, dataStore, firstChunk: 8, bits: Uint8Array.of(1) };
  await group.commit(recordsChange([earlier]));
  expect(await group.quarantine.take(STORE, [damage(8, 1), damage(CONDEMN_CHUNKS_MAX - 1, 2)])).toBe(2);
  const last = Array.from({ length: CONDEMN_CHUNKS_MAX / 8 }, (_, at) =>
    at === CONDEMN_CHUNKS_MAX / 8 - 1 ? 128 : 0,
  );
  expect(rows()).toEqual([
    [8, [1]],
    [0, last],
    [CONDEMN_CHUNKS_MAX, [1]],
  ]);
});

test('of a data store that has gone, or is to go, nothing is logged', async () => {
  const { group, disk } = await opened();
  const dataStore = Buffer.from(STORE, 'hex');
  await group.commit(recordsChange([{ type: RecordType.MOVE, dataStore, epoch: 1, duplicateBytes: 0 }]));
  const logged = group.state.sequence;
  expect(await group.quarantine.take(STORE, [damage(0, 1)])).toBe(0);
  expect(await group.quarantine.take(OTHER, [damage(0, 1)])).toBe(0);
  expect(group.state.sequence).toBe(logged);
  expect(disk.hidden.size).toBe(0);
});

test('damaged is what no other place holds whole, in the same data store or another', async () => {
  const { group, disk } = await opened();
  disk.dataStores.set(STORE, chunks(1, 2, 3, 4, 4));
  await group.quarantine.take(STORE, [damage(0, 4)]);
  disk.dataStores.set(OTHER, chunks(2, 3));
  await group.quarantine.take(OTHER, [damage(1, 1)]);
  const damaged = await DamagedChunks.of(group);
  const isDamaged = [1, 2, 3, 4].map(seed => damaged.has(nameOf(chunks(seed), 0)));
  expect(isDamaged).toEqual([true, false, true, false]);
  expect([damaged.size, damaged.isCut]).toEqual([2, false]);
});

test('more damaged chunks than can be followed are said to be cut', async () => {
  const { group } = await opened();
  await group.quarantine.take(STORE, [damage(0, 3)]);
  expect(await DamagedChunks.of(group, 3)).toMatchObject({ size: 3, isCut: false });
  expect(await DamagedChunks.of(group, 2)).toMatchObject({ size: 2, isCut: true });
});

test('reports of reads are kept once each, up to the bound, and taken once', () => {
  const reports = new DamageReports();
  let told = 0;
  reports.onReport = () => {
    told += 1;
  };
  reports.add(chunks(1, 2, 1));
  expect([reports.count, told]).toEqual([2, 1]);
  expect([...reports.take()].filter(byte => byte > 0)).toEqual([1, 2]);
  expect(reports.take()).toHaveLength(0);
  const many = new Uint8Array((DAMAGE_REPORTS_MAX + 1) * 32);
  const view = new DataView(many.buffer);
  for (let index = 0; index <= DAMAGE_REPORTS_MAX; index += 1) view.setUint32(index * 32, index);
  reports.add(many);
  expect(reports.count).toBe(DAMAGE_REPORTS_MAX);
});

test('a source is asked for a bounded number of chunks and bytes at a time, the next for what is left', async () => {
  const { group } = await opened();
  const asked: string[] = [];
  const source = (name: string, has: (seed: number) => boolean): RepairSource => ({
    name,
    async fetch(wanted) {
      asked.push(`${name} ${wanted.length}`);
      return wanted.map(({ fingerprint, length }) =>
        has(fingerprint[0]!) ? new Uint8Array(length).fill(fingerprint[0]!) : undefined,
      );
    },
  });
  const wanted = (count: number, length: number): WantedChunk[] =>
    Array.from({ length: count }, (_, index) => ({ fingerprint: chunks(1 + (index % 4)), length }));
  const sources = [source('first', seed => seed < 3), source('second', seed => seed === 3)];
  const report = await repairChunks(group, sources, wanted(REPAIR_BATCH_CHUNKS + 4, 10));
  expect(asked).toEqual([`first 256`, `second 128`, `first 4`, `second 2`]);
  expect(report).toMatchObject({ wanted: 260, repaired: 195 });
  asked.length = 0;
  await repairChunks(group, sources.slice(0, 1), wanted(5, SEGMENT_SIZE_MAX / 2));
  expect(asked).toEqual(['first 2', 'first 2', 'first 1']);
});

test('an answer of another length is refused without being looked at, and so is none at all', async () => {
  const { group, disk } = await opened();
  const short: RepairSource = { name: 's', fetch: async () => [new Uint8Array(9).fill(1)] };
  const missing: RepairSource = { name: 'm', fetch: async () => [] };
  const gone: RepairSource = {
    name: 'g',
    fetch: async () => {
      throw new StoreError('UNAVAILABLE', 'nobody there');
    },
  };
  const report = await repairChunks(group, [short, missing, gone], [{ fingerprint: chunks(1), length: 10 }]);
  expect(report).toMatchObject({
    repaired: 0,
    refused: new Map([['s', 1]]),
    unreachable: new Map([['g', 'nobody there']]),
  });
  expect(disk.calls).not.toContain('admitRecords');
});
