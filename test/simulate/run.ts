/**
 * `npm run simulate -- --seed N [--steps M] [--runs R] [--seconds S] [--canary NAME]`: runs of seeds N, N + 1, …; stops at the first that
 * fails, and prints what replays it. The last line is JSON: what was done, and what did not hold.
 */
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { caught } from '../mutants/catch.js';
import { MUTANTS } from '../mutants/mutants.js';
import { prepareTree, useAddon } from '../mutants/tree.js';
import { commit, report } from '../support/reliability-report.js';
import { type Counts, noCounts, type Outcome, Simulation } from './simulation.js';

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
  const secondsMax = values.seconds === undefined ? 0 : Number(values.seconds);
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const trace = values.trace;
  const listen = trace === undefined ? undefined : (what: string): void => appendFileSync(trace, `${what}\n`);
  const total = noCounts();
  let failed: Outcome | undefined;
  let seed = first;
  for (
    ;
    failed === undefined && (secondsMax > 0 ? seconds() < secondsMax : seed < first + Number(values.runs));
    seed += 1
  ) {
    const outcome = await new Simulation(seed, steps, listen).run();
    for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += outcome.counts[name];
    listen?.(`seed ${seed}: ${outcome.traceHash}`);
    if (outcome.problems.length > 0) failed = outcome;
  }
  if (failed !== undefined) {
    process.stdout.write(
      `seed ${failed.seed}, commit ${commit()}:\n${failed.problems.slice(0, 5).join('\n')}\n` +
        `replay: npm run simulate -- --seed ${failed.seed} --steps ${steps}\n`,
    );
    process.exitCode = 1;
  }
  const failures = failed === undefined ? 0 : 1;
  const line = { harness: 'simulate', failures, seeds: [first, seed - 1] as const, seconds: seconds() };
  report({ ...line, figure: 'crash-states', count: total.crashStates });
  report({ ...line, figure: 'interleavings', count: total.interleavings });
  report({ ...line, figure: 'io-faults', count: total.ioFaults });
  report({ ...line, figure: 'corruptions', count: total.corruptions });
  report({ ...line, figure: 'model-operations', count: total.operations });
  const { steps: stepCount, ...rest } = total;
  process.stdout.write(
    `${JSON.stringify({ seed: first, runs: seed - first, steps: stepCount, ...rest, seconds: Math.round(seconds() * 10) / 10 })}\n`,
  );
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
