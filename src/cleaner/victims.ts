/**
 * Which data stores are worth emptying, and how much may be dead at all. Arithmetic alone: what is given
 * decides, no clock and no order of a listing.
 */
import {
  CLEANER_BRAKE_SLACK_BYTES,
  CLEANER_DEAD_COVERED,
  CLEANER_DEAD_SHARE_AUTOMATIC,
  CLEANER_DEAD_SHARE_MIN,
  CLEANER_SMALL_STORES_MIN,
} from '../base/limits.js';
import type { StoreSurvey } from '../native/binding.js';

export interface Candidate extends StoreSurvey {
  /** Hex. */
  readonly id: string;
}

/**
 * `thorough`: nearly all that is dead goes, at the price of more copying: asked for, or space is short.
 * `gentle`: only where it is cheap.
 */
export type Thoroughness = 'gentle' | 'thorough';

export interface ChoiceBounds {
  readonly thoroughness: Thoroughness;
  /** Chunks condemned in one cycle: mark 2 keeps 16 bytes of each. */
  readonly deadChunksMax: number;
  /** What their live chunks may take when they are copied. */
  readonly copyBytesMax: number;
  /** Of these, for data stores that are chosen only because of their key. */
  readonly resealBytesMax: number;
  /** Data stores of at most so many bytes are copied together when there are CLEANER_SMALL_STORES_MIN. */
  readonly smallBytes: number;
  /** Data stores of another key epoch are sealed anew. */
  readonly activeEpoch: number;
}

export function deadShare({ chunkCount, deadPlainBytes, plainBytes }: StoreSurvey): number {
  // What holds nothing is all dead.
  return chunkCount === 0 || plainBytes === 0 ? 1 : deadPlainBytes / plainBytes;
}

/** Bytes of the file that its live chunks take, about. */
export function liveFileBytes(store: StoreSurvey): number {
  return Math.ceil(store.fileBytes * (1 - deadShare(store)));
}

/** In the order in which they are to be condemned: the deadest first. Pinned ones are left for later. */
export function chooseVictims<C extends Candidate>(candidates: readonly C[], bounds: ChoiceBounds): C[] {
  const byShare = candidates
    .filter(store => store.isClosed && store.pinCount === 0)
    .sort((a, b) => deadShare(b) - deadShare(a) || (a.id < b.id ? -1 : 1));
  const chosen: C[] = [];
  const spent = { deadChunks: 0, copyBytes: 0, resealBytes: 0 };
  const isWorthIt = worth(byShare, bounds.thoroughness);
  const isSmall = ({ fileBytes }: StoreSurvey) => fileBytes <= bounds.smallBytes;
  const areTooMany = byShare.filter(isSmall).length >= CLEANER_SMALL_STORES_MIN;
  for (const store of byShare) {
    const isOutdated = store.keyEpoch !== bounds.activeEpoch;
    const isForDead = isWorthIt(store) || (areTooMany && isSmall(store));
    if (!isForDead && !isOutdated) continue;
    const copyBytes = liveFileBytes(store);
    const resealBytes = isForDead ? 0 : copyBytes;
    const fits =
      spent.deadChunks + store.deadCount <= bounds.deadChunksMax &&
      (copyBytes === 0 || spent.copyBytes + copyBytes <= bounds.copyBytesMax) &&
      (resealBytes === 0 || spent.resealBytes + resealBytes <= bounds.resealBytesMax);
    if (!fits) continue;
    chosen.push(store);
    spent.deadChunks += store.deadCount;
    spent.copyBytes += copyBytes;
    spent.resealBytes += resealBytes;
  }
  return chosen;
}

/**
 * Thorough: the deadest, until they cover CLEANER_DEAD_COVERED of all that is dead; what is left is spread so
 * thinly that copying around it costs more than it gives.
 */
function worth(byShare: readonly Candidate[], thoroughness: Thoroughness): (store: Candidate) => boolean {
  if (thoroughness === 'gentle') return store => deadShare(store) >= CLEANER_DEAD_SHARE_AUTOMATIC;
  const wanted = CLEANER_DEAD_COVERED * byShare.reduce((sum, { deadPlainBytes }) => sum + deadPlainBytes, 0);
  let covered = 0;
  return store => {
    if (deadShare(store) < CLEANER_DEAD_SHARE_MIN) return false;
    const isWanted = covered < wanted || deadShare(store) === 1;
    covered += store.deadPlainBytes;
    return isWanted;
  };
}

export interface BrakeFigures {
  /** Plain bytes of all chunks and blockmap nodes in data stores. */
  readonly presentBytes: number;
  /** Of what was found dead, and of what is condemned still. */
  readonly deadBytes: number;
  /** What the current files brought. */
  readonly newBytes: number;
  /** What the cleaner has dropped, because it was there twice. */
  readonly duplicateBytes: number;
}

/**
 * Dead bytes beyond what the log accounts for. What a current file has brought is named by it, so it cannot
 * be dead, whatever else was deleted; of what two files brought at once, one copy may have been dropped.
 */
export function unaccountedBytes({
  presentBytes,
  deadBytes,
  newBytes,
  duplicateBytes,
}: BrakeFigures): number {
  return Math.max(0, deadBytes - (presentBytes - newBytes + duplicateBytes) - CLEANER_BRAKE_SLACK_BYTES);
}
