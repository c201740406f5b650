/**
 * Seeded random numbers for benches: the same seed gives the same numbers on every machine, for ever, because
 * the corpus and with it every figure hangs on them. xoshiro128**, seeded by splitmix32. Not for keys.
 */

const UINT32_RANGE = 2 ** 32;

/**
 * The seed of a named part of something seeded: parts do not shift each other when one of them draws more
 * numbers.
 */
export function deriveSeed(seed: number, ...parts: readonly (string | number)[]): number {
  let state = seed >>> 0;
  for (const part of parts) {
    for (const character of String(part))
      state = Math.imul(state ^ character.charCodeAt(0), 0x01000193) >>> 0;
    state = Math.imul(state ^ (state >>> 15) ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  }
  return state;
}

export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    const words: number[] = [];
    let state = seed >>> 0;
    for (let i = 0; i < 4; i += 1) {
      state = (state + 0x9e3779b9) >>> 0;
      let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
      words.push(word ^ (word >>> 15));
    }
    [this.a, this.b, this.c, this.d] = words as [number, number, number, number];
  }

  /** 32 random bits. */
  u32(): number {
    const product = Math.imul(this.b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }

  /** 0 ≤ result < 1. */
  unit(): number {
    return this.u32() / UINT32_RANGE;
  }

  /** 0 … limit - 1. */
  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }

  /** from … to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** Log-normal sizes, as files have them: median, and spread in powers of e. */
  logNormal(median: number, spread: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.unit()));
    return Math.max(1, Math.round(median * Math.exp(spread * radius * Math.cos(2 * Math.PI * this.unit()))));
  }
}
