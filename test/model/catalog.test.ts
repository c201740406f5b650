// Random operations, checkpoints among them, against a map; restarts with the view kept, lost, or rolled
// back to an earlier state. A failure prints its seed.
import { expect, test } from 'vitest';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import type { Secret } from '../../src/keys/slots.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import { copyOf, FakeDisk } from '../support/fake-log.js';
import { draft, type Opened, openCatalog } from '../support/open-catalog.js';

const PASSPHRASE: Secret = { passphrase: 'p' };
const VIEW = '/data/groups/g/view';

/** A small linear generator: the same seed gives the same run. */
function generator(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

type Model = Map<string, Map<string, number>>;

async function contentOf({ catalog }: Opened): Promise<Model> {
  const content: Model = new Map();
  for (const { name, group } of catalog.listContainers()) {
    if (group !== 'g') continue;
    const { files } = await catalog.listFiles(name, {});
    content.set(name, new Map(files.map(file => [file.path, file.size])));
    const total = files.reduce((sum, file) => sum + file.size, 0);
    expect(catalog.showContainer(name)).toMatchObject({ files: files.length, logicalBytes: total });
  }
  return content;
}

class Run {
  readonly next: (below: number) => number;
  readonly model: Model = new Map();
  readonly older: { view: MemoryStore; sequence: number }[] = [];
  readonly options: Parameters<typeof openCatalog>[1];
  disk = new FakeDisk();
  opened!: Opened;
  checkpointing: Promise<void> | undefined;

  constructor(seed: number) {
    this.next = generator(seed);
    this.options = { unlock: PASSPHRASE, checkpointBatch: 1 + this.next(600) };
  }

  async start(isEncrypted: boolean): Promise<void> {
    this.opened = await openCatalog(this.disk, this.options);
    await this.opened.catalog.addGroup(
      isEncrypted ? { name: 'g', encryption: 'static', ...PASSPHRASE } : { name: 'g' },
    );
  }

  /** Some operations at once; the model follows the order of the calls. */
  async burst(): Promise<void> {
    const { catalog } = this.opened;
    const calls: Promise<unknown>[] = [];
    for (let count = 1 + this.next(6); count > 0; count -= 1) {
      const containers = [...this.model.keys()];
      const container = containers[this.next(containers.length)];
      const path = `f${this.next(12)}`;
      const kind = this.next(10);
      if (container === undefined || (kind === 0 && containers.length < 4)) {
        await Promise.all(calls.splice(0));
        const name = `c${this.next(8)}`;
        if (this.model.has(name)) continue;
        await catalog.addContainer(name, 'g');
        this.model.set(name, new Map());
      } else if (kind === 1) {
        await Promise.all(calls.splice(0));
        await catalog.deleteContainer(container, true);
        this.model.delete(container);
      } else if (kind < 4) {
        const isThere = this.model.get(container)!.delete(path);
        const deleted = catalog.deleteFile(container, path);
        calls.push(isThere ? deleted : expect(deleted).rejects.toMatchObject({ code: 'NOT_FOUND' }));
      } else {
        const size = this.next(100_000);
        this.model.get(container)!.set(path, size);
        calls.push(catalog.putFile(container, path, draft(size)));
      }
    }
    await Promise.all(calls);
  }

  /** Begins a checkpoint that goes on beside what follows. */
  async checkpoint(): Promise<void> {
    await this.checkpointing;
    const { context, catalog } = this.opened;
    this.checkpointing = writeCheckpoint(context, catalog.openedGroup('g'));
    this.checkpointing.catch(() => undefined);
  }

  async remember(): Promise<void> {
    const { state } = this.opened.catalog.openedGroup('g');
    this.older.push({ view: await copyOf(this.disk.views.get(VIEW)!), sequence: state.sequence });
  }

  /** The process dies, wherever a checkpoint is; the view may be gone or old. */
  async restart(): Promise<void> {
    const kind = this.next(4);
    this.disk = await this.disk.crashed();
    if (kind === 1) this.disk.views.delete(VIEW);
    const old = this.older[this.next(this.older.length)];
    if (kind === 2 && old !== undefined) this.disk.views.set(VIEW, await copyOf(old.view));
    this.checkpointing = undefined;
    this.opened = await openCatalog(this.disk, this.options);
    expect(this.opened.catalog.showGroup('g').failure).toBeUndefined();
  }

  async check(): Promise<void> {
    expect(await contentOf(this.opened)).toEqual(this.model);
  }
}

async function run(seed: number, isEncrypted: boolean): Promise<void> {
  const it = new Run(seed);
  await it.start(isEncrypted);
  for (let step = 0; step < 40; step += 1) {
    const kind = it.next(12);
    if (kind === 0) await it.restart();
    else if (kind <= 2) await it.checkpoint();
    else if (kind === 3) await it.remember();
    else await it.burst();
    if (kind % 3 === 0) await it.check();
  }
  await it.restart();
  await it.check();
  const { digest } = it.opened.catalog.openedGroup('g').state;
  it.disk.views.delete(VIEW);
  it.disk = await it.disk.crashed();
  it.opened = await openCatalog(it.disk, it.options);
  await it.check();
  expect(it.opened.catalog.openedGroup('g').state.digest).toEqual(digest);
}

for (const isEncrypted of [false, true]) {
  test(`the catalog is what was committed, whatever its view (encrypted: ${isEncrypted})`, async () => {
    for (let seed = 1; seed <= (isEncrypted ? 4 : 20); seed += 1) {
      try {
        await run(seed, isEncrypted);
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
  });
}

test('the runs do restore views from checkpoints', async () => {
  const it = new Run(1);
  await it.start(false);
  for (let step = 0; step < 12; step += 1) {
    await it.burst();
    await it.checkpoint();
    await it.burst();
  }
  await it.checkpointing;
  const log = it.disk.groups.get('/data/groups/g')!.log;
  expect(log[0]!.sequence).toBeGreaterThan(1);
  it.disk.views.delete(VIEW);
  it.disk = await it.disk.crashed();
  it.opened = await openCatalog(it.disk, it.options);
  await it.check();
  expect(it.opened.catalog.openedGroup('g').replayed.rebuilt).toBe('it was empty');
});
