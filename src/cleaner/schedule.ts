/**
 * When a cycle begins by itself: space is short; a weekly window is open; or, where there are no windows,
 * nobody does anything. Always only when there is something to free or to finish. Clocks decide when the
 * cleaner works, never what it may remove.
 */
import {
  CLEANER_EXPECTED_BYTES_MIN,
  CLEANER_EXPECTED_SHARE_MIN,
  CLEANER_FORCE_FREE_BYTES_MAX,
  CLEANER_FORCE_FREE_SHARE,
  CLEANER_FORCE_QUOTA_SHARE,
  CLEANER_IDLE_MS,
  CLEANER_INTERVAL_MS,
} from '../base/limits.js';
import type { CleanerSettings } from '../catalog/types.js';
import type { Thoroughness } from './victims.js';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;
/** 1970 began on a Thursday; weeks of windows begin on Monday. */
const EPOCH_DAY = 3;

export interface Situation {
  readonly settings: CleanerSettings | undefined;
  readonly isBraked: boolean;
  readonly nowMs: number;
  readonly sinceLastMs: number;
  readonly idleMs: number;
  readonly expectedBytes: number;
  /** Of these, what the last cycle has looked at and left, since it is spread too thinly. */
  readonly leftBytes: number;
  /** An earlier cycle has left something to finish. */
  readonly isPending: boolean;
  /** Data stores wait for their re-sealing. */
  readonly isOutdated: boolean;
  readonly freeBytes: number;
  readonly fileBytes: number;
  readonly plainBytes: number;
  readonly quotaBytes: number;
}

/** How thorough the cycle is to be that is due now; undefined: none is. */
export function isDue(situation: Situation): Thoroughness | undefined {
  const { settings, isBraked, sinceLastMs, isPending, isOutdated, plainBytes } = situation;
  const { expectedBytes, leftBytes } = situation;
  if (settings === undefined || settings.isPaused || isBraked || sinceLastMs < CLEANER_INTERVAL_MS) return;
  const isShort = isSpaceShort(situation);
  if (isShort && (isPending || expectedBytes > 0)) return 'thorough';
  const isWorthIt =
    expectedBytes - leftBytes >=
    Math.max(CLEANER_EXPECTED_BYTES_MIN, CLEANER_EXPECTED_SHARE_MIN * plainBytes);
  if (!isPending && !isOutdated && !isWorthIt) return;
  return isTime(settings, situation) ? 'gentle' : undefined;
}

function isSpaceShort({ freeBytes, fileBytes, quotaBytes }: Situation): boolean {
  const mark = Math.min(CLEANER_FORCE_FREE_BYTES_MAX, CLEANER_FORCE_FREE_SHARE * (freeBytes + fileBytes));
  return freeBytes < mark || (quotaBytes > 0 && fileBytes >= CLEANER_FORCE_QUOTA_SHARE * quotaBytes);
}

function isTime({ windows }: CleanerSettings, { nowMs, idleMs }: Situation): boolean {
  if (windows.length === 0) return idleMs >= CLEANER_IDLE_MS;
  const minute = minuteOfWeek(nowMs);
  return windows.some(({ day, fromMinute, minutes }) => {
    const start = day * DAY_MINUTES + fromMinute;
    return (minute - start + WEEK_MINUTES) % WEEK_MINUTES < minutes;
  });
}

/** UTC, from Monday 00:00 on. */
function minuteOfWeek(nowMs: number): number {
  return (Math.floor(nowMs / MINUTE_MS) + EPOCH_DAY * DAY_MINUTES) % WEEK_MINUTES;
}
