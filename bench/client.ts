/**
 * The client of the flow benches, a process of its own: takes a job as JSON from its first argument, runs it
 * over several connections at once, prints a report as JSON. Reads come from the page cache in pieces that
 * fit the processor's cache.
 */
import { closeSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { binding, DIGEST_XXH3 } from '../src/native/binding.js';
import { type Answer, ClientSocket } from './client-socket.js';
import { fillContent } from './content.js';
import { deriveSeed } from './random.js';

const PIECE_SIZE = 512 * 1024;
/** While one piece is with the kernel the other is read. */
const PIECE_COUNT = 2;

export interface JobFile {
  /** Its path in the container. */
  readonly name: string;
  readonly path: string;
  readonly offset?: number;
  readonly size?: number;
}

export interface Job {
  readonly mode: 'put' | 'put-small' | 'get' | 'hash';
  readonly url: string;
  readonly token: string;
  readonly container: string;
  readonly streams: number;
  readonly files: readonly JobFile[];
  /** put-small: so many files of this size. */
  readonly count?: number;
  readonly size?: number;
  readonly seed?: number;
  /** get: writes the files below it; otherwise the bytes are only digested. */
  readonly targetDirectory?: string;
}

export interface JobFileReport {
  readonly name: string;
  readonly bytes: number;
  readonly xxh3: string;
  readonly newBytes: number;
  readonly storedBytes: number;
}

export interface JobReport {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bytes: number;
  readonly files: readonly JobFileReport[];
}

function requestHead(job: Job, method: string, name: string, lines: readonly string[]): string {
  const escaped = name.split('/').map(encodeURIComponent).join('/');
  const path = `/api/v1/containers/${job.container}/files/${escaped}`;
  const fixed = [`Host: ${new URL(job.url).host}`, `Authorization: Bearer ${job.token}`];
  return [`${method} ${path} HTTP/1.1`, ...fixed, ...lines, '', ''].join('\r\n');
}

function checkStatus(answer: Answer, name: string, body: string): void {
  if (answer.status < 200 || answer.status > 299)
    throw new Error(`${name}: status ${answer.status}: ${body}`);
}

function fileReport(name: string, body: string): JobFileReport {
  const report = JSON.parse(body) as { size: number; xxh3: string; newBytes: number; storedBytes: number };
  return {
    name,
    bytes: report.size,
    xxh3: report.xxh3,
    newBytes: report.newBytes,
    storedBytes: report.storedBytes,
  };
}

/** Calls `take` with the file's pieces; each piece's memory is used again PIECE_COUNT calls later. */
async function readPieces(
  file: JobFile,
  take: (piece: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  const descriptor = openSync(file.path, 'r');
  const offset = file.offset ?? 0;
  const size = file.size ?? statSync(file.path).size - offset;
  const pieces = Array.from({ length: PIECE_COUNT }, () => Buffer.allocUnsafeSlow(PIECE_SIZE));
  let pending: Promise<void> | undefined;
  try {
    for (let done = 0, turn = 0; done < size; turn += 1) {
      const piece = pieces[turn % PIECE_COUNT]!;
      const read = readSync(descriptor, piece, 0, Math.min(PIECE_SIZE, size - done), offset + done);
      if (read === 0) throw new Error(`${file.path} ends at ${offset + done}`);
      if (pending !== undefined) await pending;
      pending = take(piece.subarray(0, read));
      done += read;
    }
    await pending;
  } finally {
    closeSync(descriptor);
  }
}

async function putFile(job: Job, socket: ClientSocket, file: JobFile): Promise<JobFileReport> {
  const size = file.size ?? statSync(file.path).size - (file.offset ?? 0);
  const answered = socket.textAnswer();
  // A refusal may come while we still write; it is the answer that counts then, not the failed write.
  answered.catch(() => undefined);
  const sent = socket
    .write(requestHead(job, 'PUT', file.name, [`Content-Length: ${size}`]))
    .then(() => readPieces(file, piece => socket.write(piece)));
  await Promise.race([sent, answered]);
  const answer = await answered;
  checkStatus(answer, file.name, answer.body);
  return fileReport(file.name, answer.body);
}

async function putSmallFile(job: Job, socket: ClientSocket, index: number): Promise<JobFileReport> {
  const name = `small/${Math.floor(index / 100)}/${index}`;
  const content = Buffer.alloc(job.size!);
  fillContent('source', deriveSeed(job.seed ?? 0, 'small', index), content);
  const answered = socket.textAnswer();
  answered.catch(() => undefined);
  const head = Buffer.from(requestHead(job, 'PUT', name, [`Content-Length: ${content.length}`]));
  await socket.write(Buffer.concat([head, content]));
  const answer = await answered;
  checkStatus(answer, name, answer.body);
  return fileReport(name, answer.body);
}

function openTarget(job: Job, name: string): number | undefined {
  if (job.targetDirectory === undefined) return undefined;
  const path = join(job.targetDirectory, name);
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'w');
}

function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
}

