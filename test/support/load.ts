/**
 * Clients that put, overwrite and delete files of a server, several at once, and keep the ledger. Each has
 * names of its own, so that one path has one operation at a time. They end when the server does.
 */
import { Agent, request } from 'node:http';
import { contentOf, type FileState, type Ledger, seededBytes, seededNumbers } from './ledger.js';
import type { TestServer } from './server.js';

const KIB = 1024;
/** Mixed: one chunk, some chunks, a region and more, more than a slab. */
const SIZES = [0, 900, 20 * KIB, 150 * KIB, 700 * KIB, 5000 * KIB] as const;
const POOL_SIZE = 16 * 1024 * KIB;

export interface LoadOptions {
  readonly server: TestServer;
  readonly ledger: Ledger;
  readonly containers: readonly string[];
  readonly clients: number;
  readonly seed: number;
  /** Names of each client in each container. */
  readonly names?: number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #pool: Buffer;
  readonly #agent = new Agent({ keepAlive: true });
  #clients: Promise<void>[] = [];
  #isEnding = false;
  done = 0;
  /** Refusals by status: the server said no, and is alive. */
  readonly refused = new Map<number, number>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#pool = seededBytes(options.seed, POOL_SIZE);
  }

  start(): void {
    const { clients, seed } = this.#options;
    this.#isEnding = false;
    this.#clients = Array.from({ length: clients }, (_, client) => this.#run(client, seed * 100 + client));
  }

  /** Waits until all clients have ended, which they do when the server is gone. */
  async ended(): Promise<void> {
    await Promise.all(this.#clients);
    this.#agent.destroy();
  }

  /** Lets each client finish what it does. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    await this.ended();
  }

  async #run(client: number, seed: number): Promise<void> {
    const next = seededNumbers(seed);
    while (!this.#isEnding) {
      if (!(await this.#operation(client, next))) return;
    }
  }

  /** One operation; false: the server did not answer. */
  async #operation(client: number, next: (bound: number) => number): Promise<boolean> {
    const { ledger, containers, names = 5 } = this.#options;
    const container = containers[next(containers.length)]!;
    const path = `client${client}/f${next(names)}`;
    const name = `${container}/${path}`;
    const isDelete = ledger.acknowledged(name) !== undefined && next(4) === 0;
    const body = isDelete ? undefined : this.#content(next);
    ledger.send(name, body === undefined ? undefined : contentOf(body));
    const status = await this.#send(container, path, body).catch(() => undefined);
    if (status === undefined) return false;
    this.done += 1;
    if (status < 300) ledger.acknowledge(name);
    else if (status === 404 && isDelete) throw new Error(`${name} was acknowledged, and is not there`);
    else this.#refuse(name, status);
    return true;
  }

  /** 500: nobody knows whether it was done; it stays open, and the client takes another name. */
  #refuse(name: string, status: number): void {
    this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    if (status !== 500) this.#options.ledger.refuse(name);
    else this.#isEnding = true;
  }

  /** Parts of the pool, so that much of it is known, and some bytes that are new. */
  #content(next: (bound: number) => number): Buffer {
    const size = SIZES[next(SIZES.length)]!;
    const from = next(POOL_SIZE - size);
    const body = Buffer.from(this.#pool.subarray(from, from + size));
    if (size > 8) body.writeUInt32LE(next(2 ** 31), next(size - 8));
    return body;
  }

  #send(container: string, path: string, body: Buffer | undefined): Promise<number> {
    const { server } = this.#options;
    const url = `${server.url}/api/v1/containers/${container}/files/${path}`;
    const headers = {
      authorization: `Bearer ${server.token}`,
      ...(body === undefined ? {} : { 'content-length': body.length }),
    };
    const method = body === undefined ? 'DELETE' : 'PUT';
    return new Promise((resolve, reject) => {
      const call = request(url, { method, headers, agent: this.#agent }, answer => {
        answer.resume();
        answer.on('error', reject);
        // The status alone is no acknowledgement to a client that waits for the whole answer.
        answer.on('end', () => resolve(answer.statusCode!));
        answer.on('close', () => reject(new Error('cut')));
      });
      call.on('error', reject);
      call.end(body);
    });
  }
}

/** What the ledger of CONTAINER/PATH names does not allow of what the server gives. */
export async function serverProblems(
  server: TestServer,
  ledger: Ledger,
  containers: readonly string[],
): Promise<string[]> {
  const names = new Set(ledger.paths);
  for (const container of containers) {
    for (const path of await listed(server, container)) names.add(`${container}/${path}`);
  }
  const problems: string[] = [];
  for (const name of names) {
    const problem = ledger.settle(name, await stateOf(server, name));
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

async function listed(server: TestServer, container: string): Promise<string[]> {
  const paths: string[] = [];
  let after: string | undefined;
  do {
    const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`;
    const answer = await server.fetch(`/api/v1/containers/${container}/files${query}`);
    if (!answer.ok) throw new Error(`list of ${container}: ${answer.status} ${await answer.text()}`);
    const page = (await answer.json()) as { files: { path: string }[]; next?: string };
    paths.push(...page.files.map(file => file.path));
    after = page.next;
  } while (after !== undefined);
  return paths;
}

async function stateOf(server: TestServer, name: string): Promise<FileState> {
  const slash = name.indexOf('/');
  const url = `/api/v1/containers/${name.slice(0, slash)}/files/${name.slice(slash + 1)}`;
  const answer = await server.fetch(url);
  if (answer.status === 404) {
    await answer.arrayBuffer();
    return undefined;
  }
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  return contentOf(Buffer.from(await answer.arrayBuffer()));
}
