/** All canonical workloads through crash points or faults: what did not hold, counted for the report. */
import { crashPoints, faultPoints } from './crash-run.js';
import { report } from './reliability-report.js';
import { WORKLOADS } from './workloads.js';

/** Every `step`-th operation of each workload; by workload, at most a few problems of each. */
export async function enumerateWorkloads(
  figure: 'crash-points' | 'io-faults',
  step: number,
): Promise<string[]> {
  const begun = performance.now();
  const wrong: string[] = [];
  let count = 0;
  let failures = 0;
  for (const workload of WORKLOADS) {
    const tally = await (figure === 'crash-points' ? crashPoints : faultPoints)(workload, step);
    count += tally.count;
    failures += tally.problems.length;
    wrong.push(...tally.problems.slice(0, 3).map(problem => `${workload.name}: ${problem}`));
  }
  const seconds = (performance.now() - begun) / 1000;
  process.stdout.write(
    `${figure}: ${WORKLOADS.length} workloads, ${count} states, ${seconds.toFixed(1)} s\n`,
  );
  report({ harness: 'crash-enumeration', figure, count, failures, seeds: [], seconds });
  return wrong;
}
