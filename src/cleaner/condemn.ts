/**
 * Decides under mark 1: what is dead in all data stores, whether the log accounts for it (the brake), which
 * data stores are worth emptying, and condemns their dead chunks. Condemned means hidden in the engine, then
 * named in the log; nothing is removed before another epoch and the second mark.
 */
import { hasCode } from '../base/errors.js';
import {
  CLEANER_CONDEMNED_CHUNKS_MAX,
  CLEANER_COPY_FREE_SHARE,
  CLEANER_DEAD_SHARE_AUTOMATIC,
  CLEANER_DEAD_SHARE_MIN,
  CLEANER_RESEAL_BYTES_MAX,
  CLEANER_SMALL_STORE_SHARE,
  CONDEMN_CHUNKS_MAX,
} from '../base/limits.js';
import { formatSize } from '../base/units.js';
import { type CondemnRecord, RecordType } from '../catalog/record.js';
import { type DataStoreInfo, HIDDEN_DEAD, type StoreSurvey } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import { unhealedChunks } from './damaged-chunks.js';
import { type Candidate, chooseVictims, deadShare, type Thoroughness, unaccountedBytes } from './victims.js';
import type { ViewMark } from './view-mark.js';
import { BrakePulled, idBytes, type Work } from './work.js';

interface Surveyed extends Candidate {
  /** Damaged chunks without a good copy: it can be emptied only when they are all dead. */
  readonly unhealed: readonly number[];
}

/** Of what the log says may be dead: what is alive, and what was not condemned, alive or not worth it. */
export interface Settled {
  readonly aliveBytes: number;
  readonly settledBytes: number;
}

/** BrakePulled: more is dead than can be. */
export async function condemn(work: Work, mark: ViewMark, thoroughness: Thoroughness): Promise<Settled> {
  const stores = await work.dataStores();
  work.begin('condemn', stores.size);
  const { keyring } = work.group;
  const isOutdated = ({ keyEpoch }: { keyEpoch: number }) => keyEpoch !== keyring.activeEpoch;
  const closingShare = thoroughness === 'gentle' ? CLEANER_DEAD_SHARE_AUTOMATIC : CLEANER_DEAD_SHARE_MIN;
  const isWorthClosing = (store: Candidate) =>
    store.chunkCount > 0 && (isOutdated(store) || deadShare(store) >= closingShare);
  const candidates = await survey(work, mark, stores, isWorthClosing);
  const aliveBytes = checkBrake(work, mark, stores, candidates);
  const { freeBytes, dataStoreSizeTarget } = await work.call('counters', work.engine);
  work.figures.resealStores = [...stores.values()].filter(isOutdated).length;
  const victims = chooseVictims(candidates, {
    thoroughness,
    deadChunksMax: CLEANER_CONDEMNED_CHUNKS_MAX,
    copyBytesMax: freeBytes * CLEANER_COPY_FREE_SHARE,
    resealBytesMax: thoroughness === 'gentle' ? CLEANER_RESEAL_BYTES_MAX : Number.POSITIVE_INFINITY,
    smallBytes: dataStoreSizeTarget * CLEANER_SMALL_STORE_SHARE,
    activeEpoch: keyring.activeEpoch,
  });
  for (const victim of victims) await condemnOne(work, mark, victim);
  const { deadBytes } = work.figures;
  const settledBytes = aliveBytes + Math.max(0, deadBytes - condemnedBytes(work, stores));
  return { aliveBytes, settledBytes };
}

/** Closed data stores that nothing has been decided of yet, and open ones that are closed for it. */
async function survey(
  work: Work,
  { handle }: ViewMark,
  stores: ReadonlyMap<string, DataStoreInfo>,
  isWorthClosing: (store: Candidate) => boolean,
): Promise<Surveyed[]> {
  const candidates: Surveyed[] = [];
  for (const { id } of stores.values()) {
    work.progress.done += 1;
    const state = work.group.state.stores.get(id);
    const isDecided = state !== undefined && (state.moved !== undefined || state.condemned.length > 0);
    if (isDecided) continue;
    const unhealed = state === undefined ? [] : await unhealedChunks(work, state);
    const look = async (): Promise<Surveyed> => ({
      ...(await work.call('surveyStore', work.engine, handle, id)),
      ...{ id, unhealed },
    });
    const found = await look();
    if (unhealed.length > found.deadCount) continue;
    if (found.isClosed) candidates.push(found);
    // It may have grown until it was closed.
    else if (isWorthClosing(found) && (await close(work, id))) candidates.push(await look());
  }
  return candidates;
}

