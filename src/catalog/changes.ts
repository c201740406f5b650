/**
 * The changes that are committed: what each looks at, decides and writes. They are built inside the
 * commit's critical section, one after the other, so what they see is what they change. Whatever takes a
 * version away asks retention.ts there.
 */
import { StoreError } from '../base/errors.js';
import { CONTAINER_COUNT_MAX } from '../base/limits.js';
import { binMapKey } from './bin-index.js';
import type { Change, Working } from './commit-queue.js';
import { type ContainerState, plainPolicy } from './container-table.js';
import { asBinRow, putRow } from './file-changes.js';
import { type FileKey, fileMapKey } from './file-index.js';
import type { GroupState } from './group-state.js';
import { demandRoom } from './quota.js';
import {
  type ContainerPolicy,
  type FileRow,
  type LogRecord,
  type PutRecord,
  RecordType,
  type Settings,
} from './record.js';
import { binUntil, defaultKeeping, demandRemovable, policyFrom } from './retention.js';
import type { RetentionClock } from './retention-clock.js';
import type { ContainerSettings } from './types.js';

/** What changes of files decide by. */
export interface Ground {
  readonly state: GroupState;
  readonly retention: RetentionClock;
}

/** The file as it is from now on. NOT_FOUND: its container is gone. LOCKED, NO_SPACE: it may not be. */
export function putChange({ state, retention }: Ground, put: PutRecord): Change<FileRow> {
  return {
    keys: [put],
    needsSync: true,
    build(working) {
      const container = demandContainer(state, put.containerId);
      const nowMs = retention.nowMs();
      const old = working.files.get(fileMapKey(put));
      if (old !== undefined) demandRemovable(old, nowMs);
      demandRoomFor(container, working, put.size - (old?.size ?? 0));
      const until = old === undefined ? undefined : binUntil(container.policy, nowMs);
      const record: PutRecord = { ...put, ...defaultKeeping(container.policy, nowMs), ...binField(until) };
      const isTimed = until !== undefined || record.lockUntilMs !== undefined;
      const before = isTimed ? firstClock(working, nowMs) : [];
      const row = putRow(record, working.sequence + before.length);
      replace(working, put, row, until);
      return { records: [...before, record], result: row };
    },
  };
}

/** NOT_FOUND when there is no such file; `ifPresent`: nothing is done then. LOCKED: it may not go. */
export function deleteChange(
  { state, retention }: Ground,
  key: FileKey,
  container: string,
  ifPresent = false,
): Change<void> {
  return {
    keys: [key],
    needsSync: false,
    build(working) {
      const row = working.files.get(fileMapKey(key));
      if (row === undefined) {
        if (ifPresent) return { records: [], result: undefined };
        throw new StoreError('NOT_FOUND', `there is no file '${key.name}' in container '${container}'`);
      }
      const nowMs = retention.nowMs();
      demandRemovable(row, nowMs);
      const until = binUntil(state.containers.get(key.containerId)?.policy ?? {}, nowMs);
      const before = until === undefined ? [] : firstClock(working, nowMs);
      replace(working, key, undefined, until);
      const { containerId, name } = key;
      const { version } = row;
      return {
        records: [...before, { type: RecordType.DELETE, containerId, name, version, ...binField(until) }],
        result: undefined,
      };
    },
  };
}

/** The new container's id. */
export function addContainerChange(
  state: GroupState,
  name: string,
  createdMs: number,
  settings: Partial<ContainerSettings> = {},
): Change<number> {
  return {
    keys: [],
    needsSync: false,
    build(working) {
      if (state.containers.size >= CONTAINER_COUNT_MAX) {
        throw new StoreError('INVALID', `a storage group has at most ${CONTAINER_COUNT_MAX} containers`);
      }
      const policy = plainPolicy(policyFrom({}, settings));
      working.lastContainerId += 1;
      const containerId = working.lastContainerId;
      return {
        records: [{ type: RecordType.CONTAINER_ADD, containerId, name, createdMs, ...policy }],
        result: containerId,
      };
    },
  };
}

