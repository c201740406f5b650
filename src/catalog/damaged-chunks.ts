/**
 * The chunks in quarantine that no other data store holds: what reads them gets CORRUPT. Those that a later
 * backup or a repair has stored anew are healed and not among them. Taken at one moment from the log's state
 * of the data stores; up to DAMAGED_CHUNKS_MAX names in memory.
 */
import { hasCode } from '../base/errors.js';
import { DAMAGED_CHUNKS_MAX, VIEW_BATCH_MAX } from '../base/limits.js';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { OpenedGroup } from './opened-group.js';
import type { QuarantineRecord } from './record.js';

/** A fingerprint as a key: its bytes, one a character. */
export function nameOf(fingerprints: Uint8Array, at: number): string {
  return Buffer.from(fingerprints.buffer, fingerprints.byteOffset + at, FINGERPRINT_SIZE).toString('latin1');
}

export function fingerprintOf(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'latin1'));
}

export class DamagedChunks {
  /** By data store (hex), what is in quarantine there. */
  readonly #stores = new Map<string, Set<string>>();
  readonly #names = new Set<string>();
  readonly #countMax: number;
  /** Chunks in quarantine that have another copy. */
  healedCount = 0;
  /** There are more than fit: the rest is not among them. */
  isCut = false;

  private constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** What the log says is damaged now. */
  static async of(group: OpenedGroup, countMax = DAMAGED_CHUNKS_MAX): Promise<DamagedChunks> {
    const chunks = new DamagedChunks(countMax);
    for (const { id, damaged, moved } of group.state.stores.all()) {
      if (damaged.length > 0 && moved === undefined) await chunks.#load(group, id, damaged);
    }
    await chunks.#settle(group);
    return chunks;
  }

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Damage that could not be put into quarantine: packed fingerprints. */
  add(fingerprints: Uint8Array): void {
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) {
      if (this.#isFull()) return;
      this.#names.add(nameOf(fingerprints, at));
    }
  }

  /** Names of the chunks whose bits are set, without those that the same data store holds whole, too. */
  async #load(group: OpenedGroup, id: string, records: readonly QuarantineRecord[]): Promise<void> {
    const damaged = new Set<string>();
    const whole: string[] = [];
    const out = sharedBytes(VIEW_BATCH_MAX * FINGERPRINT_SIZE);
    try {
      for (let from = 0; ; from += VIEW_BATCH_MAX) {
        const count = await group.lane.call('readFingerprints', group.engine, id, from, out);
        for (let index = 0; index < count; index += 1) {
          const name = nameOf(out, index * FINGERPRINT_SIZE);
          if (!isSet(records, from + index)) whole.push(name);
          else if (!this.#isFull(damaged.size)) damaged.add(name);
        }
        if (count < VIEW_BATCH_MAX) break;
      }
    } catch (thrown) {
      // The cleaner has moved it meanwhile: what of it is needed has a copy.
      if (!hasCode(thrown, 'NOT_FOUND')) throw thrown;
      return;
    }
    for (const name of whole) if (damaged.delete(name)) this.healedCount += 1;
    this.#stores.set(id, damaged);
    for (const name of damaged) this.#names.add(name);
  }

  /** Takes out what a read would find elsewhere. */
  async #settle(group: OpenedGroup): Promise<void> {
    const names = [...this.#names];
    for (let first = 0; first < names.length; first += VIEW_BATCH_MAX) {
      const part = names.slice(first, first + VIEW_BATCH_MAX);
      const fingerprints = sharedBytes(part.length * FINGERPRINT_SIZE);
      for (const [index, name] of part.entries())
        fingerprints.set(fingerprintOf(name), index * FINGERPRINT_SIZE);
      const ids = sharedBytes(part.length * DATA_STORE_ID_SIZE);
      await group.lane.call('locateChunks', group.engine, fingerprints, part.length, ids);
      for (const [index, name] of part.entries()) {
        const at = ids.byteOffset + index * DATA_STORE_ID_SIZE;
        const id = Buffer.from(ids.buffer, at, DATA_STORE_ID_SIZE).toString('hex');
        if (/^0*$/.test(id) || this.#stores.get(id)?.has(name) === true) continue;
        this.#names.delete(name);
        this.healedCount += 1;
      }
    }
  }

  #isFull(more = 0): boolean {
    if (this.#names.size + more < this.#countMax) return false;
    this.isCut = true;
    return true;
  }
}

export function isSet(
  records: readonly Pick<QuarantineRecord, 'firstChunk' | 'bits'>[],
  chunk: number,
): boolean {
  return records.some(({ firstChunk, bits }) => {
    const bit = chunk - firstChunk;
    return bit >= 0 && ((bits[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  });
}
