/** Is a mutant caught? Its test runs over the mutated tree and has to fail. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutants.js';
import { type Ran, run, TREE, useAddon, withChange } from './tree.js';

export interface Verdict {
  readonly isCaught: boolean;
  readonly output: string;
}

/** prepareTree comes first. */
export function caught(mutant: Mutant): Verdict {
  const { with: second } = mutant;
  return withChange(mutant, () => {
    return second === undefined ? verdict(mutant) : withChange(second, () => verdict(mutant));
  });
}

function verdict(mutant: Mutant): Verdict {
  const isNative = mutant.file.startsWith('native/');
  if (isNative) useAddon(true);
  try {
    return mutant.caughtBy.simulate === undefined ? byTest(mutant) : bySimulator(mutant);
  } finally {
    if (isNative) useAddon(false);
  }
}

const REPORT = join(TREE, 'mutant-report.json');

function byTest({ caughtBy, isHarmless }: Mutant): Verdict {
  rmSync(REPORT, { force: true });
  const ran = run('node', [
    join(TREE, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--reporter=json', `--outputFile=${REPORT}`, caughtBy.test!],
    ...(caughtBy.name === undefined ? [] : ['-t', caughtBy.name]),
  ]);
  // An assertion that is on in production, too, ends the process before anything wrong is done.
  if (isHarmless !== true && /^granary: invariant broken/m.test(ran.output)) {
    return { isCaught: true, output: ran.output };
  }
  const { failed, passed } = counts();
  return { isCaught: isHarmless === true ? failed === 0 && passed > 0 : failed > 0, output: ran.output };
}

/** A test that cannot even be loaded catches nothing. */
function counts(): { failed: number; passed: number } {
  try {
    const { numFailedTests: failed, numPassedTests: passed } = JSON.parse(readFileSync(REPORT, 'utf8'));
    return { failed, passed };
  } catch {
    return { failed: 0, passed: 0 };
  }
}

/** Seeds one after the other until one fails: it says how it is replayed. */
function bySimulator({ caughtBy }: Mutant): Verdict {
  const built = run('node', [join(TREE, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.simulate.json']);
  if (built.status !== 0) return { isCaught: false, output: built.output };
  const ran: Ran = run('node', [
    'dist/test/simulate/run.js',
    '--seed',
    '1',
    '--runs',
    String(caughtBy.simulate),
  ]);
  return { isCaught: ran.status === 1 && /^replay: /m.test(ran.output), output: ran.output };
}
