/**
 * Kill loops side by side, each with a server and a data directory of its own, and what they found
 * together.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KillReport, killLoop } from './kill-loop.js';
import { report } from './reliability-report.js';

/** A start is one thread's work for most of its time. */
const LOOPS = 2;
/** Seeds of loops lie apart: a loop takes one for each kill. */
const SEED_DISTANCE = 1_000_000;

export interface KillsWanted {
  readonly kills: number;
  readonly seed: number;
  readonly isEncrypted: boolean;
}

export async function killLoops({ kills, seed, isEncrypted }: KillsWanted): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'granary-kill-'));
  const passphraseFile = join(folder, 'pass');
  writeFileSync(passphraseFile, 'p\n');
  const startedMs = performance.now();
  const reports = await Promise.all(
    Array.from({ length: LOOPS }, (_, loop) =>
      killLoop({
        kills: Math.floor((kills + loop) / LOOPS),
        seed: seed + loop * SEED_DISTANCE,
        isEncrypted,
        data: join(folder, `data${loop}`),
        passphraseFile,
      }),
    ),
  );
  const whole: KillReport = {
    kills: reports.reduce((sum, part) => sum + part.kills, 0),
    operations: reports.reduce((sum, part) => sum + part.operations, 0),
    cleanings: reports.reduce((sum, part) => sum + part.cleanings, 0),
    problems: reports.flatMap(part => part.problems),
    refused: reports.flatMap(part => part.refused),
    damages: reports.flatMap(part => part.damages),
  };
  report({
    harness: 'kill -9 under load',
    figure: 'kills',
    count: whole.kills,
    failures: whole.problems.length + whole.damages.length,
    seeds: [seed, seed],
    seconds: (performance.now() - startedMs) / 1000,
  });
  const { kills: done, operations, cleanings } = whole;
  process.stdout.write(`${done} kills, ${operations} operations answered, ${cleanings} cycles begun\n`);
  if (whole.problems.length + whole.damages.length === 0) rmSync(folder, { recursive: true });
  return whole;
}
