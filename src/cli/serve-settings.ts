/**
 * What `granary serve` was told: flags over a configuration file (YAML, the flags' names as keys) over
 * defaults. Checked here, so that main.ts composes from values that are right.
 */
import { availableParallelism } from 'node:os';
import { parse } from 'yaml';
import { z } from 'zod';
import { StoreError } from '../base/errors.js';
import { GRACE_SECONDS_DEFAULT, SLAB_COUNT_MAX, WORKER_COUNT_MAX, WORKERS_PER_CORE } from '../base/limits.js';
import { DEFAULT_LISTEN, DEFAULT_S3_LISTEN, dataDirectory, isLoopback } from './connection.js';
import { readLocalFile } from './maintenance-commands.js';

export interface ServeSettings {
  readonly dataDirectory: string;
  readonly listen: Listen;
  readonly s3Listen: Listen;
  readonly tls?: { readonly certificateFile: string; readonly certificate: string; readonly key: string };
  readonly graceSeconds: number;
  /** The file whose first line opens encrypted groups. */
  readonly unlockFile?: string;
  readonly workerCount: number;
  readonly slabCount: number;
  readonly logLevel: string;
}

export interface Listen {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/** As commander gives the flags; all are texts, as they are in a file that quotes its values. */
const FLAGS = z.strictObject({
  data: z.string().min(1).optional(),
  listen: z.string().optional(),
  s3Listen: z.string().optional(),
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  insecure: z.boolean().optional(),
  graceSeconds: z.coerce.number().min(0).optional(),
  unlockFile: z.string().optional(),
  workers: z.coerce.number().int().min(1).max(WORKER_COUNT_MAX).optional(),
  slabs: z.coerce.number().int().min(2).max(SLAB_COUNT_MAX).optional(),
  logLevel: z.enum(LOG_LEVELS).optional(),
});
export type ServeFlags = z.infer<typeof FLAGS> & { readonly config?: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** INVALID, naming the flag or key, for anything that cannot be served with. */
export function serveSettings(flags: ServeFlags, environment: Environment): ServeSettings {
  const { config, ...given } = flags;
  const all = { ...(config === undefined ? {} : readConfig(config)), ...checkFlags(given, 'flag') };
  const listen = parseListen(all.listen ?? DEFAULT_LISTEN);
  const s3Listen = parseListen(all.s3Listen ?? DEFAULT_S3_LISTEN);
  const tls = readTls(all.tlsCert, all.tlsKey);
  if (tls === undefined && all.insecure !== true) {
    for (const { host } of [listen, s3Listen]) demandLoopback(host);
  }
  return {
    dataDirectory: dataDirectory(all.data, environment),
    listen,
    s3Listen,
    ...(tls === undefined ? {} : { tls }),
    graceSeconds: all.graceSeconds ?? GRACE_SECONDS_DEFAULT,
    ...(all.unlockFile === undefined ? {} : { unlockFile: all.unlockFile }),
    workerCount: all.workers ?? Math.min(WORKERS_PER_CORE * availableParallelism(), WORKER_COUNT_MAX),
    slabCount: all.slabs ?? SLAB_COUNT_MAX,
    logLevel: all.logLevel ?? 'info',
  };
}

function checkFlags(given: unknown, what: string): z.infer<typeof FLAGS> {
  const checked = FLAGS.safeParse(given);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const name = issue === undefined || issue.path.length === 0 ? '' : ` ${kebabCase(String(issue.path[0]))}`;
  throw new StoreError('INVALID', `${what}${name}: ${issue?.message ?? 'not understood'}`);
}

function readConfig(file: string): z.infer<typeof FLAGS> {
  let content: unknown;
  try {
    content = parse(readLocalFile(file).toString('utf8')) ?? {};
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError('INVALID', `${file} is not YAML: ${(cause as Error).message.split('\n', 1)[0]}`, {
      cause,
    });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new StoreError('INVALID', `${file}: wanted 'flag: value' lines`);
  }
  const entries = Object.entries(content).map(([key, value]) => [camelCase(key), value]);
  return checkFlags(Object.fromEntries(entries), `${file}: key`);
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** HOST:PORT, [IPv6]:PORT. */
export function parseListen(text: string): Listen {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new StoreError(
      'INVALID',
      `not an address to listen on: '${text}' (wanted HOST:PORT or [IPv6]:PORT)`,
    );
  }
  return { host: (match[1] ?? match[2])!, port };
}

function demandLoopback(host: string): void {
  if (isLoopback(host)) return;
  throw new StoreError(
    'INVALID',
    `${host} is not a loopback address: give --tls-cert and --tls-key, or --insecure to serve without TLS`,
  );
}

function readTls(certificateFile?: string, keyFile?: string): ServeSettings['tls'] {
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined || keyFile === undefined) {
    throw new StoreError('INVALID', 'TLS needs both --tls-cert and --tls-key');
  }
  return {
    certificateFile,
    certificate: readLocalFile(certificateFile).toString('utf8'),
    key: readLocalFile(keyFile).toString('utf8'),
  };
}