/** Alone: whatever is committed behind it goes by the new policy. INVALID: it cannot be had. */
export function updateContainerChange(
  state: GroupState,
  containerId: number,
  change: Partial<ContainerSettings>,
): Change<void> {
  return {
    keys: [],
    needsSync: false,
    isExclusive: true,
    build() {
      const { policy, totals } = demandContainer(state, containerId);
      const next: ContainerPolicy = plainPolicy(policyFrom(policy, change));
      const quota = next.logicalQuotaBytes ?? 0;
      if (change.quotaBytes !== undefined && quota > 0 && quota < totals.logicalBytes) {
        throw new StoreError(
          'INVALID',
          `the quota must not be below what the files have: ${totals.logicalBytes} bytes`,
        );
      }
      return { records: [{ type: RecordType.CONTAINER_UPDATE, containerId, ...next }], result: undefined };
    },
  };
}

/**
 * EXISTS while there are files in it, LOCKED while versions are in its recycle bin. The container is marked
 * as closing, so none comes any more.
 */
export function deleteContainerChange(state: GroupState, containerId: number): Change<void> {
  return {
    keys: [],
    needsSync: false,
    build() {
      const container = state.containers.get(containerId);
      if (container === undefined) throw new StoreError('NOT_FOUND', 'the container is gone');
      const { name, totals, binTotals } = container;
      if (totals.files > 0) {
        throw new StoreError('EXISTS', `container '${name}' holds ${totals.files} files`);
      }
      if (binTotals.files > 0) {
        throw new StoreError(
          'LOCKED',
          `the recycle bin of container '${name}' holds ${binTotals.files} files`,
        );
      }
      return { records: [{ type: RecordType.CONTAINER_DELETE, containerId }], result: undefined };
    },
  };
}

/** What a new group's log begins with: settings, and the time at which its retention clock starts. */
export function firstChange(settings: Settings, retentionMs: number): Change<void> {
  return recordsChange([
    { ...settings, type: RecordType.CONFIG },
    { type: RecordType.CLOCK, retentionMs },
  ]);
}

export function configChange(settings: Settings): Change<void> {
  return recordsChange([{ ...settings, type: RecordType.CONFIG }]);
}

/** Entries that depend on nothing. */
export function recordsChange(records: readonly LogRecord[]): Change<void> {
  return { keys: [], needsSync: false, build: () => ({ records, result: undefined }) };
}

// --- steps of changes ---

/** NOT_FOUND: there is no such container, or it is being deleted. */
export function demandContainer(state: GroupState, containerId: number): ContainerState {
  const container = state.containers.get(containerId);
  if (container !== undefined && !container.isClosing) return container;
  throw new StoreError('NOT_FOUND', 'the container has been deleted');
}

/** NO_SPACE: the changes before and this one together are too much for the container's quota. */
export function demandRoomFor(container: ContainerState, working: Working, growth: number): void {
  demandRoom(container, container.totals.logicalBytes + (working.growth.get(container.id) ?? 0), growth);
}

/** Puts `row` into the place of the file of that name, which is gone or, with `until`, in the recycle bin. */
export function replace(
  working: Working,
  { containerId, name }: FileKey,
  row: FileRow | undefined,
  until: number | undefined,
): void {
  const key = fileMapKey({ containerId, name });
  const old = working.files.get(key);
  working.files.set(key, row);
  if (old !== undefined && until !== undefined) working.bin.set(binMapKey(old), asBinRow(old, until));
  const growth = (row?.size ?? 0) - (old?.size ?? 0);
  working.growth.set(containerId, (working.growth.get(containerId) ?? 0) + growth);
}

/**
 * What the log needs before the first entry that counts by the retention clock, so that it never starts
 * anew at a wall clock that has been moved.
 */
export function firstClock(working: Working, nowMs: number): LogRecord[] {
  return working.retentionMs > 0 ? [] : clockEntry(working, nowMs);
}

export function clockEntry(working: Working, nowMs: number): LogRecord[] {
  working.retentionMs = nowMs;
  return [{ type: RecordType.CLOCK, retentionMs: nowMs }];
}

export function binField(until: number | undefined): { binUntilMs?: number } {
  return until === undefined ? {} : { binUntilMs: until };
}
