/**
 * What a harness has really done, as data: one JSON line a figure, appended to the file that the environment
 * names in GRANARY_REPORT (no file, no line). `npm run report:reliability` adds the lines of a run up to the
 * table of the reliability report.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

/** What can be counted; the key is `figure` of a line, the text its row in the report. */
export const FIGURES = {
  'crash-states': 'simulated crash states, each recovered and compared with the model',
  'crash-points': 'I/O operations of canonical workloads as crash point, x damages of what was not synced',
  'io-faults': 'EIO, ENOSPC, short write at I/O operations, once and for ever',
  interleavings: 'interleavings of cleaner, ingest, delete and crash',
  corruptions: 'random corruptions over all structures',
  'model-operations': 'random operations compared with the model',
  kills: 'kill -9 of the real server under load',
  'fuzz-executions': 'fuzz executions',
  'block-crash-states': 'crash states of real file systems from recorded block traces',
  'fill-cycles': 'cycles of filling and freeing a volume',
  mutants: 'mutants, each caught by its test',
  regressions: "regression scenarios of other products' losses",
} as const;
export type Figure = keyof typeof FIGURES;

export interface ReportLine {
  /** The test or command that counted, e.g. `simulate`. */
  readonly harness: string;
  readonly figure: Figure;
  /** Of what FIGURES says, in this run. */
  readonly count: number;
  /** Of them, how many did not hold: lost, partial, resurrected, undetected, survived. */
  readonly failures: number;
  /** First and last seed; empty where everything was enumerated and nothing drawn. */
  readonly seeds: readonly [] | readonly [first: number, last: number];
  readonly seconds: number;
  /** Of the checkout that ran, with a `+` behind it when it had changes. */
  readonly commit: string;
}

/** Appends a line to the file that GRANARY_REPORT names; without it, nothing. */
export function report(line: Omit<ReportLine, 'commit'>): void {
  const path = process.env.GRANARY_REPORT;
  if (path === undefined || path === '') return;
  const seconds = Math.round(line.seconds * 10) / 10;
  appendFileSync(path, `${JSON.stringify({ ...line, seconds, commit: commit() })}\n`);
}

let commitRead: string | undefined;

/** The commit of this checkout, `+` behind it when files differ from it; `unknown` outside of one. */
export function commit(): string {
  commitRead ??= readCommit();
  return commitRead;
}

function readCommit(): string {
  const git = (...words: string[]): string =>
    execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
