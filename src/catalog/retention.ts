/**
 * The one place that answers: may this version be deleted or overwritten now? Every change that takes a
 * version away, into the recycle bin or for good, asks it inside the commit's critical section (changes.ts),
 * with the retention clock's time. It answers the same to everybody: who is allowed to bypass a governance
 * lock takes the lock off first.
 */
import { DAY_MS, isoTime } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import {
  BIN_DAYS_MAX,
  BIN_DAYS_MIN,
  LOCK_DAYS_MAX,
  LOCK_DAYS_MIN,
  LOGICAL_QUOTA_BYTES_MIN,
} from '../base/limits.js';
import type { ContainerPolicy, FileKeeping, LockMode } from './record.js';
import type { ContainerSettings, LockRequest } from './types.js';

const MODES: ReadonlySet<string> = new Set(['none', 'governance', 'compliance']);

/** Why the version may neither be deleted nor overwritten now; undefined: it may. */
export function reasonKept(kept: FileKeeping, nowMs: number): string | undefined {
  if (kept.hold === 'legal') return 'it is under a legal hold';
  const mode = modeInForce(kept, nowMs);
  if (mode === 'none') return undefined;
  return `it is locked (${mode}) until ${isoTime(kept.lockUntilMs!)} of the retention clock`;
}

/** LOCKED, saying until when. */
export function demandRemovable(row: FileKeeping & { readonly name: string }, nowMs: number): void {
  const reason = reasonKept(row, nowMs);
  if (reason === undefined) return;
  throw new StoreError('LOCKED', `'${row.name}' can neither be deleted nor overwritten: ${reason}`);
}

/** May a version leave the recycle bin for good? Nobody can have it earlier than when it was deleted for. */
export function mayLeaveBin(row: FileKeeping & { readonly binUntilMs: number }, nowMs: number): boolean {
  return row.binUntilMs <= nowMs && reasonKept(row, nowMs) === undefined;
}

/** Until when what is deleted or overwritten now lies in the recycle bin; undefined: there is none. */
export function binUntil({ binDays = 0 }: ContainerPolicy, nowMs: number): number | undefined {
  return binDays === 0 ? undefined : nowMs + binDays * DAY_MS;
}

/** The lock that a file gets which is put now. */
export function defaultKeeping(policy: ContainerPolicy, nowMs: number): FileKeeping {
  const { defaultLockMode: mode = 'none', defaultLockDays: days = 0 } = policy;
  return mode === 'none' ? {} : { lockMode: mode, lockUntilMs: nowMs + days * DAY_MS };
}

/**
 * How the version is kept when what was asked for is done. LOCKED: it would be kept less, and may not be:
 * compliance never, governance without `bypassGovernance`. INVALID: what was asked for makes no sense.
 */
export function keepingFrom(kept: FileKeeping, request: LockRequest, nowMs: number): FileKeeping {
  const hold = request.hold === undefined ? kept.hold === 'legal' : request.hold;
  const lock = lockFrom(kept, request, nowMs);
  demandNoWeaker(kept, lock, request.bypassGovernance === true, nowMs);
  return { ...lock, ...(hold ? { hold: 'legal' as const } : {}) };
}

function lockFrom(kept: FileKeeping, request: LockRequest, nowMs: number): FileKeeping {
  const { mode, days, untilMs } = request;
  if (mode !== undefined && !MODES.has(mode)) throw invalid('a lock is none, governance or compliance');
  if (mode === undefined && days === undefined && untilMs === undefined) {
    if (request.hold === undefined) throw invalid('nothing was asked for: a mode, a time, or a hold');
    const { lockMode, lockUntilMs } = kept;
    return lockMode === undefined || lockUntilMs === undefined ? {} : { lockMode, lockUntilMs };
  }
  if (days !== undefined && untilMs !== undefined) throw invalid('a lock has days or an end, not both');
  if (mode === 'none') {
    if (days !== undefined || untilMs !== undefined) throw invalid('no lock has no end');
    return {};
  }
  if (days !== undefined) demandDays(days);
  const lockUntilMs = days === undefined ? (untilMs ?? kept.lockUntilMs) : nowMs + days * DAY_MS;
  const lockMode = mode ?? modeInForce(kept, nowMs);
  if (lockMode === 'none') throw invalid('the file is not locked: which mode of lock?');
  if (lockUntilMs === undefined || lockUntilMs <= nowMs || !Number.isSafeInteger(lockUntilMs)) {
    throw invalid(`a lock ends in the future: the retention clock says ${isoTime(nowMs)}`);
  }
  if (lockUntilMs > nowMs + LOCK_DAYS_MAX * DAY_MS) throw invalid(`a lock is at most ${LOCK_DAYS_MAX} days`);
  return { lockMode, lockUntilMs };
}

