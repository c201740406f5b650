/**
 * What the passes of scrub share: the group, the time, and the one way to do a unit of work. Units of all
 * passes run one after the other in the order of asking, so that a pass of hours does not hold up one that
 * has a minute's work; each is paced beside ingest and restore.
 */
import type { Clock } from '../base/clock.js';
import { PACER_REST_FACTOR } from '../base/limits.js';
import { Pacer } from '../base/pacer.js';
import type { CatalogEvent } from '../catalog/context.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import type { ScrubState } from './scrub-state.js';

export class ScrubWork {
  readonly group: OpenedGroup;
  readonly clock: Clock;
  readonly state: ScrubState;
  readonly #onEvent: (event: CatalogEvent) => void;
  readonly #pacer: Pacer;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    group: OpenedGroup,
    state: ScrubState,
    given: {
      readonly clock: Clock;
      readonly onEvent: (event: CatalogEvent) => void;
      readonly signal: AbortSignal;
    },
  ) {
    this.group = group;
    this.clock = given.clock;
    this.state = state;
    this.#onEvent = given.onEvent;
    this.#pacer = new Pacer({
      clock: given.clock,
      isForegroundBusy: () => group.lane.slabs.free < group.lane.slabs.countMax,
      restFactor: PACER_REST_FACTOR,
      signal: given.signal,
    });
  }

  /** Some ten milliseconds of work. CANCELLED: scrub has been told to end. */
  unit<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(() => this.#pacer.paced(work));
    this.#last = done.catch(() => undefined);
    return done;
  }

  event(level: CatalogEvent['level'], message: string): void {
    this.#onEvent({ level, group: this.group.name, message: `scrub: ${message}` });
  }
}
