/**
 * What the log says of chunks, told to the engine before anything may be looked up: condemned and damaged
 * ones are answered as absent from the first look-up after a start on. In memory only, like every hiding.
 */
import { hasCode } from '../base/errors.js';
import { type EngineHandle, HIDDEN_DAMAGED, HIDDEN_DEAD } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { StoreState, StoreStates } from './store-states.js';

export interface UnhiddenStores {
  /** The log knows of them, and they are neither in data/ nor, by the log, in the trash. */
  readonly missing: readonly StoreState[];
  /** Damage has left them fewer chunks than the log knows of: what it says of single ones is not believed. */
  readonly cut: readonly StoreState[];
}

export async function hideChunks(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  states: StoreStates,
): Promise<UnhiddenStores> {
  const all = states.all();
  if (all.length === 0) return { missing: [], cut: [] };
  const present = new Set((await lane.call('listDataStores', engine)).map(({ id }) => id));
  const cut: StoreState[] = [];
  for (const state of all.filter(({ id }) => present.has(id))) {
    if (!(await hideOf(lane, engine, state))) cut.push(state);
  }
  return { missing: all.filter(({ id, moved }) => moved === undefined && !present.has(id)), cut };
}

/** False: it has fewer chunks, and none is hidden. */
async function hideOf(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  { id, condemned, damaged }: StoreState,
): Promise<boolean> {
  try {
    for (const { firstChunk, bits } of condemned) {
      await lane.call('hideChunks', engine, id, HIDDEN_DEAD, firstChunk, bits);
    }
    for (const { firstChunk, bits } of damaged) {
      await lane.call('hideChunks', engine, id, HIDDEN_DAMAGED, firstChunk, bits);
    }
    return true;
  } catch (thrown) {
    if (!hasCode(thrown, 'INVALID')) throw thrown;
  }
  for (const reason of [HIDDEN_DEAD, HIDDEN_DAMAGED]) await lane.call('revealChunks', engine, id, reason);
  return false;
}
