/**
 * Mark 1: all files as they are at one moment, taken from the view while nothing is committed, and everything
 * below their blockmaps. The walk counts only when it met exactly what the commits have counted: an iterator
 * that ends early, a listing that lacks a row, a row that is another's ends the cycle.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { CLEANER_ROOTS_MAX } from '../base/limits.js';
import { NodeHints } from '../catalog/node-hints.js';
import { type FileRow, RecordType } from '../catalog/record.js';
import { SetDigest } from '../catalog/set-digest.js';
import type { MarkHandle } from '../native/binding.js';
import { ROOT_SIZE } from '../native/binding.js';
import { packRoots } from './roots.js';
import type { Work } from './work.js';

export interface ViewMark {
  /** The caller closes it. */
  readonly handle: MarkHandle;
  /** What the files of the mark brought, and what the cleaner had dropped of it as duplicates by then. */
  readonly newBytes: number;
  readonly duplicateBytes: number;
  /** The first of them as the group's totals had it. */
  readonly totalNewBytes: number;
}

interface Snapshot {
  readonly files: AsyncIterable<FileRow>;
  readonly digest: SetDigest;
  readonly wanted: Uint8Array;
  readonly fileCount: number;
  readonly duplicateBytes: number;
  readonly totalNewBytes: number;
}

/** CORRUPT: the walk is not whole, or a blockmap cannot be read; nothing may be decided then. */
export async function markFromView(work: Work): Promise<ViewMark> {
  const snapshot = await takeSnapshot(work);
  work.begin('mark', snapshot.fileCount);
  const handle = await work.call('openMark', work.engine);
  try {
    const newBytes = await walk(work, handle, snapshot);
    const { duplicateBytes, totalNewBytes } = snapshot;
    return { handle, newBytes, duplicateBytes, totalNewBytes };
  } catch (thrown) {
    await work.callAnyway('closeMark', work.engine, handle);
    throw thrown;
  }
}

async function takeSnapshot({ group }: Work): Promise<Snapshot> {
  const { state, queue } = group;
  let snapshot: Snapshot | undefined;
  await queue.exclusive(async () => {
    const digest = new SetDigest();
    for (const { id: containerId, name, createdMs } of state.containers.values()) {
      digest.add({ type: RecordType.CHECKPOINT_CONTAINER, containerId, name, createdMs });
    }
    snapshot = {
      files: state.index.scan(),
      digest,
      wanted: state.digest,
      fileCount: state.totals.files,
      duplicateBytes: state.mark.duplicateBytes,
      totalNewBytes: state.totals.newBytes,
    };
  });
  return snapshot!;
}

async function walk(work: Work, handle: MarkHandle, snapshot: Snapshot): Promise<number> {
  let newBytes = 0;
  let batch: FileRow[] = [];
  for await (const row of snapshot.files) {
    snapshot.digest.add(row);
    newBytes += row.newBytes;
    batch.push(row);
    if (batch.length < CLEANER_ROOTS_MAX) continue;
    await markBatch(work, handle, batch);
    batch = [];
  }
  await markBatch(work, handle, batch);
  if (snapshot.digest.equals(snapshot.wanted)) return newBytes;
  throw new StoreError(
    'CORRUPT',
    `the view gives ${work.figures.files} files that are not the ${snapshot.fileCount} that were committed`,
  );
}

async function markBatch(work: Work, handle: MarkHandle, rows: readonly FileRow[]): Promise<void> {
  const hints = new NodeHints(work.group);
  const packed = packRoots(rows);
  let done = 0;
  while (done < rows.length) {
    const rest = packed.slice(done * ROOT_SIZE);
    const report = await work
      .call('markRoots', work.engine, handle, rest, rows.length - done)
      .catch((thrown: unknown) => blame(work, handle, rows.slice(done), thrown));
    done += report.done;
    work.figures.nodes = report.nodeCount;
    work.figures.chunks = report.chunkCount;
    if (report.unresolved === undefined) continue;
    await hints.resolve(report.unresolved).catch((thrown: unknown) => {
      throw named(work, rows[done]!, thrown);
    });
  }
  work.figures.files += rows.length;
  work.progress.done += rows.length;
}

/** One of the rows cannot be marked: which one? The mark is of no use any more, so walking it again harms nobody. */
async function blame(
  work: Work,
  handle: MarkHandle,
  rows: readonly FileRow[],
  thrown: unknown,
): Promise<never> {
  if (!hasCode(thrown, 'CORRUPT')) throw thrown;
  for (const row of rows) {
    await work.call('markRoots', work.engine, handle, packRoots([row]), 1).catch((again: unknown) => {
      throw named(work, row, again);
    });
  }
  throw thrown;
}

function named({ group }: Work, row: FileRow, thrown: unknown): StoreError {
  const error = asStoreError(thrown);
  const container = group.state.containers.get(row.containerId)?.name ?? row.containerId;
  return new StoreError(error.code, `file ${container}/${row.name}: ${error.message}`, { cause: error });
}
