/**
 * One run of random puts, deletes, locks, holds, restores, purges, jumps of the wall clock and days that
 * pass, over containers with and without bins and locks, against a small model; checkpoints beside them,
 * restarts with the view kept, lost or rolled back.
 */
import { expect } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { hasCode } from '../../src/base/errors.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import type { ContainerSettings, FileRecord, LockRequest } from '../../src/catalog/types.js';
import { verifySystem } from '../../src/catalog/verify.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import { copyOf, FakeDisk } from './fake-log.js';
import { draft, JumpingClock, type Opened, openCatalog } from './open-catalog.js';

const PASSPHRASE = { passphrase: 'p' };
const VIEW = '/data/groups/g/view';
const YEAR_MS = 365 * DAY_MS;
const CONTAINERS: Record<string, Partial<ContainerSettings>> = {
  plain: {},
  bin: { binDays: 7 },
  both: { binDays: 10, lockMode: 'governance', lockDays: 3 },
  worm: { lockMode: 'compliance', lockDays: 5 },
};
const NAMES = Object.keys(CONTAINERS);

function generator(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Content {
  readonly files: Map<string, FileRecord>;
  /** By version. */
  readonly bin: Map<number, FileRecord>;
}

class Run {
  readonly next: (below: number) => number;
  readonly clock = new JumpingClock();
  readonly start = this.clock.nowMs();
  readonly model = new Map<string, Content>();
  readonly older: MemoryStore[] = [];
  readonly options: Parameters<typeof openCatalog>[1];
  disk = new FakeDisk();
  opened!: Opened;
  /** How often each outcome came. */
  readonly outcomes: Record<string, number> = {};

  constructor(seed: number) {
    this.next = generator(seed);
    this.options = { unlock: PASSPHRASE, checkpointBatch: 1 + this.next(600), clock: this.clock };
  }

  get catalog() {
    return this.opened.catalog;
  }

  get nowMs(): number {
    return this.catalog.openedGroup('g').retention.nowMs();
  }

  async begin(isEncrypted: boolean): Promise<void> {
    this.opened = await openCatalog(this.disk, this.options);
    const encryption = isEncrypted ? ({ encryption: 'static', ...PASSPHRASE } as const) : {};
    await this.catalog.addGroup({ name: 'g', ...encryption });
    for (const name of NAMES) await this.add(name);
  }

  async add(name: string): Promise<void> {
    await this.catalog.addContainer(name, 'g', CONTAINERS[name]!);
    this.model.set(name, { files: new Map(), bin: new Map() });
  }

  isKept(file: FileRecord | undefined): boolean {
    return file?.hold === 'legal' || (file?.lockUntilMs ?? 0) > this.nowMs;
  }

  /** The file leaves its place, for the bin where there is one. */
  remove(name: string, path: string, leastDays = 0): void {
    const { files, bin } = this.model.get(name)!;
    const file = files.get(path);
    files.delete(path);
    const days = Math.max(CONTAINERS[name]!.binDays ?? 0, leastDays);
    if (file === undefined || days === 0) return;
    bin.set(file.version, { ...file, binUntilMs: this.nowMs + days * DAY_MS });
  }

  forgetExpired(name: string): void {
    const { bin } = this.model.get(name)!;
    for (const [version, file] of bin) {
      if (file.binUntilMs! <= this.nowMs && !this.isKept(file)) bin.delete(version);
    }
  }

  /** Does it, and demands the code that the model says; answers the result when there is none. */
  async demand<T>(what: string, wanted: string | undefined, call: Promise<T>): Promise<T | undefined> {
    let code: string | undefined;
    const result = await call.catch((thrown: unknown) => {
      code = (thrown as { code: string }).code;
      return undefined;
    });
    expect([what, code]).toEqual([what, wanted]);
    this.outcomes[`${what} ${code ?? 'done'}`] = (this.outcomes[`${what} ${code ?? 'done'}`] ?? 0) + 1;
    return result;
  }

  async change(): Promise<void> {
    const name = NAMES[this.next(NAMES.length)]!;
    const path = `f${this.next(4)}`;
    const kind = this.next(20);
    if (kind < 8) await this.put(name, path);
    else if (kind < 11) await this.delete(name, path);
    else if (kind < 14) await this.lock(name, path);
    else if (kind < 16) await this.restore(name, path);
    else if (kind < 17) await this.deleteContainer(name);
    else await this.pass();
  }

  async put(name: string, path: string): Promise<void> {
    const file = this.model.get(name)!.files.get(path);
    const call = this.catalog.putFile(name, path, draft(this.next(100_000)));
    const put = await this.demand('put', this.isKept(file) ? 'LOCKED' : undefined, call);
    if (put === undefined) return;
    this.remove(name, path);
    this.model.get(name)!.files.set(path, put);
  }

  async delete(name: string, path: string): Promise<void> {
    const file = this.model.get(name)!.files.get(path);
    const wanted = file === undefined ? 'NOT_FOUND' : this.isKept(file) ? 'LOCKED' : undefined;
    const call = this.catalog.deleteFile(name, path);
    await this.demand('delete', wanted, call);
    if (wanted === undefined) this.remove(name, path);
  }

  async lock(name: string, path: string): Promise<void> {
    const { files, bin } = this.model.get(name)!;
    this.forgetExpired(name);
    await this.catalog.purgeBin(name);
    const binned = [...bin.values()].filter(file => file.path === path);
    const inBin = this.next(3) === 0 ? binned[this.next(binned.length)] : undefined;
    const file = inBin ?? files.get(path);
    const days = 1 + this.next(9);
    const requests: LockRequest[] = [
      { mode: 'compliance', days },
      { mode: 'governance', days },
      { mode: 'none' },
      { hold: true },
      { hold: false },
    ];
    const request = { ...requests[this.next(requests.length)]!, bypassGovernance: this.next(2) === 0 };
    const untilMs = request.mode === undefined || request.mode === 'none' ? 0 : this.nowMs + days * DAY_MS;
    const isWeaker =
      request.mode !== undefined &&
      file !== undefined &&
      (file.lockUntilMs ?? 0) > this.nowMs &&
      (untilMs < file.lockUntilMs! || (file.lockMode === 'compliance' && request.mode !== 'compliance')) &&
      !(file.lockMode === 'governance' && request.bypassGovernance);
    const wanted = file === undefined ? 'NOT_FOUND' : isWeaker ? 'LOCKED' : undefined;
    const version = inBin === undefined ? {} : { version: inBin.version };
    const kept = await this.demand(
      'lock',
      wanted,
      this.catalog.lockFile(name, path, { ...request, ...version }),
    );
    if (kept === undefined) return;
    if (kept.binUntilMs === undefined) files.set(path, kept);
    else bin.set(kept.version, kept);
    expect(this.isKept(kept)).toBe(
      untilMs > 0 ||
        (request.hold ?? file!.hold === 'legal') ||
        (request.mode === undefined && (file!.lockUntilMs ?? 0) > this.nowMs),
    );
  }

  async restore(name: string, path: string): Promise<void> {
    const { files, bin } = this.model.get(name)!;
    this.forgetExpired(name);
    await this.catalog.purgeBin(name);
    const binned = [...bin.values()].filter(file => file.path === path);
    const file = binned[this.next(binned.length)];
    const wanted = file === undefined ? 'NOT_FOUND' : this.isKept(files.get(path)) ? 'LOCKED' : undefined;
    const call = this.catalog.restoreFromBin(name, path, file?.version);
    const restored = await this.demand('restore', wanted, call);
    if (restored === undefined) return;
    const { binUntilMs: _until, ...rest } = file!;
    expect(restored).toEqual(rest);
    bin.delete(file!.version);
    this.remove(name, path, 7);
    files.set(path, restored);
  }

  async deleteContainer(name: string): Promise<void> {
    const { files, bin } = this.model.get(name)!;
    this.forgetExpired(name);
    const isBin = CONTAINERS[name]!.binDays !== undefined;
    const isKept = [...files.values()].some(file => this.isKept(file));
    const wanted = bin.size > 0 || isKept || (isBin && files.size > 0) ? 'LOCKED' : undefined;
    await this.demand('delete container', wanted, this.catalog.deleteContainer(name, true));
    if (wanted === undefined) await this.add(name);
  }

  /** Up to three days, an hour at a time, or the wall clock jumps and jumps back. */
  async pass(): Promise<void> {
    const kind = this.next(4);
    if (kind === 0) this.clock.jump((this.next(21) - 10) * YEAR_MS);
    else if (kind === 1) this.clock.jump(this.clock.now - this.clock.nowMs());
    else for (let hours = this.next(72); hours > 0; hours -= 1) this.clock.advance(3600_000);
    expect(this.nowMs).toBeLessThanOrEqual(this.start + this.clock.now - 1_700_000_000_000);
    await new Promise(resolve => setImmediate(resolve));
  }

  async checkpoint(): Promise<void> {
    const written = writeCheckpoint(this.opened.context, this.catalog.openedGroup('g'));
    const before = this.opened;
    for (let changes = this.next(5); changes > 0 && this.opened === before; changes -= 1) await this.change();
    await written.catch((thrown: unknown) => expect(hasCode(thrown, 'IO')).toBe(true));
  }

  async restart(): Promise<void> {
    const kind = this.next(4);
    this.older.push(await copyOf(this.disk.views.get(VIEW)!));
    this.disk = await this.disk.crashed();
    if (kind === 1) this.disk.views.delete(VIEW);
    if (kind === 2) this.disk.views.set(VIEW, await copyOf(this.older[this.next(this.older.length)]!));
    if (this.next(2) === 0) this.clock.now += this.next(20) * DAY_MS;
    this.opened = await openCatalog(this.disk, this.options);
    expect(this.catalog.showGroup('g').failure).toBeUndefined();
  }

  async check(): Promise<void> {
    for (const [name, content] of this.model) {
      await this.catalog.purgeBin(name);
      this.forgetExpired(name);
      const { files } = await this.catalog.listFiles(name, {});
      expect(new Map(files.map(file => [file.path, file]))).toEqual(content.files);
      const bin = (await this.catalog.listBin(name, {})).files;
      expect(new Map(bin.map(file => [file.version, file]))).toEqual(content.bin);
      const bytes = (of: readonly FileRecord[]) => of.reduce((sum, { size }) => sum + size, 0);
      expect(this.catalog.showContainer(name)).toMatchObject({
        ...{ files: files.length, logicalBytes: bytes(files) },
        ...{ binFiles: bin.length, binBytes: bytes(bin) },
      });
    }
  }
}

/** Answers how often each outcome came; what does not hold is thrown. */
export async function retentionRun(seed: number, isEncrypted: boolean): Promise<Record<string, number>> {
  const it = new Run(seed);
  await it.begin(isEncrypted);
  for (let step = 0; step < 60; step += 1) {
    const kind = it.next(12);
    if (kind === 0) await it.restart();
    else if (kind === 1) await it.checkpoint();
    else await it.change();
    if (kind % 4 === 0) await it.check();
  }
  await it.restart();
  await it.check();
  const { digest } = it.catalog.openedGroup('g').state;
  it.disk.views.delete(VIEW);
  it.disk = await it.disk.crashed();
  it.opened = await openCatalog(it.disk, it.options);
  await it.check();
  expect(it.catalog.openedGroup('g').state.digest).toEqual(digest);
  expect((await verifySystem(it.catalog, { isFull: false })).damages).toEqual([]);
  return it.outcomes;
}
