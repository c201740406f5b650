/** What an upload saves, asked of the server beside it: how often, what is told, and what is passed over. */
import { expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import { StoreError } from '../../src/base/errors.js';
import { SAVING_INTERVAL_MS } from '../../src/base/limits.js';
import { watchSaving } from '../../src/cli/saving-watch.js';

const settle = () => new Promise(resolve => setImmediate(resolve));

function setUp(answers: readonly (object | StoreError)[]) {
  const due: { delayMs: number; action: () => void; isCancelled: boolean }[] = [];
  const asked: string[] = [];
  const told: number[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    after(delayMs, action) {
      const timer = { delayMs, action, isCancelled: false };
      due.push(timer);
      return {
        cancel() {
          timer.isCancelled = true;
        },
      };
    },
  };
  const json = async <T>(method: string, path: string): Promise<T> => {
    const answer = answers[asked.push(`${method} ${path}`) - 1]!;
    if (answer instanceof StoreError) throw answer;
    return answer as T;
  };
  const watch = watchSaving({ client: { json }, upload: 'id', clock, onSaving: p => void told.push(p) });
  const tick = async () => {
    due.at(-1)!.action();
    await settle();
  };
  return { due, asked, told, watch, tick };
}

test('an answer is told as per cent of the settled bytes, and the next question comes later', async () => {
  const { due, asked, told, tick } = setUp([
    { received: 900, settledBytes: 400, newBytes: 200, storedBytes: 100 },
    { received: 900, settledBytes: 800, newBytes: 200, storedBytes: 100 },
  ]);
  await tick();
  await tick();
  expect(told).toEqual([75, 87.5]);
  expect(asked).toEqual(['GET /api/v1/uploads/id', 'GET /api/v1/uploads/id']);
  expect(due.map(timer => timer.delayMs)).toEqual(Array(3).fill(SAVING_INTERVAL_MS));
});

test('a refusal, and an upload of which nothing is settled, tell nothing and are asked again', async () => {
  const { due, told, tick } = setUp([
    new StoreError('NOT_FOUND', 'not yet'),
    { received: 900, settledBytes: 0, newBytes: 0, storedBytes: 0 },
  ]);
  await tick();
  await tick();
  expect([told, due.length]).toEqual([[], 3]);
});

test('after stop() nothing is asked and a late answer is not told', async () => {
  const { due, told, watch } = setUp([{ settledBytes: 4, storedBytes: 1 }]);
  due[0]!.action();
  watch.stop();
  await settle();
  expect([told, due.length]).toEqual([[], 1]);
});

test('stop() takes back the question that is due', () => {
  const { due, watch } = setUp([]);
  watch.stop();
  expect(due[0]!.isCancelled).toBe(true);
});
