/**
 * `npm run bench`: stages, flows, and on demand peers and real input; one JSON line each as they come, tables
 * at the end.
 *
 *   --small        a corpus of 48 MB a generation, few repetitions: below a minute, for CI
 *   --only NAME    only stages and flows whose name contains it
 *   --peers        restic, borg, bup and cp on the same corpus in the same run
 *   --real         three generations of /usr and of a PostgreSQL database, compared, rebuilt, compared again
 *   --cleaner      30 generations of a changing tree, 7 kept, the cleaner beside ingest and restore
 *   --tree-bytes N with --cleaner: bytes of a generation (default 300 MB)
 *   --directory D  where corpus and repositories lie (default: granary-bench below the system's tmp)
 *   --seed N       another corpus
 *   --keep         leaves everything there; otherwise only the corpus stays
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { budgetOf } from './budget.js';
import { runCleanerBench } from './cleaner.js';
import { CORPUS_SCALE_REAL, CORPUS_SCALE_SMALL, type Corpus, makeCorpus } from './corpus.js';
import { type FlowResults, flowTable, limitTable, runFlows } from './flows.js';
import { HARNESS_REAL, HARNESS_SMALL } from './harness.js';
import { runNativeStages } from './native-stages.js';
import { comparePrograms, comparisonTable } from './peers.js';
import { endChildren } from './process.js';
import { runRealInput } from './real-input.js';
import { type BenchResult, benchLine, formatTable, stageTable, type Table } from './report.js';
import { readSample } from './sample.js';
import { missingBuild } from './server.js';
import type { StageParameters } from './stages.js';

const MIB = 2 ** 20;
const SIZES = {
  real: {
    scale: CORPUS_SCALE_REAL,
    generations: 5,
    sample: 128 * MIB,
    smallFiles: 10_000,
    tree: 2.5e9,
    database: 20,
    cleaner: { treeSizeMax: 3e8, generations: 30, kept: 7, probeSize: 64 * MIB, probes: 40 },
  },
  small: {
    scale: CORPUS_SCALE_SMALL,
    generations: 2,
    sample: 16 * MIB,
    smallFiles: 500,
    tree: 1e8,
    database: 2,
    cleaner: { treeSizeMax: 4e6, generations: 8, kept: 3, probeSize: 2 * MIB, probes: 6 },
  },
} as const;

interface Wish {
  readonly directory: string;
  readonly isSmall: boolean;
  readonly seed: number;
  readonly only?: string;
  readonly withPeers: boolean;
  readonly withReal: boolean;
  readonly withCleaner: boolean;
  readonly treeBytes?: number;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function readWish(): Wish & { readonly isKept: boolean } {
  const { values } = parseArgs({
    options: {
      small: { type: 'boolean', default: false },
      only: { type: 'string' },
      peers: { type: 'boolean', default: false },
      real: { type: 'boolean', default: false },
      cleaner: { type: 'boolean', default: false },
      'tree-bytes': { type: 'string' },
      directory: { type: 'string', default: join(tmpdir(), 'granary-bench') },
      seed: { type: 'string', default: '1' },
      keep: { type: 'boolean', default: false },
    },
  });
  return {
    directory: values.directory,
    isSmall: values.small,
    seed: Number(values.seed),
    ...(values.only === undefined ? {} : { only: values.only }),
    withPeers: values.peers,
    withReal: values.real,
    withCleaner: values.cleaner,
    ...(values['tree-bytes'] === undefined ? {} : { treeBytes: Number(values['tree-bytes']) }),
    isKept: values.keep,
  };
}

/** Stage benches block; they have a thread of their own. */
function runStageThread(parameters: StageParameters, report: (result: BenchResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./stage-thread.js', import.meta.url), { workerData: parameters });
    worker.on('message', report);
    worker.once('error', reject);
    worker.once('exit', status =>
      status === 0 ? resolve() : reject(new Error(`the stages ended with status ${status}`)),
    );
  });
}

async function runAllStages(
  wish: Wish,
  corpus: Corpus,
  report: (result: BenchResult) => void,
): Promise<void> {
  const sample = readSample(corpus, SIZES[wish.isSmall ? 'small' : 'real'].sample);
  const directory = join(wish.directory, 'work');
  const sampleFile = join(directory, 'sample');
  writeFileSync(sampleFile, sample);
  for (const result of await runNativeStages(sampleFile, sample.length, say)) {
    if (wish.only === undefined || result.name.includes(wish.only)) report(result);
  }
  rmSync(sampleFile);
  const harness = wish.isSmall ? HARNESS_SMALL : HARNESS_REAL;
  await runStageThread(
    { directory, sample, harness, ...(wish.only === undefined ? {} : { only: wish.only }) },
    report,
  );
}

async function runTable(wish: Wish, corpus: Corpus, print: (result: BenchResult) => void): Promise<Table[]> {
  const stages: BenchResult[] = [];
  const flows: BenchResult[] = [];
  const into = (results: BenchResult[]) => (result: BenchResult) => {
    results.push(result);
    print(result);
  };
  await runAllStages(wish, corpus, into(stages));
  const results: FlowResults = await runFlows({
    directory: join(wish.directory, 'work'),
    corpus,
    smallFileCount: SIZES[wish.isSmall ? 'small' : 'real'].smallFiles,
    ...(wish.only === undefined ? {} : { only: wish.only }),
    budget: storedShare => budgetOf(stages, storedShare),
    report: into(flows),
  });
  return [stageTable(stages), flowTable(flows), limitTable(results)];
}

async function runPeers(wish: Wish, corpus: Corpus, print: (result: BenchResult) => void): Promise<Table> {
  const generations = corpus.content.map(({ name, size }) => ({
    name,
    size,
    directory: join(corpus.directory, name),
  }));
  const directory = join(wish.directory, 'work');
  const comparison = await comparePrograms({ directory, generations, report: print });
  return comparisonTable('Beside peers: same corpus, same run', comparison);
}

async function runWish(wish: Wish): Promise<Table[]> {
  const sizes = SIZES[wish.isSmall ? 'small' : 'real'];
  const print = (result: BenchResult) => process.stdout.write(`${benchLine(result)}\n`);
  if (wish.withReal) {
    const directory = join(wish.directory, 'work');
    return runRealInput({
      directory,
      treeSizeMax: sizes.tree,
      databaseScale: sizes.database,
      report: print,
      say,
    });
  }
  if (wish.withCleaner) {
    const directory = join(wish.directory, 'work');
    const { treeBytes = sizes.cleaner.treeSizeMax, seed } = wish;
    const cleanerSizes = { ...sizes.cleaner, treeSizeMax: treeBytes };
    return runCleanerBench({ directory, sizes: cleanerSizes, seed, report: print, say });
  }
  const directory = join(wish.directory, wish.isSmall ? 'corpus-small' : 'corpus');
  const corpus = makeCorpus(
    { directory, seed: wish.seed, scale: sizes.scale, generations: sizes.generations },
    say,
  );
  return wish.withPeers ? [await runPeers(wish, corpus, print)] : runTable(wish, corpus, print);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endChildren();
    process.exit(1);
  });
}
const { isKept, ...wish } = readWish();
const missing = missingBuild();
if (missing !== undefined) throw new Error(`${missing} (run: npm run build)`);
const work = join(wish.directory, 'work');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
try {
  for (const table of await runWish(wish)) process.stdout.write(`${formatTable(table)}\n`);
} finally {
  endChildren();
  if (!isKept) rmSync(work, { recursive: true, force: true });
}
