/**
 * A small file in two copies, X.a and X.b, for what must be known before any log is read: keyrings and the
 * system file. A copy is one line of JSON, whose first fields are format, version and generation, and one
 * line with the SHA-256 of the first. The copies are replaced one after the other, so a crash leaves the
 * older or the newer generation whole; the reader takes the highest valid one and repairs the other.
 */
import { createHash } from 'node:crypto';
import { asStoreError, StoreError } from '../base/errors.js';
import { STATE_FILE_SIZE_MAX } from '../base/limits.js';
import type { DiskHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';

const VERSION = 1;

export interface StateFileParameters<T> {
  readonly lane: Pick<Lane, 'call'>;
  readonly disk: DiskHandle;
  /** Without '.a' and '.b'. */
  readonly path: string;
  /** What it is, as its first field says: `granary keyring`. */
  readonly format: string;
  /** Checks what was read; throws when it has another shape. */
  readonly parse: (content: unknown) => T;
}

export interface Stored<T> {
  readonly generation: number;
  readonly content: T;
}

type Copy<T> = Stored<T> | StoreError;

export class StateFile<T extends object> {
  readonly #parameters: StateFileParameters<T>;
  #generation = 0;
  /** Copies that the last read found damaged or missing, and why. A copy that is only older is none. */
  readonly damages: string[] = [];

  constructor(parameters: StateFileParameters<T>) {
    this.#parameters = parameters;
  }

  get generation(): number {
    return this.#generation;
  }

  /**
   * The newest valid copy. NOT_FOUND: there is none at all; CORRUPT: none is valid; UNSUPPORTED: a newer
   * version's.
   */
  async read(repair = true): Promise<T> {
    const copies = [await this.#readCopy('.a'), await this.#readCopy('.b')];
    const unsupported = copies.find(copy => copy instanceof StoreError && copy.code === 'UNSUPPORTED');
    if (unsupported instanceof StoreError) throw unsupported;
    const valid = copies.filter((copy): copy is Stored<T> => !(copy instanceof StoreError));
    if (valid.length === 0) {
      const damaged = copies.find(copy => copy instanceof StoreError && copy.code !== 'NOT_FOUND');
      throw damaged ?? copies[0];
    }
    const newest = valid.reduce((a, b) => (b.generation > a.generation ? b : a));
    this.#generation = newest.generation;
    const damaged = copies.filter(copy => copy instanceof StoreError);
    this.damages.splice(0, Infinity, ...damaged.map(({ message }) => message));
    if (repair) await this.#repair(copies, newest);
    return newest.content;
  }

  /** Makes `content` the next generation, durably, in both copies. */
  async write(content: T): Promise<void> {
    const generation = this.#generation + 1;
    const bytes = this.#encode({ generation, content });
    // Before the first copy: after a failure it may be there, and its number must not be used for anything
    // else.
    this.#generation = generation;
    await this.#replace('.a', bytes);
    await this.#replace('.b', bytes);
  }

  async #repair(copies: readonly Copy<T>[], newest: Stored<T>): Promise<void> {
    for (const [index, copy] of copies.entries()) {
      const isCurrent = !(copy instanceof StoreError) && copy.generation === newest.generation;
      if (!isCurrent) await this.#replace(index === 0 ? '.a' : '.b', this.#encode(newest));
    }
  }

  #replace(suffix: string, bytes: Uint8Array): Promise<void> {
    const { lane, path, disk } = this.#parameters;
    return lane.call('replaceFile', path + suffix, bytes, disk);
  }

  #encode({ generation, content }: Stored<T>): Uint8Array {
    const { format } = this.#parameters;
    const line = JSON.stringify({ format, version: VERSION, generation, ...content });
    return Buffer.from(`${line}\n${createHash('sha256').update(line).digest('hex')}\n`);
  }

  async #readCopy(suffix: string): Promise<Copy<T>> {
    const { lane, path, disk } = this.#parameters;
    try {
      const bytes = await lane.call('readSmallFile', path + suffix, STATE_FILE_SIZE_MAX, disk);
      return this.#decode(path + suffix, bytes);
    } catch (thrown) {
      return asStoreError(thrown);
    }
  }

  #decode(path: string, bytes: Uint8Array): Stored<T> {
    const [line, checksum, rest] = Buffer.from(bytes).toString('utf8').split('\n');
    if (line === undefined || rest !== '' || createHash('sha256').update(line).digest('hex') !== checksum) {
      throw new StoreError('CORRUPT', `${path}: its checksum does not fit`);
    }
    try {
      const { format, version, generation, ...content } = JSON.parse(line) as Record<string, unknown>;
      if (format !== this.#parameters.format) {
        throw new StoreError(
          'CORRUPT',
          `${path}: this is a '${format}', wanted '${this.#parameters.format}'`,
        );
      }
      if (version !== VERSION) {
        throw new StoreError('UNSUPPORTED', `${path}: version ${version}, this program knows ${VERSION}`);
      }
      if (!Number.isSafeInteger(generation)) throw new StoreError('CORRUPT', `${path}: no generation`);
      return { generation: generation as number, content: this.#parameters.parse(content) };
    } catch (thrown) {
      if (thrown instanceof StoreError) throw thrown;
      throw new StoreError('CORRUPT', `${path}: ${String(thrown)}`, { cause: thrown });
    }
  }
}
