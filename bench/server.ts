/**
 * The server of a bench: a real process on free ports with a data directory of its own, spoken to over HTTP
 * and by the command line, stopped by its process id.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunOptions, type RunReport, runTimed, startChild } from './process.js';

const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const DIST = fileURLToPath(new URL('../', import.meta.url));
const PASSPHRASE = 'bench passphrase: nothing of worth is kept under it';

export const MAIN_PROGRAM = join(DIST, 'src/main.js');
export const CLIENT_PROGRAM = join(DIST, 'bench/client.js');

export interface GroupWish {
  readonly name: string;
  readonly compression: 'none' | 'fast' | 'best';
  readonly chunkSize?: number;
  /** Its directory; made by the server. */
  readonly path?: string;
}

export interface Server {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
  readonly data: string;
  /** Runs a command of `granary` against it. */
  command(parameters: readonly string[], options?: RunOptions): Promise<RunReport>;
  /** Adds an encrypted group and a container of the same name in it. */
  addGroup(wish: GroupWish): Promise<void>;
  /** SIGTERM, and waits for the end; throws when it ends with another status than 0. */
  stop(): Promise<void>;
}

/** Below the directory: data/ and the passphrase file. An existing data directory is served as it is. */
export async function startServer(directory: string): Promise<Server> {
  mkdirSync(directory, { recursive: true });
  const data = join(directory, 'data');
  const passphraseFile = join(directory, 'passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const child = startChild(process.execPath, [
    MAIN_PROGRAM,
    'serve',
    ...[
      '--data',
      data,
      '--listen',
      '127.0.0.1:0',
      '--s3-listen',
      '127.0.0.1:0',
      '--unlock-file',
      passphraseFile,
    ],
  ]);
  const ready = await waitReady(child);
  const command = (parameters: readonly string[], options?: RunOptions) =>
    runTimed(process.execPath, [MAIN_PROGRAM, ...parameters, '--data', data, '--url', ready.url], options);
  return {
    ...ready,
    data,
    token: readFileSync(join(data, 'admin.token'), 'utf8').trim(),
    command,
    addGroup: wish => addGroup(command, wish, passphraseFile),
    stop: () => stopChild(child),
  };
}

/** Deletes every RocksDB directory of a stopped server; returns how many there were. */
export function deleteViews(directories: readonly string[]): number {
  let count = 0;
  for (const directory of directories) {
    if (existsSync(join(directory, 'CURRENT')) && existsSync(join(directory, 'IDENTITY'))) {
      rmSync(directory, { recursive: true });
      count += 1;
    } else {
      const entries = readdirSync(directory, { withFileTypes: true }).filter(entry => entry.isDirectory());
      count += deleteViews(entries.map(entry => join(directory, entry.name)));
    }
  }
  return count;
}

/** `granary rebuild` on the data directory of a stopped server. */
export function rebuildViews(directory: string): Promise<RunReport> {
  const options = ['--data', join(directory, 'data'), '--unlock-file', join(directory, 'passphrase')];
  return runTimed(process.execPath, [MAIN_PROGRAM, 'rebuild', ...options]);
}

async function addGroup(command: Server['command'], wish: GroupWish, passphraseFile: string): Promise<void> {
  const options = [
    '--encryption',
    'static',
    '--compression',
    wish.compression,
    '--passphrase-file',
    passphraseFile,
  ];
  const chunkSize = wish.chunkSize === undefined ? [] : ['--chunk-size', String(wish.chunkSize)];
  const path = wish.path === undefined ? [] : ['--path', wish.path];
  await command(['group', 'add', wish.name, ...options, ...chunkSize, ...path]);
  await command(['container', 'add', wish.name, '--group', wish.name]);
}

/** Resolves with what the line `ready api=URL s3=URL data=DIR pid=N` says. */
function waitReady(child: ChildProcess): Promise<{ url: string; pid: number }> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => fail('not ready in time'), READY_TIMEOUT_MS);
    const fail = (reason: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`the server could not be started: ${reason}\n${stdout}${stderr.slice(-4000)}`));
    };
    child.once('error', error => fail(error.message));
    child.once('exit', status => fail(`it ended with status ${status}`));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-16_384);
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const match = /^ready api=(\S+) .*pid=(\d+)/m.exec(stdout);
      if (match === null) return;
      clearTimeout(timer);
      child.removeAllListeners('exit');
      resolve({ url: match[1]!, pid: Number(match[2]) });
    });
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    if (child.exitCode !== null)
      return reject(new Error(`the server had ended with status ${child.exitCode}`));
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    child.once('exit', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve();
      else reject(new Error(`the server ended with ${signal ?? `status ${status}`}`));
    });
    child.kill('SIGTERM');
  });
}

/** The addon and the server's program, or why they are not there. */
export function missingBuild(): string | undefined {
  const addon = fileURLToPath(new URL('../../build-native/Release/granary.node', import.meta.url));
  return [MAIN_PROGRAM, addon].filter(path => !existsSync(path)).map(path => `${path} has not been built`)[0];
}
