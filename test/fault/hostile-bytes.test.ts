/**
 * Fuzzing of every parser, native and TypeScript, from valid inputs by changes that follow from GRANARY_SEED.
 * GRANARY_FUZZ_EXECUTIONS changes how many; test/long has libFuzzer besides.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HOSTILE_TARGETS } from '../support/hostile-inputs.js';
import { runCount, runSeed, seededNumbers } from '../support/ledger.js';
import { report } from '../support/reliability-report.js';
import { ROOT } from '../support/sources.js';

const EXECUTIONS = runCount('GRANARY_FUZZ_EXECUTIONS', 1_000_000);
/** Of one parser. TypeScript's are slower. */
const SHARE = Math.ceil(EXECUTIONS / 14);
const SHARE_OF_OURS = Math.ceil(SHARE / 2);
const seed = runSeed('hostile bytes');
const done = new Map<string, number>();
let failures = 0;
const startedMs = performance.now();

afterAll(() => {
  const count = [...done.values()].reduce((sum, executions) => sum + executions, 0);
  const seconds = (performance.now() - startedMs) / 1000;
  process.stdout.write(`fuzz: ${count} executions over ${done.size} parsers, ${failures} crashes\n`);
  report({
    harness: 'hostile bytes',
    figure: 'fuzz-executions',
    count,
    failures,
    seeds: [seed, seed],
    seconds,
  });
});

/** What was thrown, with what repeats it. */
async function crash(run: (next: (bound: number) => number) => void | Promise<void>, index: number) {
  for (let execution = 0; execution < SHARE_OF_OURS; execution += 1) {
    const own = (seed + index * 7919 + execution * 31) | 0;
    try {
      const running = run(seededNumbers(own));
      if (running !== undefined) await running;
    } catch (thrown) {
      return `numbers of ${own}: ${(thrown as Error).stack}`;
    }
  }
  return undefined;
}

for (const [index, { name, run }] of HOSTILE_TARGETS.entries()) {
  test(`hostile input is read as it is written or refused: ${name}`, async () => {
    const found = await crash(run, index);
    done.set(name, SHARE_OF_OURS);
    if (found !== undefined) failures += 1;
    expect(found).toBeUndefined();
  }, 3_600_000);
}

test('hostile bytes are decoded or refused by every native parser, and never read past', () => {
  try {
    const script = join(ROOT, 'bin/test-native');
    const told = execFileSync('sh', [script, '--seeded', String(SHARE), String(seed)], { encoding: 'utf8' });
    for (const [, executions, name] of told.matchAll(/^(\d+) .*?(\w+)_fuzz_seeded$/gm)) {
      done.set(`native ${name}`, Number(executions));
    }
  } catch (thrown) {
    failures += 1;
    throw thrown;
  }
  expect(done.size).toBeGreaterThanOrEqual(HOSTILE_TARGETS.length + 10);
}, 3_600_000);
