/**
 * The pure stages, measured by the C++ program of this folder on the corpus's sample, and made into our
 * lines. It is built on demand; where it cannot be, the reason is printed and the limits are computed without
 * it.
 */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTimed } from './process.js';
import type { BenchResult } from './report.js';

const MIB = 2 ** 20;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Another build's program can be given instead. */
const PROGRAM_VARIABLE = 'GRANARY_STAGE_BENCH';

interface NativeLine {
  readonly name: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly hash: string;
}

async function buildProgram(): Promise<string> {
  const given = process.env[PROGRAM_VARIABLE];
  if (given !== undefined) return given;
  const directory = join(ROOT, 'build-bench');
  const configure = ['-S', ROOT, '-B', directory, '-DGRANARY_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release'];
  if (!existsSync(join(directory, 'CMakeCache.txt'))) await runTimed('cmake', configure);
  await runTimed('cmake', [
    '--build',
    directory,
    '--target',
    'stage_bench',
    '--parallel',
    String(cpus().length),
  ]);
  const program = join(directory, 'stage_bench');
  return existsSync(program) ? program : join(directory, 'Release', 'stage_bench');
}

/** Results named `native-STAGE`; empty with a reason to `report` when the program cannot be built. */
export async function runNativeStages(
  sampleFile: string,
  size: number,
  report: (line: string) => void,
): Promise<BenchResult[]> {
  try {
    const program = await buildProgram();
    const run = await runTimed(program, [String(Math.max(1, Math.floor(size / MIB))), sampleFile]);
    const lines = run.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as NativeLine);
    // With the sample as everybody's input there is no noise, and its lines are the others' twins.
    return lines.filter(line => !line.name.includes('-noise-')).map(line => resultOf(line, run.peakBytes));
  } catch (thrown) {
    report(`stages in C++: skipped: ${String(thrown).split('\n')[0]}`);
    return [];
  }
}

function resultOf(line: NativeLine, peakBytes: number): BenchResult {
  return {
    name: `native-${line.name}`,
    parameters: { size: line.bytes },
    bytes: line.bytes,
    seconds: line.seconds,
    rate: line.bytes / line.seconds,
    cpuSeconds: line.seconds,
    peakBytes,
    hash: line.hash,
    runs: 5,
  };
}
