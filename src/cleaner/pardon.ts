/**
 * Takes back what the cleaner has decided and not yet made true: after the brake nothing that an earlier mark
 * has said is believed any more. Files first, then the log: a crash between leaves a data store that is there
 * and named as moved, which its chunks' other copies allow.
 */
import { RecordType } from '../catalog/record.js';
import { HIDDEN_DAMAGED, HIDDEN_DEAD } from '../native/binding.js';
import { idBytes, type Work } from './work.js';

/** Everything in the trash is found again. */
export async function emptyTrashBack(work: Work): Promise<void> {
  for (const id of await work.callAnyway('listTrash', work.engine)) await bringBack(work, id);
}

/** It is found again. */
export async function bringBack(work: Work, id: string): Promise<void> {
  // The start has hidden only what was in data/; look-ups must not find a damaged chunk for a moment.
  for (const { firstChunk, bits } of work.group.state.stores.get(id)?.damaged ?? []) {
    await work.callAnyway('hideChunks', work.engine, id, HIDDEN_DAMAGED, firstChunk, bits);
  }
  await work.callAnyway('untrashStore', work.engine, id);
  await pardon(work, id);
  work.note('warn', `data store ${id} is back from the trash`);
}

/** Nothing is condemned any more. */
export async function pardonCondemned(work: Work): Promise<void> {
  const present = new Set((await work.callAnyway('listDataStores', work.engine)).map(({ id }) => id));
  for (const { id, condemned, moved } of work.group.state.stores.all()) {
    if (present.has(id) && (condemned.length > 0 || moved !== undefined)) await pardon(work, id);
  }
}

/** Nothing that was decided of this data store counts any more. */
export async function pardon(work: Work, id: string): Promise<void> {
  await work.commit({ type: RecordType.PARDON, dataStore: idBytes(id) });
  await work.callAnyway('revealChunks', work.engine, id, HIDDEN_DEAD);
}
