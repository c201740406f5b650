/** Many runs of the model of retention, and of clocks that jump. */
import { expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import type { FileKeeping } from '../../src/catalog/record.js';
import { keepingFrom, reasonKept } from '../../src/catalog/retention.js';
import { RetentionClock } from '../../src/catalog/retention-clock.js';
import type { LockRequest } from '../../src/catalog/types.js';
import { runCount, runSeed, seededNumbers } from '../support/ledger.js';
import { JumpingClock } from '../support/open-catalog.js';
import { retentionRun } from '../support/retention-run.js';

test.each([false, true])('random work and the model agree (encrypted: %s)', async isEncrypted => {
  const seed = runSeed('retention');
  for (let run = 0; run < runCount('GRANARY_RUNS', isEncrypted ? 60 : 600); run += 1) {
    try {
      await retentionRun(seed + run, isEncrypted);
    } catch (cause) {
      throw new Error(`seed ${seed + run}`, { cause });
    }
  }
});

/** Lock requests, jumps, time and restarts in random order: was the version ever free too early? */
function isFreedEarly(next: (below: number) => number): boolean {
  const clock = new JumpingClock();
  let retention = new RetentionClock(clock, 0);
  let logged = retention.nowMs();
  let kept: FileKeeping = keepingFrom({}, { mode: 'compliance', days: 1 + next(30) }, logged);
  const endMs = kept.lockUntilMs!;
  for (let step = 0; step < 20; step += 1) {
    const kind = next(5);
    if (kind === 0) clock.jump((next(21) - 10) * 365 * DAY_MS);
    else if (kind === 1) retention = new RetentionClock(clock, logged);
    else if (kind === 2) clock.advance(next(3 * DAY_MS));
    else kept = asked(kept, next, retention.nowMs());
    logged = retention.nowMs();
    if (clock.now < endMs && reasonKept(kept, logged) === undefined) return true;
  }
  return false;
}

function asked(kept: FileKeeping, next: (below: number) => number, nowMs: number): FileKeeping {
  const modes = ['none', 'governance', 'compliance'] as const;
  const request: LockRequest = {
    mode: modes[next(3)]!,
    ...(next(2) === 0 ? {} : { days: 1 + next(40) }),
    bypassGovernance: next(2) === 0,
  };
  try {
    return keepingFrom(kept, request, nowMs);
  } catch {
    return kept;
  }
}

test('no version is freed early in random sequences of requests, clocks and restarts', () => {
  const next = seededNumbers(runSeed('compliance'));
  let early = 0;
  const sequences = runCount('GRANARY_SEQUENCES', 1_000_000);
  for (let sequence = 0; sequence < sequences; sequence += 1) if (isFreedEarly(next)) early += 1;
  process.stdout.write(`compliance: ${sequences} random sequences, ${early} early deletions\n`);
  expect(early).toBe(0);
});
