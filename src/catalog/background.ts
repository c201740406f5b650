/**
 * A group's background work, one piece at a time, looked for every BACKGROUND_TICK_MS: counters, quotas and
 * the space reserve, retention, warming of the resident index, key rotation, the view's table of places,
 * checkpoints. A piece that fails says so and is tried again at a later tick; what it must not get wrong it
 * leaves in the order that recovery knows.
 */
import type { Timer } from '../base/clock.js';
import { asStoreError } from '../base/errors.js';
import {
  BACKGROUND_IDLE_MS,
  BACKGROUND_TICK_MS,
  CHECKPOINT_INTERVAL_BYTES,
  PLACES_CHECK_MS,
  ROTATION_CHECK_MS,
  WARM_DATA_STORES,
} from '../base/limits.js';
import { isCheckpointDue, writeCheckpoint } from './checkpoint.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import { PlaceFiller } from './place-filler.js';
import { QuotaWatch } from './quota.js';
import { RetentionWatch } from './retention-watch.js';
import { rotateIfDue } from './rotation.js';

export class Background {
  readonly #context: CatalogContext;
  readonly #group: OpenedGroup;
  readonly #filler: PlaceFiller;
  readonly #quotas: QuotaWatch;
  readonly #retention: RetentionWatch;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #isWarm = false;
  #rotationCheckMs = Number.NEGATIVE_INFINITY;
  #placesCheckMs = Number.NEGATIVE_INFINITY;

  constructor(context: CatalogContext, group: OpenedGroup) {
    this.#context = context;
    this.#group = group;
    this.#filler = new PlaceFiller(group);
    this.#quotas = new QuotaWatch(context, group);
    this.#retention = new RetentionWatch(context, group);
  }

  start(): void {
    this.#running = this.#round();
  }

  /** Waits for the piece under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #round(): Promise<void> {
    const pieces = [
      () => this.#group.space.keepReserve(),
      async () => this.#quotas.look(),
      () => this.#retention.look(() => this.#isClosed),
      () => this.#rotate(),
      () => this.#warm(),
      () => this.#fillPlaces(),
      () => this.#checkpoint(),
      () => this.#dropClearLog(),
    ];
    for (const piece of pieces) {
      if (this.#isClosed) return;
      try {
        await piece();
      } catch (thrown) {
        const message = `background work: ${asStoreError(thrown).message}`;
        this.#context.onEvent({ level: 'error', group: this.#group.name, message });
      }
    }
    if (this.#isClosed) return;
    this.#timer = this.#context.clock.after(BACKGROUND_TICK_MS, () => {
      this.#running = this.#round();
    });
  }

  get #nowMs(): number {
    return this.#context.clock.monotonicMs();
  }

  get #isIdle(): boolean {
    return this.#group.idleMs >= BACKGROUND_IDLE_MS;
  }

  get #isStopped(): boolean {
    return this.#group.queue.failure !== undefined;
  }

  async #rotate(): Promise<void> {
    if (this.#nowMs - this.#rotationCheckMs < ROTATION_CHECK_MS || this.#isStopped) return;
    await rotateIfDue(this.#context, this.#group);
    this.#rotationCheckMs = this.#nowMs;
  }

  /** What the view has is looked for there meanwhile, and not in one data store after the other. */
  async #warm(): Promise<void> {
    if (!this.#isWarm) await this.#filler.markEntered();
    while (!this.#isWarm && !this.#isClosed) {
      const left = await this.#group.lane.call('warmIndex', this.#group.engine, WARM_DATA_STORES);
      this.#isWarm = left === 0;
    }
  }

  async #fillPlaces(): Promise<void> {
    const { residentBytes } = this.#group.space.counters;
    const isPressed = residentBytes > this.#context.engineBounds.residentIndexBytesMax / 2;
    if (!isPressed && !this.#isIdle) return;
    if (this.#nowMs - this.#placesCheckMs < PLACES_CHECK_MS) return;
    await this.#filler.fill(() => this.#isClosed || !(isPressed || this.#isIdle));
    this.#placesCheckMs = this.#nowMs;
  }

  /** Behind the second checkpoint the log from before the group was encrypted may go. */
  async #dropClearLog(): Promise<void> {
    for (let count = 0; count < 2 && this.#group.hasClearLog && !this.#isStopped; count += 1) {
      await writeCheckpoint(this.#context, this.#group, () => this.#isClosed);
    }
  }

  /** Quietly at the bound, in any case at twice the bound. */
  async #checkpoint(): Promise<void> {
    if (this.#isStopped || !isCheckpointDue(this.#context, this.#group)) return;
    if (this.#isIdle || this.#group.state.mark.logBytes >= 2 * checkpointBound(this.#context)) {
      await writeCheckpoint(this.#context, this.#group, () => this.#isClosed);
    }
  }
}

function checkpointBound(context: CatalogContext): number {
  return context.checkpointInterval ?? CHECKPOINT_INTERVAL_BYTES;
}
