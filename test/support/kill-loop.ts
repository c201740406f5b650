/** kill -9 of the real server under load, again and again, and the ledger after each start. */
import { setTimeout as pause } from 'node:timers/promises';
import { Ledger, seededNumbers } from './ledger.js';
import { Load, serverProblems } from './load.js';
import { TestServer } from './server.js';

/** How long the load runs before the kill, at most. */
const LOAD_MS_MAX = 500;
/** Now and then the process dies while it starts. */
const START_KILLS_OUT_OF = 5;
const START_MS_MAX = 600;
/** In so many loads one has the cleaner beside it. */
const CLEANINGS_OUT_OF = 2;

export interface KillReport {
  readonly kills: number;
  readonly operations: number;
  /** Cycles of the cleaner that were begun, most of them to be killed. */
  readonly cleanings: number;
  readonly problems: readonly string[];
  readonly refused: readonly (readonly [number, number])[];
  /** Of `verify --full` at the end. */
  readonly damages: readonly object[];
}

export interface KillOptions {
  readonly kills: number;
  readonly seed: number;
  /** A container of an encrypted group beside that of the default one. */
  readonly isEncrypted: boolean;
  readonly data: string;
  readonly passphraseFile: string;
}

export async function killLoop(options: KillOptions): Promise<KillReport> {
  const next = seededNumbers(options.seed);
  const ledger = new Ledger();
  const flags = options.isEncrypted ? ['--unlock-file', options.passphraseFile] : [];
  const server = await TestServer.start({ data: options.data, flags });
  const containers = await prepare(server, options);
  const refused = new Map<number, number>();
  const problems: string[] = [];
  let operations = 0;
  let cleanings = 0;
  let kill = 0;
  try {
    for (; kill < options.kills && problems.length === 0; kill += 1) {
      const load = new Load({ server, ledger, containers, clients: 4, seed: options.seed + kill });
      load.start();
      if (next(CLEANINGS_OUT_OF) === 0 && (await beginCleaning(server))) cleanings += 1;
      await pause(next(LOAD_MS_MAX));
      await server.kill9();
      await load.ended();
      operations += load.done;
      for (const [status, count] of load.refused) refused.set(status, (refused.get(status) ?? 0) + count);
      if (next(START_KILLS_OUT_OF) === 0) await killWhileStarting(server, next(START_MS_MAX));
      await server.restart();
      problems.push(
        ...(await serverProblems(server, ledger, containers)).map(what => `kill ${kill}: ${what}`),
      );
    }
    const damages = await verify(server);
    return { kills: kill, operations, cleanings, problems, refused: [...refused], damages };
  } finally {
    await server.kill9();
  }
}

async function prepare(server: TestServer, { isEncrypted }: KillOptions): Promise<string[]> {
  await post(server, '/api/v1/containers', { name: 'clear' });
  if (!isEncrypted) return ['clear'];
  await post(server, '/api/v1/groups', { name: 'sealed', encryption: 'static', passphrase: 'p' });
  await post(server, '/api/v1/containers', { name: 'vault', group: 'sealed' });
  return ['clear', 'vault'];
}

/** One cycle of every group, begun and not waited for; false: one was under way already. */
async function beginCleaning(server: TestServer): Promise<boolean> {
  const headers = { 'content-type': 'application/json' };
  const answer = await server.fetch('/api/v1/cleaner/run', { method: 'POST', headers, body: '{}' });
  await answer.arrayBuffer();
  if (!answer.ok && answer.status !== 503) throw new Error(`cleaner run: ${answer.status}`);
  return answer.ok;
}

async function killWhileStarting(server: TestServer, delayMs: number): Promise<void> {
  // Either it says that it ended, or it was ready before.
  const started = server.restart().catch(() => undefined);
  await pause(delayMs);
  await server.kill9();
  await started;
}

async function verify(server: TestServer): Promise<object[]> {
  const answer = await post(server, '/api/v1/verify', { full: true });
  return ((await answer.json()) as { damages: object[] }).damages;
}

async function post(server: TestServer, path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  const answer = await server.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer;
}
