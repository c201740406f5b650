/**
 * A group's background work, one piece at a time, looked for every BACKGROUND_TICK_MS: counters, warming of the resident index, key rotation.
 */
import type { Timer } from '../base/clock.js';
import { asStoreError } from '../base/errors.js';
import { BACKGROUND_TICK_MS, WARM_DATA_STORES } from '../base/limits.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';

export class Background {
  readonly #context: CatalogContext;
  readonly #group: OpenedGroup;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  #isWarm = false;

  constructor(context: CatalogContext, group: OpenedGroup) {
    this.#context = context;
    this.#group = group;
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
    try {
      await this.#group.space.refresh();
      await this.#warm();
    } catch (thrown) {
      const message = `background work: ${asStoreError(thrown).message}`;
      this.#context.onEvent({ level: 'error', group: this.#group.name, message });
    }
    if (this.#isClosed) return;
    this.#timer = this.#context.clock.after(BACKGROUND_TICK_MS, () => {
      this.#running = this.#round();
    });
  }

  async #warm(): Promise<void> {
    while (!this.#isWarm && !this.#isClosed) {
      const left = await this.#group.lane.call('warmIndex', this.#group.engine, WARM_DATA_STORES);
      this.#isWarm = left === 0;
    }
  }
}
