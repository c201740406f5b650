/**
 * Flow benches: a real server process, a client process beside it, the corpus between them; every generation
 * in, the newest out with its digests compared, many small files, and the server's memory with few and with
 * many streams. Beside each flow stands its limit from the same run's stages.
 */
import { join } from 'node:path';
import { type Budget, type FlowCost, ingestLimit, restoreLimit } from './budget.js';
import type { Job, JobFile, JobReport } from './client.js';
import type { Corpus, CorpusGeneration } from './corpus.js';
import { peakMemory, resetPeakMemory } from './harness.js';
import { cpuSeconds, runTimed, settle, waitIdle } from './process.js';
import { type BenchResult, megabytes, type Table, verdict } from './report.js';
import { CLIENT_PROGRAM, type Server, startServer } from './server.js';

const IDLE_LIMIT_MS = 30_000;
const MEBIBYTE = 2 ** 20;
export const FLOW_STREAMS = 3;
const MEMORY_FEW_STREAMS = 2;
const MEMORY_MANY_STREAMS = 64;
const MEMORY_FEW_MAX = 400 * MEBIBYTE;
const MEMORY_MANY_MAX = 1024 * MEBIBYTE;
const SMALL_FILE_SIZE = 4096;
const SMALL_FILE_STREAMS = 32;
const LIMIT_SHARE_WANTED = 0.6;

export interface FlowParameters {
  readonly directory: string;
  readonly corpus: Corpus;
  readonly smallFileCount: number;
  readonly only?: string;
  readonly budget: (storedShare: number) => Budget;
  readonly report: (result: BenchResult) => void;
}

export interface FlowLimit {
  readonly name: string;
  readonly rate: number;
  readonly stages?: number;
  readonly verbs?: number;
}

export interface FlowResults {
  readonly limits: readonly FlowLimit[];
  readonly memory: readonly { readonly name: string; readonly bytes: number; readonly wanted: number }[];
}

/** Files of a generation, the longest first, so that parallel streams end together. */
export function generationFiles(corpus: Corpus, generation: CorpusGeneration): JobFile[] {
  return [...generation.files]
    .sort((a, b) => b.size - a.size)
    .map(file => ({
      name: `${generation.name}/${file.name}`,
      path: join(corpus.directory, generation.name, file.name),
    }));
}

/** Runs the client as a process of its own. */
export async function runClient(job: Job): Promise<JobReport> {
  const run = await runTimed(process.execPath, [CLIENT_PROGRAM, JSON.stringify(job)]);
  return JSON.parse(run.stdout) as JobReport;
}

export type JobWish = Omit<Job, 'url' | 'token'>;

export interface FlowRun extends JobReport {
  /** Of the server during the job. */
  readonly serverCpuSeconds: number;
  readonly serverPeakBytes: number;
}

/** A job against a server that has nothing else to do, from warm files and a clean page cache. */
export async function runFlow(server: Server, wish: JobWish): Promise<FlowRun> {
  await waitIdle(server.pid, IDLE_LIMIT_MS);
  await settle(wish.mode === 'put' ? wish.files.map(file => file.path) : []);
  resetPeakMemory(server.pid);
  const before = cpuSeconds(server.pid);
  const report = await runClient({ ...wish, url: server.url, token: server.token });
  return {
    ...report,
    serverCpuSeconds: cpuSeconds(server.pid) - before,
    serverPeakBytes: peakMemory(server.pid),
  };
}

function flowResult(
  name: string,
  run: FlowRun,
  parameters: BenchResult['parameters'],
  hash: string,
): BenchResult {
  return {
    name,
    parameters,
    bytes: run.bytes,
    seconds: run.seconds,
    rate: run.bytes / run.seconds,
    cpuSeconds: run.serverCpuSeconds + run.cpuSeconds,
    peakBytes: run.serverPeakBytes,
    hash,
    runs: 1,
  };
}

