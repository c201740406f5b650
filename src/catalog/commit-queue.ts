/**
 * Group commit. Changes that wait together share one sync of the data stores and one append to the log;
 * while one group is being made durable the next one collects, without any delay of its own. Entries keep
 * the order in which the changes were accepted. Order of durability (I2, I1): data stores, log, view; only
 * then a change's promise resolves.
 *
 * A sync or append that fails leaves it unknown what is durable: the queue stops for good (I10), a restart
 * finds out. BUSY and CANCELLED (no worker took the task), and NO_SPACE of the append, change nothing and
 * fail their group only: that the append really left nothing is checked by the next group's sequence
 * number.
 */
import { asStoreError, type Code, StoreError } from '../base/errors.js';
import { COMMIT_GROUP_MAX, COMMIT_QUEUE_MAX } from '../base/limits.js';
import { LOG_ENTRY_HEADER_SIZE } from '../native/binding.js';
import type { BinKey, BinMap } from './bin-index.js';
import type { Rows } from './file-changes.js';
import type { FileKey, FileMap } from './file-index.js';
import type { GroupState, SequencedRecord } from './group-state.js';
import { encodeRecord, type LogRecord } from './record.js';

/** What a change sees when its entries are made: the state behind all changes before it. */
export interface Working {
  readonly files: FileMap;
  /** Versions in recycle bins. */
  readonly bin: BinMap;
  /** Logical bytes by which containers have grown, by their ids. */
  readonly growth: Map<number, number>;
  /** Of the next entry. */
  sequence: number;
  lastContainerId: number;
  /** The retention clock as it was last logged; 0: never. */
  retentionMs: number;
}

export interface Change<T> {
  /** Files that `build` looks at. */
  readonly keys: readonly FileKey[];
  /** Versions in recycle bins that it looks at. */
  readonly binKeys?: readonly BinKey[];
  /** Does it need bytes of data stores? */
  readonly needsSync: boolean;
  /** Runs alone, not together with other changes. */
  readonly isExclusive?: boolean;
  /**
   * Makes the entries; what it changes in `working` later changes see. A StoreError that it throws rejects
   * this change only.
   */
  build(working: Working): { readonly records: readonly LogRecord[]; readonly result: T };
  /** With isExclusive: runs before the change resolves, while nothing else is committed. */
  alone?(): Promise<void>;
  /** Called at once when the change is in the view, before anything else is committed. */
  applied?(): void;
}

export interface CommitTarget {
  sync(): Promise<void>;
  /** Packed entries; the first one's sequence number. */
  append(entries: Uint8Array): Promise<number>;
  /** The view has given something that cannot be: it has to be made anew at the next start. */
  condemnView(): Promise<void>;
}

interface Waiting {
  readonly change: Change<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

interface Built {
  readonly waiting: Waiting;
  readonly records: readonly LogRecord[];
  readonly result: unknown;
}

const HARMLESS: ReadonlySet<Code> = new Set<Code>(['BUSY', 'CANCELLED']);

export class CommitQueue {
  readonly #state: GroupState;
  readonly #target: CommitTarget;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #failure: StoreError | undefined;
  /** Groups committed, and changes in them. */
  groupCount = 0;
  changeCount = 0;

  constructor(state: GroupState, target: CommitTarget) {
    this.#state = state;
    this.#target = target;
  }

