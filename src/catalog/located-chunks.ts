/**
 * Where chunks are that neither the resident index nor the view can tell: every data store's own table is
 * searched. The view may name a data store that is gone, since its last batches are lost in a crash.
 */
import { DATA_STORE_ID_SIZE, type EngineHandle, FINGERPRINT_SIZE } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import { sharedBytes } from '../workers/shared-bytes.js';

export interface LocatedChunks {
  /** Packed ids of the data stores that hold some of them. */
  readonly ids: Uint8Array;
  /** Packed fingerprints of those that are in none. */
  readonly absent: Uint8Array;
}

export async function locate(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  fingerprints: Uint8Array,
): Promise<LocatedChunks> {
  const count = fingerprints.length / FINGERPRINT_SIZE;
  const places = sharedBytes(count * DATA_STORE_ID_SIZE);
  await lane.call('locateChunks', engine, fingerprints, count, places);
  const ids = new Map<string, Uint8Array>();
  const absent: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const id = places.slice(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE);
    if (id.some(byte => byte !== 0)) ids.set(Buffer.from(id).toString('hex'), id);
    else absent.push(fingerprintAt(fingerprints, index));
  }
  return { ids: packed([...ids.values()]), absent: packed(absent) };
}

/** The first of them that the trash does not have either, alone. */
export async function firstLost(
  lane: Pick<Lane, 'call'>,
  engine: EngineHandle,
  fingerprints: Uint8Array,
): Promise<Uint8Array> {
  for (let index = 0; index * FINGERPRINT_SIZE < fingerprints.length; index += 1) {
    const fingerprint = fingerprintAt(fingerprints, index);
    if ((await lane.call('rescueChunks', engine, fingerprint, 1)) === 0) return fingerprint;
  }
  return new Uint8Array(0);
}

function fingerprintAt(fingerprints: Uint8Array, index: number): Uint8Array {
  return fingerprints.slice(index * FINGERPRINT_SIZE, (index + 1) * FINGERPRINT_SIZE);
}

function packed(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
