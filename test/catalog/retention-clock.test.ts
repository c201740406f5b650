// The clock of retention under wall clocks that jump.
import { expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { RETENTION_CLOCK_INTERVAL_MS, RETENTION_DISAGREEMENT_MAX_MS } from '../../src/base/limits.js';
import { RetentionClock } from '../../src/catalog/retention-clock.js';
import { FakeDisk } from '../support/fake-log.js';
import { JumpingClock, openCatalog } from '../support/open-catalog.js';

const YEAR_MS = 365 * DAY_MS;
const HOUR_MS = 3600_000;
const settle = () => new Promise(resolve => setTimeout(resolve, 10));

test('it starts at the wall clock, and goes on as time does', () => {
  const clock = new JumpingClock();
  const retention = new RetentionClock(clock, 0);
  const start = clock.nowMs();
  expect(retention.nowMs()).toBe(start);
  clock.advance(1234);
  expect(retention.nowMs()).toBe(start + 1234);
});

test('it goes on from what was logged: time without a process does not count', () => {
  const clock = new JumpingClock();
  const retention = new RetentionClock(clock, clock.nowMs() - 30 * DAY_MS);
  clock.advance(HOUR_MS);
  expect(retention.nowMs()).toBe(clock.nowMs() - 30 * DAY_MS);
});

test.each([10 * YEAR_MS, -10 * YEAR_MS, DAY_MS, -DAY_MS, HOUR_MS])(
  'a wall clock that jumps by %d ms moves it no further than time has gone on',
  jump => {
    const clock = new JumpingClock();
    const retention = new RetentionClock(clock, 0);
    const start = retention.nowMs();
    for (let step = 1; step <= 100; step += 1) {
      clock.advance(60_000);
      if (step === 50) clock.jump(jump);
      if (step === 80) clock.jump(-jump);
      expect(retention.nowMs()).toBeLessThanOrEqual(start + step * 60_000);
      expect(retention.nowMs()).toBeGreaterThanOrEqual(start);
    }
  },
);

test('a wall clock that runs ten times as fast for months does not move it faster', () => {
  const clock = new JumpingClock();
  const retention = new RetentionClock(clock, 0);
  const start = retention.nowMs();
  for (let step = 0; step < 10_000; step += 1) {
    clock.advance(60_000);
    clock.jump(9 * 60_000);
    retention.nowMs();
  }
  expect(retention.nowMs()).toBeLessThanOrEqual(start + 10_000 * 60_000);
});

test('a wall clock that goes slower than time, or back, holds it back', () => {
  const clock = new JumpingClock();
  const retention = new RetentionClock(clock, 0);
  const start = retention.nowMs();
  for (let step = 0; step < 60; step += 1) {
    clock.advance(60_000);
    clock.jump(-30_000);
    retention.nowMs();
  }
  expect(retention.nowMs() - start).toBe(60 * 30_000);
  clock.advance(60_000);
  clock.jump(-HOUR_MS);
  expect(retention.nowMs() - start).toBe(60 * 30_000);
});

test('clocks that disagree by the bound let it go on, beyond it stands until they agree', () => {
  const clock = new JumpingClock();
  const retention = new RetentionClock(clock, 0);
  const start = retention.nowMs();
  clock.jump(RETENTION_DISAGREEMENT_MAX_MS);
  clock.advance(1000);
  expect([retention.nowMs() - start, retention.isFrozen]).toEqual([1000, false]);
  clock.jump(1);
  clock.advance(1000);
  expect([retention.nowMs() - start, retention.isFrozen]).toEqual([1000, true]);
  clock.advance(10 * DAY_MS);
  expect(retention.nowMs() - start).toBe(1000);
  clock.jump(-2);
  expect(retention.nowMs() - start).toBe(1000);
  clock.advance(500);
  expect([retention.nowMs() - start, retention.isFrozen]).toEqual([1500, false]);
});

test('random jumps, steps and restarts never bring it before time itself', () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let run = 0; run < 200; run += 1) {
    const clock = new JumpingClock();
    let retention = new RetentionClock(clock, 0);
    let elapsed = 0;
    let last = retention.nowMs();
    const start = last;
    for (let step = 0; step < 50; step += 1) {
      const kind = next(4);
      if (kind === 0) clock.jump((next(40) - 20) * HOUR_MS * 24 * (next(2) === 0 ? 1 : 365));
      else if (kind === 1) retention = new RetentionClock(clock, last);
      else {
        const delay = next(HOUR_MS);
        clock.advance(delay);
        elapsed += delay;
      }
      const now = retention.nowMs();
      expect(now).toBeGreaterThanOrEqual(last);
      expect(now).toBeLessThanOrEqual(start + elapsed);
      last = now;
    }
  }
});

test('a new group logs it first, then each interval, and goes on with it after a restart', async () => {
  const disk = new FakeDisk();
  const clock = new JumpingClock();
  const { catalog } = await openCatalog(disk, { clock });
  const logged = () => catalog.openedGroup('DefaultGroup').state.mark.retentionMs;
  const start = clock.nowMs();
  expect(logged()).toBe(start);
  clock.advance(RETENTION_CLOCK_INTERVAL_MS - 1);
  await settle();
  expect(logged()).toBe(start);
  clock.advance(1000);
  await settle();
  expect(logged()).toBe(start + RETENTION_CLOCK_INTERVAL_MS - 1 + 1000);
  const last = logged();
  await catalog.close();
  clock.jump(10 * YEAR_MS);
  const { catalog: again } = await openCatalog(disk, { clock });
  expect(again.openedGroup('DefaultGroup').retention.nowMs()).toBe(last);
});

test('a clock that stands is told once, and shown with the group', async () => {
  const clock = new JumpingClock();
  const { catalog, events } = await openCatalog(new FakeDisk(), { clock });
  await settle();
  clock.jump(2 * DAY_MS);
  for (let tick = 0; tick < 3; tick += 1) {
    clock.advance(1000);
    await settle();
  }
  const told = events.filter(({ message }) => /the retention clock stands/.test(message));
  expect(told).toMatchObject([{ level: 'error', group: 'DefaultGroup' }]);
  expect(catalog.showGroup('DefaultGroup')).toMatchObject({ isRetentionFrozen: true });
});
