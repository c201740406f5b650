/**
 * The composition root. It puts the server together out of catalog, lanes and front end, starts and stops
 * them in order, and hands the command line what opens storage groups by itself. Server modules are loaded
 * when they are needed, so that commands which only speak HTTP start quickly. Nothing imports this file.
 */
import { BrokenInvariant } from './base/assert.js';
import { isoTime, SYSTEM_CLOCK } from './base/clock.js';
import { StoreError } from './base/errors.js';
import { SOCKET_RECEIVE_BUFFER, SOCKET_SEND_BUFFER } from './base/limits.js';
import type { GranaryCatalog } from './catalog/catalog.js';
import type { CatalogContext, CatalogEvent } from './catalog/context.js';
import type { Cleaners } from './cleaner/cleaners.js';
import type { DataDirectory } from './cli/data-directory.js';
import type { RebuildReport, RebuildRequest } from './cli/maintenance-commands.js';
import { runCommandLine } from './cli/program.js';
import type { Listen, ServeFlags, ServeSettings } from './cli/serve-settings.js';
import type { FrontLog, HttpHandlers, HttpServer, ListenAddress, ServerContext } from './front/http.js';
import { binding } from './native/binding.js';
import type { Scrubs } from './scrub/scrubs.js';

const VERSION = '0.1.0';
const REAL_DISK = 0;
/**
 * A broken invariant or an uncaught error: the process ends at once, and the next start recovers (invariant
 * I10).
 */
const EXIT_BROKEN = 70;

interface Listener {
  readonly server: HttpServer;
  readonly address: ListenAddress;
}

/** What both commands that open groups build on. */
interface Ground {
  readonly cleaners: Cleaners;
  readonly context: CatalogContext;
  readonly directory: DataDirectory;
  close(): Promise<void>;
}

async function openGround(
  dataDirectory: string,
  counts: { readonly workerCount: number; readonly slabCount: number },
  log: FrontLog,
): Promise<Ground> {
  const { createLane } = await import('./workers/pool.js');
  const { openDataDirectory } = await import('./cli/data-directory.js');
  const { ENGINE_BOUNDS } = await import('./catalog/context.js');
  const lane = createLane({ name: 'standard', ...counts });
  let directory: DataDirectory;
  try {
    directory = await openDataDirectory(lane, dataDirectory);
  } catch (thrown) {
    await lane.close();
    throw thrown;
  }
  const { Cleaners } = await import('./cleaner/cleaners.js');
  const world = {
    clock: SYSTEM_CLOCK,
    disk: REAL_DISK,
    onEvent: ({ level, message, ...fields }: CatalogEvent) => log[level](fields, message),
  };
  const cleaners = new Cleaners(world);
  const context: CatalogContext = {
    ...world,
    lane,
    createLane: name => createLane({ name, ...counts }),
    engineBounds: ENGINE_BOUNDS,
  };
  const close = async () => {
    await directory.release();
    await lane.close();
  };
  return { cleaners, context, directory, close };
}

// --- serve ---

async function serve(flags: ServeFlags): Promise<void> {
  const { serveSettings } = await import('./cli/serve-settings.js');
  const settings = serveSettings(flags, process.env);
  const log = await openLog(settings.logLevel);
  dieOnBrokenInvariant(log);
  const stopAsked = stopSignal();
  const ground = await openGround(settings.dataDirectory, settings, log);
  try {
    const { Scrubs } = await import('./scrub/scrubs.js');
    const scrubs = new Scrubs(ground.context);
    const catalog = await openCatalog(ground, settings, [ground.cleaners.make, scrubs.serve]);
    try {
      await makeFirstAdministrator(catalog, ground.directory);
      await serveUntil(stopAsked, { catalog, scrubs, ground, settings, log });
    } finally {
      await catalog.close();
    }
  } finally {
    await ground.close();
  }
  log.info({}, 'stopped');
}

