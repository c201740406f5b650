/**
 * Repair: bytes of chunks that are lost or damaged here come from somewhere else, are checked against their
 * fingerprints, and are stored anew. One interface for every somewhere: another copy in the group itself
 * (local-copies.ts), a replica, a cloud bucket. Nothing is overwritten and nothing removed: what no source
 * can give, or whose source is out of reach, stays as it is and is asked for again later.
 */
import { asStoreError, hasCode } from '../base/errors.js';
import { CHUNK_SIZE_MAX, REPAIR_BATCH_CHUNKS, SEGMENT_SIZE_MAX } from '../base/limits.js';
import { ROW_LENGTH_OFFSET, ROW_SIZE } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { OpenGroup } from './types.js';

export interface WantedChunk {
  readonly fingerprint: Uint8Array;
  readonly length: number;
}

export interface RepairSource {
  /** As messages call it. */
  readonly name: string;
  /**
   * One answer a chunk, in order; undefined: it does not have this one. The bytes need not be right, they are
   * checked. Any error: it is out of reach, and the answer is no answer.
   */
  fetch(wanted: readonly WantedChunk[]): Promise<readonly (Uint8Array | undefined)[]>;
}

export interface RepairReport {
  readonly wanted: number;
  readonly repaired: number;
  /** Answers whose bytes were not those of the chunk; by source. */
  readonly refused: ReadonlyMap<string, number>;
  /** Sources that could not be asked, and why. */
  readonly unreachable: ReadonlyMap<string, string>;
}

type Group = Pick<OpenGroup, 'engine' | 'lane'>;
type Answer = { readonly chunk: WantedChunk; readonly bytes: Uint8Array };

/**
 * Asks the sources in order, each for what those before did not have. Durable when it resolves. NO_SPACE, IO.
 */
export async function repairChunks(
  group: Group,
  sources: readonly RepairSource[],
  wanted: readonly WantedChunk[],
): Promise<RepairReport> {
  const repair = new Repair(group);
  for (const batch of batchesOf(wanted)) {
    let left = batch;
    for (const source of sources) {
      if (left.length > 0) left = await repair.from(source, left);
    }
  }
  if (repair.repaired > 0) await group.lane.call('sync', group.engine);
  const { repaired, refused, unreachable } = repair;
  return { wanted: wanted.length, repaired, refused, unreachable };
}

class Repair {
  readonly #group: Group;
  repaired = 0;
  readonly refused = new Map<string, number>();
  readonly unreachable = new Map<string, string>();

  constructor(group: Group) {
    this.#group = group;
  }

  /** What is wanted still when the source has been asked. */
  async from(source: RepairSource, wanted: readonly WantedChunk[]): Promise<readonly WantedChunk[]> {
    let given: readonly (Uint8Array | undefined)[];
    try {
      given = await source.fetch(wanted);
    } catch (thrown) {
      this.unreachable.set(source.name, asStoreError(thrown).message);
      return wanted;
    }
    const answers = wanted.flatMap((chunk, index): Answer[] => {
      const bytes = given[index];
      return bytes === undefined ? [] : [{ chunk, bytes }];
    });
    const taken = new Set(await this.#admit(source, answers));
    return wanted.filter(chunk => !taken.has(chunk));
  }

  /** Those whose bytes were right. One wrong answer does not cost the right ones beside it. */
  async #admit(source: RepairSource, answers: readonly Answer[]): Promise<WantedChunk[]> {
    const fitting = answers.filter(({ chunk, bytes }) => bytes.length === chunk.length);
    this.#refuse(source, answers.length - fitting.length);
    if (fitting.length === 0 || (await this.#store(fitting))) return fitting.map(({ chunk }) => chunk);
    const right: WantedChunk[] = [];
    for (const answer of fitting) {
      if (await this.#store([answer])) right.push(answer.chunk);
      else this.#refuse(source, 1);
    }
    return right;
  }

  /** False: the bytes of one at least are wrong, and none was stored. */
  async #store(answers: readonly Answer[]): Promise<boolean> {
    const { lane, engine } = this.#group;
    const rows = sharedBytes(answers.length * ROW_SIZE);
    const bytes = sharedBytes(answers.reduce((sum, answer) => sum + answer.bytes.length, 0));
    const view = new DataView(rows.buffer);
    let offset = 0;
    for (const [index, answer] of answers.entries()) {
      rows.set(answer.chunk.fingerprint, index * ROW_SIZE);
      view.setUint32(index * ROW_SIZE + ROW_LENGTH_OFFSET, answer.bytes.length, true);
      bytes.set(answer.bytes, offset);
      offset += answer.bytes.length;
    }
    try {
      await lane.call('admitRecords', engine, rows, answers.length, bytes);
      this.repaired += answers.length;
      return true;
    } catch (thrown) {
      if (hasCode(thrown, 'CORRUPT')) return false;
      throw thrown;
    }
  }

  #refuse(source: RepairSource, count: number): void {
    if (count > 0) this.refused.set(source.name, (this.refused.get(source.name) ?? 0) + count);
  }
}

/** At most REPAIR_BATCH_CHUNKS and about a segment's bytes at a time; each chunk once. */
function* batchesOf(wanted: readonly WantedChunk[]): Generator<readonly WantedChunk[]> {
  let batch: WantedChunk[] = [];
  let bytes = 0;
  for (const chunk of wanted) {
    if (chunk.length > CHUNK_SIZE_MAX) continue;
    const isFull = batch.length >= REPAIR_BATCH_CHUNKS || bytes + chunk.length > SEGMENT_SIZE_MAX;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(chunk);
    bytes += chunk.length;
  }
  if (batch.length > 0) yield batch;
}
