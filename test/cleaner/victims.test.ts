import { expect, test } from 'vitest';
import {
  CLEANER_BRAKE_SLACK_BYTES,
  CLEANER_DEAD_SHARE_AUTOMATIC,
  CLEANER_DEAD_SHARE_MIN,
  CLEANER_SMALL_STORES_MIN,
} from '../../src/base/limits.js';
import {
  type Candidate,
  type ChoiceBounds,
  chooseVictims,
  deadShare,
  unaccountedBytes,
} from '../../src/cleaner/victims.js';

const BOUNDS: ChoiceBounds = {
  thoroughness: 'gentle',
  deadChunksMax: 1e6,
  copyBytesMax: 1e9,
  resealBytesMax: 1e9,
  smallBytes: 1000,
  activeEpoch: 1,
};

function store(id: string, share: number, change: Partial<Candidate> = {}): Candidate {
  return {
    ...{ id, isClosed: true, pinCount: 0, keyEpoch: 1, chunkCount: 1000, plainBytes: 100_000 },
    ...{ fileBytes: 50_000, deadCount: 1000 * share, deadPlainBytes: 100_000 * share },
    ...change,
  };
}

const idsOf = (victims: readonly Candidate[]) => victims.map(({ id }) => id);

test('by itself the cleaner takes what is dead enough, the deadest first', () => {
  const share = CLEANER_DEAD_SHARE_AUTOMATIC;
  const candidates = [store('a', share - 0.001), store('b', share), store('c', 1), store('d', 0.5)];
  expect(idsOf(chooseVictims(candidates, BOUNDS))).toEqual(['c', 'd', 'b']);
});

test('small data stores are copied together when there are many of them, and only then', () => {
  const small = (count: number) =>
    Array.from({ length: count }, (_, index) => store(`s${index}`, 0, { fileBytes: 1000 }));
  expect(chooseVictims(small(CLEANER_SMALL_STORES_MIN - 1), BOUNDS)).toEqual([]);
  const candidates = [...small(CLEANER_SMALL_STORES_MIN), store('large', 0)];
  expect(chooseVictims(candidates, BOUNDS).length).toBe(CLEANER_SMALL_STORES_MIN);
});

test('thoroughly, the deadest go until they cover nearly all that is dead', () => {
  const candidates = [store('a', 0.9), store('b', 0.09), store('c', 0.009), store('d', 0.0001)];
  const bounds = { ...BOUNDS, thoroughness: 'thorough' } as const;
  expect(idsOf(chooseVictims(candidates, bounds))).toEqual(['a', 'b']);
  expect(idsOf(chooseVictims([store('e', CLEANER_DEAD_SHARE_MIN)], bounds))).toEqual(['e']);
  expect(idsOf(chooseVictims([store('e', CLEANER_DEAD_SHARE_MIN / 2)], bounds))).toEqual([]);
});

test('what is open or held by a stream is left alone', () => {
  const candidates = [store('a', 1, { isClosed: false }), store('b', 1, { pinCount: 1 }), store('c', 1)];
  expect(idsOf(chooseVictims(candidates, BOUNDS))).toEqual(['c']);
});

test('a data store without chunks is all dead', () => {
  const empty = store('a', 0, { chunkCount: 0, plainBytes: 0, deadCount: 0 });
  expect(deadShare(empty)).toBe(1);
  expect(idsOf(chooseVictims([empty], BOUNDS))).toEqual(['a']);
});

test('what is condemned in one cycle keeps within the memory of the second mark', () => {
  const candidates = [store('a', 1), store('b', 0.9), store('c', 0.5)];
  expect(idsOf(chooseVictims(candidates, { ...BOUNDS, deadChunksMax: 1500 }))).toEqual(['a', 'c']);
});

test('what is alive in the victims keeps within the room for copies, and what needs none goes anyway', () => {
  const candidates = [store('a', 1), store('b', 0.5), store('c', 0.5)];
  expect(idsOf(chooseVictims(candidates, { ...BOUNDS, copyBytesMax: 25_000 }))).toEqual(['a', 'b']);
  expect(idsOf(chooseVictims(candidates, { ...BOUNDS, copyBytesMax: 0 }))).toEqual(['a']);
});

test('data stores of an older key are sealed anew, within their own bound', () => {
  const old = { keyEpoch: 0 };
  const candidates = [store('a', 0, old), store('b', 0, old), store('c', 0), store('d', 1, old)];
  expect(idsOf(chooseVictims(candidates, BOUNDS))).toEqual(['d', 'a', 'b']);
  expect(idsOf(chooseVictims(candidates, { ...BOUNDS, resealBytesMax: 50_000 }))).toEqual(['d', 'a']);
});

test('what current files brought cannot be dead: more is unaccounted for', () => {
  const figures = { presentBytes: 1e9, newBytes: 7e8, duplicateBytes: 1e7 };
  const allowed = 3e8 + 1e7 + CLEANER_BRAKE_SLACK_BYTES;
  expect(unaccountedBytes({ ...figures, deadBytes: allowed })).toBe(0);
  expect(unaccountedBytes({ ...figures, deadBytes: allowed + 1 })).toBe(1);
});
