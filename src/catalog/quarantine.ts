/**
 * Damaged chunks are put into quarantine: hidden, so that look-ups answer absent and the next backup that
 * carries one stores it anew, and named in the log (QUARANTINE), so that a restart hides them again. Their
 * bytes stay where they are; only the cleaner moves data stores, and never a needed chunk without a copy.
 */
import { hasCode } from '../base/errors.js';
import { CONDEMN_CHUNKS_MAX } from '../base/limits.js';
import { type Damage, HIDDEN_DAMAGED } from '../native/binding.js';
import { recordsChange } from './changes.js';
import type { CatalogEvent } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import { type QuarantineRecord, RecordType } from './record.js';

export class Quarantine {
  readonly #group: OpenedGroup;
  readonly #onEvent: (event: CatalogEvent) => void;
  /** One at a time: each builds on the bits that the one before has set. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(group: OpenedGroup, onEvent: (event: CatalogEvent) => void) {
    this.#group = group;
    this.#onEvent = onEvent;
  }

  /**
   * Takes in what a check of one data store has found; answers how many chunks were not in quarantine before.
   * Of a data store that has gone meanwhile there is nothing to take in.
   */
  take(id: string, damages: readonly Damage[]): Promise<number> {
    return this.alone(() => this.#take(id, damages));
  }

  /** Runs what changes the quarantine otherwise, while nothing else does. */
  alone<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(action);
    this.#busy = done.catch(() => undefined);
    return done;
  }

  async #take(id: string, damages: readonly Damage[]): Promise<number> {
    const { lane, engine, state } = this.#group;
    const known = state.stores.get(id);
    if (known?.moved !== undefined) return 0;
    const bits = new ChunkBits(known?.damaged ?? []);
    const fresh = damages.filter(({ firstChunk, chunkCount }) => bits.add(firstChunk, chunkCount) > 0);
    if (fresh.length === 0) return 0;
    const records = bits.changed(new Uint8Array(Buffer.from(id, 'hex')));
    try {
      for (const { firstChunk, bits: set } of records) {
        await lane.call('hideChunks', engine, id, HIDDEN_DAMAGED, firstChunk, set);
      }
    } catch (thrown) {
      if (hasCode(thrown, 'NOT_FOUND')) return 0;
      throw thrown;
    }
    await this.#group.commit(recordsChange(records));
    this.#report(id, fresh, bits.added);
    return bits.added;
  }

  #report(id: string, [first, ...more]: readonly Damage[], count: number): void {
    const further = more.length === 0 ? '' : ` and in ${more.length} more records`;
    const message =
      `data store ${id} is damaged at ${first!.offset}${further}: ${first!.reason}; ` +
      `${count} chunks are in quarantine`;
    this.#onEvent({ level: 'error', group: this.#group.name, message });
  }
}

/** The bits of all QUARANTINE records of one data store; those made here are of CONDEMN_CHUNKS_MAX chunks. */
class ChunkBits {
  readonly #parts = new Map<number, Buffer>();
  readonly #changed = new Set<number>();
  /** Bits that were not set before. */
  added = 0;

  constructor(records: readonly QuarantineRecord[]) {
    for (const { firstChunk, bits } of records) this.#parts.set(firstChunk, Buffer.from(bits));
  }

  /** How many of these chunks had no bit yet. */
  add(firstChunk: number, chunkCount: number): number {
    const before = this.added;
    for (let chunk = firstChunk; chunk < firstChunk + chunkCount; chunk += 1) this.#set(chunk);
    return this.added - before;
  }

  changed(dataStore: Uint8Array): QuarantineRecord[] {
    return [...this.#changed].map(firstChunk => {
      const bits = new Uint8Array(this.#parts.get(firstChunk)!);
      return { type: RecordType.QUARANTINE, dataStore, firstChunk, bits };
    });
  }

  #set(chunk: number): void {
    if (this.#isSet(chunk)) return;
    const firstChunk = chunk - (chunk % CONDEMN_CHUNKS_MAX);
    const bit = chunk - firstChunk;
    let part = this.#parts.get(firstChunk) ?? Buffer.alloc(0);
    if (part.length <= bit >> 3) part = Buffer.concat([part], (bit >> 3) + 1);
    this.#parts.set(firstChunk, part);
    part[bit >> 3]! |= 1 << (bit & 7);
    this.#changed.add(firstChunk);
    this.added += 1;
  }

  #isSet(chunk: number): boolean {
    for (const [firstChunk, part] of this.#parts) {
      const bit = chunk - firstChunk;
      if (bit >= 0 && ((part[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) return true;
    }
    return false;
  }
}
