/**
 * Granary and its peers on the same generations in the same run, each generation with all programs before the
 * next, so that a machine that drifts drifts for all of them. Every restore is compared with what was backed
 * up.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { settle, warmPageCache } from './process.js';
import {
  type BackupProgram,
  borgProgram,
  bupProgram,
  compareDirectories,
  cpProgram,
  type Generation,
  granaryProgram,
  jobFiles,
  type ProgramRun,
  resticProgram,
} from './programs.js';
import { type BenchResult, median, megabytes, type Table, verdict } from './report.js';
import { type Server, startServer } from './server.js';

/** Of a restore's size: what it writes, and what the program reads for it. */
const RESTORE_WARMTH = 3;
const WANTED = { first: 1.5, later: 3.5, restore: 1.4, storedFast: 0.65, storedBest: 1 };
/**
 * What bup stored of the reference corpus for each byte that restic stored; stands in where bup is not
 * installed.
 */
const BUP_OVER_RESTIC = 874 / 1857;

export interface ProgramFigures {
  readonly name: string;
  readonly settings: string;
  /** Bytes a second, in order of the generations. */
  readonly backupRates: readonly number[];
  readonly restoreRate: number;
  readonly storedBytes: readonly number[];
  readonly cpuSeconds: readonly number[];
  readonly restoreCpuSeconds: number;
  readonly peakBytes: number;
}

export interface Comparison {
  readonly figures: readonly ProgramFigures[];
  readonly skipped: readonly string[];
}

export interface ComparisonParameters {
  readonly directory: string;
  readonly generations: readonly Generation[];
  readonly report: (result: BenchResult) => void;
  /** Called when all programs have a generation. */
  readonly afterGeneration?: (server: Server, generation: Generation) => Promise<void>;
  /** Called with the running server, when all programs are done. */
  readonly afterwards?: (server: Server) => Promise<void>;
}

interface Measured {
  readonly program: BackupProgram;
  readonly backups: ProgramRun[];
  readonly stored: number[];
  restore?: ProgramRun;
}

async function openPrograms(
  server: Server,
  directory: string,
): Promise<{ programs: BackupProgram[]; skipped: string[] }> {
  const groups = (['fast', 'best'] as const).map(group => ({
    group,
    path: join(directory, `granary-${group}`),
  }));
  const programs: BackupProgram[] = [];
  for (const { group, path } of groups) {
    await server.addGroup({ name: group, compression: group, path });
    programs.push(granaryProgram(server, group, path));
  }
  const skipped: string[] = [];
  const openings: readonly (readonly [string, Promise<BackupProgram | undefined>])[] = [
    ['restic', resticProgram(makeDirectory(directory, 'restic'))],
    ['borg', borgProgram(makeDirectory(directory, 'borg'), 'default')],
    ['borg with 64 KiB chunks', borgProgram(makeDirectory(directory, 'borg-64k'), '64 KiB')],
    ['bup', bupProgram(makeDirectory(directory, 'bup'))],
  ];
  for (const [name, opening] of openings) {
    const program = await opening;
    if (program === undefined) skipped.push(`${name} is not installed and was left out`);
    else programs.push(program);
  }
  return { programs: [...programs, cpProgram(makeDirectory(directory, 'cp'))], skipped };
}

function makeDirectory(...parts: readonly string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true });
  return path;
}

function resultOf(
  program: BackupProgram,
  step: string,
  generation: Generation,
  run: ProgramRun,
): BenchResult {
  return {
    name: `${program.name} ${step}`,
    parameters: { generation: generation.name },
    bytes: generation.size,
    seconds: run.seconds,
    rate: generation.size / run.seconds,
    cpuSeconds: run.cpuSeconds,
    peakBytes: run.peakBytes,
    hash: '',
    runs: 1,
  };
}

async function backupAll(
  server: Server,
  measured: readonly Measured[],
  parameters: ComparisonParameters,
): Promise<void> {
  for (const generation of parameters.generations) {
    for (const { program, backups, stored } of measured) {
      await settle(jobFiles(generation).map(file => file.path));
      const run = await program.backup(generation);
      backups.push(run);
      stored.push(await program.storedBytes());
      parameters.report(resultOf(program, 'backup', generation, run));
    }
    await parameters.afterGeneration?.(server, generation);
  }
}

