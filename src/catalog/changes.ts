/**
 * The changes that are committed: what each looks at, decides and writes. They are built inside the
 * commit's critical section, one after the other, so what they see is what they change.
 */
import { StoreError } from '../base/errors.js';
import { CONTAINER_COUNT_MAX } from '../base/limits.js';
import type { Change } from './commit-queue.js';
import { type FileKey, fileMapKey } from './file-index.js';
import type { GroupState } from './group-state.js';
import { type FileRow, type LogRecord, type PutRecord, RecordType, type Settings } from './record.js';

/** The file as it is from now on. NOT_FOUND: its container is gone. */
export function putChange(state: GroupState, put: PutRecord): Change<FileRow> {
  return {
    keys: [put],
    needsSync: true,
    build(working) {
      demandContainer(state, put.containerId);
      const row = { ...put, type: RecordType.CHECKPOINT_FILE, version: working.sequence };
      working.files.set(fileMapKey(put), row);
      return { records: [put], result: row };
    },
  };
}

/** NOT_FOUND when there is no such file; `ifPresent`: nothing is done then. */
export function deleteChange(key: FileKey, container: string, ifPresent = false): Change<void> {
  return {
    keys: [key],
    needsSync: false,
    build(working) {
      const row = working.files.get(fileMapKey(key));
      if (row === undefined) {
        if (ifPresent) return { records: [], result: undefined };
        throw new StoreError('NOT_FOUND', `there is no file '${key.name}' in container '${container}'`);
      }
      working.files.set(fileMapKey(key), undefined);
      const { containerId, name } = key;
      return {
        records: [{ type: RecordType.DELETE, containerId, name, version: row.version }],
        result: undefined,
      };
    },
  };
}

/** The new container's id. */
export function addContainerChange(state: GroupState, name: string, createdMs: number): Change<number> {
  return {
    keys: [],
    needsSync: false,
    build(working) {
      if (state.containers.size >= CONTAINER_COUNT_MAX) {
        throw new StoreError('INVALID', `a storage group has at most ${CONTAINER_COUNT_MAX} containers`);
      }
      working.lastContainerId += 1;
      const containerId = working.lastContainerId;
      return {
        records: [{ type: RecordType.CONTAINER_ADD, containerId, name, createdMs }],
        result: containerId,
      };
    },
  };
}

/** EXISTS while there are files in it. The container is marked as closing, so none comes any more. */
export function deleteContainerChange(state: GroupState, containerId: number): Change<void> {
  return {
    keys: [],
    needsSync: false,
    build() {
      const container = state.containers.get(containerId);
      if (container === undefined) throw new StoreError('NOT_FOUND', 'the container is gone');
      if (container.totals.files > 0) {
        throw new StoreError('EXISTS', `container '${container.name}' holds ${container.totals.files} files`);
      }
      return { records: [{ type: RecordType.CONTAINER_DELETE, containerId }], result: undefined };
    },
  };
}

export function configChange(settings: Settings): Change<void> {
  return recordsChange([{ ...settings, type: RecordType.CONFIG }]);
}

/** Entries that depend on nothing. */
export function recordsChange(records: readonly LogRecord[]): Change<void> {
  return { keys: [], needsSync: false, build: () => ({ records, result: undefined }) };
}

function demandContainer(state: GroupState, containerId: number): void {
  const container = state.containers.get(containerId);
  if (container !== undefined && !container.isClosing) return;
  throw new StoreError('NOT_FOUND', 'the container has been deleted');
}
