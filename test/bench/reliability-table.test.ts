import { expect, test } from 'vitest';
import { lastSum, type RunLine, reliabilityTable, summed } from '../../bench/reliability-table.js';

const LINE: RunLine = {
  ...{ harness: 'h', figure: 'kills', count: 20, failures: 0, seeds: [5, 9], seconds: 30 },
  ...{ commit: 'abc', run: '2026-01-01', machine: 'm' },
};

test('a figure is what its last run has counted, all of its harnesses together', () => {
  const lines: RunLine[] = [
    { ...LINE, run: '2025-12-31', count: 1000 },
    LINE,
    { ...LINE, harness: 'other', seeds: [2, 2], failures: 1, commit: 'def' },
    { ...LINE, figure: 'corruptions', run: '2026-01-02' },
  ];
  expect(lastSum(lines, 'kills')).toEqual({
    ...{ count: 40, failures: 1, seconds: 60, seeds: [2, 9] },
    ...{ commits: ['abc', 'def'], machine: 'm' },
  });
});

test('rounds of a run are kept as one line for each harness, figure and commit', () => {
  const lines = summed([
    LINE,
    { ...LINE, seeds: [] },
    { ...LINE, seeds: [77, 78] },
    { ...LINE, commit: 'def' },
  ]);
  expect(lines.map(({ count, seeds, commit }) => [count, seeds, commit])).toEqual([
    [60, [5, 78], 'abc'],
    [20, [5, 9], 'def'],
  ]);
});

test('what was not run is said to be so, and what did not hold is counted', () => {
  const { rows } = reliabilityTable([], [{ ...LINE, failures: 3 }]);
  const row = (what: RegExp) => rows.find(([first]) => what.test(first!))!;
  expect(row(/^kill -9/).slice(1, 5)).toEqual(['20', 'not run', '1 000', '20, 3 failed']);
  expect(row(/^random corruptions/)[4]).toBe('not run');
});
