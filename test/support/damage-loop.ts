/**
 * Random damage of a small system that was stopped, then a start: each file's bytes or a clear error, never a
 * wrong byte; the start, scrub or verify names the structure; what has a second copy is survived; and what a
 * record has cost comes back with the next backup of the same bytes.
 *
 * The pristine files are kept in memory and put onto a simulated disk each time, so that a round takes some
 * ten milliseconds. Damage of RocksDB files needs RocksDB, so these rounds are on the real disk.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VerifyResult } from '../../src/catalog/verify.js';
import { binding } from '../../src/native/binding.js';
import { Scrub } from '../../src/scrub/scrub.js';
import type { MemoryStore } from '../../src/view/memory-store.js';
import { damaged, type Files, type Place, placesIn, STRUCTURES, type Structure } from './damage.js';
import { DirectLane } from './direct-lane.js';
import { copyOf } from './fake-log.js';
import { type Content, contentOf, seededBytes, seededNumbers } from './ledger.js';
import { codeOf, WholeSystem } from './whole-system.js';

const KEY_FILE = Buffer.alloc(32, 'key file');
/** Only these may cost a file; and what is cut off from a data store takes all behind it along. */
const WITHOUT_COPY: readonly Structure[] = ['record'];
const OF_DATA_STORE: readonly Structure[] = ['data store header', 'record', 'trailer', 'footer'];
/** Codes that tell a client that the store is at fault, and where. */
const CLEAR: readonly string[] = ['CORRUPT', 'IO', 'NOT_FOUND', 'UNSUPPORTED'];
/** What verify or the events have to say of each. */
const NAMED: Readonly<Record<Structure, RegExp>> = {
  'superblock slot': /superblock/,
  'log copy A': /log/,
  'log copy B': /log/,
  'data store header': /data store|file/,
  record: /data store|file/,
  trailer: /data store/,
  footer: /data store/,
  'keyring copy': /keyring/,
  'system file copy': /system/,
  // RocksDB drops what is damaged at the end of its log, as after a crash, and the replay brings it back.
  'RocksDB file': /view/,
};
const SIMULATED_ROOT = '/granary';
const FILE_SIZE_MAX = 2 ** 26;

/** What all rounds together have come to. */
export interface DamageTally {
  rounds: number;
  /** Named by the start, by scrub or by verify; not asked of what is as after a crash. */
  named: number;
  survived: number;
  /** Files that were lost, and of these the ones that the next backup has brought back. */
  lost: number;
  healed: number;
  wrong: number;
}

/** Where the files of a round lie. */
interface Ground {
  readonly directory: string;
  readonly disk: number;
  /** Of the pristine system; empty directories, too. */
  readonly files: Files;
  readonly directories: readonly string[];
  readonly places: readonly Place[];
}

export class DamageLoop {
  readonly tally: DamageTally = { rounds: 0, named: 0, survived: 0, lost: 0, healed: 0, wrong: 0 };
  readonly #folder: string;
  readonly #lane = new DirectLane();
  readonly #contents = new Map<string, Buffer>();
  #views = new Map<string, MemoryStore>();
  #simulated: Ground | undefined;
  #real: Ground | undefined;

