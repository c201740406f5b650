/**
 * Mark 1: all files and what lies in recycle bins, as they are at one moment, taken from the view while
 * nothing is committed, and everything below their blockmaps. The walk counts only when it met exactly what
 * the commits have counted: an iterator that ends early, a listing that lacks a row, a row that is another's
 * ends the cycle.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { CLEANER_ROOTS_MAX } from '../base/limits.js';
import { containerRow } from '../catalog/container-table.js';
import { NodeHints } from '../catalog/node-hints.js';
import type { FileRow } from '../catalog/record.js';
import { SetDigest } from '../catalog/set-digest.js';
import { type MarkHandle, ROOT_SIZE } from '../native/binding.js';
import { packRoots, type Root } from './roots.js';
import type { Work } from './work.js';

export interface ViewMark {
  /** The caller closes it. */
  readonly handle: MarkHandle;
  /** What the files of the mark brought, and what the cleaner had dropped of it as duplicates by then. */
  readonly newBytes: number;
  readonly duplicateBytes: number;
  /** The first of them as the group's totals had it. */
  readonly totalNewBytes: number;
  /** Sizes of all its files. */
  readonly namedBytes: number;
}

interface Snapshot {
  readonly files: AsyncIterable<FileRow>;
  /** What restores are reading, of files that may have been deleted since. */
  readonly reads: readonly Root[];
  readonly digest: SetDigest;
  readonly wanted: Uint8Array;
  readonly fileCount: number;
  readonly duplicateBytes: number;
  readonly totalNewBytes: number;
  readonly namedBytes: number;
}

/** CORRUPT: the walk is not whole, or a blockmap cannot be read; nothing may be decided then. */
export async function markFromView(work: Work): Promise<ViewMark> {
  const snapshot = await takeSnapshot(work);
  work.begin('mark', snapshot.fileCount);
  const handle = await work.call('openMark', work.engine);
  try {
    const newBytes = await walk(work, handle, snapshot);
    const { duplicateBytes, totalNewBytes, namedBytes } = snapshot;
    return { handle, newBytes, duplicateBytes, totalNewBytes, namedBytes };
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
    for (const container of state.containers.values()) digest.add(containerRow(container));
    snapshot = {
      files: state.scanAll(),
      reads: [...group.openReads],
      digest,
      wanted: state.digest,
      fileCount: state.totals.files + state.binTotals.files,
      duplicateBytes: state.mark.duplicateBytes,
      totalNewBytes: state.totals.newBytes + state.binTotals.newBytes,
      namedBytes: state.totals.logicalBytes + state.binTotals.logicalBytes,
    };
  });
  return snapshot!;
}

async function walk(work: Work, handle: MarkHandle, snapshot: Snapshot): Promise<number> {
  let newBytes = 0;
  const files = snapshot.files[Symbol.asyncIterator]();
  try {
    for (let isEnd = false; !isEnd; ) {
      const batch = await work.paced(() => nextRows(files, snapshot.digest));
      isEnd = batch.length < CLEANER_ROOTS_MAX;
      await markBatch(work, handle, batch, root => fileName(work, root as FileRow));
      newBytes = batch.reduce((sum, row) => sum + row.newBytes, newBytes);
      work.figures.files += batch.length;
      work.progress.done += batch.length;
    }
  } finally {
    await files.return?.();
  }
  if (!snapshot.digest.equals(snapshot.wanted)) {
    throw new StoreError(
      'CORRUPT',
      `the view gives ${work.figures.files} files that are not the ${snapshot.fileCount} that were committed`,
    );
  }
  await markBatch(work, handle, snapshot.reads, () => 'a file that is being restored');
  return newBytes;
}

/** CLEANER_ROOTS_MAX of them; fewer at the end. */
async function nextRows(files: AsyncIterator<FileRow>, digest: SetDigest): Promise<FileRow[]> {
  const rows: FileRow[] = [];
  while (rows.length < CLEANER_ROOTS_MAX) {
    const next = await files.next();
    if (next.done === true) break;
    digest.add(next.value);
    rows.push(next.value);
  }
  return rows;
}

type NameOf = (root: Root) => string;

async function markBatch(
  work: Work,
  handle: MarkHandle,
  roots: readonly Root[],
  nameOf: NameOf,
): Promise<void> {
  const hints = new NodeHints(work.group);
  const packed = packRoots(roots);
  let done = 0;
  while (done < roots.length) {
    const rest = packed.slice(done * ROOT_SIZE);
    const report = await work
      .call('markRoots', work.engine, handle, rest, roots.length - done)
      .catch((thrown: unknown) => blame(work, handle, roots.slice(done), nameOf, thrown));
    done += report.done;
    work.figures.nodes = report.nodeCount;
    work.figures.chunks = report.chunkCount;
    if (report.unresolved === undefined) continue;
    await hints.resolve(report.unresolved).catch((thrown: unknown) => {
      throw named(nameOf(roots[done]!), thrown);
    });
  }
}

/** One of them cannot be marked: which? The mark is of no use any more, so that it may be walked again. */
async function blame(
  work: Work,
  handle: MarkHandle,
  roots: readonly Root[],
  nameOf: NameOf,
  thrown: unknown,
): Promise<never> {
  if (!hasCode(thrown, 'CORRUPT')) throw thrown;
  for (const root of roots) {
    await work.call('markRoots', work.engine, handle, packRoots([root]), 1).catch((again: unknown) => {
      throw named(nameOf(root), again);
    });
  }
  throw thrown;
}

function named(what: string, thrown: unknown): StoreError {
  const error = asStoreError(thrown);
  return new StoreError(error.code, `${what}: ${error.message}`, { cause: error });
}

function fileName({ group }: Work, { containerId, name }: FileRow): string {
  return `file ${group.state.containers.get(containerId)?.name ?? containerId}/${name}`;
}
