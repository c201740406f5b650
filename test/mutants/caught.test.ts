/**
 * A few mutants in the normal run: that tests fail when the rule they hold is broken. `npm run test:mutants`
 * takes all of them.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { caught } from './catch.js';
import { MUTANTS } from './mutants.js';
import { prepareTree, useAddon } from './tree.js';

beforeAll(() => {
  prepareTree();
  useAddon(false);
});

test('every mutant has a name and a test of its own kind', () => {
  const names = MUTANTS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const kinds = MUTANTS.map(
    ({ caughtBy }) => (caughtBy.test === undefined) !== (caughtBy.simulate === undefined),
  );
  expect(kinds.every(isOne => isOne)).toBe(true);
});

test('every mutant finds the line that it breaks, once', () => {
  const changes = MUTANTS.flatMap(({ name, file, find, with: second }) =>
    (second === undefined ? [{ file, find }] : [{ file, find }, second]).map(change => ({ name, ...change })),
  );
  const lost = changes.filter(({ file, find }) => readFileSync(file, 'utf8').split(find).length !== 2);
  expect(lost.map(({ name, file }) => `${name}: ${file}`)).toEqual([]);
});

test.each(MUTANTS.filter(({ isFast }) => isFast === true))(
  'a build in which $name is caught',
  mutant => {
    const { isCaught, output } = caught(mutant);
    expect([mutant.name, isCaught, isCaught ? '' : output.slice(-2000)]).toEqual([mutant.name, true, '']);
  },
  120_000,
);
