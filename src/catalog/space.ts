/**
 * Is there room? Counters of the engine, looked at every FREE_CHECK_INTERVAL_MS, against the volume's floor
 * and the group's quota. Only ingest asks: deletes, the log and the cleaner have what lies below the floor.
 */
import type { Clock } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import {
  FREE_CHECK_INTERVAL_MS,
  FREE_FLOOR_BYTES_MAX,
  FREE_FLOOR_SHARE,
  FREE_WATCH_BYTES,
  RESERVE_LOW_BYTES,
} from '../base/limits.js';
import { formatSize } from '../base/units.js';
import type { EngineCounters, EngineHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { SpaceReserve } from './reserve.js';

export class SpaceGate {
  readonly #lane: Pick<Lane, 'call'>;
  readonly #engine: EngineHandle;
  readonly #clock: Clock;
  readonly #reserve: SpaceReserve;
  #counters: EngineCounters;
  #takenMs: number;
  #refreshing: Promise<EngineCounters> | undefined;

  private constructor(
    lane: Pick<Lane, 'call'>,
    engine: EngineHandle,
    clock: Clock,
    reserve: SpaceReserve,
    counters: EngineCounters,
  ) {
    this.#lane = lane;
    this.#engine = engine;
    this.#clock = clock;
    this.#reserve = reserve;
    this.#counters = counters;
    this.#takenMs = clock.monotonicMs();
  }

  static async open(
    lane: Pick<Lane, 'call'>,
    engine: EngineHandle,
    clock: Clock,
    reserve: SpaceReserve,
  ): Promise<SpaceGate> {
    return new SpaceGate(lane, engine, clock, reserve, await lane.call('counters', engine));
  }

  /** As they were a moment ago. */
  get counters(): EngineCounters {
    return this.#counters;
  }

  /** As they are now. */
  refresh(): Promise<EngineCounters> {
    this.#refreshing ??= this.#lane
      .call('counters', this.#engine)
      .then(counters => {
        this.#counters = counters;
        this.#takenMs = this.#clock.monotonicMs();
        return counters;
      })
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  /** At the start: the reserve is made, or given up for what the start has to write. */
  async begin(): Promise<void> {
    await this.makeRoom();
    await this.keepReserve();
  }

  /** Before anything is committed: on a volume that is all but full the reserve is given up for it. */
  async makeRoom(): Promise<void> {
    if (this.#counters.freeBytes >= FREE_WATCH_BYTES) return;
    const { freeBytes } = await this.refresh();
    await this.#reserve.giveUp(freeBytes);
  }

  /** Makes the reserve when it is not there and there is room again. */
  async keepReserve(): Promise<void> {
    const { freeBytes } = await this.refresh();
    await this.#reserve.keep(freeBytes, this.#floor);
  }

  get #floor(): number {
    const { freeBytes, fileBytes } = this.#counters;
    return Math.min(FREE_FLOOR_BYTES_MAX, FREE_FLOOR_SHARE * (freeBytes + fileBytes));
  }

  /** NO_SPACE; IO when the engine has stopped writing. */
  admit(quotaBytes: number): void {
    if (this.#clock.monotonicMs() - this.#takenMs >= FREE_CHECK_INTERVAL_MS) {
      // The answer serves the next call; a failure shows in the work itself.
      this.refresh().catch(() => undefined);
    }
    const { freeBytes, fileBytes, stopped } = this.#counters;
    if (stopped !== undefined)
      throw new StoreError('IO', `the storage group has stopped writing: ${stopped}`);
    // Room for the reserve comes first when it had to be given up.
    const floor = this.#floor + (this.#reserve.isGivenUp ? this.#reserve.size + RESERVE_LOW_BYTES : 0);
    if (freeBytes < floor) {
      throw new StoreError(
        'NO_SPACE',
        `the volume has ${formatSize(freeBytes)} left, ingest needs ${formatSize(Math.ceil(floor))}`,
      );
    }
    if (quotaBytes > 0 && fileBytes >= quotaBytes) {
      throw new StoreError(
        'NO_SPACE',
        `the storage group uses ${formatSize(fileBytes)} of its quota of ${formatSize(quotaBytes)}`,
      );
    }
  }
}