/** JSON lines on standard error. Synchronous: the last line before an end is the one that is wanted. */
async function openLog(level: string): Promise<FrontLog> {
  const { destination, pino } = await import('pino');
  const timestamp = () => `,"time":"${isoTime(SYSTEM_CLOCK.nowMs())}"`;
  const logger = pino({ level, base: null, timestamp }, destination({ dest: 2, sync: true }));
  return {
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

function dieOnBrokenInvariant(log: FrontLog): void {
  const die = (error: unknown) => {
    const what = error instanceof BrokenInvariant ? 'a broken invariant' : 'an uncaught error';
    log.error({ err: error }, `${what} ends the process`);
    process.exit(EXIT_BROKEN);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}

/** Resolves with the first SIGTERM or SIGINT, which may come while the server is still starting. */
function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    process.on('SIGTERM', resolve);
    process.on('SIGINT', resolve);
  });
}

/**
 * Opens all groups, the encrypted ones with the passphrase that is given by file, environment or, last, at a
 * prompt.
 */
async function openCatalog(
  ground: Ground,
  settings: ServeSettings,
  services: CatalogContext['services'] & object,
): Promise<GranaryCatalog> {
  const { GranaryCatalog } = await import('./catalog/catalog.js');
  const { findPassphrase, givenPassphrase } = await import('./cli/passphrase.js');
  const given = givenPassphrase(settings.unlockFile);
  const catalog = await GranaryCatalog.open({
    context: { ...ground.context, services },
    dataDirectory: settings.dataDirectory,
    ...(given === undefined ? {} : { unlock: { passphrase: given } }),
  });
  const locked = catalog.listGroups().filter(group => group.isLocked);
  if (locked.length === 0 || given !== undefined) return catalog;
  const names = locked.map(group => group.name);
  const passphrase = await findPassphrase(undefined, `Passphrase for ${names.join(', ')}: `, false);
  if (passphrase === undefined) return catalog;
  for (const name of names) {
    await catalog.unlockGroup(name, { passphrase }).catch((thrown: unknown) => {
      ground.context.onEvent({
        level: 'warn',
        group: name,
        message: `stays locked: ${(thrown as Error).message}`,
      });
    });
  }
  return catalog;
}

/** The token is durable before the user is, so that no user exists whose token nobody has. */
async function makeFirstAdministrator(catalog: GranaryCatalog, directory: DataDirectory): Promise<void> {
  if (catalog.users.list().length > 0) return;
  const { makeToken } = await import('./front/auth.js');
  const { token, tokenHash } = makeToken();
  await directory.writeToken(token);
  await catalog.users.add({ name: 'admin', role: 'admin', tokenHash });
}

interface Serving {
  readonly catalog: GranaryCatalog;
  readonly scrubs: Scrubs;
  readonly ground: Ground;
  readonly settings: ServeSettings;
  readonly log: FrontLog;
}

async function serveUntil(stopAsked: Promise<string>, serving: Serving): Promise<void> {
  const { catalog, scrubs, ground, settings, log } = serving;
  const { createFront } = await import('./front/front.js');
  ground.cleaners.use(catalog);
  const front = createFront({
    catalog,
    cleaner: ground.cleaners,
    tokens: tokensOf(catalog),
    users: usersOf(catalog),
    system: { version: VERSION, dataDirectory: settings.dataDirectory, pid: process.pid },
    clock: SYSTEM_CLOCK,
    log,
    verify: async ({ full, ...options }) => {
      const { verifySystem } = await import('./catalog/verify.js');
      return verifySystem(catalog, { isFull: full, ...options });
    },
    scrub: scrubs,
  });
  const listeners: Listener[] = [];
  const graceMs = settings.graceSeconds * 1000;
  try {
    const api = await openListener(front, settings.listen, settings, log);
    listeners.push(api);
    const s3 = await openListener(S3_NOT_YET, settings.s3Listen, settings, log);
    listeners.push(s3);
    await ground.directory.publish({
      url: urlOf(api.address, true),
      pid: process.pid,
      ...(settings.tls === undefined ? {} : { certificateFile: settings.tls.certificateFile }),
    });
    const urls = `api=${urlOf(api.address)} s3=${urlOf(s3.address)}`;
    process.stdout.write(`ready ${urls} data=${settings.dataDirectory} pid=${process.pid}\n`);
    const signal = await stopAsked;
    log.info({ signal }, `stopping, open streams have ${settings.graceSeconds} s`);
    front.announceStop();
  } finally {
    await Promise.all(listeners.map(({ server }) => server.stop(graceMs)));
  }
}