/** Restored digests against those of the files themselves, taken by another process than the server. */
export async function checkDigests(job: JobWish, restored: JobReport, server: Server): Promise<string> {
  const wanted = await runClient({ ...job, mode: 'hash', url: server.url, token: server.token });
  const differing = wanted.files
    .filter((file, i) => file.xxh3 !== restored.files[i]?.xxh3)
    .map(file => file.name);
  if (differing.length > 0)
    throw new Error(`restored files differ from what was put: ${differing.join(', ')}`);
  return wanted.files.map(file => file.xxh3.slice(0, 4)).join('');
}

function limitsOf(name: string, rate: number, budget: Budget, limit: (cost: FlowCost) => number): FlowLimit {
  return {
    name,
    rate,
    ...(budget.stages === undefined ? {} : { stages: limit(budget.stages) }),
    ...(budget.verbs === undefined ? {} : { verbs: limit(budget.verbs) }),
  };
}

const sum = (run: JobReport, key: 'newBytes' | 'storedBytes'): number =>
  run.files.reduce((total, file) => total + file[key], 0);

async function ingestFlows(server: Server, parameters: FlowParameters, limits: FlowLimit[]): Promise<number> {
  const { corpus } = parameters;
  let storedShare = 0.5;
  for (const [index, generation] of corpus.content.entries()) {
    const files = generationFiles(corpus, generation);
    const run = await runFlow(server, { mode: 'put', container: 'bench', streams: FLOW_STREAMS, files });
    const newShare = sum(run, 'newBytes') / run.bytes;
    if (index === 0) storedShare = sum(run, 'storedBytes') / sum(run, 'newBytes');
    const name = index === 0 ? 'first-generation' : 'later-generation';
    const shares = {
      generation: generation.name,
      streams: FLOW_STREAMS,
      newPercent: Number((newShare * 100).toFixed(1)),
    };
    parameters.report(flowResult(name, run, shares, run.files.map(file => file.xxh3.slice(0, 4)).join('')));
    const rate = run.bytes / run.seconds;
    limits.push(
      limitsOf(`${name} ${generation.name}`, rate, parameters.budget(storedShare), cost =>
        ingestLimit(cost, newShare),
      ),
    );
  }
  return storedShare;
}

async function restoreFlows(
  server: Server,
  parameters: FlowParameters,
  limits: FlowLimit[],
  storedShare: number,
): Promise<void> {
  const newest = parameters.corpus.content.at(-1)!;
  const job: JobWish = {
    mode: 'get',
    container: 'bench',
    streams: FLOW_STREAMS,
    files: generationFiles(parameters.corpus, newest),
  };
  const run = await runFlow(server, job);
  const hash = await checkDigests(job, run, server);
  parameters.report(flowResult('restore', run, { generation: newest.name, streams: FLOW_STREAMS }, hash));
  limits.push(
    limitsOf(`restore ${newest.name}`, run.bytes / run.seconds, parameters.budget(storedShare), restoreLimit),
  );
}

async function smallFilesFlow(server: Server, parameters: FlowParameters): Promise<void> {
  const count = parameters.smallFileCount;
  const run = await runFlow(server, {
    mode: 'put-small',
    container: 'bench',
    streams: SMALL_FILE_STREAMS,
    files: [],
    count,
    size: SMALL_FILE_SIZE,
    seed: parameters.corpus.seed,
  });
  const result = flowResult(
    'small-files',
    run,
    { count, size: SMALL_FILE_SIZE, streams: SMALL_FILE_STREAMS },
    '',
  );
  parameters.report({ ...result, operations: count });
}

/**
 * Parts of the first generation, one a stream, so that any count of streams has something unknown to bring.
 */
function splitFiles(corpus: Corpus, count: number): JobFile[] {
  const generation = corpus.content[0]!;
  const size = Math.floor(generation.size / count);
  return generation.files.flatMap(file => {
    const path = join(corpus.directory, generation.name, file.name);
    return Array.from({ length: Math.ceil(file.size / size) }, (_, i) => ({
      name: `part-${count}/${file.name}-${i}`,
      path,
      offset: i * size,
      size: Math.min(size, file.size - i * size),
    }));
  });
}