  /** Why nothing can be committed any more. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  /**
   * Resolves with what `build` has answered when the change is durable and in the view. BUSY: the queue is
   * full.
   */
  submit<T>(change: Change<T>): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiting.length >= COMMIT_QUEUE_MAX) {
      return Promise.reject(new StoreError('BUSY', `${COMMIT_QUEUE_MAX} commits are waiting`));
    }
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ change, resolve: resolve as (result: unknown) => void, reject });
      this.#running ??= this.#run();
    });
  }

  /**
   * Runs `action` while nothing is being committed; what comes meanwhile waits. A failure of it stops the
   * queue.
   */
  exclusive(action: () => Promise<void>): Promise<void> {
    return this.submit({
      keys: [],
      needsSync: false,
      isExclusive: true,
      build: () => ({ records: [], result: undefined }),
      alone: action,
    });
  }

  /** Stops the queue: what waits and what comes is answered with `failure`. */
  stop(failure: StoreError): void {
    this.#failure ??= failure;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }

  /** Resolves when nothing is being committed. */
  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Changes that are submitted in the same turn of the event loop belong together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#commit(this.#takeGroup());
    this.#running = undefined;
  }

  #takeGroup(): Waiting[] {
    const isExclusive = (waiting: Waiting): boolean => waiting.change.isExclusive === true;
    let size = this.#waiting.findIndex(isExclusive);
    if (size < 0) size = this.#waiting.length;
    return this.#waiting.splice(0, Math.max(1, Math.min(size, COMMIT_GROUP_MAX)));
  }

  async #commit(group: Waiting[]): Promise<void> {
    let step = 'sync';
    try {
      const keys = group.flatMap(waiting => waiting.change.keys);
      const needsSync = group.some(waiting => waiting.change.needsSync);
      const binKeys = group.flatMap(waiting => waiting.change.binKeys ?? []);
      const [rows] = await Promise.all([
        this.#state.load(keys, binKeys),
        needsSync ? this.#target.sync() : Promise.resolve(),
      ]);
      const built = this.#build(group, rows);
      const records = built.flatMap(({ records: own }) => own);
      if (records.length > 0) {
        step = 'append';
        const entries = await this.#append(records);
        step = 'apply';
        await this.#state.apply(entries, rows);
      }
      if (group[0]!.change.alone !== undefined) {
        step = 'apply';
        await group[0]!.change.alone();
      }
      this.groupCount += 1;
      this.changeCount += built.length;
      for (const { waiting, result } of built) {
        waiting.change.applied?.();
        waiting.resolve(result);
      }
    } catch (thrown) {
      this.#fail(group, step, thrown);
    }
  }

  #build(group: readonly Waiting[], rows: Rows): Built[] {
    const working: Working = {
      files: new Map(rows.files),
      bin: new Map(rows.bin),
      growth: new Map(),
      sequence: this.#state.sequence + 1,
      lastContainerId: this.#state.lastContainerId,
      retentionMs: this.#state.mark.retentionMs,
    };
    const built: Built[] = [];
    for (const waiting of group) {
      try {
        const { records, result } = waiting.change.build(working);
        working.sequence += records.length;
        built.push({ waiting, records, result });
      } catch (thrown) {
        if (!(thrown instanceof StoreError)) throw thrown;
        waiting.reject(thrown);
      }
    }
    return built;
  }

  async #append(records: readonly LogRecord[]): Promise<SequencedRecord[]> {
    const payloads = records.map(encodeRecord);
    const first = await this.#target.append(packEntries(records, payloads));
    const wanted = this.#state.sequence + 1;
    if (first !== wanted) {
      throw new StoreError('CORRUPT', `the log went on at record ${first}, wanted ${wanted}`);
    }
    return records.map((record, index) => ({
      sequence: first + index,
      record,
      bytes: payloads[index]!.length,
    }));
  }

  #fail(group: readonly Waiting[], step: string, thrown: unknown): void {
    const error = asStoreError(thrown);
    const isHarmless =
      step !== 'apply' && (HARMLESS.has(error.code) || (step === 'append' && error.code === 'NO_SPACE'));
    if (isHarmless) {
      for (const waiting of group) waiting.reject(error);
      return;
    }
    // A failure to note it is the lesser one: the queue stops in any case.
    if (error.code === 'CORRUPT') this.#target.condemnView().catch(() => undefined);
    const failure = new StoreError(
      'IO',
      `the storage group has stopped writing (${step}: ${error.message}); a restart is needed`,
      { cause: error },
    );
    for (const waiting of group) waiting.reject(failure);
    this.stop(failure);
  }
}

/** Entries as appendLog takes them. */
function packEntries(records: readonly LogRecord[], payloads: readonly Uint8Array[]): Uint8Array {
  const size = payloads.reduce((sum, payload) => sum + LOG_ENTRY_HEADER_SIZE + payload.length, 0);
  const packed = Buffer.alloc(size);
  let offset = 0;
  for (const [index, payload] of payloads.entries()) {
    packed.writeUInt8(records[index]!.type, offset);
    packed.writeUInt32LE(payload.length, offset + 4);
    packed.set(payload, offset + LOG_ENTRY_HEADER_SIZE);
    offset += LOG_ENTRY_HEADER_SIZE + payload.length;
  }
  return packed;
}
