/**
 * `npm run bench -- --cleaner`: generations of a changing tree fill a group, the last few are kept, the
 * cleaner runs twice while files are put and restored. Space before, after, and the least that it could be
 * (what the kept files take in a group that never had others); the kept ones compared bit for bit; rates
 * of ingest and restore with and without the cleaner beside them. A difference in what comes back is an
 * error.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChangingTree } from './changing-tree.js';
import type { JobFile } from './client.js';
import { fillContent } from './content.js';
import { runClient } from './flows.js';
import { diskUsage, runShell, waitIdle } from './process.js';
import { deriveSeed } from './random.js';
import { type BenchResult, median, megabytes, type Table, verdict } from './report.js';
import { MAIN_PROGRAM, type Server, startServer } from './server.js';

const TREE_ROOT = '/usr';
const GROUP = 'cleaned';
const REFERENCE_GROUP = 'reference';
const CYCLES = 2;
const IDLE_LIMIT_MS = 120_000;
const IDLE_PROBES = 3;
const SHARE_WANTED = 0.9;
const RATE_WANTED = 0.8;

export interface CleanerSizes {
  readonly treeSizeMax: number;
  readonly generations: number;
  readonly kept: number;
  /** Bytes of a file that is put or restored to see at what rate. */
  readonly probeSize: number;
  readonly probes: number;
}

export interface CleanerBenchParameters {
  readonly directory: string;
  readonly sizes: CleanerSizes;
  readonly seed: number;
  readonly report: (result: BenchResult) => void;
  readonly say: (line: string) => void;
}

interface Space {
  /** What the group's statistics say. */
  readonly stored: number;
  /** What its data stores take on disk, those in the trash included. */
  readonly onDisk: number;
}

interface Rates {
  readonly ingest: number[];
  readonly restore: number[];
}

class CleanerBench {
  readonly #parameters: CleanerBenchParameters;
  #server: Server;
  /** What the group holds now and is to hold at the end. */
  readonly #kept: JobFile[] = [];
  readonly #probes: JobFile[];
  readonly idle: Rates = { ingest: [], restore: [] };
  readonly beside: Rates = { ingest: [], restore: [] };
  cleanerSeconds = 0;