function demandNoWeaker(kept: FileKeeping, next: FileKeeping, mayBypass: boolean, nowMs: number): void {
  const mode = modeInForce(kept, nowMs);
  const isShorter = (next.lockUntilMs ?? 0) < (kept.lockUntilMs ?? 0);
  const isWeaker = isShorter || (mode === 'compliance' && next.lockMode !== 'compliance');
  if (mode === 'none' || !isWeaker || (mode === 'governance' && mayBypass)) return;
  const until = `${isoTime(kept.lockUntilMs!)} of the retention clock`;
  throw new StoreError(
    'LOCKED',
    mode === 'compliance'
      ? `a compliance lock can be extended, and by nobody shortened: it ends at ${until}`
      : `a governance lock can be shortened with the bypass only: it ends at ${until}`,
  );
}

function modeInForce({ lockMode = 'none', lockUntilMs = 0 }: FileKeeping, nowMs: number): LockMode {
  return lockUntilMs > nowMs ? lockMode : 'none';
}

/** What a container's policy says, for people. */
export function settingsOfPolicy(policy: ContainerPolicy): ContainerSettings {
  return {
    binDays: policy.binDays ?? 0,
    lockMode: policy.defaultLockMode ?? 'none',
    lockDays: policy.defaultLockDays ?? 0,
    quotaBytes: policy.logicalQuotaBytes ?? 0,
  };
}

/** The policy with what was asked for. INVALID names what cannot be. */
export function policyFrom(base: ContainerPolicy, change: Partial<ContainerSettings>): ContainerPolicy {
  const wanted = { ...settingsOfPolicy(base), ...change };
  const { binDays, lockMode, quotaBytes } = wanted;
  const lockDays = change.lockDays ?? (lockMode === 'none' ? 0 : wanted.lockDays);
  const isBin = binDays === 0 || isWithin(binDays, BIN_DAYS_MIN, BIN_DAYS_MAX);
  if (!isBin)
    throw invalid(`a recycle bin keeps ${BIN_DAYS_MIN} to ${BIN_DAYS_MAX} days, or 0: there is none`);
  if (binDays === 0 && (base.binDays ?? 0) > 0) {
    throw invalid('a recycle bin stays: its days can be changed, but it cannot be switched off');
  }
  if (!MODES.has(lockMode)) throw invalid('the lock of new files is none, governance or compliance');
  if (lockMode === 'none' && lockDays !== 0) throw invalid('days of a lock need a mode of it');
  if (lockMode !== 'none') demandDays(lockDays);
  const isQuota = quotaBytes === 0 || isWithin(quotaBytes, LOGICAL_QUOTA_BYTES_MIN, Number.MAX_SAFE_INTEGER);
  if (!isQuota) throw invalid(`a quota is 0 (none) or at least ${LOGICAL_QUOTA_BYTES_MIN} bytes`);
  return { binDays, defaultLockMode: lockMode, defaultLockDays: lockDays, logicalQuotaBytes: quotaBytes };
}

function demandDays(days: number): void {
  if (isWithin(days, LOCK_DAYS_MIN, LOCK_DAYS_MAX)) return;
  throw invalid(`a lock is for ${LOCK_DAYS_MIN} to ${LOCK_DAYS_MAX} days`);
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

function invalid(message: string): StoreError {
  return new StoreError('INVALID', message);
}
