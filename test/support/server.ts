/**
 * The real server as a child process on free ports, with a data directory of its own under the system's
 * temporary folder. stop() ends it as an operator does, kill9() as a power cut does; restart() starts it
 * again on what it has left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './sources.js';

const MAIN = join(ROOT, 'dist/src/main.js');
const READY_TIMEOUT_MS = 60_000;

export interface ServerOptions {
  /** Served as it is, and kept; by default a new one, removed by dispose(). */
  readonly data?: string;
  /** Further flags of `granary serve`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestServer {
  readonly data: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #url = '';
  #s3Url = '';
  #token = '';
  #stderr = '';

  private constructor(data: string, options: ServerOptions) {
    this.data = data;
    this.#options = options;
  }

  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const data = options.data ?? join(await mkdtemp(join(tmpdir(), 'granary-test-')), 'data');
    const server = new TestServer(data, options);
    await server.restart();
    return server;
  }

  get url(): string {
    return this.#url;
  }

  get s3Url(): string {
    return this.#s3Url;
  }

  get token(): string {
    return this.#token;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** What it has written to standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Starts it (again) and waits until it says that it is ready. */
  async restart(): Promise<void> {
    const ports = ['--listen', '127.0.0.1:0', '--s3-listen', '127.0.0.1:0'];
    const flags = ['serve', '--data', this.data, ...ports, ...(this.#options.flags ?? [])];
    const child = spawn(process.execPath, [MAIN, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.environment },
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const ready = await this.#readyLine(child);
    this.#url = ready.url;
    this.#s3Url = ready.s3Url;
    this.#token = (await readFile(join(this.data, 'admin.token'), 'utf8')).trim();
  }

  #readyLine(child: ChildProcess): Promise<{ url: string; s3Url: string }> {
    return new Promise((resolve, reject) => {
      let stdout = '';
      const fail = (why: string) =>
        reject(new Error(`the server is not ready: ${why}\n${stdout}${this.#stderr}`));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        fail(`nothing said within ${READY_TIMEOUT_MS} ms`);
      }, READY_TIMEOUT_MS);
      const onExit = (code: number | null) => {
        clearTimeout(timer);
        fail(`it ended with code ${code}`);
      };
      child.once('close', onExit);
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        const match = /^ready api=(\S+) s3=(\S+) data=.* pid=\d+$/m.exec(stdout);
        if (match === null) return;
        clearTimeout(timer);
        child.off('close', onExit);
        resolve({ url: match[1]!, s3Url: match[2]! });
      });
    });
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const closed = once(child, 'close') as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await closed;
    return code;
  }

  /** Runs a command of the command line against this server; `input` is its standard input. */
  granary(parameters: readonly string[], input?: Uint8Array): Promise<CommandResult> {
    return runGranary([...parameters], { GRANARY_URL: this.#url, GRANARY_TOKEN: this.#token }, input);
  }

  /** A call of the API. */
  fetch(path: string, options: RequestInit = {}): Promise<Response> {
    const headers = new Headers(options.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${this.#token}`);
    return fetch(this.#url + path, { ...options, headers });
  }

  /** Ends it in any case and removes a data directory that it made. */
  async dispose(): Promise<void> {
    await this.kill9();
    if (this.#options.data === undefined) await rm(join(this.data, '..'), { recursive: true, force: true });
  }
}

/** `granary` as a process of its own. */
export async function runGranary(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input: Uint8Array = new Uint8Array(),
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...parameters], { env: { ...process.env, ...environment } });
  const collect = (stream: NodeJS.ReadableStream) => {
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    return parts;
  };
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  // A command that fails does not read its input to the end; that is not the test's failure.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return {
    code: code ?? -1,
    stdout: Buffer.concat(stdout).toString('latin1'),
    stderr: Buffer.concat(stderr).toString('utf8'),
  };
}
