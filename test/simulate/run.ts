/**
 * `npm run simulate -- --seed N [--steps M] [--runs R] [--seconds S] [--canary NAME]`: runs of seeds N,
 * N + 1, …; stops at the first that fails, and prints what replays it. The last line is JSON: what was done,
 * and what did not hold.
 */
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { caught } from '../mutants/catch.js';
import { MUTANTS } from '../mutants/mutants.js';
import { prepareTree, useAddon } from '../mutants/tree.js';
import { commit } from '../support/reliability-report.js';
import { simulate } from './campaign.js';

const STEPS = 3000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: String(STEPS) },
      runs: { type: 'string', default: '1' },
      /** Runs until so many seconds have passed, whatever `runs` says. */
      seconds: { type: 'string' },
      /** A mutant of test/mutants: its build has to be caught within so many runs. */
      canary: { type: 'string' },
      /** A file for everything that happens, line by line. */
      trace: { type: 'string' },
    },
  });
  if (values.canary !== undefined) return canary(values.canary, Number(values.runs));
  const [first, steps] = [Number(values.seed), Number(values.steps)];
  const { trace } = values;
  const listen = trace === undefined ? undefined : (what: string): void => appendFileSync(trace, `${what}\n`);
  const last = values.seconds === undefined ? first + Number(values.runs) - 1 : Number.POSITIVE_INFINITY;
  const secondsMax = Number(values.seconds ?? Number.POSITIVE_INFINITY);
  const done = await simulate({
    first,
    last,
    steps,
    secondsMax,
    statesMax: Number.POSITIVE_INFINITY,
    listen,
  });
  if (done.failed !== undefined) {
    process.stdout.write(
      `seed ${done.failed.seed}, commit ${commit()}:\n${done.failed.problems.slice(0, 5).join('\n')}\n` +
        `replay: npm run simulate -- --seed ${done.failed.seed} --steps ${steps}\n`,
    );
    process.exitCode = 1;
  }
  const { runs, seconds, total } = done;
  process.stdout.write(`${JSON.stringify({ seed: first, runs, ...total, seconds })}\n`);
}

/** Exit 0: caught, with what replays it. */
function canary(name: string, runs: number): void {
  const mutant = MUTANTS.find(entry => entry.name === name);
  if (mutant === undefined) throw new Error(`no mutant '${name}': see test/mutants`);
  prepareTree();
  useAddon(false);
  const { isCaught, output } = caught({ ...mutant, caughtBy: { simulate: runs } });
  process.stdout.write(`${output.slice(-2000)}\n${name}: ${isCaught ? 'caught' : 'SURVIVED'}\n`);
  if (!isCaught) process.exitCode = 1;
}

await main();
