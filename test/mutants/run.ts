/**
 * `npm run test:mutants [-- --only NAME] [--fast]`: each mutant has to be caught by the test that the table
 * names; one that survives fails the run. `--fast`: those of TypeScript that the normal run takes.
 */
import { parseArgs } from 'node:util';
import { report } from '../support/reliability-report.js';
import { caught } from './catch.js';
import { MUTANTS } from './mutants.js';
import { prepareTree, useAddon } from './tree.js';

const { values } = parseArgs({
  options: { only: { type: 'string' }, fast: { type: 'boolean', default: false } },
});
const begun = performance.now();
const chosen = MUTANTS.filter(
  ({ name, isFast }) =>
    (values.only === undefined || new RegExp(values.only).test(name)) && (!values.fast || isFast === true),
);
if (chosen.length === 0) throw new Error(`no mutant '${values.only}'`);
prepareTree();
useAddon(false);
const survivors: string[] = [];
for (const mutant of chosen) {
  const start = performance.now();
  const result = caught(mutant);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${result.isCaught ? 'caught  ' : 'SURVIVED'} ${mutant.name} (${seconds} s)\n`);
  if (result.isCaught) continue;
  survivors.push(mutant.name);
  process.stdout.write(`${result.output.slice(-1500)}\n`);
}
const seconds = (performance.now() - begun) / 1000;
report({
  harness: 'mutants',
  figure: 'mutants',
  count: chosen.length,
  failures: survivors.length,
  seeds: [],
  seconds,
});
process.stdout.write(`${chosen.length - survivors.length} of ${chosen.length} mutants caught\n`);
if (survivors.length > 0) process.exitCode = 1;
