/**
 * Slabs: counted shared memory, one segment each. No free slab, no read from the socket: that is the only
 * backpressure.
 *
 * Who waits for a slab is served in order of asking. Who fills a slab from a slow client registers as a
 * holder: when others wait and no slab is about to come back by itself, the holder written to least lately is
 * asked to submit what it has. Main thread only.
 */
import { assert } from '../base/assert.js';
import { StoreError } from '../base/errors.js';
import { CHUNK_SIZE_MAX, ROWS_MAX, SEGMENT_SIZE_MAX, SLABS_IN_WORK_MIN } from '../base/limits.js';
import { ROW_SIZE } from '../native/binding.js';
import { sharedBytes } from './shared-bytes.js';

/** Bytes of a slab: room for the carried tail, then a segment. */
export const SLAB_SIZE = CHUNK_SIZE_MAX + SEGMENT_SIZE_MAX;

export interface Slab {
  /**
   * CHUNK_SIZE_MAX bytes of room for the carried tail, then SEGMENT_SIZE_MAX bytes. Pages not touched take no
   * memory.
   */
  readonly bytes: Uint8Array;
  /** Room for the rows of the longest segment of the smallest chunks. */
  readonly rows: Uint8Array;
  /**
   * Gives the slab back; the memory is another stream's from now on. Exactly once, after all tasks on it have
   * ended.
   */
  release(): void;
}

/** Fills a slab at its client's pace, and can give it back early. */
export interface SlabHolder {
  /** Set by the holder at every write, cleared by the pool when it looks for one that is idle. */
  isActive: boolean;
  /** Submits what the slab has; calls unhold before it returns. */
  yieldSlab(): void;
}

export interface SlabPool {
  /** A slab at once, or undefined: none is free. */
  tryTake(): Slab | undefined;
  /** The next free slab, in order of asking. `signal` gives up waiting (CANCELLED). */
  take(signal?: AbortSignal): Promise<Slab>;
  readonly countMax: number;
  readonly free: number;
  readonly waiting: number;
  /** From now on `holder` may be asked to give its one slab back. */
  hold(holder: SlabHolder): void;
  unhold(holder: SlabHolder): void;
}

interface Waiter {
  grant(slab: Slab): void;
}

interface SlabMemory {
  readonly bytes: Uint8Array;
  readonly rows: Uint8Array;
}

export class CountedSlabPool implements SlabPool {
  readonly countMax: number;
  /** Last in, first out: few slabs are touched while few streams run. */
  readonly #idle: SlabMemory[] = [];
  #made = 0;
  readonly #waiters = new Set<Waiter>();
  readonly #holders = new Set<SlabHolder>();
  #shared = 0;

  constructor(countMax: number) {
    assert(Number.isInteger(countMax) && countMax > 0, `a slab pool of ${countMax} slabs`);
    this.countMax = countMax;
  }

  get free(): number {
    return this.#idle.length + this.countMax - this.#made;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  tryTake(): Slab | undefined {
    const memory = this.#idle.pop() ?? this.#make();
    return memory === undefined ? undefined : this.#lend(memory);
  }

  take(signal?: AbortSignal): Promise<Slab> {
    if (signal?.aborted) return Promise.reject(givenUp());
    const slab = this.tryTake();
    if (slab !== undefined) return Promise.resolve(slab);
    const waiting = waitIn(this.#waiters, signal);
    this.#press();
    return waiting;
  }

  hold(holder: SlabHolder): void {
    this.#holders.add(holder);
    this.#press();
  }

  unhold(holder: SlabHolder): void {
    this.#holders.delete(holder);
  }

  /**
   * A part of this pool: at most `countMax` of its slabs at a time, so that whoever uses it cannot take them
   * all.
   */
  share(countMax: number): SlabPool {
    return new SlabShare(this, countMax, change => {
      this.#shared += change;
    });
  }

  #make(): SlabMemory | undefined {
    if (this.#made === this.countMax) return undefined;
    this.#made += 1;
    return { bytes: sharedBytes(SLAB_SIZE), rows: sharedBytes(ROWS_MAX * ROW_SIZE) };
  }

  #lend(memory: SlabMemory): Slab {
    let isLent = true;
    const release = () => {
      assert(isLent, 'a slab is released once');
      isLent = false;
      this.#giveBack(memory);
    };
    return { bytes: memory.bytes, rows: memory.rows, release };
  }