/** Ingest and restore with so many streams, on a fresh server; the server's peak over both. */
async function memoryFlow(parameters: FlowParameters, streams: number): Promise<number> {
  const server = await startServer(join(parameters.directory, `memory-${streams}`));
  try {
    await server.addGroup({ name: 'bench', compression: 'fast' });
    const job: JobWish = {
      mode: 'put',
      container: 'bench',
      streams,
      files: splitFiles(parameters.corpus, streams),
    };
    const put = await runFlow(server, job);
    const get = await runFlow(server, { ...job, mode: 'get' });
    const hash = await checkDigests(job, get, server);
    parameters.report(flowResult('memory-put', put, { streams }, hash));
    parameters.report(flowResult('memory-get', get, { streams }, hash));
    return Math.max(put.serverPeakBytes, get.serverPeakBytes);
  } finally {
    await server.stop();
  }
}

/** Which flows are run: all, or those whose name contains `only`. */
function isWanted(parameters: FlowParameters, ...names: readonly string[]): boolean {
  return parameters.only === undefined || names.some(name => name.includes(parameters.only!));
}

export async function runFlows(parameters: FlowParameters): Promise<FlowResults> {
  const limits: FlowLimit[] = [];
  const memory: FlowResults['memory'][number][] = [];
  if (isWanted(parameters, 'first-generation', 'later-generation', 'restore', 'small-files')) {
    const server = await startServer(join(parameters.directory, 'flows'));
    try {
      await server.addGroup({ name: 'bench', compression: 'fast' });
      if (isWanted(parameters, 'first-generation', 'later-generation', 'restore')) {
        const storedShare = await ingestFlows(server, parameters, limits);
        await restoreFlows(server, parameters, limits, storedShare);
      }
      if (isWanted(parameters, 'small-files')) await smallFilesFlow(server, parameters);
    } finally {
      await server.stop();
    }
  }
  if (isWanted(parameters, 'memory-put', 'memory-get')) {
    const few = await memoryFlow(parameters, MEMORY_FEW_STREAMS);
    const many = await memoryFlow(parameters, MEMORY_MANY_STREAMS);
    memory.push({ name: `${MEMORY_FEW_STREAMS} streams`, bytes: few, wanted: MEMORY_FEW_MAX });
    memory.push({ name: `${MEMORY_MANY_STREAMS} streams`, bytes: many, wanted: MEMORY_MANY_MAX });
  }
  return { limits, memory };
}

export function flowTable(results: readonly BenchResult[]): Table {
  return {
    title: 'Flows (CPU: server and client; peak: server)',
    columns: ['flow', 'MB', 's', 'MB/s', 'files/s', 'CPU s', 'peak MB'],
    rows: results.map(result => [
      `${result.name} (${Object.entries(result.parameters)
        .map(([key, value]) => `${key} ${value}`)
        .join(', ')})`,
      megabytes(result.bytes),
      result.seconds.toFixed(2),
      megabytes(result.rate),
      result.operations === undefined ? '' : (result.operations / result.seconds).toFixed(0),
      (result.cpuSeconds ?? 0).toFixed(2),
      megabytes(result.peakBytes),
    ]),
  };
}

export function limitTable(results: FlowResults): Table {
  const share = (rate: number, limit: number | undefined) =>
    limit === undefined ? '' : (rate / limit).toFixed(2);
  return {
    title:
      "Flows beside their limits (two cores shared with the client, from the CPU time of this run's stages)",
    columns: ['flow', 'MB/s', 'sum of stages', 'share', 'sum of verbs', 'share', 'stages'],
    rows: results.limits.map(limit => [
      limit.name,
      megabytes(limit.rate),
      limit.stages === undefined ? '' : megabytes(limit.stages),
      share(limit.rate, limit.stages),
      limit.verbs === undefined ? '' : megabytes(limit.verbs),
      share(limit.rate, limit.verbs),
      limit.stages === undefined ? '' : verdict(limit.rate / limit.stages, LIMIT_SHARE_WANTED),
    ]),
    notes: results.memory.map(
      ({ name, bytes, wanted }) =>
        `memory with ${name}: MiB ${verdict(bytes / MEBIBYTE, wanted / MEBIBYTE, true)}`,
    ),
  };
}
