/**
 * A lane over the real addon without threads: each verb runs at once on the calling thread, one turn of the
 * event loop after it was asked for. For tests that run a whole system hundreds of times. Views of simulated
 * disks are kept in memory beside it.
 */
import { type Binding, binding } from '../../src/native/binding.js';
import type { KvStore } from '../../src/view/kv.js';
import { MemoryStore } from '../../src/view/memory-store.js';
import type { Lane } from '../../src/workers/pool.js';
import { CountedSlabPool, type SlabPool } from '../../src/workers/slabs.js';
import { compositeVerbs, type LaneVerb, type LaneVerbs } from '../../src/workers/verbs.js';

export class DirectLane implements Lane {
  readonly name = 'direct';
  readonly slabs: CountedSlabPool;
  readonly restoreSlabs: SlabPool;
  readonly inline: Binding = binding();
  /** Views of simulated disks by directory; removeTree removes them as it does files. */
  readonly views = new Map<string, MemoryStore>();
  readonly #composites = compositeVerbs(this.inline);

  constructor(slabCount = 8) {
    this.slabs = new CountedSlabPool(slabCount);
    this.restoreSlabs = this.slabs.share(Math.max(1, Math.floor(slabCount / 2)));
  }

  openStore = async (directory: string): Promise<KvStore> => this.plainStore(directory);

  protected plainStore(directory: string): MemoryStore {
    const view = this.views.get(directory) ?? new MemoryStore();
    this.views.set(directory, view);
    return view;
  }

  async call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    await this.turn(verb);
    if (verb === 'removeTree') this.#removeViews(parameters[0] as string);
    const table: object = Object.hasOwn(this.#composites, verb) ? this.#composites : this.inline;
    const run = Reflect.get(table, verb) as (...values: unknown[]) => unknown;
    return run.call(table, ...parameters) as ReturnType<LaneVerbs[V]>;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Resolves when the call may run. */
  protected turn(_verb: LaneVerb): Promise<void> {
    return new Promise(resolve => setImmediate(resolve));
  }

  #removeViews(path: string): void {
    for (const directory of [...this.views.keys()]) {
      if (directory === path || directory.startsWith(`${path}/`)) this.views.delete(directory);
    }
  }
}
