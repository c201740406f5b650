/**
 * Proof on real input: generations of a real tree and of a real database go in over HTTP and through a pipe,
 * come back and are compared byte by byte; then every RocksDB is deleted, the views are rebuilt, and
 * everything is compared again. restic and borg get the same generations in the same run. Any difference is
 * an error.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { comparePrograms, comparisonTable } from './peers.js';
import { diskUsage, runShell } from './process.js';
import { type Generation, jobFiles } from './programs.js';
import { type Database, startDatabase } from './real-database.js';
import { makeTreeGeneration, pickSubtrees } from './real-tree.js';
import { type BenchResult, megabytes, type Table } from './report.js';
import { deleteViews, MAIN_PROGRAM, rebuildViews, type Server, startServer } from './server.js';

const GENERATIONS = 3;
const TREE_ROOT = '/usr';
const CONTAINER = 'fast';

export interface RealInputParameters {
  readonly directory: string;
  readonly treeSizeMax: number;
  readonly databaseScale: number;
  readonly report: (result: BenchResult) => void;
  readonly say: (line: string) => void;
}

interface RealGeneration extends Generation {
  /** The tar of the tree once more, for a pipe. */
  readonly tarCommand: string;
}

interface Statistics {
  readonly logicalBytes: number;
  readonly uniqueBytes: number;
  readonly storedBytes: number;
}

const quote = (words: readonly string[]): string =>
  words.map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

async function makeGenerations(parameters: RealInputParameters): Promise<RealGeneration[]> {
  const subtrees = pickSubtrees(TREE_ROOT, parameters.treeSizeMax);
  const started = await startDatabase(join(parameters.directory, 'postgres'), parameters.databaseScale);
  if (typeof started === 'string') parameters.say(started);
  const database = typeof started === 'string' ? undefined : started;
  try {
    const generations: RealGeneration[] = [];
    for (let number = 1; number <= GENERATIONS; number += 1) {
      generations.push(await makeGeneration(parameters, subtrees, database, number));
    }
    return generations;
  } finally {
    await database?.stop();
  }
}

async function makeGeneration(
  parameters: RealInputParameters,
  subtrees: readonly string[],
  database: Database | undefined,
  number: number,
): Promise<RealGeneration> {
  const name = `gen${number}`;
  const directory = join(parameters.directory, name);
  mkdirSync(directory, { recursive: true });
  const tree = makeTreeGeneration(subtrees, join(parameters.directory, `lists-${number}`), number);
  const tarCommand = quote(['tar', ...tree.tarArguments]);
  await runShell(`${tarCommand} > ${quote([join(directory, 'tree.tar')])}`);
  if (number > 1) await database?.change(number);
  await database?.save(directory);
  const size = diskUsage(directory, 'length');
  parameters.say(`${name}: ${megabytes(size)} MB, ${tree.fileCount} files of ${TREE_ROOT} in tree.tar`);
  return { name, directory, size, tarCommand };
}

async function readStatistics(server: Server): Promise<Statistics> {
  return JSON.parse((await server.command(['stats', '--group', CONTAINER, '--json'])).stdout) as Statistics;
}

function granaryCommand(server: Server, parameters: readonly string[]): string {
  return quote([process.execPath, MAIN_PROGRAM, ...parameters, '--data', server.data, '--url', server.url]);
}

/** `tar | granary put`: the bytes of tree.tar, made anew while they are stored. */
async function putThroughPipe(
  server: Server,
  generation: RealGeneration,
  say: (line: string) => void,
): Promise<void> {
  const put = granaryCommand(server, ['put', `${CONTAINER}/pipe/${generation.name}/tree.tar`, '--json']);
  const run = await runShell(`${generation.tarCommand} | ${put}`);
  const report = JSON.parse(run.stdout) as { size: number; newBytes: number };
  const figures = [report.size, report.newBytes, report.size / run.seconds].map(megabytes);
  say(`tar | granary put, ${generation.name}: ${figures[0]} MB, ${figures[1]} MB new, ${figures[2]} MB/s`);
}

/**
 * Every file of every generation, and what came through the pipe, against the originals. Returns the bytes
 * compared.
 */
async function compareEverything(server: Server, generations: readonly Generation[]): Promise<number> {
  let bytes = 0;
  const compare = async (name: string, original: string) => {
    const get = granaryCommand(server, ['get', `${CONTAINER}/${name}`]);
    await runShell(`${get} | cmp - ${quote([original])}`);
    bytes += diskUsage(original, 'length');
  };
  for (const generation of generations) {
    for (const file of jobFiles(generation)) await compare(file.name, file.path);
    await compare(`pipe/${generation.name}/tree.tar`, join(generation.directory, 'tree.tar'));
  }
  return bytes;
}

/** Deletes every RocksDB, rebuilds, compares everything again. */
async function proveRebuild(
  parameters: RealInputParameters,
  generations: readonly Generation[],
): Promise<void> {
  const { directory, say } = parameters;
  const deleted = deleteViews([
    join(directory, 'server/data'),
    join(directory, 'granary-fast'),
    join(directory, 'granary-best'),
  ]);
  const rebuild = await rebuildViews(join(directory, 'server'));
  say(`${deleted} RocksDB directories deleted; granary rebuild took ${rebuild.seconds.toFixed(1)} s`);
  if (deleted === 0) throw new Error('no RocksDB directory was found, so nothing was proved');
  const server = await startServer(join(directory, 'server'));
  try {
    const bytes = await compareEverything(server, generations);
    say(`after the rebuild: ${megabytes(bytes)} MB restored, the same by cmp`);
  } finally {
    await server.stop();
  }
}

function statisticsTable(rows: readonly (readonly [string, Statistics])[]): Table {
  return {
    title: 'Real input: group with compression fast, bytes after each step (MB)',
    columns: ['after', 'logical', 'unique', 'stored', 'stored / logical'],
    rows: rows.map(([name, statistics]) => [
      name,
      megabytes(statistics.logicalBytes),
      megabytes(statistics.uniqueBytes),
      megabytes(statistics.storedBytes),
      (statistics.storedBytes / statistics.logicalBytes).toFixed(3),
    ]),
  };
}

/** Returns the tables; throws at the first byte that is not what was put. */
export async function runRealInput(parameters: RealInputParameters): Promise<Table[]> {
  rmSync(parameters.directory, { recursive: true, force: true });
  mkdirSync(parameters.directory, { recursive: true });
  const generations = await makeGenerations(parameters);
  const rows: (readonly [string, Statistics])[] = [];
  const comparison = await comparePrograms({
    ...parameters,
    generations,
    afterGeneration: async (server, generation) => {
      rows.push([`${generation.name} over HTTP`, await readStatistics(server)]);
    },
    afterwards: async server => {
      for (const generation of generations) await putThroughPipe(server, generation, parameters.say);
      rows.push(['all trees through tar | granary put', await readStatistics(server)]);
      const bytes = await compareEverything(server, generations);
      parameters.say(`${megabytes(bytes)} MB restored, the same by cmp`);
    },
  });
  await proveRebuild(parameters, generations);
  return [statisticsTable(rows), comparisonTable('Real input beside peers', comparison)];
}
