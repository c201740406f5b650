/**
 * Names and the roots that they keep alive, as mark 2 replays them from the log: the version that is the
 * file, and those in the recycle bin. Written apart from the catalog's own replay (group-state.ts), so that a
 * mistake of the one is no mistake of the other. Only names of one pass; about 200 bytes each.
 */
import { createHash } from 'node:crypto';
import { StoreError } from '../base/errors.js';
import { CLEANER_ROOTS_MAX } from '../base/limits.js';
import type { Root } from './roots.js';

interface Name {
  readonly containerId: number;
  readonly name: string;
}

interface Version extends Root {
  readonly version: number;
}

interface Entry {
  readonly key: string;
  readonly containerId: number;
  file: Version | undefined;
  bin: readonly Version[];
}

/** The pass has to be split. */
export class TooManyNames extends Error {}

export class NameTable {
  readonly #versionsMax: number;
  readonly #isMine: (hash: Buffer) => boolean;
  readonly #entries = new Map<string, Entry>();
  #versions = 0;

  constructor(versionsMax: number, isMine: (hash: Buffer) => boolean) {
    this.#versionsMax = versionsMax;
    this.#isMine = isMine;
  }

  /** A version that is there before anything is replayed. */
  load(row: Name & Root, version: number, isInBin: boolean): void {
    const entry = this.#entry(row);
    if (entry === undefined) return;
    if (isInBin) entry.bin = [...entry.bin, versionOf(row, version)];
    else if (entry.file === undefined) entry.file = versionOf(row, version);
    else throw broken(row, `has versions ${entry.file.version} and ${version} at once`);
    this.#count(1);
  }

  put(row: Name & Root, version: number, keepsOld: boolean): void {
    const entry = this.#entry(row);
    if (entry === undefined) return;
    this.#retire(entry, keepsOld);
    entry.file = versionOf(row, version);
    this.#count(1);
  }

  /** CORRUPT: that version is not the file, so what is known of the name is wrong. */
  remove(name: Name, version: number, keepsOld: boolean): void {
    const entry = this.#entry(name);
    if (entry === undefined) return;
    if (entry.file?.version !== version)
      throw broken(name, `is deleted in version ${version}, which it is not`);
    this.#retire(entry, keepsOld);
    this.#forgetEmpty(entry);
  }

  dropFromBin(name: Name, version: number): void {
    const entry = this.#entry(name);
    if (entry === undefined) return;
    this.#take(entry, version);
    this.#forgetEmpty(entry);
  }

  /** CORRUPT: that version is not in the bin. */
  restoreFromBin(name: Name, version: number, keepsOld: boolean): void {
    const entry = this.#entry(name);
    if (entry === undefined) return;
    const restored = this.#take(entry, version);
    if (restored === undefined)
      throw broken(name, `is restored from the recycle bin, which lacks ${version}`);
    this.#retire(entry, keepsOld);
    entry.file = restored;
    this.#count(1);
  }

  removeContainer(containerId: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.containerId !== containerId) continue;
      this.#count(-entry.bin.length - (entry.file === undefined ? 0 : 1));
      this.#entries.delete(key);
    }
  }

  /** All roots that are alive. */
  *batches(): Generator<readonly Root[]> {
    let batch: Root[] = [];
    for (const { file, bin } of this.#entries.values()) {
      batch.push(...(file === undefined ? [] : [file]), ...bin);
      if (batch.length < CLEANER_ROOTS_MAX) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  #entry({ containerId, name }: Name): Entry | undefined {
    const hash = createHash('sha256').update(`${containerId}/${name}`).digest();
    if (!this.#isMine(hash)) return undefined;
    const key = hash.toString('latin1', 0, 16);
    const entry = this.#entries.get(key) ?? { key, containerId, file: undefined, bin: [] };
    this.#entries.set(key, entry);
    return entry;
  }

  #retire(entry: Entry, keepsOld: boolean): void {
    if (entry.file === undefined) return;
    if (keepsOld) entry.bin = [...entry.bin, entry.file];
    else this.#count(-1);
    entry.file = undefined;
  }

  #take(entry: Entry, version: number): Version | undefined {
    const found = entry.bin.find(candidate => candidate.version === version);
    if (found === undefined) return undefined;
    entry.bin = entry.bin.filter(candidate => candidate !== found);
    this.#count(-1);
    return found;
  }

  #forgetEmpty({ key, file, bin }: Entry): void {
    if (file === undefined && bin.length === 0) this.#entries.delete(key);
  }

  #count(change: number): void {
    this.#versions += change;
    if (this.#versions > this.#versionsMax) throw new TooManyNames();
  }
}

function versionOf({ root, rootLength, depth }: Root, version: number): Version {
  return { version, root, rootLength, depth };
}

function broken({ containerId, name }: Name, what: string): StoreError {
  return new StoreError(
    'CORRUPT',
    `commit log: file ${JSON.stringify(name)} of container ${containerId} ${what}`,
  );
}
