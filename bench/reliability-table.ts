/**
 * The reliability report: what was wanted of each harness, and what its last runs have really done. Lines
 * come from harnesses alone (test/support/reliability-report.ts); nothing here makes up a figure. Pure.
 */
import { FIGURES, type Figure, type ReportLine } from '../test/support/reliability-report.js';
import type { Table } from './report.js';

/** A line of a run, as test/reliability keeps it. */
export interface RunLine extends ReportLine {
  /** When the run began, ISO 8601; lines of one run have the same. */
  readonly run: string;
  readonly machine: string;
}

interface Goal {
  readonly figure: Figure;
  /** Absent: the issue names no figure. */
  readonly ci?: number | string;
  readonly long?: number | string;
}

export const GOALS: readonly Goal[] = [
  { figure: 'crash-states', ci: 2000, long: 1_000_000 },
  { figure: 'crash-points', ci: '10 %', long: '100 %' },
  { figure: 'io-faults', ci: '10 %', long: '100 %' },
  { figure: 'interleavings', ci: 10_000, long: 1_000_000 },
  { figure: 'corruptions', ci: 1000, long: 100_000 },
  { figure: 'kills', ci: 20, long: 1000 },
  { figure: 'fuzz-executions', ci: 1_000_000, long: 50_000_000 },
  { figure: 'block-crash-states', long: 2000 },
  { figure: 'fill-cycles', long: 20 },
  { figure: 'model-operations' },
  { figure: 'mutants' },
  { figure: 'regressions' },
];

/** Of one run: lines of one figure as one. */
export interface Sum {
  readonly count: number;
  readonly failures: number;
  readonly seconds: number;
  readonly seeds: readonly [] | readonly [first: number, last: number];
  readonly commits: readonly string[];
  readonly machine: string;
}

/** The last run that has counted the figure; undefined: none has. */
export function lastSum(lines: readonly RunLine[], figure: Figure): Sum | undefined {
  const own = lines.filter(line => line.figure === figure);
  const run = own.map(line => line.run).reduce((last, at) => (at > last ? at : last), '');
  const parts = own.filter(line => line.run === run);
  if (parts.length === 0) return undefined;
  const seeds = parts.flatMap(line => [...line.seeds]);
  return {
    count: parts.reduce((sum, line) => sum + line.count, 0),
    failures: parts.reduce((sum, line) => sum + line.failures, 0),
    seconds: parts.reduce((sum, line) => sum + line.seconds, 0),
    seeds: seeds.length === 0 ? [] : [Math.min(...seeds), Math.max(...seeds)],
    commits: [...new Set(parts.map(line => line.commit))],
    machine: parts[0]!.machine,
  };
}

/** Lines of one harness and figure as one, so that a run of hours takes few. */
export function summed(lines: readonly RunLine[]): RunLine[] {
  const sums = new Map<string, RunLine>();
  for (const line of lines) {
    const key = JSON.stringify([line.run, line.harness, line.figure, line.commit]);
    const before = sums.get(key);
    if (before === undefined) {
      sums.set(key, line);
      continue;
    }
    const seeds = [...before.seeds, ...line.seeds];
    sums.set(key, {
      ...before,
      count: before.count + line.count,
      failures: before.failures + line.failures,
      seconds: Math.round((before.seconds + line.seconds) * 10) / 10,
      seeds: seeds.length === 0 ? [] : [Math.min(...seeds), Math.max(...seeds)],
    });
  }
  return [...sums.values()];
}

export function reliabilityTable(ci: readonly RunLine[], long: readonly RunLine[]): Table {
  const machines = new Set<string>();
  const rows = GOALS.map(({ figure, ...wanted }) => {
    const inCi = lastSum(ci, figure);
    const inLong = lastSum(long, figure);
    if (inLong !== undefined) machines.add(inLong.machine);
    return [
      FIGURES[figure],
      goalText(wanted.ci),
      doneText(inCi),
      goalText(wanted.long),
      doneText(inLong),
      inLong === undefined ? '' : (inLong.seconds / 3600).toFixed(2),
      inLong === undefined ? '' : inLong.commits.join(' '),
      seedText(inLong),
    ];
  });
  return {
    title: 'Reliability: what was wanted, and what the last runs did (count, and how many did not hold)',
    columns: ['what', 'CI wanted', 'CI done', 'long wanted', 'long done', 'hours', 'commit', 'seeds'],
    rows,
    notes: [
      ...[...machines].map(machine => `long runs on: ${machine}`),
      'commit with +: that commit and changes that were not yet committed',
    ],
  };
}

function goalText(goal: number | string | undefined): string {
  return typeof goal === 'number' ? grouped(goal) : (goal ?? '');
}

function doneText(sum: Sum | undefined): string {
  return sum === undefined ? 'not run' : `${grouped(sum.count)}, ${sum.failures} failed`;
}

function seedText(sum: Sum | undefined): string {
  if (sum === undefined) return '';
  const [first, last] = sum.seeds;
  if (first === undefined) return 'all';
  return first === last ? String(first) : `${first}-${last}`;
}

/** `1000000` → `1 000 000`. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
}
