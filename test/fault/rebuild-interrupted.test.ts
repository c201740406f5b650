// `granary rebuild` that is cut off anywhere: the next one, and any start, makes the same view.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { rebuildViews } from '../../src/catalog/rebuild.js';
import { verifySystem } from '../../src/catalog/verify.js';
import type { KvStore } from '../../src/view/kv.js';
import { FakeDisk } from '../support/fake-log.js';
import { runSeed, seededNumbers } from '../support/ledger.js';
import { draft, openCatalog } from '../support/open-catalog.js';
import { TestServer } from '../support/server.js';
import { ROOT } from '../support/sources.js';

/** A store whose process ends at its batch number `count`: nothing of it, and nothing behind it, happens. */
function cutStore(store: KvStore, left: { count: number }): KvStore {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'batch') return value.bind(target);
      return async (operations: Parameters<KvStore['batch']>[0]) => {
        if (left.count === 0) throw new Error('the process has ended');
        left.count -= 1;
        await target.batch(operations);
      };
    },
  });
}

async function filled(hasCheckpoints: boolean): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const { catalog, context } = await openCatalog(disk);
  const group = catalog.openedGroup('DefaultGroup');
  for (const container of ['c', 'd']) await catalog.addContainer(container);
  const puts = Array.from({ length: 40 }, (_, file) => ({ container: file % 3 ? 'c' : 'd', file }));
  for (const { container, file } of puts) await catalog.putFile(container, `f${file}`, draft(100, file + 1));
  if (hasCheckpoints) {
    await writeCheckpoint(context, group);
    await catalog.deleteFile('c', 'f1');
    await writeCheckpoint(context, group);
  }
  await catalog.putFile('d', 'f0', draft(100, 77));
  await catalog.deleteFile('c', 'f2');
  disk.dataStores.set(
    'ab'.repeat(24),
    Uint8Array.from({ length: 3200 }, (_, index) => index % 251),
  );
  await catalog.close();
  return disk;
}

/** All that the catalog says. */
async function stateOf(disk: FakeDisk): Promise<object> {
  const { catalog } = await openCatalog(disk);
  const { state } = catalog.openedGroup('DefaultGroup');
  const files = [];
  for (const container of ['c', 'd']) files.push((await catalog.listFiles(container, {})).files);
  const { damages } = await verifySystem(catalog, { isFull: false });
  const digest = Buffer.from(state.digest).toString('hex');
  await catalog.close();
  return { files, damages, digest, totals: state.totals };
}

for (const hasCheckpoints of [false, true]) {
  const from = hasCheckpoints ? 'a checkpoint' : "the log's start";
  test(`cut at any batch of a rebuild from ${from}, a start and a further rebuild make the same view`, async () => {
    const pristine = await filled(hasCheckpoints);
    const wanted = await stateOf(await pristine.crashed());
    expect(wanted).toMatchObject({ damages: [] });
    let batches = 0;
    for (let isCut = true; isCut; batches += 1) {
      const disk = await pristine.crashed();
      const left = { count: batches };
      const openStore = async (directory: string) => cutStore(await disk.openStore(directory), left);
      const { context } = await openCatalog(new FakeDisk());
      const cut = { ...context, lane: disk.lane(), createLane: () => disk.lane(), openStore };
      const [report] = await rebuildViews({ context: cut, dataDirectory: '/data' }).catch(() => []);
      isCut = report === undefined || report.failure !== undefined;
      const left1 = await disk.crashed();
      expect(await stateOf(left1)).toEqual(wanted);
      const left2 = await disk.crashed();
      const whole = {
        ...cut,
        lane: left2.lane(),
        createLane: () => left2.lane(),
        openStore: left2.openStore,
      };
      expect(await rebuildViews({ context: whole, dataDirectory: '/data' })).toMatchObject([
        { containers: 2 },
      ]);
      expect(await stateOf(left2)).toEqual(wanted);
    }
    expect(batches).toBeGreaterThan(5);
  });
}

test('a rebuild that is killed again and again leaves nothing that the last one does not make good', async () => {
  const server = await TestServer.start();
  await server.granary(['container', 'add', 'c']);
  for (let file = 0; file < 40; file += 1) {
    await server.fetch(`/api/v1/containers/c/files/f${file}`, { method: 'PUT', body: `content ${file}` });
  }
  const wanted = (await server.granary(['ls', 'c', '--json'])).stdout;
  await server.stop();
  const next = seededNumbers(runSeed('rebuild'));
  const rebuild = () =>
    spawn(process.execPath, [join(ROOT, 'dist/src/main.js'), 'rebuild', '--data', server.data]);
  for (let kill = 0; kill < 5; kill += 1) {
    const child = rebuild();
    const closed = once(child, 'close');
    const timer = setTimeout(() => child.kill('SIGKILL'), 150 + next(600));
    await closed;
    clearTimeout(timer);
  }
  const [code] = (await once(rebuild(), 'close')) as [number];
  expect(code).toBe(0);
  await server.restart();
  expect((await server.granary(['ls', 'c', '--json'])).stdout).toBe(wanted);
  expect(JSON.parse((await server.granary(['verify', '--full', '--json'])).stdout)).toMatchObject({
    damages: [],
  });
  await server.dispose();
}, 120_000);
