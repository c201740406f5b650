/** Changes of how versions are kept: locks and holds, out of the recycle bin and back, for good. */
import { StoreError } from '../base/errors.js';
import { type BinKey, binMapKey } from './bin-index.js';
import {
  binField,
  clockEntry,
  demandContainer,
  demandRoomFor,
  firstClock,
  type Ground,
  replace,
} from './changes.js';
import type { Change, Working } from './commit-queue.js';
import { keptAs, withoutBin } from './file-changes.js';
import { type FileKey, fileMapKey } from './file-index.js';
import { type FileRow, type LogRecord, RecordType } from './record.js';
import { binUntil, demandRemovable, keepingFrom, mayLeaveBin } from './retention.js';
import type { LockRequest } from './types.js';

/** The version as it is kept from now on. NOT_FOUND; LOCKED: it would be kept less, and may not be. */
export function lockChange(
  { state, retention }: Ground,
  key: FileKey,
  container: string,
  request: LockRequest,
): Change<FileRow> {
  const { containerId, name } = key;
  const binKey = request.version === undefined ? undefined : { containerId, version: request.version };
  return {
    keys: [key],
    binKeys: binKey === undefined ? [] : [binKey],
    needsSync: false,
    build(working) {
      demandContainer(state, containerId);
      const row = versionOf(working, key, request.version);
      if (row === undefined) throw notFound(key, container, request.version);
      const nowMs = retention.nowMs();
      const keeping = keepingFrom(row, request, nowMs);
      const before = keeping.lockUntilMs === undefined ? [] : firstClock(working, nowMs);
      const kept = keptAs(row, keeping);
      if (kept.binUntilMs === undefined) working.files.set(fileMapKey(key), kept);
      else working.bin.set(binMapKey(kept), { ...kept, binUntilMs: kept.binUntilMs });
      const { version } = row;
      return {
        records: [...before, { type: RecordType.LOCK, containerId, name, version, ...keeping }],
        result: kept,
      };
    },
  };
}

/** The current file of that name, or the version of it, current or in the bin. */
function versionOf(working: Working, key: FileKey, version: number | undefined): FileRow | undefined {
  const file = working.files.get(fileMapKey(key));
  if (version === undefined || file?.version === version) return file;
  const row = working.bin.get(binMapKey({ containerId: key.containerId, version }));
  return row?.name === key.name ? row : undefined;
}

/**
 * The version is the file of its name again, and is answered; what is there goes to the bin. NOT_FOUND: it is
 * not in the bin. LOCKED: what is there may not be replaced.
 */
export function restoreChange(
  { state, retention }: Ground,
  key: FileKey & BinKey,
  container: string,
): Change<FileRow> {
  const { containerId, name, version } = key;
  return {
    keys: [key],
    binKeys: [key],
    needsSync: false,
    build(working) {
      const inContainer = demandContainer(state, containerId);
      const row = working.bin.get(binMapKey(key));
      if (row === undefined || row.name !== name) throw notFound(key, container, version);
      const nowMs = retention.nowMs();
      const old = working.files.get(fileMapKey(key));
      if (old !== undefined) demandRemovable(old, nowMs);
      demandRoomFor(inContainer, working, row.size - (old?.size ?? 0));
      const until = old === undefined ? undefined : binUntil(inContainer.policy, nowMs);
      const before = until === undefined ? [] : firstClock(working, nowMs);
      const restored = withoutBin(row);
      working.bin.set(binMapKey(key), undefined);
      replace(working, key, restored, until);
      return {
        records: [
          ...before,
          { type: RecordType.BIN_RESTORE, containerId, name, version, ...binField(until) },
        ],
        result: restored,
      };
    },
  };
}

/**
 * Versions leave the recycle bin for good as far as they may; answers how many. The clock is logged first.
 */
export function dropChange({ retention }: Ground, keys: readonly BinKey[]): Change<number> {
  return {
    keys: [],
    binKeys: keys,
    needsSync: false,
    build(working) {
      const nowMs = retention.nowMs();
      const drops: LogRecord[] = [];
      for (const key of keys) {
        const row = working.bin.get(binMapKey(key));
        if (row === undefined || !mayLeaveBin(row, nowMs)) continue;
        const { containerId, name, version } = row;
        drops.push({ type: RecordType.BIN_DROP, containerId, name, version });
        working.bin.set(binMapKey(key), undefined);
      }
      const before = drops.length === 0 ? [] : clockEntry(working, nowMs);
      return { records: [...before, ...drops], result: drops.length };
    },
  };
}

function notFound(key: FileKey, container: string, version: number | undefined): StoreError {
  const what = version === undefined ? 'file' : `version ${version} of`;
  return new StoreError('NOT_FOUND', `there is no ${what} '${key.name}' in container '${container}'`);
}