  /** What needs a real disk happens in a folder below `folder`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async prepare(): Promise<void> {
    for (const container of ['clear', 'vault']) {
      for (const [at, size] of [0, 300, 20_000, 150_000, 500_000, 250_000].entries()) {
        this.#contents.set(`${container}/f${at}`, seededBytes(at % 5, size));
      }
    }
    const disk = binding().diskCreate();
    const directory = `${SIMULATED_ROOT}/data`;
    await this.#fill(directory, disk);
    this.#simulated = groundOf(directory, treeOfDisk(directory, disk));
    for (const [path, view] of this.#lane.views) this.#views.set(path, await copyOf(view));
    binding().diskDrop(disk);
    const real = join(this.#folder, 'data');
    await this.#fill(real, 0);
    this.#real = groundOf(real, treeBelow(real));
    const places = [...this.#simulated.places, ...this.#real.places];
    const missing = STRUCTURES.filter(name => !places.some(({ structure }) => structure === name));
    if (missing.length > 0) throw new Error(`no ${missing.join(', ')} to damage`);
  }

  /** One damage; what does not hold of it. */
  async round(seed: number): Promise<string[]> {
    const next = seededNumbers(seed);
    const structure = STRUCTURES[seed % STRUCTURES.length]!;
    const pristine = structure === 'RocksDB file' ? this.#real! : this.#simulated!;
    const places = pristine.places.filter(place => place.structure === structure);
    const place = places[next(places.length)]!;
    const done = damaged(pristine.files, place, next);
    const ground = await this.#put(pristine, place.path, done.bytes);
    const problems = await this.#outcome(ground, structure, done.isCut).catch((thrown: unknown) => [
      (thrown as Error).stack ?? String(thrown),
    ]);
    if (ground.disk !== 0) binding().diskDrop(ground.disk);
    const where = `${structure}, ${place.path.slice(ground.directory.length)}, ${done.what}`;
    this.tally.rounds += 1;
    this.tally.wrong += problems.filter(problem => problem.startsWith('WRONG')).length;
    return problems.map(problem => `seed ${seed}: ${where}: ${problem}`);
  }

  async #fill(directory: string, disk: number): Promise<void> {
    const system = await this.#open({ directory, disk });
    await system.catalog.addGroup({ name: 'g', encryption: 'static', passphrase: 'p', keyFile: KEY_FILE });
    await system.catalog.addContainer('clear');
    await system.catalog.addContainer('vault', 'g');
    for (const name of this.#contents.keys()) await this.#backUp(system, name);
    await system.close();
  }

  /** The pristine system with one file in another form. */
  async #put(pristine: Ground, path: string, bytes: Buffer): Promise<Ground> {
    const files = new Map([...pristine.files, [path, bytes]]);
    if (pristine === this.#real) {
      rmSync(pristine.directory, { recursive: true });
      for (const directory of pristine.directories) mkdirSync(directory, { recursive: true });
      for (const [name, content] of files) writeFileSync(name, content, { mode: 0o600 });
      return pristine;
    }
    const disk = binding().diskCreate();
    for (const directory of pristine.directories) binding().makeDirectory(directory, disk);
    for (const [name, content] of files) binding().replaceFile(name, content, disk);
    this.#lane.views.clear();
    for (const [name, view] of this.#views) this.#lane.views.set(name, await copyOf(view));
    return { ...pristine, disk };
  }

  async #outcome(ground: Ground, structure: Structure, isCut: boolean): Promise<string[]> {
    const problems: string[] = [];
    const mayLose = WITHOUT_COPY.includes(structure) || (isCut && OF_DATA_STORE.includes(structure));
    const system = await this.#open(ground);
    try {
      const lost = await this.#lost(system, mayLose, problems);
      const scrubbed = await this.#scrub(system);
      const report = await system.verify();
      const said = [...saidOf(report, system), ...scrubbed];
      // A trailer or header that is cut short is what a crash leaves, and the start does what it does then.
      const isLikeCrash =
        isCut && lost.length === 0 && OF_DATA_STORE.includes(structure) && structure !== 'record';
      const isNamed = said.some(text => NAMED[structure].test(text));
      if (isNamed) this.tally.named += 1;
      if (structure !== 'RocksDB file' && !isLikeCrash && !isNamed) {
        problems.push(`nobody names it: ${JSON.stringify(said)}`);
      }
      const isVerified = report.damages.every(({ what }) => !what.startsWith('file'));
      if (isVerified !== (lost.length === 0)) {
        problems.push(`verify and restores disagree: ${JSON.stringify(report.damages)}`);
      }
      if (lost.length === 0) this.tally.survived += 1;
      else await this.#heal(system, lost, problems);
    } finally {
      await system.close();
    }
    return problems;
  }

  /** Names of the files that do not come out. */
  async #lost(system: WholeSystem, mayLose: boolean, problems: string[]): Promise<string[]> {
    const lost: string[] = [];
    for (const [name, bytes] of this.#contents) {
      const problem = await this.#fileProblem(system, name, contentOf(bytes));
      if (problem === undefined) continue;
      lost.push(name);
      if (!mayLose || problem.startsWith('WRONG')) problems.push(problem);
    }
    return lost;
  }

  async #scrub(system: WholeSystem): Promise<string[]> {
    const names: string[] = [];
    for (const { opened } of system.catalog.groups) {
      if (opened !== undefined) names.push(...(await new Scrub(system.context, opened).run()).names);
    }
    return names.map(name => `file ${name}`);
  }

  /** The next backup of the same bytes makes all whole again. */
  async #heal(system: WholeSystem, lost: readonly string[], problems: string[]): Promise<void> {
    this.tally.lost += lost.length;
    for (const name of this.#contents.keys()) await this.#backUp(system, name);
    for (const [name, bytes] of this.#contents) {
      const problem = await this.#fileProblem(system, name, contentOf(bytes));
      if (problem !== undefined) problems.push(`not healed: ${problem}`);
      else if (lost.includes(name)) this.tally.healed += 1;
    }
    const { damages } = await system.verify();
    const left = damages.filter(({ what }) => /^(file|data store)/.test(what));
    // A data store that could not be opened at all is reported until the cleaner or an operator removes it.
    const unopened = new Set(system.catalog.groups.flatMap(group => group.opened?.report.damaged ?? []));
    const isUnopened = (what: string) => [...unopened].some(({ id }) => what.endsWith(id));
    if (left.some(({ what }) => !isUnopened(what))) problems.push(`not clean again: ${JSON.stringify(left)}`);
  }

  async #backUp(system: WholeSystem, name: string): Promise<void> {
    const [container, path] = name.split('/') as [string, string];
    await system.put(container, path, this.#contents.get(name)!);
  }

  async #fileProblem(system: WholeSystem, name: string, content: Content): Promise<string | undefined> {
    const [container, path] = name.split('/') as [string, string];
    try {
      const found = contentOf(await system.get(container, path));
      return found.sha256 === content.sha256 ? undefined : `WRONG bytes of ${name}`;
    } catch (thrown) {
      const code = codeOf(thrown);
      const isClear = CLEAR.includes(code) ? '' : 'WRONG code, ';
      return `${isClear}${name}: ${code} ${(thrown as Error).message}`;
    }
  }

  #open({ directory, disk }: Pick<Ground, 'directory' | 'disk'>): Promise<WholeSystem> {
    return WholeSystem.open({ lane: this.#lane, disk, directory, unlock: { keyFile: KEY_FILE } });
  }
}

