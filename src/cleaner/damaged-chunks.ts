/**
 * Damaged chunks of a data store that is to be emptied: it stays, the damage is named in the log, and its
 * chunks answer absent, so that the next backup that carries them heals them.
 */
import { CLEANER_FINGERPRINTS_MAX } from '../base/limits.js';
import { nameOf } from '../catalog/damaged-chunks.js';
import { RecordType } from '../catalog/record.js';
import type { StoreState } from '../catalog/store-states.js';
import { DATA_STORE_ID_SIZE, type Damage, FINGERPRINT_SIZE, HIDDEN_DEAD } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import { idBytes, type Work } from './work.js';

const BITS = 8;

/** Numbers of its damaged chunks that have no good copy elsewhere: while one of them is alive, it stays. */
export async function unhealedChunks(work: Work, { id, damaged }: StoreState): Promise<readonly number[]> {
  if (damaged.length === 0) return [];
  const chunks = new Set(damaged.flatMap(({ firstChunk, bits }) => chunksOf(firstChunk, bits)));
  const unhealed: number[] = [];
  await forEachFingerprints(work, id, async (fingerprints, first) => {
    const own = [...chunks].filter(
      chunk => chunk >= first && chunk < first + fingerprints.length / FINGERPRINT_SIZE,
    );
    if (own.length === 0) return;
    const asked = new Uint8Array(own.length * FINGERPRINT_SIZE);
    for (const [index, chunk] of own.entries()) {
      const from = (chunk - first) * FINGERPRINT_SIZE;
      asked.set(fingerprints.subarray(from, from + FINGERPRINT_SIZE), index * FINGERPRINT_SIZE);
    }
    const places = sharedBytes(own.length * DATA_STORE_ID_SIZE);
    await work.call('locateChunks', work.engine, asked, own.length, places);
    for (let index = 0; index < own.length; index += 1) {
      const place = places.slice(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE);
      const hex = Buffer.from(place).toString('hex');
      if (hex === id || place.every(byte => byte === 0)) unhealed.push(own[index]!);
    }
  });
  return unhealed;
}

/**
 * The data store is spared: its damage is named and hidden first, then what was condemned of it is taken
 * back.
 * Scrub finds the files that the damage touches.
 */
export async function quarantine(work: Work, id: string, damaged: Uint8Array): Promise<void> {
  const { group } = work;
  await group.quarantine.take(id, await damagesOf(work, id, damaged));
  await work.commit({ type: RecordType.PARDON, dataStore: idBytes(id) });
  await work.callAnyway('revealChunks', work.engine, id, HIDDEN_DEAD);
  group.reportDamage(damaged);
  work.note('error', `data store ${id} stays: chunks of it that files may need are damaged`);
}

async function damagesOf(work: Work, id: string, damaged: Uint8Array): Promise<Damage[]> {
  const wanted = new Set<string>();
  for (let at = 0; at < damaged.length; at += FINGERPRINT_SIZE) wanted.add(nameOf(damaged, at));
  const damages: Damage[] = [];
  await forEachFingerprints(work, id, async (fingerprints, first) => {
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
      if (!wanted.has(nameOf(fingerprints, at))) continue;
      damages.push({
        ...{ dataStore: id, offset: 0, firstChunk: first + at / FINGERPRINT_SIZE, chunkCount: 1 },
        reason: 'it could not be copied',
        fingerprints: fingerprints.slice(at, at + FINGERPRINT_SIZE),
      });
    }
  });
  return damages;
}

function chunksOf(firstChunk: number, bits: Uint8Array): number[] {
  const chunks: number[] = [];
  for (let bit = 0; bit < bits.length * BITS; bit += 1) {
    if ((bits[bit >> 3]! & (1 << (bit % BITS))) !== 0) chunks.push(firstChunk + bit);
  }
  return chunks;
}

/** Fingerprints of a data store, packed, a multiple of eight at a time, with the number of the first. */
export async function forEachFingerprints(
  work: Work,
  id: string,
  take: (fingerprints: Uint8Array, first: number) => Promise<void>,
): Promise<void> {
  const out = sharedBytes(CLEANER_FINGERPRINTS_MAX * FINGERPRINT_SIZE);
  for (let first = 0; ; ) {
    const count = await work.call('readFingerprints', work.engine, id, first, out);
    if (count > 0) await take(out.slice(0, count * FINGERPRINT_SIZE), first);
    if (count < CLEANER_FINGERPRINTS_MAX) return;
    first += count;
  }
}
