import { expect, test } from 'vitest';
import { PACER_REST_MS_MAX } from '../../src/base/limits.js';
import { Pacer } from '../../src/base/pacer.js';
import { StillClock } from '../support/open-catalog.js';

function setUp({ isBusy = true } = {}) {
  const clock = new StillClock();
  const state = { isBusy };
  const abort = new AbortController();
  const pacer = new Pacer({
    clock,
    isForegroundBusy: () => state.isBusy,
    restFactor: 4,
    signal: abort.signal,
  });
  /** A unit of work that takes so long, and whether it has been answered. */
  const start = (ms: number) => {
    const run = { isDone: false, result: undefined as Promise<string> | undefined };
    run.result = pacer.paced(async () => {
      clock.advance(ms);
      return 'done';
    });
    run.result.then(
      () => {
        run.isDone = true;
      },
      () => undefined,
    );
    return run;
  };
  return { clock, state, abort, pacer, start };
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
};

test('a unit of work is followed by a rest in proportion to what it took', async () => {
  const { clock, pacer, start } = setUp();
  const run = start(50);
  await turns();
  clock.advance(199);
  await turns();
  expect(run.isDone).toBe(false);
  clock.advance(1);
  expect(await run.result).toBe('done');
  expect(pacer.restedMs).toBe(200);
});

test('without foreground work there is no rest', async () => {
  const { pacer, start } = setUp({ isBusy: false });
  expect(await start(50).result).toBe('done');
  expect(pacer.restedMs).toBe(0);
});

test('foreground work that began beside a unit is given its rest', async () => {
  const { clock, state, pacer, start } = setUp({ isBusy: false });
  const run = start(10);
  state.isBusy = true;
  await turns();
  expect(run.isDone).toBe(false);
  clock.advance(40);
  await run.result;
  expect(pacer.restedMs).toBe(40);
});

test('no rest is longer than its bound', async () => {
  const { clock, start } = setUp();
  const run = start(PACER_REST_MS_MAX);
  await turns();
  clock.advance(PACER_REST_MS_MAX);
  expect(await run.result).toBe('done');
});

test('a signal ends the rest at once, answers what was done, and refuses what comes', async () => {
  const { abort, start } = setUp();
  const run = start(50);
  await turns();
  expect(run.isDone).toBe(false);
  abort.abort();
  expect(await run.result).toBe('done');
  await expect(start(1).result).rejects.toMatchObject({ code: 'CANCELLED' });
});
