/** What the harness makes of a bench, and what is computed and printed from it. */
import { expect, test } from 'vitest';
import { budgetOf, ingestLimit, restoreLimit } from '../../bench/budget.js';
import { HARNESS_SMALL, measure } from '../../bench/harness.js';
import { type BenchResult, benchLine, formatTable, median, verdict } from '../../bench/report.js';

const shape = { name: 'a', parameters: { size: 10 }, bytes: 10, hash: () => 'h' };

function resultOf(
  name: string,
  nanosecondsPerByte: number,
  parameters: BenchResult['parameters'] = {},
): BenchResult {
  const seconds = nanosecondsPerByte / 1e9;
  return {
    name,
    parameters,
    bytes: 1,
    seconds,
    cpuSeconds: seconds,
    rate: 1 / seconds,
    peakBytes: 0,
    hash: '',
    runs: 1,
  };
}

test('a line has name, parameters, bytes, seconds, rate, peak memory and hash', async () => {
  const result = await measure({ ...shape, run: () => undefined }, HARNESS_SMALL);
  const line = JSON.parse(benchLine(result)) as BenchResult;
  expect(line).toMatchObject({ name: 'a', parameters: { size: 10 }, bytes: 10, hash: 'h' });
  expect(line.seconds).toBeGreaterThan(0);
  expect(line.rate).toBeCloseTo(line.bytes / line.seconds, 3);
  expect(line.peakBytes).toBeGreaterThan(0);
});

test('every run has its own preparation, so that a stage may use up its input', async () => {
  let prepared = 0;
  let left = 0;
  const takeOne = () => {
    if (left !== 1) throw new Error(`${left} preparations for one run`);
    left = 0;
  };
  const prepare = () => {
    prepared += 1;
    left = 1;
  };
  const result = await measure({ ...shape, prepare, run: takeOne }, HARNESS_SMALL);
  expect(prepared).toBeGreaterThanOrEqual(result.runs);
  expect(result.runs).toBeGreaterThanOrEqual(HARNESS_SMALL.samplesMin);
});

test('the next run begins when the one before has ended', async () => {
  let running = 0;
  const run = async () => {
    running += 1;
    await new Promise(resolve => setImmediate(resolve));
    if (running !== 1) throw new Error(`${running} runs at once`);
    running -= 1;
  };
  const result = await measure({ ...shape, run, hash: () => `${running} left` }, HARNESS_SMALL);
  expect(result.hash).toBe('0 left');
});

test('what a bench throws is thrown by the harness', async () => {
  const fail = () => {
    throw new Error('broken stage');
  };
  await expect(measure({ ...shape, run: fail }, HARNESS_SMALL)).rejects.toThrow('broken stage');
  await expect(measure({ ...shape, prepare: fail, run: () => undefined }, HARNESS_SMALL)).rejects.toThrow(
    'broken stage',
  );
  await expect(
    measure({ ...shape, run: () => Promise.reject(new Error('late')) }, HARNESS_SMALL),
  ).rejects.toThrow('late');
});

test('the median of an even count is the mean of the middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([9, 1, 5])).toBe(5);
});

test('the limit is two cores over the sum of the verbs, new data costing more', () => {
  const verbs = [
    resultOf('loopback', 0.3),
    resultOf('slab-copy', 0.1),
    resultOf('prepare-known', 0.6),
    resultOf('store-records', 2, { compression: 'fast' }),
    resultOf('store-records', 9, { compression: 'best' }),
    resultOf('read-rows', 0.01),
    resultOf('read-records', 0.69, { compression: 'fast' }),
  ];
  const { verbs: cost, stages } = budgetOf(verbs, 0.5);
  expect(stages).toBeUndefined();
  expect(ingestLimit(cost!, 0)).toBeCloseTo(2e9, -3);
  expect(ingestLimit(cost!, 0.5)).toBeCloseTo(1e9, -3);
  expect(restoreLimit(cost!)).toBeCloseTo(2e9, -3);
});

test('a table aligns its columns and a verdict says what was wanted', () => {
  const table = formatTable({
    title: 'T',
    columns: ['name', 'MB'],
    rows: [['long name', '7']],
    notes: ['n'],
  });
  expect(table).toBe('\nT\nname       MB\n---------  --\nlong name   7\n  n');
  expect(verdict(1.834, 1.5)).toBe('1.83 (wanted >= 1.50: reached)');
  expect(verdict(0.7, 0.65, true)).toBe('0.70 (wanted <= 0.65: MISSED)');
});
