/**
 * A lane without threads, over a fake engine: as many calls at a time as it has workers, each takes a few
 * turns of the event loop before its verb runs, so that what is under way overlaps as it does on threads. A
 * test can hold calls back or let them fail, and sees what ran. Beside it a group on such a lane.
 */
import type { StoreError } from '../../src/base/errors.js';
import type { OpenGroup } from '../../src/catalog/types.js';
import { type Binding, DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../../src/native/binding.js';
import type { KvStore } from '../../src/view/kv.js';
import type { InlineVerb, Lane } from '../../src/workers/pool.js';
import { CountedSlabPool, type SlabPool } from '../../src/workers/slabs.js';
import { compositeVerbs, type LaneVerb, type LaneVerbs } from '../../src/workers/verbs.js';
import { FakeBinding } from './fake-binding.js';

export class LocalLane implements Lane {
  readonly name = 'local';
  readonly slabs: CountedSlabPool;
  readonly restoreSlabs: SlabPool;
  readonly fake: FakeBinding;
  /** Names of the verbs that were called, in the order they were called. */
  readonly calls: LaneVerb[] = [];
  /** The most calls of each verb that overlapped. */
  readonly overlap = new Map<LaneVerb, number>();
  /** Awaited before a verb runs; what it throws is the verb's failure. */
  before: (verb: LaneVerb) => Promise<void> | void = () => undefined;
  running = 0;
  readonly #workerCount: number;
  readonly #queue: (() => void)[] = [];
  readonly #runningOf = new Map<LaneVerb, number>();

  constructor(slabCount: number, workerCount = 2, fake = new FakeBinding()) {
    this.slabs = new CountedSlabPool(slabCount);
    this.restoreSlabs = this.slabs.share(Math.max(1, Math.floor(slabCount / 2)));
    this.#workerCount = workerCount;
    this.fake = fake;
  }

  get inline(): Pick<Binding, InlineVerb> {
    return this.fake.asBinding();
  }

  async call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    this.calls.push(verb);
    if (this.running >= this.#workerCount) await new Promise<void>(resolve => this.#queue.push(resolve));
    this.#enter(verb);
    try {
      await turns(1 + (this.calls.length % 3));
      await this.before(verb);
      const addon = this.fake.asBinding();
      const composites = compositeVerbs(addon);
      const table: object = Object.hasOwn(composites, verb) ? composites : addon;
      const run = Reflect.get(table, verb) as (...values: unknown[]) => unknown;
      return run.call(table, ...parameters) as ReturnType<LaneVerbs[V]>;
    } finally {
      this.#leave(verb);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #enter(verb: LaneVerb): void {
    this.running += 1;
    const count = (this.#runningOf.get(verb) ?? 0) + 1;
    this.#runningOf.set(verb, count);
    this.overlap.set(verb, Math.max(this.overlap.get(verb) ?? 0, count));
  }

  #leave(verb: LaneVerb): void {
    this.running -= 1;
    this.#runningOf.set(verb, this.#runningOf.get(verb)! - 1);
    this.#queue.shift()?.();
  }
}

/** `count` turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve));
}

export interface LocalGroup extends OpenGroup {
  readonly lane: LocalLane;
  readonly fake: FakeBinding;
  /** Set: ingest is refused with it. */
  refusal: StoreError | undefined;
  /** What reads have said to be damaged: packed fingerprints. */
  readonly reported: Uint8Array[];
}

export function localGroup(slabCount: number, workerCount = 2): LocalGroup {
  const lane = new LocalLane(slabCount, workerCount);
  const { fake } = lane;
  const reported: Uint8Array[] = [];
  return {
    reported,
    reportDamage: fingerprints => void reported.push(fingerprints),
    name: 'group',
    engine: 1,
    lane,
    fake,
    view: undefined as unknown as KvStore,
    refusal: undefined,
    openReads: new Set(),
    isResident: () => fake.isComplete,
    async places(fingerprints) {
      await turns(1);
      const places = new Uint8Array((fingerprints.length / FINGERPRINT_SIZE) * DATA_STORE_ID_SIZE);
      for (let at = 0; at * FINGERPRINT_SIZE < fingerprints.length; at += 1) {
        const name = Buffer.from(fingerprints).toString(
          'hex',
          at * FINGERPRINT_SIZE,
          (at + 1) * FINGERPRINT_SIZE,
        );
        const place = fake.view.get(name);
        if (place !== undefined) places.set(place, at * DATA_STORE_ID_SIZE);
      }
      return places;
    },
    async rescue(fingerprints) {
      for (let from = 0; from < fingerprints.length; from += FINGERPRINT_SIZE) {
        const fingerprint = fingerprints.slice(from, from + FINGERPRINT_SIZE);
        if (fake.rescueChunks(1, fingerprint, 1) === 0) return fingerprint;
      }
      return new Uint8Array(0);
    },
    admitIngest() {
      if (this.refusal !== undefined) throw this.refusal;
    },
  };
}
