/**
 * The trash: emptied data stores until their file is unlinked. One epoch with a complete mark has to lie
 * between, and the hold, if there is one, has to be over. A read that had to be served from it means that the
 * cleaner was wrong: everything in it is brought back.
 */
import { RecordType } from '../catalog/record.js';
import type { StoreState } from '../catalog/store-states.js';
import { trash } from './emptying.js';
import { BrakePulled, idBytes, type Work } from './work.js';

/** May what went into the trash in that epoch be unlinked? Asked once for each data store. */
export type ReclaimRule = (epoch: number) => boolean;

/**
 * What a crash has left between MOVE and RECLAIM: files that belong into the trash, and records of files that
 * are gone. A file in the trash of which the log says nothing comes back: it is not ours to delete.
 */
export async function settleTrash(work: Work): Promise<void> {
  const inTrash = new Set(await work.call('listTrash', work.engine));
  const inData = await work.dataStores();
  for (const { id } of moved(work)) {
    if (inTrash.delete(id)) continue;
    if (inData.has(id)) await trash(work, id);
    else await work.commit({ type: RecordType.RECLAIM, dataStore: idBytes(id) });
  }
  for (const id of inTrash) {
    await work.call('untrashStore', work.engine, id);
    work.note('warn', `data store ${id} was in the trash without a record of it, and is back`);
  }
}

/** Unlinks what may go. BrakePulled: a read was served from the trash. */
export async function reclaim(work: Work, mayGo: ReclaimRule): Promise<void> {
  const inTrash = new Set(await work.call('listTrash', work.engine));
  const due = moved(work).filter(({ id, moved: move }) => inTrash.has(id) && mayGo(move!.epoch));
  work.begin('reclaim', due.length);
  for (const { id } of due) {
    const { trashBytes: before } = await demandUnread(work);
    await work.call('reclaimStore', work.engine, id);
    const { trashBytes: after } = await work.callAnyway('counters', work.engine);
    work.figures.reclaimedStores += 1;
    work.figures.freedBytes += Math.max(0, before - after);
    work.progress.done += 1;
    await work.commit({ type: RecordType.RECLAIM, dataStore: idBytes(id) });
  }
}

/** BrakePulled when a read had to be served from the trash. */
export async function demandUnread(work: Work): Promise<{ readonly trashBytes: number }> {
  const counters = await work.call('counters', work.engine);
  const reads = counters.trashReads - work.releasedReads;
  if (reads === 0) return counters;
  throw new BrakePulled(`${reads} chunks had to be read from the trash`);
}

function moved(work: Work): StoreState[] {
  return work.group.state.stores.all().filter(state => state.moved !== undefined);
}
