/**
 * Catalog, ingest, restore and the real addon in one process, on a folder of the real disk or on a simulated
 * one: files in, files out, and the ledger of what was acknowledged.
 */
import { type Code, StoreError } from '../../src/base/errors.js';
import { GranaryCatalog } from '../../src/catalog/catalog.js';
import type { CatalogContext, CatalogEvent } from '../../src/catalog/context.js';
import { type VerifyResult, verifySystem } from '../../src/catalog/verify.js';
import { Upload } from '../../src/ingest/upload.js';
import type { Secret } from '../../src/keys/slots.js';
import { type ByteRange, Download } from '../../src/restore/download.js';
import type { DirectLane } from './direct-lane.js';
import { contentOf, type FileState, type Ledger } from './ledger.js';
import { CHEAP, StillClock } from './open-catalog.js';

export interface SystemOptions {
  readonly lane: DirectLane;
  readonly disk?: number;
  readonly directory: string;
  readonly unlock?: Secret;
  readonly context?: Partial<CatalogContext>;
}

/** Data stores that fill within a test, and an index that holds all of it. */
const SMALL_BOUNDS = {
  residentIndexBytesMax: 2 ** 20,
  chunkTableBytesMax: 2 ** 20,
  dataStoreSizeTarget: 512 * 1024,
  regionCacheBytesMax: 2 ** 20,
};

export class WholeSystem {
  readonly catalog: GranaryCatalog;
  readonly context: CatalogContext;
  readonly events: readonly CatalogEvent[];

  private constructor(catalog: GranaryCatalog, context: CatalogContext, events: readonly CatalogEvent[]) {
    this.catalog = catalog;
    this.context = context;
    this.events = events;
  }

  static async open({ lane, disk = 0, directory, unlock, context }: SystemOptions): Promise<WholeSystem> {
    const events: CatalogEvent[] = [];
    const world: CatalogContext = {
      clock: new StillClock(),
      disk,
      lane,
      createLane: () => lane,
      onEvent: event => void events.push(event),
      engineBounds: SMALL_BOUNDS,
      passphraseCost: CHEAP,
      reserveSize: 4096,
      ...(disk === 0 ? {} : { openStore: lane.openStore }),
      ...context,
    };
    const secret = unlock === undefined ? {} : { unlock };
    const catalog = await GranaryCatalog.open({ context: world, dataDirectory: directory, ...secret });
    return new WholeSystem(catalog, world, events);
  }

  async put(container: string, path: string, bytes: Uint8Array): Promise<number> {
    const { group } = this.catalog.openContainer(container);
    const upload = Upload.begin(group, { size: bytes.length });
    try {
      for (let at = 0; at < bytes.length; at += 65_536) {
        if (!upload.write(bytes.subarray(at, at + 65_536))) await upload.ready();
      }
      const draft = await upload.finish();
      return (await this.catalog.putFile(container, path, draft)).version;
    } finally {
      await upload.close();
    }
  }

  async get(container: string, path: string, range?: ByteRange): Promise<Buffer> {
    const { group } = this.catalog.openContainer(container);
    const file = await this.catalog.file(container, path);
    const download = Download.begin(group, file, range);
    const parts: Buffer[] = [];
    try {
      for (let part = await download.next(); part !== undefined; part = await download.next()) {
        parts.push(Buffer.from(new Uint8Array(part)));
      }
    } finally {
      await download.close();
    }
    return Buffer.concat(parts);
  }

  /** What lies at a path now, by its bytes. */
  async state(container: string, path: string): Promise<FileState> {
    try {
      return contentOf(await this.get(container, path));
    } catch (thrown) {
      if (codeOf(thrown) === 'NOT_FOUND') return undefined;
      throw thrown;
    }
  }

  /** Paths of a container, in order. */
  async list(container: string): Promise<string[]> {
    const paths: string[] = [];
    for (let after: string | undefined, isMore = true; isMore; ) {
      const page = await this.catalog.listFiles(container, {
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      });
      paths.push(...page.files.map(file => file.path));
      after = page.next;
      isMore = after !== undefined;
    }
    return paths;
  }

  verify(isFull = true): Promise<VerifyResult> {
    return verifySystem(this.catalog, { isFull });
  }

  /** What the ledger of CONTAINER/PATH names does not allow, and what is listed that it does not know. */
  async problems(ledger: Ledger): Promise<string[]> {
    const known = new Set(ledger.paths);
    for (const { name } of this.catalog.listContainers()) {
      for (const path of await this.list(name)) known.add(`${name}/${path}`);
    }
    const problems: string[] = [];
    for (const name of known) {
      const slash = name.indexOf('/');
      const found = await this.state(name.slice(0, slash), name.slice(slash + 1));
      const problem = ledger.settle(name, found);
      if (problem !== undefined) problems.push(problem);
    }
    return problems;
  }

  /** An ordinary close; what fails in it is told. */
  close(): Promise<void> {
    return this.catalog.close();
  }
}

/** The code of a failure; a bug is thrown on. */
export function codeOf(thrown: unknown): Code {
  if (thrown instanceof StoreError) return thrown.code;
  throw thrown;
}
