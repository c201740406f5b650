/**
 * Brings a view up to date with its log. Where the view lags behind, it gets the records that it lacks;
 * where it cannot be used (ahead of the log, older than what the log still has, undecodable), it is emptied
 * and made anew: from the log's first record, or, when the log's start has been dropped, from the newest
 * complete checkpoint. Doing it twice changes nothing.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { COMMIT_GROUP_MAX } from '../base/limits.js';
import type { EngineHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { GroupState, SequencedRecord } from './group-state.js';
import { decoded, readLog } from './log-reader.js';
import { RecordType } from './record.js';

export interface ReplayTarget {
  readonly lane: Pick<Lane, 'call'>;
  readonly engine: EngineHandle;
  /** Numbers of the first and the last record that the log gives; both 0 when it is empty. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Records that have been applied, of those that are to be. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ReplayReport {
  readonly records: number;
  /** Why the view was made anew; absent when it was not. */
  readonly rebuilt?: string;
}

/** `state` has been opened. CORRUPT: the log itself cannot be applied. */
export async function replay(state: GroupState, target: ReplayTarget): Promise<ReplayReport> {
  const before = state.sequence;
  if (state.sequence > target.lastSequence) {
    return rebuild(
      state,
      target,
      `it had applied record ${state.sequence} of a log that ends at ${target.lastSequence}`,
    );
  }
  if (state.sequence + 1 < target.firstSequence) {
    return rebuild(
      state,
      target,
      before === 0 ? 'it was empty' : `the log begins at ${target.firstSequence} only`,
    );
  }
  try {
    await applyRange(state, target, state.sequence + 1, target.lastSequence);
  } catch (thrown) {
    if (!hasCode(thrown, 'CORRUPT') || before === 0) throw thrown;
    return rebuild(state, target, asStoreError(thrown).message);
  }
  return { records: state.sequence - before };
}

/** Empties the view and makes it anew. */
export async function rebuild(
  state: GroupState,
  target: ReplayTarget,
  reason: string,
): Promise<ReplayReport> {
  await state.clear();
  let from = 1;
  if (target.firstSequence > 1) {
    const { begin, end } = await newestCheckpoint(target);
    state.beginRestore(begin, end);
    await applyRange(state, target, begin, end);
    from = begin + 1;
  }
  await applyRange(state, target, from, target.lastSequence);
  return { records: target.lastSequence - from + 1, rebuilt: reason };
}

async function applyRange(state: GroupState, target: ReplayTarget, from: number, to: number): Promise<void> {
  for await (const batch of readLog(target.lane, target.engine, from, to)) {
    const records: SequencedRecord[] = batch.filter(({ sequence }) => sequence <= to).map(decoded);
    for (let start = 0; start < records.length; start += COMMIT_GROUP_MAX) {
      await state.apply(records.slice(start, start + COMMIT_GROUP_MAX));
    }
    target.onProgress?.(state.sequence - from + 1, target.lastSequence - from + 1);
  }
}

/** The last BEGIN whose END is in the log. CORRUPT when there is none. */
async function newestCheckpoint(target: ReplayTarget): Promise<{ begin: number; end: number }> {
  const begins = new Set<number>();
  let newest: { begin: number; end: number } | undefined;
  for await (const batch of readLog(target.lane, target.engine, target.firstSequence, target.lastSequence)) {
    for (const raw of batch) {
      if (raw.type === RecordType.CHECKPOINT_BEGIN) begins.add(raw.sequence);
      if (raw.type !== RecordType.CHECKPOINT_END) continue;
      const { record } = decoded(raw);
      if (record?.type === RecordType.CHECKPOINT_END && begins.has(record.beginSequence)) {
        newest = { begin: record.beginSequence, end: raw.sequence };
      }
    }
  }
  if (newest !== undefined) return newest;
  throw new StoreError(
    'CORRUPT',
    `the log begins at record ${target.firstSequence} and holds no complete checkpoint`,
  );
}
