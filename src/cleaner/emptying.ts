/**
 * Empties condemned data stores on which both marks agree: what is not dead is copied forward (checked,
 * sealed anew) and synced, the MOVE is durable, the view's entries follow, and only then the file goes to the
 * trash. Each step may be repeated; what a crash leaves is finished by the next cycle.
 */
import { asStoreError, hasCode } from '../base/errors.js';
import { CLEANER_COPY_BYTES } from '../base/limits.js';
import { type CondemnRecord, RecordType } from '../catalog/record.js';
import type { StoreState } from '../catalog/store-states.js';
import type { DataStoreInfo } from '../native/binding.js';
import { quarantine } from './damaged-chunks.js';
import { pardon } from './pardon.js';
import { forgetPlaces } from './place-rows.js';
import { idBytes, type Work } from './work.js';

/** The deadest first: they give most for what they cost. Answers when there is nothing more, or no room. */
export async function emptyStores(work: Work, states: readonly StoreState[]): Promise<void> {
  const stores = await work.dataStores();
  const waiting = states
    .flatMap(state => ({ state, info: stores.get(state.id) }))
    .filter((entry): entry is { state: StoreState; info: DataStoreInfo } => entry.info !== undefined)
    .sort((a, b) => liveCount(a.state, a.info) - liveCount(b.state, b.info));
  work.begin('copy', waiting.length);
  for (const { state, info } of waiting) {
    try {
      await emptyOne(work, state, info);
    } catch (thrown) {
      if (!hasCode(thrown, 'NO_SPACE')) throw thrown;
      work.note('warn', `no room to copy what is alive in data store ${state.id}: ${String(thrown)}`);
      return;
    }
    work.progress.done += 1;
  }
}

async function emptyOne(work: Work, state: StoreState, info: DataStoreInfo): Promise<void> {
  let duplicateBytes = 0;
  if (liveCount(state, info) > 0) {
    const copied = await copyForward(work, state.id, info.chunkCount);
    if (copied === undefined) return;
    duplicateBytes = copied;
    // What was not copied, because another data store had it, may have come in just now.
    await work.call('sync', work.engine);
  }
  await work.commit({
    type: RecordType.MOVE,
    epoch: work.figures.epoch,
    dataStore: idBytes(state.id),
    duplicateBytes,
  });
  work.figures.emptiedStores += 1;
  await trash(work, state.id);
}

/** Plain bytes that another data store had, too; undefined: it has damaged chunks, and stays. */
async function copyForward(work: Work, id: string, chunkCount: number): Promise<number | undefined> {
  const { figures } = work;
  let duplicateBytes = 0;
  for (let from = 0; from < chunkCount; ) {
    const report = await work.call('copyForward', work.engine, id, from, CLEANER_COPY_BYTES);
    if (report.damaged.length > 0) {
      await quarantine(work, id, report.damaged);
      return undefined;
    }
    duplicateBytes += report.duplicatePlainBytes;
    figures.copiedBytes += report.copiedPlainBytes;
    figures.copiedStoredBytes += report.copiedStoredBytes;
    from = report.next;
  }
  figures.duplicateBytes += duplicateBytes;
  return duplicateBytes;
}

/**
 * Its MOVE is in the log. Again after a crash; when a stream holds it still, or the volume is so full that it
 * cannot be renamed, another cycle comes, and what can go goes in this one. A copy that was condemned or put
 * into quarantine meanwhile is none: then it is a data store like any other again.
 */
export async function trash(work: Work, id: string): Promise<void> {
  await work.group.placeMarks.change(async () => {
    await forgetPlaces(work, id);
    try {
      await work.call('trashStore', work.engine, id);
    } catch (thrown) {
      if (hasCode(thrown, 'BUSY')) return;
      if (hasCode(thrown, 'NO_SPACE')) {
        work.note('warn', `no room for data store ${id} in the trash: ${asStoreError(thrown).message}`);
        return;
      }
      if (!hasCode(thrown, 'INVALID')) throw thrown;
      await pardon(work, id);
      work.note('warn', `data store ${id} stays, and is looked at anew: ${asStoreError(thrown).message}`);
    }
  });
}

/** Chunks of it that are not condemned. */
export function liveCount({ condemned }: StoreState, { chunkCount }: DataStoreInfo): number {
  return chunkCount - condemned.reduce((sum, record) => sum + bitCount(record), 0);
}

function bitCount({ bits }: CondemnRecord): number {
  let count = 0;
  for (let byte of bits) for (; byte !== 0; byte &= byte - 1) count += 1;
  return count;
}
