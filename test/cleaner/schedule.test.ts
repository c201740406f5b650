import { expect, test } from 'vitest';
import {
  CLEANER_EXPECTED_BYTES_MIN,
  CLEANER_FORCE_FREE_SHARE,
  CLEANER_FORCE_QUOTA_SHARE,
  CLEANER_IDLE_MS,
  CLEANER_INTERVAL_MS,
} from '../../src/base/limits.js';
import { isDue, type Situation } from '../../src/cleaner/schedule.js';

const SETTINGS = { isPaused: false, holdHours: 0, windows: [] };
const SITUATION: Situation = {
  settings: SETTINGS,
  isBraked: false,
  nowMs: Date.parse('2026-11-25T12:00:00Z'), // a Wednesday
  sinceLastMs: CLEANER_INTERVAL_MS,
  idleMs: CLEANER_IDLE_MS,
  expectedBytes: CLEANER_EXPECTED_BYTES_MIN,
  leftBytes: 0,
  isPending: false,
  isOutdated: false,
  ...{ freeBytes: 1e12, fileBytes: 1e9, plainBytes: 2e9, quotaBytes: 0 },
};
const due = (change: Partial<Situation> = {}) => isDue({ ...SITUATION, ...change });

test('a cycle begins when a group is idle and there is enough to free, or something to finish', () => {
  expect(due()).toBe('gentle');
  expect(due({ idleMs: CLEANER_IDLE_MS - 1 })).toBeUndefined();
  expect(due({ expectedBytes: CLEANER_EXPECTED_BYTES_MIN - 1 })).toBeUndefined();
  expect(due({ plainBytes: 1e12 })).toBeUndefined();
  expect(due({ leftBytes: 1 })).toBeUndefined();
  expect(due({ expectedBytes: 0, isPending: true })).toBe('gentle');
  expect(due({ expectedBytes: 0, isOutdated: true })).toBe('gentle');
});

test('none begins while paused, braked, too soon behind the last, or before settings are known', () => {
  const short = { freeBytes: 0 };
  for (const change of [
    { settings: { ...SETTINGS, isPaused: true } },
    { settings: undefined },
    { isBraked: true },
    { sinceLastMs: CLEANER_INTERVAL_MS - 1 },
  ]) {
    expect(due({ ...change, ...short })).toBeUndefined();
  }
});

test('short space forces a thorough cycle, idle or not, when there is anything to free', () => {
  const busy = { idleMs: 0, expectedBytes: 1 };
  const edge = 1e9 / (1 / CLEANER_FORCE_FREE_SHARE - 1);
  expect(due({ ...busy, freeBytes: edge - 1 })).toBe('thorough');
  expect(due({ ...busy, freeBytes: edge + 1 })).toBeUndefined();
  expect(due({ ...busy, freeBytes: 0, expectedBytes: 0 })).toBeUndefined();
  expect(due({ ...busy, quotaBytes: 0.99e9 / CLEANER_FORCE_QUOTA_SHARE })).toBe('thorough');
  expect(due({ ...busy, quotaBytes: 1.2e9 })).toBeUndefined();
});

test('with windows a cycle begins in them only, busy or not, over midnight and the end of the week', () => {
  const at = (time: string, window: { day: number; fromMinute: number; minutes: number }) =>
    due({ settings: { ...SETTINGS, windows: [window] }, idleMs: 0, nowMs: Date.parse(time) });
  const wednesday = { day: 2, fromMinute: 11 * 60, minutes: 60 };
  expect(at('2026-11-25T10:59:59Z', wednesday)).toBeUndefined();
  expect(at('2026-11-25T11:00:00Z', wednesday)).toBe('gentle');
  expect(at('2026-11-25T11:59:59Z', wednesday)).toBe('gentle');
  expect(at('2026-11-25T12:00:00Z', wednesday)).toBeUndefined();
  const sunday = { day: 6, fromMinute: 22 * 60, minutes: 8 * 60 };
  expect(at('2026-11-30T05:59:00Z', sunday)).toBe('gentle'); // Monday
  expect(at('2026-11-30T06:00:00Z', sunday)).toBeUndefined();
});