function tokensOf(catalog: GranaryCatalog) {
  return { find: (hash: string) => catalog.users.find(hash) as (Member & { tokenHash: string }) | undefined };
}

type Member = { readonly name: string; readonly role: 'admin' | 'operator' | 'writer' | 'reader' };

function usersOf(catalog: GranaryCatalog) {
  const { users } = catalog;
  const administrators = () => users.list().filter(user => user.role === 'admin');
  return {
    list: () => users.list() as readonly Member[],
    add: (user: Member & { tokenHash: string }) => users.add(user),
    delete: async (name: string) => {
      if (administrators().length === 1 && administrators()[0]!.name === name) {
        throw new StoreError('DENIED', `${name} is the last administrator`);
      }
      await users.delete(name);
    },
  };
}

/** uWebSockets.js for plain HTTP where it has a binary, node:https for TLS and everywhere else. */
async function openListener(
  handlers: HttpHandlers,
  listen: Listen,
  { tls }: ServeSettings,
  log: FrontLog,
): Promise<Listener> {
  const context = { clock: SYSTEM_CLOCK, log, tuneListener };
  const server = await makeServer(handlers, context, tls !== undefined);
  const address = await server.listen({ ...listen, ...(tls === undefined ? {} : { tls }) });
  return { server, address };
}

function tuneListener(port: number): void {
  binding().tuneListener(port, SOCKET_RECEIVE_BUFFER, SOCKET_SEND_BUFFER);
}

async function makeServer(
  handlers: HttpHandlers,
  context: ServerContext,
  isTls: boolean,
): Promise<HttpServer> {
  if (!isTls) {
    const { loadUws, UwsServer } = await import('./front/uws-server.js');
    try {
      await loadUws();
      return new UwsServer(handlers, context);
    } catch (error) {
      context.log.warn({ err: error }, 'serving with node:http instead');
    }
  }
  const { NodeServer } = await import('./front/node-server.js');
  return new NodeServer(handlers, context);
}

/** `isForUs`: as this machine reaches it, when it listens on all addresses. */
function urlOf({ host, port, isTls }: ListenAddress, isForUs = false): string {
  const all: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const named = isForUs ? (all[host] ?? host) : host;
  return `${isTls ? 'https' : 'http'}://${named.includes(':') ? `[${named}]` : named}:${port}`;
}

/** The S3 address is taken, so that nobody else gets it; it answers that there is no S3 here. */
const S3_NOT_YET: HttpHandlers = {
  onRequest(_request, response) {
    const body =
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<Error><Code>NotImplemented</Code><Message>This server does not speak S3.</Message></Error>';
    response.head(501, {
      'content-type': 'application/xml',
      'content-length': String(Buffer.byteLength(body)),
    });
    response.end(Buffer.from(body));
  },
};

// --- rebuild ---

async function rebuild(request: RebuildRequest): Promise<readonly RebuildReport[]> {
  const { availableParallelism } = await import('node:os');
  const { rebuildViews } = await import('./catalog/rebuild.js');
  const say = (fields: object, message: string) => {
    const { group } = fields as { group?: string };
    request.report(group === undefined ? message : `${group}: ${message}`);
  };
  const counts = { workerCount: availableParallelism(), slabCount: 2 };
  const ground = await openGround(request.dataDirectory, counts, { info: say, warn: say, error: say });
  try {
    return await rebuildViews({ ...request, context: ground.context, onProgress: request.progress });
  } finally {
    await ground.close();
  }
}

const code = await runCommandLine(process.argv.slice(2), { serve, rebuild });
// Not process.exitCode: a read of a terminal or FIFO that nobody waits for any more would keep the process.
process.exit(code);
