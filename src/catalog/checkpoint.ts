/**
 * Checkpoints: the whole catalog written into the log, so that what lies before may be dropped. BEGIN and
 * all containers are one change that is committed alone; the snapshot of the files is taken at that very
 * moment, so the entries are the state at BEGIN whatever is committed while they are written (restoring.ts
 * says how they are read back). END carries counts and digest; it is written only when the walk over the
 * view agrees with the digest that the commits have kept. When it does not, the view is wrong: it is made
 * anew.
 */
import { assert } from '../base/assert.js';
import { CHECKPOINT_BATCH_BYTES, CHECKPOINT_INTERVAL_BYTES } from '../base/limits.js';
import { recordsChange } from './changes.js';
import { containerRow } from './container-table.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import { type ContainerRow, encodeRecord, type FileRow, type LogRecord, RecordType } from './record.js';
import { SetDigest } from './set-digest.js';

interface Snapshot {
  readonly begin: number;
  readonly digest: Uint8Array;
  readonly fileCount: number;
  readonly containers: readonly ContainerRow[];
  readonly files: AsyncIterable<FileRow>;
}

/**
 * Has enough been logged since the last checkpoint? At least as much as that one took, so that they never
 * outweigh the commits.
 */
export function isCheckpointDue(context: CatalogContext, group: OpenedGroup): boolean {
  const { logBytes, checkpointBytes } = group.state.mark;
  const interval = context.checkpointInterval ?? CHECKPOINT_INTERVAL_BYTES;
  return logBytes >= Math.max(interval, 2 * checkpointBytes);
}

/** Writes a checkpoint; or, when the view does not agree with the commits, makes it anew and writes none. */
export async function writeCheckpoint(
  context: CatalogContext,
  group: OpenedGroup,
  isStopped: () => boolean = () => false,
): Promise<void> {
  const snapshot = await beginCheckpoint(group);
  const batchBytes = context.checkpointBatch ?? CHECKPOINT_BATCH_BYTES;
  const found = await writeFiles(group, snapshot, batchBytes, isStopped);
  if (found === undefined) return;
  if (found.fileCount !== snapshot.fileCount || !found.digest.equals(snapshot.digest)) {
    return rebuildView(context, group, found.fileCount, snapshot.fileCount);
  }
  await group.commit(
    recordsChange([
      {
        type: RecordType.CHECKPOINT_END,
        beginSequence: snapshot.begin,
        fileCount: snapshot.fileCount,
        containerCount: snapshot.containers.length,
        setDigest: snapshot.digest,
      },
    ]),
  );
  const { begin, previousBegin } = group.state.mark;
  assert(begin === snapshot.begin, `checkpoint ${snapshot.begin} is complete when its END is applied`);
  await group.setCheckpoint(begin, previousBegin);
}

/** BEGIN and the containers, and what is to follow: all as they are at this one moment. */
async function beginCheckpoint(group: OpenedGroup): Promise<Snapshot> {
  const { state } = group;
  let files: AsyncIterable<FileRow> | undefined;
  const head = await group.commit<Omit<Snapshot, 'files'>>({
    keys: [],
    needsSync: false,
    isExclusive: true,
    build({ sequence, lastContainerId }) {
      const containers = [...state.containers.values()].map(containerRow);
      const type = RecordType.CHECKPOINT_BEGIN;
      // Those of data stores in the trash come again with their MOVE.
      const duplicateBytes = state.mark.duplicateBytes - state.stores.movedDuplicateBytes;
      const { retentionMs } = state.mark;
      const begin: LogRecord = {
        ...{ ...group.settings, type, containerId: lastContainerId, duplicateBytes },
        ...(retentionMs === 0 ? {} : { retentionMs }),
      };
      const fileCount = state.totals.files + state.binTotals.files;
      return {
        records: [begin, ...containers, ...state.stores.records()],
        result: { begin: sequence, digest: state.digest, fileCount, containers },
      };
    },
    applied: () => {
      files = state.scanAll();
    },
  });
  assert(files !== undefined, 'the snapshot was taken when BEGIN was applied');
  return { ...head, files };
}

async function writeFiles(
  group: OpenedGroup,
  snapshot: Snapshot,
  batchBytes: number,
  isStopped: () => boolean,
): Promise<{ digest: SetDigest; fileCount: number } | undefined> {
  const digest = new SetDigest();
  for (const container of snapshot.containers) digest.add(container);
  let fileCount = 0;
  let batch: LogRecord[] = [];
  let bytes = 0;
  for await (const row of snapshot.files) {
    digest.add(row);
    fileCount += 1;
    batch.push(row);
    bytes += encodeRecord(row).length;
    if (bytes < batchBytes) continue;
    if (isStopped()) return undefined; // BEGIN without END counts for nothing
    await group.commit(recordsChange(batch));
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) await group.commit(recordsChange(batch));
  return { digest, fileCount };
}

async function rebuildView(
  context: CatalogContext,
  group: OpenedGroup,
  found: number,
  wanted: number,
): Promise<void> {
  const reason = `the view disagrees with its commits (${found} files found, ${wanted} counted): made anew`;
  context.onEvent({ level: 'error', group: group.name, message: reason });
  await group.rebuildView(reason);
}
