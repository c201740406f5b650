// The catalog over the real addon, RocksDB and disk: what the doubles promise holds there, too.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SYSTEM_CLOCK } from '../../src/base/clock.js';
import { GranaryCatalog } from '../../src/catalog/catalog.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { type CatalogContext, ENGINE_BOUNDS } from '../../src/catalog/context.js';
import { rebuildViews } from '../../src/catalog/rebuild.js';
import type { FileDraft } from '../../src/catalog/types.js';
import { verifySystem } from '../../src/catalog/verify.js';
import { createLane, type Lane } from '../../src/workers/pool.js';
import { CHEAP } from '../support/open-catalog.js';

const closing: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function ground(): { context: CatalogContext; dataDirectory: string; messages: string[] } {
  const directory = mkdtempSync(join(tmpdir(), 'granary-catalog-'));
  closing.push(() => rmSync(directory, { recursive: true }));
  const lane = createLane({ name: 'test', workerCount: 1, slabCount: 4 });
  closing.push(() => lane.close());
  const messages: string[] = [];
  const context: CatalogContext = {
    clock: SYSTEM_CLOCK,
    disk: 0,
    lane,
    createLane: name => createLane({ name, workerCount: 1, slabCount: 4 }),
    onEvent: event => void messages.push(event.message),
    engineBounds: { ...ENGINE_BOUNDS, residentIndexBytesMax: 2 ** 24 },
    passphraseCost: CHEAP,
    reserveSize: 4096,
  };
  return { context, dataDirectory: join(directory, 'data'), messages };
}

/** One file of one segment, as ingest would store it. */
async function ingest(lane: Lane, engine: number, content: Uint8Array): Promise<FileDraft> {
  const slab = lane.slabs.tryTake()!;
  const stream = lane.inline.openStream(engine, 1);
  try {
    slab.bytes.set(content, 0);
    const prepared = await lane.call(
      'prepareSegment',
      engine,
      stream,
      slab.bytes,
      0,
      0,
      content.length,
      true,
      slab.rows,
    );
    await lane.call('storeRecords', engine, stream, slab.bytes, 0, slab.rows, prepared.rowCount);
    const { root, rootLength, depth, size, chunkCount, newBytes, storedBytes, xxh3 } = await lane.call(
      'finishStream',
      engine,
      stream,
    );
    const map = { root, rootLength, depth };
    return { size, map, chunkCount, newBytes, storedBytes, xxh3: Buffer.from(xxh3).toString('hex') };
  } finally {
    slab.release();
    lane.inline.closeStream(engine, stream);
  }
}

function contentOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: 200_000 }, (_, index) => (index * seed + (index >> 7) * 31) & 0xff);
}

for (const encryption of ['off', 'static'] as const) {
  test(`files outlast restarts, lost views, checkpoints, rebuild (encryption ${encryption})`, async () => {
    const { context, dataDirectory } = ground();
    const secret = { passphrase: 'p' };
    const parameters = { context, dataDirectory, unlock: secret };
    const first = await GranaryCatalog.open(parameters);
    await first.addGroup({ name: 'g', encryption, ...(encryption === 'off' ? {} : secret) });
    await first.addContainer('c', 'g');
    const group = first.openedGroup('g');
    for (let file = 0; file < 20; file += 1) {
      await first.putFile('c', `f${file}`, await ingest(context.lane, group.engine, contentOf(file + 1)));
    }
    await first.deleteFile('c', 'f7');
    const { files } = await first.listFiles('c', {});
    expect(files).toHaveLength(19);
    await first.close();

    const second = await GranaryCatalog.open(parameters);
    expect(second.openedGroup('g').replayed.records).toBe(0);
    expect((await second.listFiles('c', {})).files).toEqual(files);
    await writeCheckpoint(context, second.openedGroup('g'));
    await writeCheckpoint(context, second.openedGroup('g'));
    expect(second.openedGroup('g').state.mark.previousBegin).toBeGreaterThan(0);
    await second.close();

    const view = join(dataDirectory, 'groups/g/view');
    expect(readdirSync(view).length).toBeGreaterThan(2);
    rmSync(view, { recursive: true });
    const third = await GranaryCatalog.open(parameters);
    expect(existsSync(view)).toBe(true);
    expect((await third.listFiles('c', {})).files).toEqual(files);
    expect(await verifySystem(third, { isFull: true })).toMatchObject({ files: 19, damages: [] });
    await third.close();

    const [report] = await rebuildViews({ context, dataDirectory, group: 'g', ...secret });
    expect(report).toMatchObject({ files: 19, containers: 1 });
    expect(report!.fingerprints).toBeGreaterThan(19);
    const fourth = await GranaryCatalog.open(parameters);
    closing.push(() => fourth.close());
    expect((await fourth.listFiles('c', {})).files).toEqual(files);
    const statistics = await fourth.statistics({ group: 'g' });
    expect(statistics.files).toBe(19);
    expect(statistics.uniqueBytes).toBeGreaterThan(0);
  });
}

test('a lost copy of keyring and superblock is survived, and made again where it is ours', async () => {
  const { context, dataDirectory } = ground();
  const info = await (async () => {
    const catalog = await GranaryCatalog.open({ context, dataDirectory });
    const shown = catalog.showGroup('DefaultGroup');
    await catalog.close();
    return shown;
  })();
  rmSync(join(info.path, 'keyring.a'));
  rmSync(join(info.path, 'superblock.1'));
  const catalog = await GranaryCatalog.open({ context, dataDirectory });
  closing.push(() => catalog.close());
  expect(catalog.showGroup('DefaultGroup').failure).toBeUndefined();
  expect(existsSync(join(info.path, 'keyring.a'))).toBe(true);
  await catalog.addContainer('c');
});
