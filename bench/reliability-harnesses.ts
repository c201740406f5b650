/**
 * The harnesses of a reliability run: what starts each, and by which variable of the environment it is
 * told how much to do. All take their seed from GRANARY_SEED and append what they have counted to
 * GRANARY_REPORT.
 */

export interface Harness {
  readonly name: string;
  /** Test files. */
  readonly files?: readonly string[];
  /** Or a program of its own for a size; in long runs only, the size in seconds. */
  readonly command?: (size: number, seed: number) => readonly [program: string, ...parameters: string[]];
  /** Sets how much a run does; absent: it always does the same. */
  readonly sizeVariable?: string;
  /** What the first round of a long run does; later ones as much as fits. */
  readonly firstSize?: number;
  /** A round of more than that is not tried: memory, and what is lost when the time is over. */
  readonly sizeMax?: number;
}

export const HARNESSES: readonly Harness[] = [
  {
    name: 'simulate',
    command: (seconds, seed) => [
      'npm',
      'run',
      '--silent',
      'simulate',
      '--',
      '--seed',
      String(seed),
      '--seconds',
      String(seconds),
    ],
    firstSize: 20,
    sizeMax: 600,
  },
  {
    name: 'corruptions',
    files: ['test/fault/stored-damage.test.ts'],
    sizeVariable: 'GRANARY_DAMAGES',
    firstSize: 200,
    sizeMax: 20_000,
  },
  { name: 'crash enumeration', files: ['test/fault/crash-enumeration.test.ts'] },
  {
    name: 'kills',
    files: ['test/fault/kill-under-load.test.ts'],
    sizeVariable: 'GRANARY_KILLS',
    firstSize: 20,
    sizeMax: 200,
  },
  {
    name: 'block replay',
    files: ['test/real-machine/block-replay.test.ts'],
    sizeVariable: 'GRANARY_BLOCK_STATES',
    firstSize: 50,
    sizeMax: 400,
  },
  {
    name: 'fuzz',
    files: ['test/fault/hostile-bytes.test.ts'],
    sizeVariable: 'GRANARY_FUZZ_EXECUTIONS',
    firstSize: 1_000_000,
    sizeMax: 20_000_000,
  },
  {
    name: 'libFuzzer',
    command: seconds => ['sh', '-c', `sh bin/setup --fuzz && sh bin/test-native --fuzz ${seconds}`],
    firstSize: 5,
    sizeMax: 120,
  },
  {
    name: 'fill cycles',
    files: ['test/fault/fill-cycles.test.ts'],
    sizeVariable: 'GRANARY_FILL_CYCLES',
    firstSize: 3,
    sizeMax: 50,
  },
];
