/**
 * A simulated machine: a disk, what its views hold, a clock. It can be copied while it runs, and the copy can
 * lose power: that is how one moment of a run is recovered from in many ways.
 */

import { StoreError } from '../../src/base/errors.js';
import { Cleaners } from '../../src/cleaner/cleaners.js';
import { binding, type DiskHandle } from '../../src/native/binding.js';
import { Scrubs } from '../../src/scrub/scrubs.js';
import type { KvOperation, KvRange, KvStore } from '../../src/view/kv.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import type { LaneVerb } from '../../src/workers/verbs.js';
import { DirectLane } from '../support/direct-lane.js';
import { copyOf } from '../support/fake-log.js';
import type { StillClock } from '../support/open-catalog.js';
import { WholeSystem } from '../support/whole-system.js';
import type { Scheduler } from './scheduler.js';

export const DATA = '/data';
export const SECRETS = { passphrase: 'p', keyFile: Buffer.alloc(32, 'a key file') };

/** What becomes of the view in a crash: as it was, gone, or back at an earlier moment. */
export type ViewFate = 'kept' | 'lost' | 'rolled back';
export const VIEW_FATES: readonly ViewFate[] = ['kept', 'lost', 'rolled back'];

export type Views = ReadonlyMap<string, MemoryStore>;

export async function copyOfViews(views: Views): Promise<Map<string, MemoryStore>> {
  const copies = new Map<string, MemoryStore>();
  for (const [directory, view] of views) copies.set(directory, await copyOf(view));
  return copies;
}

/** A lane whose calls, and those of its views, wait for their turn. */
export class ScheduledLane extends DirectLane {
  readonly #scheduler: Scheduler;
  /** The machine has no power any more: what still runs gets nowhere. */
  isDead = false;

  constructor(scheduler: Scheduler) {
    super();
    this.#scheduler = scheduler;
  }

  override openStore = async (directory: string): Promise<KvStore> =>
    new ScheduledStore(this.plainStore(directory), this);

  override async turn(what: LaneVerb | `view ${string}`): Promise<void> {
    await this.#scheduler.turn(what);
    const isView = what.startsWith('view ');
    if (this.isDead && isView) throw new StoreError('IO', 'the machine is off');
  }
}

class ScheduledStore implements KvStore {
  readonly #view: MemoryStore;
  readonly #lane: ScheduledLane;

  constructor(view: MemoryStore, lane: ScheduledLane) {
    this.#view = view;
    this.#lane = lane;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    await this.#lane.turn('view get');
    return this.#view.get(key);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    await this.#lane.turn('view getMany');
    return this.#view.getMany(keys);
  }

  async batch(operations: readonly KvOperation[]): Promise<void> {
    await this.#lane.turn('view batch');
    return this.#view.batch(operations);
  }

  /** The snapshot is of the moment of the call, as RocksDB takes it. */
  scan(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    return this.#view.scan(range);
  }

  async clear(range: Pick<KvRange, 'from' | 'to'>): Promise<void> {
    await this.#lane.turn('view clear');
    return this.#view.clear(range);
  }

  async close(): Promise<void> {
    return this.#view.close();
  }
}

/** Data stores that fill within a run, and are many, of which few are in memory. */
const SMALL_BOUNDS = {
  residentIndexBytesMax: 2 ** 20,
  chunkTableBytesMax: 2 ** 18,
  dataStoreSizeTarget: 64 * 1024,
  regionCacheBytesMax: 2 ** 18,
};

export interface Opening {
  readonly lane: DirectLane;
  readonly disk: DiskHandle;
  readonly clock: StillClock;
  /** Payload bytes of log between checkpoints that are written by themselves; by default there are none. */
  readonly checkpointInterval?: number;
  /** Scrub runs, by itself and when it is asked to. */
  readonly isScrubbed?: boolean;
}

/** A system that runs, with the flows that main.ts would give it. */
export interface Running {
  readonly system: WholeSystem;
  readonly cleaners: Cleaners;
  readonly scrubs: Scrubs;
}

export async function openSystem(opening: Opening): Promise<Running> {
  const { lane, disk, clock, checkpointInterval, isScrubbed = true } = opening;
  const context = { clock, disk, onEvent: () => undefined };
  // Few names a pass, so that the second mark needs several.
  const cleaners = new Cleaners(context, { namesMax: 5 });
  const scrubs = new Scrubs(context);
  const system = await WholeSystem.open({
    lane,
    disk,
    directory: DATA,
    unlock: { keyFile: SECRETS.keyFile },
    context: {
      clock,
      services: [cleaners.make, ...(isScrubbed ? [scrubs.serve] : [])],
      engineBounds: SMALL_BOUNDS,
      reserveSize: 4096,
      checkpointInterval: checkpointInterval ?? 2 ** 30,
      checkpointBatch: 1024,
    },
  });
  cleaners.use(system.catalog);
  return { system, cleaners, scrubs };
}

/** A moment of a run: copies of the disk with all that is not synced, and of the views. */
export class Moment {
  readonly #disk: DiskHandle;
  readonly #views: Views;
  readonly #oldViews: Views;

  private constructor(disk: DiskHandle, views: Views, oldViews: Views) {
    this.#disk = disk;
    this.#views = views;
    this.#oldViews = oldViews;
  }

  static async take(disk: DiskHandle, views: Views, oldViews: Views): Promise<Moment> {
    return new Moment(binding().diskCopy(disk), await copyOfViews(views), oldViews);
  }

  /** A disk that is as after a power cut at that moment; the lane's views are set to theirs. Drop it. */
  async crashed(lane: DirectLane, seed: number, fate: ViewFate): Promise<DiskHandle> {
    const disk = binding().diskCopy(this.#disk);
    binding().diskCrash(disk, seed);
    await this.giveViews(lane, fate);
    return disk;
  }

  async giveViews(lane: DirectLane, fate: ViewFate): Promise<void> {
    lane.views.clear();
    const views = fate === 'kept' ? this.#views : fate === 'rolled back' ? this.#oldViews : new Map();
    for (const [directory, view] of await copyOfViews(views)) lane.views.set(directory, view);
  }

  drop(): void {
    binding().diskDrop(this.#disk);
  }
}
