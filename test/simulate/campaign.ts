/** Many simulated runs, or interleavings, one after the other: what did not hold, counted for the report. */
import { report } from '../support/reliability-report.js';
import { INTERLEAVING_COUNT, Interleavings } from './interleavings.js';
import { type Counts, noCounts, type Outcome, Simulation } from './simulation.js';

const FIGURES = [
  ['crash-states', 'crashStates'],
  ['interleavings', 'interleavings'],
  ['io-faults', 'ioFaults'],
  ['corruptions', 'corruptions'],
  ['model-operations', 'operations'],
] as const;

export interface Campaign {
  readonly first: number;
  readonly last: number;
  readonly steps: number;
  readonly secondsMax: number;
  readonly statesMax: number;
  /** Hears of everything that happens, in order. */
  readonly listen?: ((what: string) => void) | undefined;
}

export interface Done {
  readonly runs: number;
  readonly seconds: number;
  readonly total: Counts;
  readonly failed: Outcome | undefined;
}

/** Runs from seed `first` on, until the first that fails or one of the bounds is met. */
export async function simulate(campaign: Campaign): Promise<Done> {
  const { first, last, steps, secondsMax, statesMax, listen } = campaign;
  const begun = performance.now();
  const elapsed = (): number => Math.round((performance.now() - begun) / 100) / 10;
  const total = noCounts();
  let failed: Outcome | undefined;
  let seed = first;
  while (failed === undefined && seed <= last && total.crashStates < statesMax && elapsed() < secondsMax) {
    const outcome = await new Simulation(seed, steps, listen).run();
    for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += outcome.counts[name];
    listen?.(`seed ${seed}: ${outcome.traceHash}`);
    if (outcome.problems.length > 0) failed = outcome;
    seed += 1;
  }
  const seconds = elapsed();
  const line = { harness: 'simulate', seeds: [first, seed - 1] as const, seconds };
  const failures = failed === undefined ? 0 : 1;
  for (const [figure, name] of FIGURES) report({ ...line, figure, count: total[name], failures });
  return { runs: seed - first, seconds, total, failed };
}

/** As simulate, for a test: what did not hold, with what replays it. */
export async function simulated(first: number, steps: number, bounds: Bounds): Promise<string[]> {
  const { count: statesMax, seconds: secondsMax } = bounds;
  const last = Number.POSITIVE_INFINITY;
  const { total, seconds, failed } = await simulate({ first, last, steps, secondsMax, statesMax });
  process.stdout.write(`simulator: ${JSON.stringify(total)} in ${seconds} s\n`);
  const replay = `npm run simulate -- --seed ${failed?.seed} --steps ${steps}`;
  return failed?.problems.map(problem => `${replay}: ${problem}`) ?? [];
}

export interface Bounds {
  /** Ends when there were so many crash states or interleavings, or so many seconds have passed. */
  readonly count: number;
  readonly seconds: number;
}

/** So many, evenly over all of them. */
export async function interleave(bounds: Bounds): Promise<string[]> {
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const interleavings = new Interleavings();
  await interleavings.prepare();
  const wrong: string[] = [];
  // An odd stride takes each place of the power cut in turn.
  const stride = Math.max(1, Math.floor(INTERLEAVING_COUNT / bounds.count)) | 1;
  let count = 0;
  let number = 0;
  for (
    ;
    number < INTERLEAVING_COUNT && count < bounds.count && seconds() < bounds.seconds;
    number += stride
  ) {
    const problems = await interleavings.problems(number);
    wrong.push(...problems.map(problem => `${number}: ${problem}`));
    count += 1;
  }
  const line = { harness: 'interleavings', figure: 'interleavings', seeds: [] } as const;
  report({ ...line, count, failures: wrong.length, seconds: seconds() });
  return wrong;
}
