/**
 * A whole system on a simulated disk, with cleaners whose cycles run when a test says so, and a lane in which
 * a test may look at, hold up or falsify single verbs.
 */
import { StoreError } from '../../src/base/errors.js';
import type { CatalogContext, CatalogEvent } from '../../src/catalog/context.js';
import type { OpenedGroup } from '../../src/catalog/opened-group.js';
import type { CleanerStatus } from '../../src/cleaner/cleaner.js';
import type { CycleReport } from '../../src/cleaner/cleaner-file.js';
import { Cleaners } from '../../src/cleaner/cleaners.js';
import type { CycleOptions } from '../../src/cleaner/cycle.js';
import type { Secret } from '../../src/keys/slots.js';
import { binding } from '../../src/native/binding.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import type { LaneVerb, LaneVerbs } from '../../src/workers/verbs.js';
import { DirectLane } from './direct-lane.js';
import { copyOf } from './fake-log.js';
import { StillClock } from './open-catalog.js';
import { WholeSystem } from './whole-system.js';

/** Runs in the place of the verb; `run` is the verb itself. */
export type Hook = (parameters: unknown[], run: (...parameters: unknown[]) => Promise<unknown>) => unknown;

export class HookedLane extends DirectLane {
  readonly hooks = new Map<LaneVerb, Hook>();
  readonly counts = new Map<LaneVerb, number>();

  override async call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    this.counts.set(verb, (this.counts.get(verb) ?? 0) + 1);
    const run = (...given: unknown[]) => super.call(verb, ...(given as Parameters<LaneVerbs[V]>));
    const hook = this.hooks.get(verb);
    if (hook === undefined) return run(...parameters);
    return (await hook(parameters, run as (...values: unknown[]) => Promise<unknown>)) as ReturnType<
      LaneVerbs[V]
    >;
  }

  /** Once only. */
  hookOnce(verb: LaneVerb, hook: Hook): void {
    this.hooks.set(verb, (parameters, run) => {
      this.hooks.delete(verb);
      return hook(parameters, run);
    });
  }
}

const DATA = '/data';
export const GROUP = 'DefaultGroup';

export class CleaningSystem {
  readonly lane = new HookedLane();
  readonly disk = binding().diskCreate();
  readonly clock = new StillClock();
  readonly events: CatalogEvent[] = [];
  options: Partial<CycleOptions> = {};
  context: Partial<CatalogContext> = {};
  unlock: Secret | undefined;
  #system: WholeSystem | undefined;
  #cleaners: Cleaners | undefined;

  static async start(change: (it: CleaningSystem) => void = () => undefined): Promise<CleaningSystem> {
    const it = new CleaningSystem();
    change(it);
    binding().makeDirectory(DATA, it.disk);
    await it.open();
    await it.system.catalog.addContainer('c');
    return it;
  }

  get system(): WholeSystem {
    return this.#system!;
  }

  get cleaners(): Cleaners {
    return this.#cleaners!;
  }

  get group(): OpenedGroup {
    return this.system.catalog.openedGroup(GROUP);
  }

  async open(): Promise<void> {
    const { lane, disk, clock, unlock } = this;
    const onEvent = (event: CatalogEvent) => void this.events.push(event);
    this.#cleaners = new Cleaners({ clock, disk, onEvent }, this.options);
    this.#system = await WholeSystem.open({
      ...{ lane, disk, directory: DATA },
      ...(unlock === undefined ? {} : { unlock }),
      context: { clock, onEvent, services: [this.#cleaners.make], ...this.context },
    });
    this.#cleaners.use(this.#system.catalog);
  }

  /** Closes everything, which closes all data stores, too. */
  async restart(): Promise<void> {
    await this.system.close();
    await this.open();
  }

  /** The machine dies; `seed` 0: all that was not synced is lost. */
  async crash(seed = 0): Promise<void> {
    binding().diskPlan(this.disk, 1, 1, true);
    await this.system.close().catch(() => undefined);
    binding().diskCrash(this.disk, seed);
    binding().diskPlan(this.disk, 0, 0, false);
    await this.open();
  }

  /** A copy of the views, to be put back later. */
  async views(): Promise<Map<string, MemoryStore>> {
    const copies = new Map<string, MemoryStore>();
    for (const [directory, view] of this.lane.views) copies.set(directory, await copyOf(view));
    return copies;
  }

  async restartWithViews(views: ReadonlyMap<string, MemoryStore>): Promise<void> {
    await this.system.close();
    this.lane.views.clear();
    for (const [directory, view] of views) this.lane.views.set(directory, await copyOf(view));
    await this.open();
  }

  /** One cycle of one group; throws what stopped it unless that is what is wanted. */
  async run(outcome: CycleReport['outcome'] = 'done', group = GROUP): Promise<CycleReport> {
    const report = await this.cleaners.of(group).runCycle();
    if (report.outcome === outcome) return report;
    throw new StoreError('INVALID', `the cycle ended ${report.outcome}: ${report.failure ?? ''}`);
  }

  async status(group = GROUP): Promise<CleanerStatus> {
    return this.cleaners.of(group).status();
  }

  put(path: string, bytes: Uint8Array): Promise<number> {
    return this.system.put('c', path, bytes);
  }

  remove(path: string): Promise<void> {
    return this.system.catalog.deleteFile('c', path);
  }

  async fileBytes(group = GROUP): Promise<number> {
    return (await this.system.catalog.openedGroup(group).space.refresh()).fileBytes;
  }

  /** What does not hold of these files; and verify, with every byte read. */
  async problems(files: Readonly<Record<string, Uint8Array>>): Promise<string[]> {
    const problems: string[] = [];
    for (const [path, bytes] of Object.entries(files)) {
      const found = await this.system.get('c', path).catch((thrown: Error) => thrown);
      if (found instanceof Error) problems.push(`${path}: ${found.message}`);
      else if (!found.equals(bytes)) problems.push(`${path}: other bytes`);
    }
    const listed = (await this.system.list('c')).join();
    const wanted = Object.keys(files).sort().join();
    if (listed !== wanted) problems.push(`listed: ${listed}, wanted: ${wanted}`);
    const { damages } = await this.system.verify();
    return [...problems, ...damages.map(({ what, reason }) => `${what}: ${reason}`)];
  }

  async dispose(): Promise<void> {
    await this.system.close().catch(() => undefined);
    binding().diskDrop(this.disk);
  }
}
