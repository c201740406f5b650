/**
 * What a client knows of its files: what it has sent, and what was acknowledged. After any fault a path may
 * hold what was acknowledged last, or what was under way, whole; nothing else (the oracle of every fault
 * test). One operation on a path at a time.
 */
import { createCipheriv, createHash } from 'node:crypto';

export interface Content {
  readonly size: number;
  readonly sha256: string;
}

/** undefined: the file is absent. */
export type FileState = Content | undefined;

interface Entry {
  acknowledged: FileState;
  /** Sent, and not answered yet. */
  pending: { readonly next: FileState } | undefined;
}

export class Ledger {
  readonly #entries = new Map<string, Entry>();

  get paths(): string[] {
    return [...this.#entries.keys()];
  }

  /** Before the operation is sent. */
  send(path: string, next: FileState): void {
    const entry = this.#entries.get(path) ?? { acknowledged: undefined, pending: undefined };
    if (entry.pending !== undefined) throw new Error(`${path}: two operations at once`);
    entry.pending = { next };
    this.#entries.set(path, entry);
  }

  acknowledge(path: string): void {
    const entry = this.#entries.get(path)!;
    entry.acknowledged = entry.pending!.next;
    entry.pending = undefined;
  }

  /** The server has said that it did not do it. */
  refuse(path: string): void {
    this.#entries.get(path)!.pending = undefined;
  }

  acknowledged(path: string): FileState {
    return this.#entries.get(path)?.acknowledged;
  }

  /** Is an operation on it under way, or was one never answered? */
  isPending(path: string): boolean {
    return this.#entries.get(path)?.pending !== undefined;
  }

  /** What it knows now, for a second future. */
  copy(): Ledger {
    const copy = new Ledger();
    for (const [path, entry] of this.#entries) copy.#entries.set(path, { ...entry });
    return copy;
  }

  /** What is wrong with what was found, or undefined. */
  problem(path: string, found: FileState): string | undefined {
    const entry = this.#entries.get(path);
    const allowed = entry === undefined ? [undefined] : [entry.acknowledged];
    if (entry?.pending !== undefined) allowed.push(entry.pending.next);
    if (allowed.some(state => describeState(state) === describeState(found))) return undefined;
    return `${path}: found ${describeState(found)}, allowed ${allowed.map(describeState).join(' or ')}`;
  }

  /** As problem(); what is right is the new state of the path. */
  settle(path: string, found: FileState): string | undefined {
    const problem = this.problem(path, found);
    if (problem !== undefined) return problem;
    const entry = this.#entries.get(path);
    if (entry !== undefined) {
      entry.acknowledged = found;
      entry.pending = undefined;
    }
    return undefined;
  }
}

function describeState(state: FileState): string {
  return state === undefined ? 'nothing' : `${state.size} bytes of ${state.sha256.slice(0, 16)}`;
}

export function contentOf(bytes: Uint8Array): Content {
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Bytes without repetitions that follow from `seed` alone, some GB a second. */
export function seededBytes(seed: number, size: number): Buffer {
  const key = createHash('sha256').update(`seed ${seed}`).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** Numbers that follow from `seed` alone: next(bound) is a whole number below it. */
export function seededNumbers(seed: number): (bound: number) => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return bound => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

/** The seed of this run: given by the environment, or a new one, which a failure has to show. */
export function runSeed(name: string): number {
  // The normal run repeats itself, the long one looks for what nobody has seen yet.
  const given = process.env.GRANARY_SEED ?? (process.env.GRANARY_LONG === undefined ? '99908243' : undefined);
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  process.stdout.write(`${name}: GRANARY_SEED=${seed}\n`);
  return seed;
}

/** A count that the environment may raise or lower. */
export function runCount(name: string, byDefault: number): number {
  const given = process.env[name];
  return given === undefined ? byDefault : Number(given);
}
