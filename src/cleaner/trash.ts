/**
 * The trash: emptied data stores until their file is unlinked. One epoch with a complete mark has to lie
 * between, and the hold, if there is one, has to be over. A read that had to be served from it means that the
 * cleaner was wrong: everything in it is brought back.
 */
import { hasCode } from '../base/errors.js';
import { DamagedChunks, isSet, nameOf } from '../catalog/damaged-chunks.js';
import { RecordType } from '../catalog/record.js';
import type { StoreState } from '../catalog/store-states.js';
import { FINGERPRINT_SIZE } from '../native/binding.js';
import { forEachFingerprints } from './damaged-chunks.js';
import { trash } from './emptying.js';
import { bringBack } from './pardon.js';
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
    work.progress.done += 1;
    // What is found damaged from now on has no copy here any more.
    if (!(await work.group.quarantine.alone(() => unlinkUnneeded(work, id)))) continue;
    const { trashBytes: after } = await work.callAnyway('counters', work.engine);
    work.figures.reclaimedStores += 1;
    work.figures.freedBytes += Math.max(0, before - after);
    await work.commit({ type: RecordType.RECLAIM, dataStore: idBytes(id) });
  }
}

/** False: it has the last whole copy of a chunk that is damaged elsewhere, and is back. */
async function unlinkUnneeded(work: Work, id: string): Promise<boolean> {
  const isNeeded = await holdsLastCopy(work, id);
  if (isNeeded) await bringBack(work, id);
  else await work.call('reclaimStore', work.engine, id);
  return !isNeeded;
}

/** Of a chunk that was alive when it was emptied. */
async function holdsLastCopy(work: Work, id: string): Promise<boolean> {
  const { stores } = work.group.state;
  if (stores.all().every(({ damaged }) => damaged.length === 0)) return false;
  const lost = await DamagedChunks.of(work.group);
  const { condemned = [], damaged = [] } = stores.get(id) ?? {};
  let isNeeded = false;
  try {
    await forEachFingerprints(work, id, async (fingerprints, first) => {
      for (let at = 0; at < fingerprints.length && !isNeeded; at += FINGERPRINT_SIZE) {
        const chunk = first + at / FINGERPRINT_SIZE;
        const isWhole = !isSet(condemned, chunk) && !isSet(damaged, chunk);
        isNeeded = isWhole && (lost.isCut || lost.has(nameOf(fingerprints, at)));
      }
    });
  } catch (thrown) {
    // What cannot be opened gives nothing back.
    if (!hasCode(thrown, 'CORRUPT')) throw thrown;
  }
  return isNeeded;
}

/** BrakePulled when a read had to be served from the trash. */
export async function demandUnread(work: Work): Promise<{ readonly trashBytes: number }> {
  const counters = await work.call('counters', work.engine);
  const reads = counters.trashReads - work.answeredReads;
  if (reads === 0) return counters;
  throw new BrakePulled(`${reads} chunks had to be read from the trash`);
}

function moved(work: Work): StoreState[] {
  return work.group.state.stores.all().filter(state => state.moved !== undefined);
}
