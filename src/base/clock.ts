/**
 * The one place that reads the time. Everything that needs it takes a Clock, so that tests freeze it.
 * No clock decides about deletion (design invariant I7).
 */

export const DAY_MS = 86_400_000;

export interface Clock {
  /** Wall time, milliseconds since 1970 UTC. */
  nowMs(): number;
  /** Milliseconds that never go back; for durations only. */
  monotonicMs(): number;
  /** Calls `action` once, `delayMs` from now. Does not keep the process alive. */
  after(delayMs: number, action: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const handle = setTimeout(action, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** ISO 8601 UTC, as all our output has it. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Resolves `delayMs` from now, by that clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise(resolve => clock.after(delayMs, resolve));
}

/** As sleep by the system's clock, but keeps the process alive: for commands that have nothing else to do. */
export function stayAwake(delayMs: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, delayMs));
}
