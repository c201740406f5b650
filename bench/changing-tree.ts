/**
 * A real tree that changes: a copy of part of /usr, and from one generation to the next some of its files
 * are edited, some have other content, some go and some come, as updates and work do it. Fresh content is
 * that of real files with every byte changed alike, so that it compresses as real files do and is nowhere
 * else. Choice and places follow from the seed, the bytes from the machine.
 */
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runShell } from './process.js';
import { deriveSeed, Random } from './random.js';
import { pickSubtrees } from './real-tree.js';

/** Shares of the files in each generation: together 3 to 4 % of the bytes. */
const EDITED = 0.02;
const REPLACED = 0.015;
const REMOVED = 0.005;
const ADDED = 0.005;
const EDIT_SIZE_MAX = 4000;

export class ChangingTree {
  readonly #directory: string;
  readonly #seed: number;
  #generation = 0;

  /** Takes `sizeMax` bytes of the root's subtrees at the most. */
  constructor(directory: string, root: string, sizeMax: number, seed: number) {
    this.#directory = directory;
    this.#seed = seed;
    mkdirSync(directory, { recursive: true });
    for (const path of pickSubtrees(root, sizeMax)) {
      const target = join(directory, path);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(path, target, { recursive: true, filter: isPlain, preserveTimestamps: true });
    }
  }

  /** The next generation's changes; the first is the tree as it was. */
  change(): void {
    this.#generation += 1;
    const random = new Random(deriveSeed(this.#seed, 'changing tree', this.#generation));
    for (const path of plainFiles(this.#directory)) {
      const dice = random.unit();
      if (dice < EDITED) this.#edit(path, random);
      else if (dice < EDITED + REPLACED) this.#write(path, path);
      else if (dice < EDITED + REPLACED + REMOVED) rmSync(path);
      else if (dice < EDITED + REPLACED + REMOVED + ADDED) this.#write(path, `${path}-${this.#generation}`);
    }
  }

  /** Writes the tree as it is now. The same tree gives the same bytes. */
  async archive(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    await runShell(`tar --create --sort=name --mtime=@0 --directory='${this.#directory}' . > '${path}'`);
  }

  #edit(path: string, random: Random): void {
    const content = readFileSync(path);
    const at = random.below(content.length + 1);
    const patch = this.#fresh(content.subarray(0, 1 + random.below(EDIT_SIZE_MAX)));
    writeFileSync(
      path,
      Buffer.concat([content.subarray(0, at), patch, content.subarray(at + patch.length / 2)]),
    );
  }

  #write(source: string, target: string): void {
    writeFileSync(target, this.#fresh(readFileSync(source)));
  }

  #fresh(content: Uint8Array): Buffer {
    return Buffer.from(content.map(byte => byte ^ this.#generation));
  }
}

function isPlain(path: string): boolean {
  const status = lstatSync(path);
  return status.isDirectory() || status.isFile();
}

function plainFiles(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(entry => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? plainFiles(path) : [path];
    });
}