  constructor(parameters: CleanerBenchParameters, server: Server) {
    this.#parameters = parameters;
    this.#server = server;
    this.#probes = makeProbes(parameters);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  async waitIdle(): Promise<void> {
    await waitIdle(this.#server.pid, IDLE_LIMIT_MS);
  }

  async fill(): Promise<void> {
    const { directory, sizes, seed, say } = this.#parameters;
    const tree = new ChangingTree(join(directory, 'tree'), TREE_ROOT, sizes.treeSizeMax, seed);
    let bytes = 0;
    for (let number = 1; number <= sizes.generations; number += 1) {
      if (number > 1) tree.change();
      const path = join(directory, 'generations', `gen-${number}.tar`);
      await tree.archive(path);
      const name = `gen-${number}/tree.tar`;
      await this.#client('put', GROUP, [{ name, path }]);
      bytes += statSync(path).size;
      if (number <= sizes.generations - sizes.kept) rmSync(path);
      else this.#kept.push({ name, path });
    }
    say(`${sizes.generations} generations put: ${megabytes(bytes)} MB`);
  }

  /** One file put and one restored, in turns; each probe's bytes are put once. */
  async probe(into: Rates): Promise<boolean> {
    const probe = this.#probes.shift();
    if (probe === undefined) return false;
    into.ingest.push(await this.#client('put', GROUP, [probe]));
    this.#kept.push(probe);
    into.restore.push(await this.#client('get', GROUP, [this.#kept[0]!]));
    return true;
  }

  async drop(): Promise<void> {
    const { sizes } = this.#parameters;
    for (let number = 1; number <= sizes.generations - sizes.kept; number += 1) {
      await this.#server.command(['rm', `${GROUP}/gen-${number}/tree.tar`]);
    }
  }

  /** A run of the cleaner, with probes beside it for as long as it lasts. */
  async clean(): Promise<void> {
    let isRunning = true;
    const run = this.#server.command(['cleaner', 'run', '--group', GROUP, '--json']);
    const end = () => {
      isRunning = false;
    };
    // What it fails with is thrown below, when the probe beside it has ended.
    run.then(end, end);
    while (isRunning) {
      const rates: Rates = { ingest: [], restore: [] };
      if (!(await this.probe(rates))) break;
      // A probe that outlasts the cleaner says little.
      if (!isRunning) break;
      this.beside.ingest.push(...rates.ingest);
      this.beside.restore.push(...rates.restore);
    }
    const { seconds, stdout } = await run;
    this.cleanerSeconds += seconds;
    const { groups } = JSON.parse(stdout) as { groups: { group: string; last?: object }[] };
    const last = groups.find(({ group }) => group === GROUP)?.last;
    this.#parameters.say(`cleaner run: ${seconds.toFixed(1)} s: ${JSON.stringify(last)}`);
  }

  /** With all data stores closed, so that what is reserved for further records does not count. */
  async space(group: string): Promise<Space> {
    await this.waitIdle();
    await this.#server.stop();
    this.#server = await startServer(join(this.#parameters.directory, 'server'));
    await this.waitIdle();
    const stdout = (await this.#server.command(['stats', '--group', group, '--json'])).stdout;
    const stored = (JSON.parse(stdout) as { storedBytes: number }).storedBytes;
    const directory = join(this.#server.data, 'groups', group);
    const folders = readdirSync(directory).filter(name => name === 'data' || name === 'trash');
    const onDisk = folders.reduce((sum, name) => sum + diskUsage(join(directory, name)), 0);
    return { stored, onDisk };
  }

  /** How many files the group keeps now. */
  get keptCount(): number {
    return this.#kept.length;
  }

  /** What the first `count` of the kept files, and then all, take in a group that never held others. */
  async leasts(count: number): Promise<readonly [Space, Space]> {
    await this.#server.addGroup({ name: REFERENCE_GROUP, compression: 'fast' });
    for (const file of this.#kept.slice(0, count)) await this.#client('put', REFERENCE_GROUP, [file]);
    const first = await this.space(REFERENCE_GROUP);
    for (const file of this.#kept.slice(count)) await this.#client('put', REFERENCE_GROUP, [file]);
    return [first, await this.space(REFERENCE_GROUP)];
  }

  /** Every kept file against the original; returns the bytes compared and the digest of all digests. */
  async compare(): Promise<{ bytes: number; hash: string }> {
    const hash = createHash('sha256');
    let bytes = 0;
    for (const { name, path } of this.#kept) {
      const target = ['--data', this.#server.data, '--url', this.#server.url];
      const get = [process.execPath, MAIN_PROGRAM, 'get', `${GROUP}/${name}`, ...target];
      await runShell(`${get.map(word => `'${word}'`).join(' ')} | cmp - '${path}'`);
      hash.update(createHash('sha256').update(readFileSync(path)).digest());
      bytes += statSync(path).size;
    }
    return { bytes, hash: hash.digest('hex') };
  }

  /** Bytes a second. */
  async #client(mode: 'put' | 'get', container: string, files: readonly JobFile[]): Promise<number> {
    const { url, token } = this.#server;
    const { bytes, seconds } = await runClient({ mode, url, token, container, streams: 1, files });
    return bytes / seconds;
  }
}

function makeProbes({ directory, sizes, seed }: CleanerBenchParameters): JobFile[] {
  const folder = join(directory, 'probes');
  mkdirSync(folder, { recursive: true });
  const content = Buffer.alloc(sizes.probeSize);
  return Array.from({ length: sizes.probes }, (_, number) => {
    const path = join(folder, `probe-${number}`);
    fillContent('source', deriveSeed(seed, 'probe', number), content);
    writeFileSync(path, content);
    return { name: `probes/${number}`, path };
  });
}

/** Files that were put beside the cleaner are in what is there after it, and in the least after it. */
interface Spaces {
  readonly before: Space;
  readonly leastBefore: Space;
  readonly after: Space;
  readonly leastAfter: Space;
}

function returnedShare(spaces: Spaces, pick: (space: Space) => number): number {
  const reclaimable = pick(spaces.before) - pick(spaces.leastBefore);
  const left = pick(spaces.after) - pick(spaces.leastAfter);
  return 1 - left / reclaimable;
}

function spaceTable(spaces: Spaces): Table {
  const row = (name: string, pick: (space: Space) => number) => {
    const { before, leastBefore, after, leastAfter } = spaces;
    const values = [before, leastBefore, after, leastAfter].map(space => megabytes(pick(space)));
    return [name, ...values, verdict(returnedShare(spaces, pick), SHARE_WANTED)];
  };
  return {
    title: `Cleaner: space in MB before and after ${CYCLES} cycles, and the least it could have been`,
    columns: ['', 'before', 'least', 'after', 'least', 'share of the reclaimable returned'],
    rows: [
      row('stored, by the statistics', space => space.stored),
      row('data stores on disk', space => space.onDisk),
    ],
  };
}

function ratesTable(idle: Rates, beside: Rates): Table {
  const row = (name: string, pick: (rates: Rates) => number[]) => {
    const [alone, together] = [median(pick(idle)), median(pick(beside))];
    const isMeasured = pick(beside).length > 0;
    return [
      name,
      megabytes(alone),
      isMeasured ? megabytes(together) : 'the cleaner was done too soon',
      String(pick(beside).length),
      isMeasured ? verdict(together / alone, RATE_WANTED) : '',
    ];
  };
  return {
    title: 'Cleaner: rates of one stream in MB/s, median',
    columns: ['', 'idle', 'while it runs', 'files', 'ratio'],
    rows: [row('ingest', rates => rates.ingest), row('restore', rates => rates.restore)],
  };
}

function resultLine(
  parameters: CleanerBenchParameters,
  seconds: number,
  { before, leastBefore, after, leastAfter }: Spaces,
  hash: string,
): BenchResult {
  const { generations, kept } = parameters.sizes;
  const bytes = before.onDisk - after.onDisk;
  return {
    name: 'cleaner',
    parameters: {
      ...{ generations, kept, before: before.onDisk, leastBefore: leastBefore.onDisk },
      ...{ after: after.onDisk, leastAfter: leastAfter.onDisk, storedBefore: before.stored },
      ...{ storedAfter: after.stored, storedLeast: leastAfter.stored },
    },
    ...{ bytes, seconds, rate: bytes / seconds, peakBytes: 0, hash, runs: CYCLES },
  };
}

export async function runCleanerBench(parameters: CleanerBenchParameters): Promise<Table[]> {
  const server = await startServer(join(parameters.directory, 'server'));
  await server.addGroup({ name: GROUP, compression: 'fast' });
  const bench = new CleanerBench(parameters, server);
  try {
    await bench.fill();
    for (let probe = 0; probe < IDLE_PROBES; probe += 1) {
      await bench.waitIdle();
      await bench.probe(bench.idle);
    }
    await bench.drop();
    const before = await bench.space(GROUP);
    const { keptCount } = bench;
    for (let cycle = 0; cycle < CYCLES; cycle += 1) await bench.clean();
    const after = await bench.space(GROUP);
    const { bytes, hash } = await bench.compare();
    parameters.say(`${megabytes(bytes)} MB restored after the cleaner, the same by cmp`);
    const [leastBefore, leastAfter] = await bench.leasts(keptCount);
    const spaces = { before, leastBefore, after, leastAfter };
    parameters.report(resultLine(parameters, bench.cleanerSeconds, spaces, hash));
    return [spaceTable(spaces), ratesTable(bench.idle, bench.beside)];
  } finally {
    await bench.stop();
  }
}