/** False: it is being appended to, or there is no room for its trailer. */
async function close(work: Work, id: string): Promise<boolean> {
  try {
    await work.call('closeStore', work.engine, id);
    return true;
  } catch (thrown) {
    if (hasCode(thrown, 'BUSY') || hasCode(thrown, 'NO_SPACE')) return false;
    throw thrown;
  }
}

function checkBrake(
  work: Work,
  mark: ViewMark,
  stores: ReadonlyMap<string, DataStoreInfo>,
  candidates: readonly Candidate[],
): number {
  let presentBytes = 0;
  for (const { plainBytes, blockmapPlainBytes } of stores.values())
    presentBytes += plainBytes + blockmapPlainBytes;
  let deadBytes = candidates.reduce((sum, { deadPlainBytes }) => sum + deadPlainBytes, 0);
  deadBytes += condemnedBytes(work, stores);
  work.figures.deadBytes = deadBytes;
  const { newBytes, duplicateBytes } = mark;
  const excess = unaccountedBytes({ presentBytes, deadBytes, newBytes, duplicateBytes });
  if (excess === 0) return Math.max(0, presentBytes - mark.totalNewBytes + duplicateBytes - deadBytes);
  throw new BrakePulled(
    `${formatSize(deadBytes)} of ${formatSize(presentBytes)} seem dead, ${formatSize(excess)} more than ` +
      'the deletions in the log account for',
  );
}

/** Of data stores that are there still. */
function condemnedBytes({ group }: Work, stores: ReadonlyMap<string, DataStoreInfo>): number {
  return group.state.stores
    .all()
    .filter(({ id }) => stores.has(id))
    .flatMap(({ condemned }) => condemned)
    .reduce((sum, { deadPlainBytes }) => sum + deadPlainBytes, 0);
}

async function condemnOne(work: Work, { handle }: ViewMark, victim: Surveyed): Promise<void> {
  const bits = sharedBytes(Math.ceil(victim.chunkCount / 8));
  let found: StoreSurvey;
  try {
    found = await work.call('condemnStore', work.engine, handle, victim.id, bits);
  } catch (thrown) {
    // A stream has come to hold it: another cycle takes it.
    if (hasCode(thrown, 'BUSY')) return;
    throw thrown;
  }
  if (victim.unhealed.some(chunk => (bits[chunk >> 3]! & (1 << (chunk & 7))) === 0)) {
    await work.callAnyway('revealChunks', work.engine, victim.id, HIDDEN_DEAD);
    return;
  }
  try {
    await work.commit(...condemnRecords(victim.id, work.figures.epoch, found, bits));
  } catch (thrown) {
    await work.callAnyway('revealChunks', work.engine, victim.id, HIDDEN_DEAD);
    throw thrown;
  }
  work.figures.condemnedStores += 1;
  work.figures.condemnedChunks += found.deadCount;
  work.figures.condemnedBytes += found.deadPlainBytes;
}

/** The bytes that are dead stand in the first of them. */
function condemnRecords(id: string, epoch: number, found: StoreSurvey, bits: Uint8Array): CondemnRecord[] {
  const records: CondemnRecord[] = [];
  let firstChunk = 0;
  do {
    const part = bits.slice(firstChunk / 8, (firstChunk + CONDEMN_CHUNKS_MAX) / 8);
    records.push({
      type: RecordType.CONDEMN,
      epoch,
      dataStore: idBytes(id),
      firstChunk,
      bits: part,
      deadPlainBytes: firstChunk === 0 ? found.deadPlainBytes : 0,
    });
    firstChunk += CONDEMN_CHUNKS_MAX;
  } while (firstChunk < found.chunkCount);
  return records;
}
