/**
 * `npm run reliability`: runs the harnesses and keeps what they have counted as data in test/reliability.
 *
 *   --minutes N     how long, at the most about (default 10)
 *   --long          rounds with fresh seeds until the time is over, added to long.jsonl; otherwise each
 *                   harness once in its normal form, and ci.jsonl is written anew
 *   --only NAME     harnesses whose name contains it (several: with commas)
 *   --report        runs nothing: prints the table of what was done (`npm run report:reliability`)
 *   --ci FILE       with --report: what a CI run has appended to FILE instead of ci.jsonl
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commit, type Figure, type ReportLine } from '../test/support/reliability-report.js';
import { endChildren, runTimed } from './process.js';
import { HARNESSES, type Harness } from './reliability-harnesses.js';
import { type RunLine, reliabilityTable, summed } from './reliability-table.js';
import { formatTable } from './report.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'test/reliability');
const CI_FILE = join(FOLDER, 'ci.jsonl');
const LONG_FILE = join(FOLDER, 'long.jsonl');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const SECONDS_MIN = 5;
/** A harness gets this share of what is left, so that each has its turns. */
const SLICES = 3;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function machineText(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} cores of ${model}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}

function readLines(path: string): RunLine[] {
  if (!existsSync(path)) return [];
  const unknown = { run: '', machine: machineText() };
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => ({ ...unknown, ...(JSON.parse(line) as ReportLine) }));
}

interface Round {
  readonly harness: Harness;
  readonly size: number | undefined;
  readonly seed: number | undefined;
}

class Run {
  readonly #scratch = mkdtempSync(join(tmpdir(), 'granary-reliability-'));
  readonly #run = new Date().toISOString();
  readonly lines: RunLine[] = [];
  hasFailed = false;

  /** Runs a harness once; returns how many seconds it took. */
  async round({ harness, size, seed }: Round): Promise<number> {
    const reportFile = join(this.#scratch, 'report');
    rmSync(reportFile, { force: true });
    const environment = {
      GRANARY_REPORT: reportFile,
      ...(seed === undefined ? {} : { GRANARY_SEED: String(seed) }),
      ...(size === undefined || harness.sizeVariable === undefined
        ? {}
        : { [harness.sizeVariable]: String(size) }),
    };
    const [program, ...parameters] = commandOf(harness, size, seed);
    const options = { cwd: ROOT, environment, mayFail: true };
    const { status, stdout, stderr, seconds } = await runTimed(program, parameters, options);
    const found = readLines(reportFile).map(line => ({ ...line, run: this.#run, machine: machineText() }));
    this.lines.push(...found);
    const counts = found.map(line => `${line.count} ${line.figure}, ${line.failures} failed`).join('; ');
    say(`${harness.name}: ${counts || 'no figure'} (${seconds.toFixed(0)} s)`);
    if (status !== 0) {
      this.hasFailed = true;
      say(`${harness.name} FAILED with ${JSON.stringify(environment)}\n${stdout}${stderr}`);
    }
    return seconds;
  }

  close(): void {
    rmSync(this.#scratch, { recursive: true });
  }
}

function commandOf({ files, command }: Harness, size = 1, seed = 1): readonly [string, ...string[]] {
  return command?.(size, seed) ?? [process.execPath, VITEST, 'run', ...(files ?? [])];
}

async function runOnce(run: Run, harnesses: readonly Harness[], endMs: number): Promise<void> {
  for (const harness of harnesses.filter(({ files }) => files !== undefined)) {
    if (performance.now() > endMs) return say(`no time left for ${harness.name}`);
    await run.round({ harness, size: undefined, seed: undefined });
  }
}

/** Round after round: each harness gets an even part of the time that is left, in a few slices. */
async function runLong(run: Run, harnesses: readonly Harness[], endMs: number): Promise<void> {
  const rates = new Map<Harness, number>();
  const slice = (endMs - performance.now()) / 1000 / harnesses.length / SLICES;
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const harness of harnesses) {
      const left = (endMs - performance.now()) / 1000;
      if (left < SECONDS_MIN) return;
      const size = sizeOf(harness, rates.get(harness), Math.min(slice, left));
      if (size === 0) continue;
      const seed = Math.floor(Math.random() * 2 ** 30);
      const seconds = await run.round({ harness, size, seed });
      rates.set(harness, (size ?? 1) / seconds);
      isMore = true;
    }
  }
}

/** How much fits in so many seconds; 0: nothing. */
function sizeOf(harness: Harness, rate: number | undefined, seconds: number): number | undefined {
  if (rate === undefined) return harness.firstSize;
  const fits = Math.floor(rate * seconds);
  if (harness.firstSize === undefined) return fits < 1 ? 0 : undefined;
  return Math.min(fits, harness.sizeMax ?? fits);
}

function printReport(ciFile: string): void {
  process.stdout.write(`${formatTable(reliabilityTable(readLines(ciFile), readLines(LONG_FILE)))}\n`);
}

async function runHarnesses(minutes: number, isLong: boolean, only: readonly string[]): Promise<void> {
  const isChosen = ({ name }: Harness) => only.length === 0 || only.some(part => name.includes(part));
  const harnesses = HARNESSES.filter(isChosen);
  mkdirSync(FOLDER, { recursive: true });
  const run = new Run();
  const endMs = performance.now() + minutes * 60_000;
  say(`${harnesses.map(({ name }) => name).join(', ')}: ${minutes} minutes at ${commit()}`);
  try {
    await (isLong ? runLong : runOnce)(run, harnesses, endMs);
  } finally {
    run.close();
    const lines = summed(run.lines).map(line => `${JSON.stringify(line)}\n`);
    if (isLong) appendFileSync(LONG_FILE, lines.join(''));
    else writeFileSync(CI_FILE, [...keptLines(run.lines), ...lines].join(''));
  }
  printReport(CI_FILE);
  if (run.hasFailed) process.exitCode = 1;
}

/** Of ci.jsonl: figures that this run has not counted. */
function keptLines(lines: readonly RunLine[]): string[] {
  const counted = new Set<Figure>(lines.map(line => line.figure));
  return readLines(CI_FILE)
    .filter(line => !counted.has(line.figure))
    .map(line => `${JSON.stringify(line)}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endChildren();
    process.exit(1);
  });
}
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    long: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    report: { type: 'boolean', default: false },
    ci: { type: 'string', default: CI_FILE },
  },
});
if (values.report) printReport(values.ci);
else
  await runHarnesses(
    Number(values.minutes),
    values.long,
    values.only.split(',').filter(part => part !== ''),
  );
