/**
 * Which server a command talks to, and with which token. By the contract: flags, then the environment, then
 * what the server on this machine left in its data directory (server.json: its address, admin.token: the
 * administrator's token).
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { StoreError } from '../base/errors.js';

export const DEFAULT_DATA_DIRECTORY = 'granary-data';
export const DEFAULT_LISTEN = '127.0.0.1:9440';
export const DEFAULT_S3_LISTEN = '127.0.0.1:9441';
export const SERVER_FILE = 'server.json';
export const TOKEN_FILE = 'admin.token';

export interface ConnectionFlags {
  readonly url?: string;
  readonly token?: string;
  readonly data?: string;
  readonly ca?: string;
}

export interface Connection {
  readonly url: URL;
  readonly token: string;
  /** PEM text of a certificate to trust besides the system's. */
  readonly certificateAuthority?: string;
}

/** What a running server says of itself in its data directory. */
export interface ServerFile {
  readonly url: string;
  readonly pid: number;
  /** With TLS: the file of its certificate. */
  readonly certificateFile?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function dataDirectory(flag: string | undefined, environment: Environment): string {
  return resolve(flag ?? environment.GRANARY_DATA ?? DEFAULT_DATA_DIRECTORY);
}

/** Throws INVALID when flags contradict themselves, NOT_FOUND when there is no token to be had. */
export function findConnection(flags: ConnectionFlags, environment: Environment): Connection {
  const directory = dataDirectory(flags.data, environment);
  const given = flags.url ?? environment.GRANARY_URL;
  const server = given === undefined ? readServerFile(directory) : undefined;
  const url = parseUrl(given ?? server?.url ?? `http://${DEFAULT_LISTEN}`);
  const caFile = flags.ca ?? environment.GRANARY_CA ?? server?.certificateFile;
  return {
    url,
    token: findToken(flags, environment, directory, url),
    ...(caFile === undefined ? {} : { certificateAuthority: readText(caFile, 'certificate') }),
  };
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new StoreError(
      'INVALID',
      `not a server's address: '${text}' (wanted http://HOST:PORT or https://HOST:PORT)`,
    );
  }
  return new URL(text);
}

function findToken(flags: ConnectionFlags, environment: Environment, directory: string, url: URL): string {
  const given = flags.token ?? environment.GRANARY_TOKEN;
  if (given !== undefined) return given.startsWith('@') ? readText(given.slice(1), 'token').trim() : given;
  // The administrator's token of this machine goes to a foreign host only when its directory was named on
  // purpose.
  if (!isLoopback(url.hostname) && flags.data === undefined && environment.GRANARY_DATA === undefined) {
    throw new StoreError('INVALID', `a token is needed for ${url.origin} (--token @FILE or GRANARY_TOKEN)`);
  }
  const file = join(directory, TOKEN_FILE);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new StoreError(
      'NOT_FOUND',
      `no token: ${file} cannot be read (give --data DIR of a started server, or --url and --token)`,
      { cause },
    );
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function readServerFile(directory: string): ServerFile | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, SERVER_FILE), 'utf8')) as ServerFile;
  } catch {
    // No server has run here, or it was ended in the middle of a start: the default address is as good a
    // guess as any.
    return undefined;
  }
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new StoreError('INVALID', `the ${what} file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