interface Tree {
  readonly files: Map<string, Buffer>;
  readonly directories: string[];
}

function groundOf(directory: string, { files, directories }: Tree): Ground {
  return { directory, disk: 0, files, directories, places: placesIn(files) };
}

function treeOfDisk(directory: string, disk: number): Tree {
  const tree: Tree = { files: new Map(), directories: [directory] };
  for (const name of binding().listDirectory(directory, disk).sort()) {
    const path = `${directory}/${name}`;
    try {
      const below = treeOfDisk(path, disk);
      tree.directories.push(...below.directories);
      for (const [file, bytes] of below.files) tree.files.set(file, bytes);
    } catch {
      // Not a directory.
      tree.files.set(path, Buffer.from(binding().readSmallFile(path, FILE_SIZE_MAX, disk)));
    }
  }
  return tree;
}

function treeBelow(directory: string): Tree {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  const paths = names.map(name => join(directory, name));
  const files = paths.filter(path => statSync(path).isFile());
  return {
    files: new Map(files.map(path => [path, readFileSync(path)])),
    directories: [directory, ...paths.filter(path => !files.includes(path))],
  };
}

/** What an operator can read of the damage: the report of verify, and what the start has logged. */
function saidOf({ damages, healed }: VerifyResult, { events }: WholeSystem): string[] {
  const reported = [...damages, ...healed].map(({ what, reason }) => `${what}: ${reason}`);
  return [...reported, ...events.filter(({ level }) => level !== 'info').map(({ message }) => message)];
}
