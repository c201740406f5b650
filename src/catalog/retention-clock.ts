/**
 * The clock by which retention ends: recycle bins and locks. It begins at the wall clock's time when the
 * group is made and from then on advances by what wall clock and monotonic clock have both gone on, whichever
 * is less; while no process has the group open it stands. So whatever is done to the wall clock, nothing ends
 * early; it may end late. The log keeps it (CLOCK records), and the group goes on with what is logged.
 *
 * When the two clocks have come apart by more than RETENTION_DISAGREEMENT_MAX_MS since the group was opened,
 * one of them is wrong: it stands until they agree again or the group is opened anew.
 */
import type { Clock } from '../base/clock.js';
import { RETENTION_DISAGREEMENT_MAX_MS } from '../base/limits.js';

export class RetentionClock {
  readonly #clock: Clock;
  readonly #startWallMs: number;
  readonly #startMonotonicMs: number;
  #wallMs: number;
  #monotonicMs: number;
  #nowMs: number;

  /** `loggedMs`: as it was last logged; 0: never. */
  constructor(clock: Clock, loggedMs: number) {
    this.#clock = clock;
    this.#startWallMs = clock.nowMs();
    this.#startMonotonicMs = clock.monotonicMs();
    this.#wallMs = this.#startWallMs;
    this.#monotonicMs = this.#startMonotonicMs;
    this.#nowMs = loggedMs === 0 ? Math.max(1, this.#startWallMs) : loggedMs;
  }

  /** Milliseconds since 1970, as far as retention is concerned. Never goes back. */
  nowMs(): number {
    const wallMs = this.#clock.nowMs();
    const monotonicMs = this.#clock.monotonicMs();
    const step = Math.min(wallMs - this.#wallMs, monotonicMs - this.#monotonicMs);
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    if (step > 0 && !this.isFrozen) this.#nowMs += step;
    return Math.floor(this.#nowMs);
  }

  /** How far the wall clock has run ahead of the monotonic clock since the group was opened. */
  get disagreementMs(): number {
    return this.#wallMs - this.#startWallMs - (this.#monotonicMs - this.#startMonotonicMs);
  }

  get isFrozen(): boolean {
    return Math.abs(this.disagreementMs) > RETENTION_DISAGREEMENT_MAX_MS;
  }
}
