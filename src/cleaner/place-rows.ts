/**
 * The view's entries of a data store that has been emptied: each that names it is set to where the chunk is
 * now, or goes. Derived data: what a crash takes back makes a later look-up ask once more, no more. Runs in
 * the order of those who change the tables of places.
 */
import type { OpenedGroup } from '../catalog/opened-group.js';
import { doneKey, placeKey } from '../catalog/places.js';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../native/binding.js';
import type { KvOperation } from '../view/kv.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import { forEachFingerprints } from './damaged-chunks.js';
import { idBytes, type Work } from './work.js';

/** The data store is in data/ still, and its MOVE in the log: nobody enters it again. */
export async function forgetPlaces(work: Work, id: string): Promise<void> {
  const { group } = work;
  await forEachFingerprints(work, id, fingerprints => rewrite(work, idBytes(id), fingerprints));
  await group.view.batch([{ type: 'del', key: doneKey(id) }]);
  group.placeMarks.marked.delete(id);
}

async function rewrite(work: Work, own: Uint8Array, fingerprints: Uint8Array): Promise<void> {
  const stale = await naming(work.group, own, fingerprints);
  if (stale.length === 0) return;
  const count = stale.length;
  const places = sharedBytes(count * DATA_STORE_ID_SIZE);
  await work.call('locateChunks', work.engine, new Uint8Array(Buffer.concat(stale)), count, places);
  const operations = stale.map((fingerprint, index): KvOperation => {
    const key = placeKey(fingerprint);
    const value = places.slice(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE);
    const isElsewhere = value.some(byte => byte !== 0) && Buffer.compare(value, own) !== 0;
    return isElsewhere ? { type: 'put', key, value } : { type: 'del', key };
  });
  await work.group.view.batch(operations);
}

/** Those of the fingerprints whose entry names this data store. */
async function naming(group: OpenedGroup, own: Uint8Array, fingerprints: Uint8Array): Promise<Uint8Array[]> {
  const places = await group.places(fingerprints);
  const stale: Uint8Array[] = [];
  for (let index = 0; index * FINGERPRINT_SIZE < fingerprints.length; index += 1) {
    const place = places.subarray(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE);
    if (Buffer.compare(place, own) !== 0) continue;
    stale.push(fingerprints.slice(index * FINGERPRINT_SIZE, (index + 1) * FINGERPRINT_SIZE));
  }
  return stale;
}