async function restoreAll(measured: readonly Measured[], parameters: ComparisonParameters): Promise<void> {
  const newest = parameters.generations.at(-1)!;
  for (const entry of measured) {
    const target = makeDirectory(parameters.directory, 'restored');
    await settle([]);
    await warmPageCache(join(target, 'warm'), RESTORE_WARMTH * newest.size);
    const run = await entry.program.restore(newest, target);
    await compareDirectories(newest.directory, run.directory);
    rmSync(target, { recursive: true, force: true });
    entry.restore = run;
    parameters.report(resultOf(entry.program, 'restore', newest, run));
  }
}

function figuresOf(entry: Measured, generations: readonly Generation[]): ProgramFigures {
  const { program, backups, stored } = entry;
  return {
    name: program.name,
    settings: program.settings,
    backupRates: backups.map((run, i) => generations[i]!.size / run.seconds),
    restoreRate: generations.at(-1)!.size / entry.restore!.seconds,
    storedBytes: stored,
    cpuSeconds: backups.map(run => run.cpuSeconds),
    restoreCpuSeconds: entry.restore!.cpuSeconds,
    peakBytes: Math.max(...backups.map(run => run.peakBytes), entry.restore!.peakBytes),
  };
}

/** Backs all generations up with every program that is installed, restores the newest, compares. */
export async function comparePrograms(parameters: ComparisonParameters): Promise<Comparison> {
  const server = await startServer(makeDirectory(parameters.directory, 'server'));
  let isRunning = true;
  try {
    const { programs, skipped } = await openPrograms(server, parameters.directory);
    const measured: Measured[] = programs.map(program => ({ program, backups: [], stored: [] }));
    await backupAll(server, measured, parameters);
    await restoreAll(measured, parameters);
    await parameters.afterwards?.(server);
    isRunning = false;
    await server.stop();
    return { figures: measured.map(entry => figuresOf(entry, parameters.generations)), skipped };
  } finally {
    if (isRunning) await server.stop().catch(() => undefined);
  }
}

/** Median of the generations after the first. */
function laterRate(figures: ProgramFigures): number {
  const later = figures.backupRates.slice(1);
  return later.length === 0 ? figures.backupRates[0]! : median(later);
}

export function comparisonTable(title: string, comparison: Comparison): Table {
  return {
    title,
    columns: [
      'program',
      'gen 1 MB/s',
      'later MB/s',
      'restore MB/s',
      'stored MB',
      'CPU s 1 / 2 / restore',
      'peak MB',
    ],
    rows: comparison.figures.map(figures => [
      figures.name,
      megabytes(figures.backupRates[0]!),
      megabytes(laterRate(figures)),
      megabytes(figures.restoreRate),
      figures.storedBytes.map(megabytes).join(' '),
      [figures.cpuSeconds[0]!, figures.cpuSeconds[1] ?? 0, figures.restoreCpuSeconds]
        .map(s => s.toFixed(1))
        .join(' / '),
      megabytes(figures.peakBytes),
    ]),
    notes: [
      ...comparison.figures.map(figures => `${figures.name}: ${figures.settings}`),
      ...comparison.skipped,
      'every restore was compared with what was backed up',
      ...verdicts(comparison),
    ],
  };
}

/** What was to be reached, and whether it was. */
function verdicts(comparison: Comparison): string[] {
  const find = (name: string) => comparison.figures.find(figures => figures.name === name);
  const fast = find('granary fast')!;
  const best = find('granary best')!;
  const restic = find('restic');
  if (restic === undefined) return [];
  const bup = find('bup')?.storedBytes.at(-1);
  const first = fast.backupRates[0]! / restic.backupRates[0]!;
  const stored = (figures: ProgramFigures) => figures.storedBytes.at(-1)!;
  const bupStored = bup ?? stored(restic) * BUP_OVER_RESTIC;
  const bupNote =
    bup === undefined ? "bup (not here: restic's bytes by their ratio on the reference corpus)" : 'bup';
  return [
    `first generation, fast over restic: ${verdict(first, WANTED.first)}`,
    `later generations, fast over restic: ${verdict(laterRate(fast) / laterRate(restic), WANTED.later)}`,
    `restore, fast over restic: ${verdict(fast.restoreRate / restic.restoreRate, WANTED.restore)}`,
    `stored bytes, fast over restic: ${verdict(stored(fast) / stored(restic), WANTED.storedFast, true)}`,
    `stored bytes, best over ${bupNote}: ${verdict(stored(best) / bupStored, WANTED.storedBest, true)}`,
  ];
}