  #giveBack(memory: SlabMemory): void {
    const [waiter] = this.#waiters;
    if (waiter === undefined) {
      this.#idle.push(memory);
      return;
    }
    this.#waiters.delete(waiter);
    waiter.grant(this.#lend(memory));
    this.#press();
  }

  /** Slabs that come back without any client's help: those of submitted segments. */
  get #inWork(): number {
    return this.countMax - this.free - this.#holders.size - this.#shared;
  }

  #press(): void {
    while (this.#holders.size > 0 && this.#inWork < Math.min(this.#waiters.size, SLABS_IN_WORK_MIN)) {
      const holder = this.#idlest();
      holder.yieldSlab();
      assert(!this.#holders.has(holder), 'a holder that was asked for its slab has unheld it');
    }
  }

  /** Second chance: one that was written to since the last look goes to the end of the row, once. */
  #idlest(): SlabHolder {
    for (const holder of [...this.#holders]) {
      if (!holder.isActive) return holder;
      holder.isActive = false;
      this.#holders.delete(holder);
      this.#holders.add(holder);
    }
    const [first] = this.#holders;
    assert(first !== undefined, 'a pool under pressure has a holder');
    return first;
  }
}

class SlabShare implements SlabPool {
  readonly #pool: CountedSlabPool;
  readonly countMax: number;
  readonly #count: (change: number) => void;
  #used = 0;
  readonly #waiters = new Set<Waiter>();

  constructor(pool: CountedSlabPool, countMax: number, count: (change: number) => void) {
    assert(countMax > 0 && countMax <= pool.countMax, `a share of ${countMax} of ${pool.countMax} slabs`);
    this.#pool = pool;
    this.countMax = countMax;
    this.#count = count;
  }

  get free(): number {
    return Math.min(this.countMax - this.#used, this.#pool.free);
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  tryTake(): Slab | undefined {
    if (this.#used === this.countMax) return undefined;
    const slab = this.#pool.tryTake();
    return slab === undefined ? undefined : this.#lend(slab);
  }

  async take(signal?: AbortSignal): Promise<Slab> {
    if (signal?.aborted) throw givenUp();
    if (this.#used === this.countMax) return waitIn(this.#waiters, signal);
    this.#used += 1;
    try {
      const slab = await this.#pool.take(signal);
      this.#used -= 1;
      return this.#lend(slab);
    } catch (thrown) {
      this.#used -= 1;
      this.#serveNext();
      throw thrown;
    }
  }

  hold(holder: SlabHolder): void {
    this.#pool.hold(holder);
  }

  unhold(holder: SlabHolder): void {
    this.#pool.unhold(holder);
  }

  #lend(slab: Slab): Slab {
    this.#used += 1;
    this.#count(1);
    const release = () => {
      this.#used -= 1;
      this.#count(-1);
      slab.release();
      this.#serveNext();
    };
    return { bytes: slab.bytes, rows: slab.rows, release };
  }

  #serveNext(): void {
    const [waiter] = this.#waiters;
    if (waiter === undefined || this.#used === this.countMax) return;
    this.#waiters.delete(waiter);
    void this.take().then(slab => waiter.grant(slab));
  }
}

function givenUp(): StoreError {
  return new StoreError('CANCELLED', 'waiting for a slab was given up');
}

function waitIn(waiters: Set<Waiter>, signal: AbortSignal | undefined): Promise<Slab> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const abandon = () => {
      isOver = true;
      waiters.delete(waiter);
      reject(givenUp());
    };
    const waiter: Waiter = {
      grant(slab) {
        signal?.removeEventListener('abort', abandon);
        if (isOver) slab.release();
        else resolve(slab);
      },
    };
    waiters.add(waiter);
    signal?.addEventListener('abort', abandon, { once: true });
  });
}
