/**
 * Paces work that may take its time (cleaner, scrub) beside work that people wait for. Work comes in small
 * units; behind each unit that ran while something was in the foreground there is a rest in proportion to
 * what the unit took: with a factor of 4 at most a fifth of the time is worked. Nothing in the foreground, no
 * rest. The clock delays here, and decides nothing.
 */
import type { Clock } from './clock.js';
import { StoreError } from './errors.js';
import { PACER_REST_MS_MAX } from './limits.js';

export interface PacerParameters {
  readonly clock: Clock;
  /** Asked before and behind each unit of work: is somebody waiting for the machine? */
  readonly isForegroundBusy: () => boolean;
  /** Rest for each millisecond of work. */
  readonly restFactor: number;
  /** Ends a rest at once, and refuses further work. */
  readonly signal?: AbortSignal;
}

export class Pacer {
  readonly #parameters: PacerParameters;
  #restedMs = 0;

  constructor(parameters: PacerParameters) {
    this.#parameters = parameters;
  }

  /** How long there has been rest instead of work so far. */
  get restedMs(): number {
    return this.#restedMs;
  }

  /**
   * Runs the unit, then rests. Work that has been done is answered, also when the rest is cut short.
   * CANCELLED: the signal came before the work began.
   */
  async paced<T>(work: () => Promise<T>): Promise<T> {
    const { clock, isForegroundBusy, restFactor, signal } = this.#parameters;
    if (signal?.aborted === true) throw new StoreError('CANCELLED', 'background work has been cancelled');
    const wasBusy = isForegroundBusy();
    const startMs = clock.monotonicMs();
    const result = await work();
    const restMs = Math.min(PACER_REST_MS_MAX, restFactor * (clock.monotonicMs() - startMs));
    if (restMs > 0 && (wasBusy || isForegroundBusy())) await this.#rest(restMs);
    return result;
  }

  #rest(restMs: number): Promise<void> {
    const { clock, signal } = this.#parameters;
    if (signal?.aborted === true) return Promise.resolve();
    const startMs = clock.monotonicMs();
    return new Promise(resolve => {
      const end = () => {
        timer.cancel();
        signal?.removeEventListener('abort', end);
        this.#restedMs += clock.monotonicMs() - startMs;
        resolve();
      };
      const timer = clock.after(restMs, end);
      signal?.addEventListener('abort', end, { once: true });
    });
  }
}
