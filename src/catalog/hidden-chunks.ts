/**
 * What the log says of chunks, told to the engine before anything may be looked up: condemned and damaged
 * ones are answered as absent from the first look-up after a start on. In memory only, like every hiding.
 */
import { type EngineHandle, HIDDEN_DAMAGED, HIDDEN_DEAD } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { StoreState, StoreStates } from './store-states.js';

/**
 * Answers the data stores that the log condemns and that are not there: neither in data/ nor, by the log, in
 * the trash.
 */
export async function hideChunks(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  states: StoreStates,
): Promise<StoreState[]> {
  const all = states.all();
  if (all.length === 0) return [];
  const present = new Set((await lane.call('listDataStores', engine)).map(({ id }) => id));
  for (const { id, condemned, damaged } of all.filter(state => present.has(state.id))) {
    for (const { firstChunk, bits } of condemned) {
      await lane.call('hideChunks', engine, id, HIDDEN_DEAD, firstChunk, bits);
    }
    for (const { firstChunk, bits } of damaged) {
      await lane.call('hideChunks', engine, id, HIDDEN_DAMAGED, firstChunk, bits);
    }
  }
  return all.filter(({ id, moved }) => moved === undefined && !present.has(id));
}
