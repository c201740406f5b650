/**
 * A catalog over the double of test/support/fake-log.ts, with cheap passphrases and a clock that stands
 * still.
 */
import type { Clock, Timer } from '../../src/base/clock.js';
import { GranaryCatalog } from '../../src/catalog/catalog.js';
import { type CatalogContext, type CatalogEvent, ENGINE_BOUNDS } from '../../src/catalog/context.js';
import type { FileDraft } from '../../src/catalog/types.js';
import type { Secret } from '../../src/keys/slots.js';
import type { FakeDisk } from './fake-log.js';

export class StillClock implements Clock {
  now = 1_700_000_000_000;
  readonly #timers: { at: number; action: () => void }[] = [];

  nowMs(): number {
    return this.now;
  }

  monotonicMs(): number {
    return this.now;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { at: this.now + delayMs, action };
    this.#timers.push(timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  /** Time goes on; what is due by then is called. */
  advance(delayMs: number): void {
    this.now += delayMs;
    const due = this.#timers.filter(timer => timer.at <= this.now);
    for (const timer of due) {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      timer.action();
    }
  }
}

/** Its wall clock can be set, which time itself does not follow. */
export class JumpingClock extends StillClock {
  #jumpedMs = 0;

  jump(byMs: number): void {
    this.#jumpedMs += byMs;
  }

  override nowMs(): number {
    return this.now + this.#jumpedMs;
  }
}

export const CHEAP = { cost: 2 ** 14, blockSize: 8, parallel: 1 } as const;

export interface Opened {
  readonly catalog: GranaryCatalog;
  readonly context: CatalogContext;
  readonly clock: StillClock;
  readonly events: CatalogEvent[];
}

export async function openCatalog(
  disk: FakeDisk,
  options: { unlock?: Secret; clock?: StillClock } & Partial<CatalogContext> = {},
): Promise<Opened> {
  const { unlock, clock = new StillClock(), ...rest } = options;
  const events: CatalogEvent[] = [];
  const context: CatalogContext = {
    clock,
    disk: 0,
    lane: disk.lane(),
    createLane: name => disk.lane(name),
    onEvent: event => void events.push(event),
    engineBounds: ENGINE_BOUNDS,
    passphraseCost: CHEAP,
    reserveSize: 64,
    openStore: disk.openStore,
    ...rest,
  };
  const catalog = await GranaryCatalog.open({
    context,
    dataDirectory: '/data',
    ...(unlock === undefined ? {} : { unlock }),
  });
  return { catalog, context, clock, events };
}

/** What ingest would hand over. */
export function draft(size: number, seed = size): FileDraft {
  return {
    size,
    map: { root: new Uint8Array(32).fill(seed % 256), rootLength: 40, depth: 1 },
    newBytes: Math.floor(size / 2),
    storedBytes: Math.floor(size / 4),
    chunkCount: 1 + Math.floor(size / 10),
    xxh3: seed.toString(16).padStart(32, '0'),
  };
}
