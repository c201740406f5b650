/**
 * A volume that fills up until 507, then deletes and the cleaner, and the service is back without a
 * restart and without anything lost: again and again.
 */
import { join } from 'node:path';
import { contentOf, Ledger, seededBytes, seededNumbers } from './ledger.js';
import { serverProblems } from './load.js';
import { TestServer } from './server.js';
import { SmallVolume } from './small-volume.js';

const MIB = 1024 * 1024;
const VOLUME_SIZE = 224 * MIB;
const FILE_SIZE_MAX = 8 * MIB;
const FILES_MAX = 200;
/** Space that the cleaner frees comes back with its second cycle; ingest looks again a moment later. */
const CLEANER_RUNS = 2;
const TRIES_MAX = 50;
const TRY_PAUSE_MS = 100;

export interface FillReport {
  readonly cycles: number;
  readonly problems: readonly string[];
}

class FillLoop {
  readonly #server: TestServer;
  readonly #ledger = new Ledger();
  readonly #next: (bound: number) => number;
  #number = 0;

  constructor(server: TestServer, seed: number) {
    this.#server = server;
    this.#next = seededNumbers(seed);
  }

  async cycle(): Promise<string[]> {
    const problems = await this.#fill();
    const files = this.#files();
    // Everything but each third: data stores that are dead in parts.
    for (const path of files.filter((_, at) => at % 3 !== 0)) await this.#remove(path);
    for (let run = 0; run < CLEANER_RUNS; run += 1) {
      const cleaned = await this.#server.granary(['cleaner', 'run', '--json']);
      if (cleaned.code !== 0) problems.push(`cleaner run: ${cleaned.stdout}${cleaned.stderr}`);
    }
    problems.push(...(await this.#returns()));
    problems.push(...(await serverProblems(this.#server, this.#ledger, ['c'])));
    for (const path of this.#files()) await this.#remove(path);
    return problems;
  }

  async damages(): Promise<string[]> {
    const answer = await this.#call('POST', '/api/v1/verify', JSON.stringify({ full: true }));
    return ((await answer.json()) as { damages: object[] }).damages.map(damage => JSON.stringify(damage));
  }

  call(method: string, path: string, body: string): Promise<Response> {
    return this.#call(method, path, body);
  }

  async #fill(): Promise<string[]> {
    for (let count = 0; count < FILES_MAX; count += 1) {
      const status = await this.#put(1 + this.#next(FILE_SIZE_MAX));
      if (status === 507) return [];
      if (status !== 201) return [`PUT while it fills: ${status}`];
    }
    return ['the volume is not filled'];
  }

  async #returns(): Promise<string[]> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const status = await this.#put(FILE_SIZE_MAX);
      if (status === 201) return [];
      if (status !== 507) return [`PUT after cleaning: ${status}`];
      await new Promise(resolve => setTimeout(resolve, TRY_PAUSE_MS));
    }
    return ['the service does not come back after deletes and two cycles of the cleaner'];
  }

  #files(): string[] {
    return this.#ledger.paths.filter(path => this.#ledger.acknowledged(path) !== undefined);
  }

  async #put(size: number): Promise<number> {
    this.#number += 1;
    const bytes = seededBytes(this.#number, size);
    const name = `c/f${this.#number}`;
    this.#ledger.send(name, contentOf(bytes));
    const answer = await this.#call('PUT', fileUrl(name), bytes);
    await answer.arrayBuffer();
    if (answer.ok) this.#ledger.acknowledge(name);
    else this.#ledger.refuse(name);
    return answer.status;
  }

  /** Has to be done, however full the volume is. */
  async #remove(name: string): Promise<void> {
    this.#ledger.send(name, undefined);
    const answer = await this.#call('DELETE', fileUrl(name));
    if (answer.status !== 204) throw new Error(`DELETE ${name}: ${answer.status} ${await answer.text()}`);
    this.#ledger.acknowledge(name);
  }

  #call(method: string, path: string, body?: string | Buffer): Promise<Response> {
    const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    return this.#server.fetch(path, { method, headers, ...(body === undefined ? {} : { body }) });
  }
}

function fileUrl(name: string): string {
  const slash = name.indexOf('/');
  return `/api/v1/containers/${name.slice(0, slash)}/files/${name.slice(slash + 1)}`;
}

export async function fillCycles(cycles: number, seed: number): Promise<FillReport> {
  const volume = new SmallVolume(VOLUME_SIZE);
  try {
    const server = await TestServer.start({ data: join(volume.mount, 'data') });
    try {
      const loop = new FillLoop(server, seed);
      await loop.call('POST', '/api/v1/containers', JSON.stringify({ name: 'c' }));
      const problems: string[] = [];
      let done = 0;
      for (; done < cycles && problems.length === 0; done += 1) {
        problems.push(...(await loop.cycle()).map(what => `cycle ${done}: ${what}`));
      }
      problems.push(...(await loop.damages()));
      return { cycles: done, problems };
    } finally {
      await server.kill9();
    }
  } finally {
    volume.close();
  }
}
