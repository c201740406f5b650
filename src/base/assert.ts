/**
 * Assertions, on in production: a broken invariant must end the process (design invariant I10), because the
 * ordinary start recovers and going on might not. The process-level handler in main.ts turns BrokenInvariant
 * into an exit.
 */

export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}

export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new BrokenInvariant(what);
}

/** For the end of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new BrokenInvariant(`unreachable value ${JSON.stringify(value)}`);
}