async function getFile(job: Job, socket: ClientSocket, file: JobFile): Promise<JobFileReport> {
  const addon = binding();
  const digest = addon.digestOpen(DIGEST_XXH3);
  const target = openTarget(job, file.name);
  let bytes = 0;
  const answered = socket.answer(part => {
    addon.digestUpdate(digest, part);
    bytes += part.length;
    if (target !== undefined) writeWhole(target, part);
  });
  answered.catch(() => undefined);
  await socket.write(requestHead(job, 'GET', file.name, []));
  const answer = await answered;
  if (target !== undefined) closeSync(target);
  const xxh3 = Buffer.from(addon.digestFinish(digest).xxh3).toString('hex');
  checkStatus(answer, file.name, '');
  if (answer.headers.get('x-granary-xxh3') !== xxh3)
    throw new Error(`${file.name}: xxh3 ${xxh3} is not the server's`);
  return { name: file.name, bytes, xxh3, newBytes: 0, storedBytes: 0 };
}

async function hashFile(file: JobFile): Promise<JobFileReport> {
  const addon = binding();
  const digest = addon.digestOpen(DIGEST_XXH3);
  let bytes = 0;
  await readPieces(file, piece => {
    addon.digestUpdate(digest, piece);
    bytes += piece.length;
    return undefined;
  });
  const xxh3 = Buffer.from(addon.digestFinish(digest).xxh3).toString('hex');
  return { name: file.name, bytes, xxh3, newBytes: 0, storedBytes: 0 };
}

/** Takes one task after the other from the shared list until it is empty. */
async function runStream(job: Job, tasks: Iterator<number>, reports: JobFileReport[]): Promise<void> {
  const socket =
    job.mode === 'hash'
      ? undefined
      : await ClientSocket.open(new URL(job.url), Buffer.allocUnsafeSlow(PIECE_SIZE));
  for (let next = tasks.next(); next.done !== true; next = tasks.next()) {
    const index = next.value;
    if (job.mode === 'put-small') reports[index] = await putSmallFile(job, socket!, index);
    else if (job.mode === 'put') reports[index] = await putFile(job, socket!, job.files[index]!);
    else if (job.mode === 'get') reports[index] = await getFile(job, socket!, job.files[index]!);
    else reports[index] = await hashFile(job.files[index]!);
  }
  socket?.close();
}

async function runJob(job: Job): Promise<JobReport> {
  const count = job.mode === 'put-small' ? job.count! : job.files.length;
  const tasks = Array.from({ length: count }, (_, i) => i)[Symbol.iterator]();
  const reports: JobFileReport[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  await Promise.all(Array.from({ length: job.streams }, () => runStream(job, tasks, reports)));
  const seconds = (performance.now() - start) / 1e3;
  const cpu = process.cpuUsage(cpuBefore);
  return {
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    bytes: reports.reduce((total, file) => total + file.bytes, 0),
    files: reports,
  };
}

process.stdout.write(JSON.stringify(await runJob(JSON.parse(process.argv[2]!) as Job)));
