/**
 * Processes that a bench starts: timed, with CPU time and peak memory, and ended by their own id. Nothing
 * here is found by name, and nothing outlives the bench.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const TIME_PROGRAM = '/usr/bin/time';
/** Clock ticks a second of /proc/PID/stat on every Linux that Node runs on. */
const TICKS_A_SECOND = 100;
const IDLE_POLL_MS = 250;
const IDLE_CPU_SHARE = 0.04;

export interface RunOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Given to its standard input. */
  readonly input?: string;
  /** Otherwise a status other than 0 is an error that carries what the process wrote to stderr. */
  readonly mayFail?: boolean;
}

export interface RunReport {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

const children = new Set<ChildProcess>();

/** Ends, by id, what is still running of what was started here. */
export function endChildren(): void {
  for (const child of children) {
    try {
      // A group of its own: what `time` or a shell has started ends with it.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code !== 'ESRCH') throw thrown;
    }
  }
}

/** Starts a process that ends with the bench. */
export function startChild(
  command: string,
  parameters: readonly string[],
  options: RunOptions = {},
): ChildProcess {
  const child = spawn(command, parameters, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

function collect(child: ChildProcess): { stdout: () => string; stderr: () => string } {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text;
  });
  return { stdout: () => texts.stdout, stderr: () => texts.stderr };
}

/** What `time` wrote: seconds of user and system, peak in KiB. */
function parseUsage(text: string): { cpuSeconds: number; peakBytes: number } {
  const [user = 0, system = 0, peak = 0] = (text.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { cpuSeconds: user + system, peakBytes: peak * 1024 };
}

/** Runs a process to its end, and measures it with all its children. */
export async function runTimed(
  command: string,
  parameters: readonly string[],
  options: RunOptions = {},
): Promise<RunReport> {
  const scratch = mkdtempSync(join(tmpdir(), 'granary-time-'));
  const usageFile = join(scratch, 'usage');
  const hasTime = existsSync(TIME_PROGRAM);
  const start = performance.now();
  const child = hasTime
    ? startChild(TIME_PROGRAM, ['-q', '-f', '%U %S %M', '-o', usageFile, command, ...parameters], options)
    : startChild(command, parameters, options);
  const texts = collect(child);
  child.stdin?.on('error', () => undefined).end(options.input ?? '');
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
  const seconds = (performance.now() - start) / 1e3;
  const usage = hasTime && existsSync(usageFile) ? readFileSync(usageFile, 'utf8') : '';
  rmSync(scratch, { recursive: true, force: true });
  if (status !== 0 && options.mayFail !== true) {
    throw new Error(`${command} ${parameters.join(' ')}: status ${status}: ${texts.stderr().slice(-2000)}`);
  }
  return { status, stdout: texts.stdout(), stderr: texts.stderr(), seconds, ...parseUsage(usage) };
}

/** A pipeline or anything else that is easier said to a shell; fails when any of its commands does. */
export function runShell(script: string, options: RunOptions = {}): Promise<RunReport> {
  return runTimed('bash', ['-c', `set -euo pipefail; ${script}`], options);
}

/** The program's path, if the machine has it. */
export function findProgram(name: string, directories: readonly string[] = []): string | undefined {
  return [...directories, ...(process.env.PATH ?? '').split(delimiter)]
    .map(directory => join(directory, name))
    .find(path => existsSync(path));
}

/** CPU seconds of a running process and its threads; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return 0;
  }
}

/** Waits until a process does next to nothing (background work is done), at most `limitMs`. */
export async function waitIdle(pid: number, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  let quiet = 0;
  while (performance.now() < end && quiet < 3) {
    const before = cpuSeconds(pid);
    await new Promise(resolve => setTimeout(resolve, IDLE_POLL_MS));
    quiet =
      cpuSeconds(pid) - before <= (IDLE_POLL_MS / 1e3) * IDLE_CPU_SHARE + 1 / TICKS_A_SECOND ? quiet + 1 : 0;
  }
}

/** Bytes that the files of a directory take on disk, or their lengths. */
export function diskUsage(path: string, kind: 'allocated' | 'length' = 'allocated'): number {
  const status = statSync(path);
  const own = kind === 'allocated' ? status.blocks * 512 : status.isDirectory() ? 0 : status.size;
  if (!status.isDirectory()) return own;
  return readdirSync(path).reduce((total, name) => total + diskUsage(join(path, name), kind), own);
}

/**
 * Brings files into the page cache and everything else to disk, so that each measurement starts from the same
 * state.
 */
export async function settle(files: readonly string[]): Promise<void> {
  await runTimed('sync', []);
  if (files.length > 0) await runTimed('sh', ['-c', 'exec cat "$@" > /dev/null', 'cat', ...files]);
}

/**
 * Fills the page cache with so many bytes and lets them go: the first who writes as much would else pay for
 * memory that a virtual machine's host has to find first, and the next would not.
 */
export async function warmPageCache(path: string, size: number): Promise<void> {
  await runTimed('sh', ['-c', 'head -c "$0" /dev/zero > "$1" && rm "$1"', String(size), path]);
}
