/**
 * A lane: Piscina's worker threads and a pool of slabs. Normal groups share one lane, each performance tier
 * has its own, so that its restores do not queue behind other groups' ingest. Main thread only.
 */
import { Piscina } from 'piscina';
import { assert, BrokenInvariant } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import { RESTORE_SLAB_SHARE, SLAB_COUNT_MAX, TASK_QUEUE_MAX, WORKER_COUNT_MAX } from '../base/limits.js';
import { type Binding, binding } from '../native/binding.js';
import { isShared } from './shared-bytes.js';
import { CountedSlabPool, type SlabPool } from './slabs.js';
import type { Outcome, Task } from './task.js';
import { type LaneVerb, type LaneVerbs, SHARED_ARGUMENTS } from './verbs.js';

/** Verbs that take no lock for long and touch no device, by their contract callable on any thread. */
export type InlineVerb =
  | 'openStream'
  | 'closeStream'
  | 'digestOpen'
  | 'digestUpdate'
  | 'digestFinish'
  | 'digestDrop';

export interface Lane {
  readonly name: string;
  readonly slabs: SlabPool;
  /** The part of `slabs` that restores may hold. */
  readonly restoreSlabs: SlabPool;
  /** The verbs that run on the calling thread, without a round trip. */
  readonly inline: Pick<Binding, InlineVerb>;
  /**
   * Runs one verb on a worker thread. Arrays that the verb fills have to be shared memory (sharedBytes),
   * others are cloned. BUSY: too many tasks are queued. CANCELLED: the lane has been closed.
   */
  call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>>;
  /** Waits for running tasks, then ends the threads. */
  close(): Promise<void>;
}

export interface LaneOptions {
  readonly name: string;
  readonly workerCount: number;
  readonly slabCount: number;
  /** The module that the threads load; tests give another. */
  readonly taskFile?: URL;
}

/** From a .ts file (tests), too, the threads run what was built: they cannot load TypeScript. */
function builtTaskFile(): URL {
  const isBuilt = new URL(import.meta.url).pathname.includes('/dist/src/');
  return new URL(isBuilt ? './task.js' : '../../dist/src/workers/task.js', import.meta.url);
}

/** Starts the threads; they load the addon at their first task. */
export function createLane(options: LaneOptions): Lane {
  return new PiscinaLane(options);
}

class PiscinaLane implements Lane {
  readonly name: string;
  readonly slabs: SlabPool;
  readonly restoreSlabs: SlabPool;
  readonly #threads: Piscina<Task, Outcome>;
  #running = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor({ name, workerCount, slabCount, taskFile }: LaneOptions) {
    assert(workerCount > 0 && workerCount <= WORKER_COUNT_MAX, `lane ${name} with ${workerCount} workers`);
    assert(slabCount > 0 && slabCount <= SLAB_COUNT_MAX, `lane ${name} with ${slabCount} slabs`);
    this.name = name;
    const slabs = new CountedSlabPool(slabCount);
    this.slabs = slabs;
    this.restoreSlabs = slabs.share(Math.max(1, Math.floor(slabCount * RESTORE_SLAB_SHARE)));
    this.#threads = new Piscina({
      filename: (taskFile ?? builtTaskFile()).href,
      name: 'call',
      minThreads: workerCount,
      maxThreads: workerCount,
      maxQueue: TASK_QUEUE_MAX,
      // Atomics.wait in idle workers costs three times the round trip on two busy cores.
      atomics: 'disabled',
    });
  }

  get inline(): Pick<Binding, InlineVerb> {
    return binding();
  }

  async call<V extends LaneVerb>(
    verb: V,
    ...parameters: Parameters<LaneVerbs[V]>
  ): Promise<ReturnType<LaneVerbs[V]>> {
    if (this.#closing !== undefined) {
      throw new StoreError('CANCELLED', `verb ${verb}: lane ${this.name} has been closed`);
    }
    if (this.#threads.queueSize >= TASK_QUEUE_MAX) {
      throw new StoreError('BUSY', `verb ${verb}: ${TASK_QUEUE_MAX} tasks wait for lane ${this.name}`);
    }
    const task = { verb, parameters: portable(verb, parameters) };
    this.#running += 1;
    try {
      return unwrap(await this.#threads.run(task)) as ReturnType<LaneVerbs[V]>;
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#onIdle?.();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve;
      });
    }
    await this.#threads.destroy();
  }
}

/**
 * Arguments as they cross the message port: shared memory as it is; of other arrays only the bytes
 * themselves, since a clone takes along all of the memory behind an array (that of Node's small buffers is a
 * pool of others' bytes).
 */
function portable(verb: LaneVerb, parameters: readonly unknown[]): unknown[] {
  for (const index of SHARED_ARGUMENTS[verb] ?? []) {
    assert(isShared(parameters[index] as Uint8Array), `argument ${index} of ${verb} is shared memory`);
  }
  return parameters.map(parameter => {
    const isPart =
      parameter instanceof Uint8Array &&
      !isShared(parameter) &&
      parameter.byteLength !== parameter.buffer.byteLength;
    return isPart ? new Uint8Array(parameter) : parameter;
  });
}

/**
 * The one place where a worker's failure becomes a StoreError again. A bug on a worker ends the process as
 * one here.
 */
function unwrap(outcome: Outcome): unknown {
  if ('value' in outcome) return outcome.value;
  if ('code' in outcome) throw new StoreError(outcome.code, outcome.message);
  const bug = new BrokenInvariant(outcome.bug);
  queueMicrotask(() => {
    throw bug;
  });
  throw bug;
}
