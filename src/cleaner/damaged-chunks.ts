/**
 * Damaged chunks of a data store that is to be emptied: it stays, the damage is named in the log, and its
 * chunks answer absent, so that the next backup that carries them heals them.
 */
import { CLEANER_FINGERPRINTS_MAX } from '../base/limits.js';
import { type QuarantineRecord, RecordType } from '../catalog/record.js';
import type { StoreState } from '../catalog/store-states.js';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE, HIDDEN_DAMAGED, HIDDEN_DEAD } from '../native/binding.js';
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

/** The data store is spared and its damage named: durably, then in the engine; scrub waits meanwhile. */
export function quarantine(work: Work, id: string, damaged: Uint8Array): Promise<void> {
  return work.group.quarantine.alone(() => quarantineAlone(work, id, damaged));
}

async function quarantineAlone(work: Work, id: string, damaged: Uint8Array): Promise<void> {
  const wanted = new Set<string>();
  for (let at = 0; at < damaged.length; at += FINGERPRINT_SIZE) {
    wanted.add(Buffer.from(damaged.subarray(at, at + FINGERPRINT_SIZE)).toString('hex'));
  }
  const records: QuarantineRecord[] = [];
  await forEachFingerprints(work, id, async (fingerprints, first) => {
    const bits = new Uint8Array(Math.ceil(fingerprints.length / FINGERPRINT_SIZE / BITS));
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
      const name = Buffer.from(fingerprints.subarray(at, at + FINGERPRINT_SIZE)).toString('hex');
      const chunk = at / FINGERPRINT_SIZE;
      if (wanted.has(name)) bits[chunk >> 3]! |= 1 << (chunk % BITS);
    }
    if (bits.every(byte => byte === 0)) return;
    // The record takes the place of an earlier one of the same chunks.
    const before = work.group.state.stores.get(id)?.damaged.find(({ firstChunk }) => firstChunk === first);
    const merged = unionOf(bits, before?.bits ?? new Uint8Array(0));
    records.push({ type: RecordType.QUARANTINE, dataStore: idBytes(id), firstChunk: first, bits: merged });
  });
  await work.commit({ type: RecordType.PARDON, dataStore: idBytes(id) }, ...records);
  await work.callAnyway('revealChunks', work.engine, id, HIDDEN_DEAD);
  for (const { firstChunk, bits } of records) {
    await work.callAnyway('hideChunks', work.engine, id, HIDDEN_DAMAGED, firstChunk, bits);
  }
  work.note('error', `data store ${id} stays: ${wanted.size} chunks of it are damaged, which files may need`);
}

function unionOf(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: Math.max(a.length, b.length) }, (_, at) => (a[at] ?? 0) | (b[at] ?? 0));
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
