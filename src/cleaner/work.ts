/**
 * What every step of a cleaner's cycle works with: the group, paced verbs, progress, and the report that the
 * steps fill. One cycle of a group at a time has one Work.
 */
import type { Clock } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import type { Pacer } from '../base/pacer.js';
import { recordsChange } from '../catalog/changes.js';
import type { CatalogEvent } from '../catalog/context.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import { type LogRecord, RecordType } from '../catalog/record.js';
import type { DataStoreInfo, EngineHandle } from '../native/binding.js';
import type { LaneVerb, LaneVerbs } from '../workers/verbs.js';

export type Phase = 'reclaim' | 'probe' | 'copy' | 'mark' | 'condemn' | 'keys';

export interface Progress {
  phase: Phase;
  /** Of files, data stores or bytes, as the phase has them; total 0: not known. */
  done: number;
  total: number;
}

/** What a cycle has done so far. Bytes are plain unless they are called freed or stored. */
export interface CycleFigures {
  epoch: number;
  files: number;
  nodes: number;
  chunks: number;
  /** Dead bytes in all data stores at the mark, those condemned before included. */
  deadBytes: number;
  condemnedStores: number;
  condemnedChunks: number;
  condemnedBytes: number;
  emptiedStores: number;
  copiedBytes: number;
  copiedStoredBytes: number;
  /** Not copied, because another data store had them, too. */
  duplicateBytes: number;
  reclaimedStores: number;
  /** Of files that were unlinked. */
  freedBytes: number;
  /** Data stores that wait for their re-sealing under the active key. */
  resealStores: number;
  retiredKeys: number;
}

export function emptyFigures(): CycleFigures {
  return {
    ...{ epoch: 0, files: 0, nodes: 0, chunks: 0, deadBytes: 0 },
    ...{ condemnedStores: 0, condemnedChunks: 0, condemnedBytes: 0 },
    ...{ emptiedStores: 0, copiedBytes: 0, copiedStoredBytes: 0, duplicateBytes: 0 },
    ...{ reclaimedStores: 0, freedBytes: 0, resealStores: 0, retiredKeys: 0 },
  };
}

export interface WorkParameters {
  readonly group: OpenedGroup;
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly onEvent: (event: CatalogEvent) => void;
  readonly releasedReads?: number;
}

export class Work {
  readonly group: OpenedGroup;
  readonly clock: Clock;
  readonly figures = emptyFigures();
  readonly progress: Progress = { phase: 'reclaim', done: 0, total: 0 };
  /** Reads from the trash that an operator has released the brake behind. */
  readonly releasedReads: number;
  readonly #pacer: Pacer;
  readonly #onEvent: (event: CatalogEvent) => void;

  constructor({ group, clock, pacer, onEvent, releasedReads = 0 }: WorkParameters) {
    this.releasedReads = releasedReads;
    this.group = group;
    this.clock = clock;
    this.#pacer = pacer;
    this.#onEvent = onEvent;
  }

  get engine(): EngineHandle {
    return this.group.engine;
  }

  /** A verb of the lane, as one paced unit of work. CANCELLED when the cycle is to end. */
  call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    return this.paced(() => this.group.lane.call(verb, ...parameters));
  }

  /** The same without rest and without being cancelled: what has to be undone or ended in any case. */
  callAnyway<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    return this.group.lane.call(verb, ...parameters);
  }

  paced<T>(work: () => Promise<T>): Promise<T> {
    return this.#pacer.paced(work);
  }

  /** Durable, and in the group's state. Nobody waits for it: the group counts as idle all the same. */
  commit(...records: readonly LogRecord[]): Promise<void> {
    return this.group.queue.submit(recordsChange(records));
  }

  begin(phase: Phase, total = 0): void {
    Object.assign(this.progress, { phase, done: 0, total });
  }

  note(level: CatalogEvent['level'], message: string): void {
    this.#onEvent({ level, group: this.group.name, message: `cleaner: ${message}` });
  }

  /** Data stores in data/, by hex id. */
  async dataStores(): Promise<Map<string, DataStoreInfo>> {
    return new Map((await this.call('listDataStores', this.engine)).map(info => [info.id, info]));
  }

  /** The next epoch: durable in superblock and log before anything is decided in it. */
  async beginEpoch(): Promise<number> {
    const epoch = await this.call('beginEpoch', this.engine);
    await this.commit({ type: RecordType.EPOCH, epoch });
    this.figures.epoch = epoch;
    return epoch;
  }
}

export function idBytes(id: string): Uint8Array {
  return new Uint8Array(Buffer.from(id, 'hex'));
}

export function packedIds(ids: readonly string[]): Uint8Array {
  return idBytes(ids.join(''));
}

/** Something that must not be is: the cleaner stops until an operator has looked. */
export class BrakePulled extends StoreError {
  constructor(reason: string) {
    super('CORRUPT', `the cleaner has stopped itself: ${reason}`);
  }

  get reason(): string {
    return this.message;
  }
}
