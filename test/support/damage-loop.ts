/**
 * Random damage of a small system that was stopped, then a start: each file's bytes or a clear error, never a
 * wrong byte; `verify --full` or the start names the structure; what has a second copy is survived.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { VerifyResult } from '../../src/catalog/verify.js';
import { type Done, damage, type Place, placesBelow, STRUCTURES, type Structure } from './damage.js';
import { DirectLane } from './direct-lane.js';
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

export class DamageLoop {
  readonly #directory: string;
  readonly #pristine: string;
  readonly #lane = new DirectLane();
  readonly #files = new Map<string, Content>();
  #places: Place[] = [];

  /** Everything happens in a folder below `folder`. */
  constructor(folder: string) {
    this.#directory = join(folder, 'data');
    this.#pristine = join(folder, 'pristine');
  }

  async prepare(): Promise<void> {
    const system = await this.#open();
    await system.catalog.addGroup({ name: 'g', encryption: 'static', passphrase: 'p', keyFile: KEY_FILE });
    await system.catalog.addContainer('clear');
    await system.catalog.addContainer('vault', 'g');
    for (const container of ['clear', 'vault']) {
      for (const [at, size] of [0, 300, 20_000, 200_000, 900_000, 400_000].entries()) {
        const bytes = seededBytes(at % 5, size);
        await system.put(container, `f${at}`, bytes);
        this.#files.set(`${container}/f${at}`, contentOf(bytes));
      }
    }
    await system.close();
    cpSync(this.#directory, this.#pristine, { recursive: true });
    this.#places = placesBelow(this.#directory);
    const missing = STRUCTURES.filter(name => !this.#places.some(({ structure }) => structure === name));
    if (missing.length > 0) throw new Error(`no ${missing.join(', ')} to damage`);
  }

  /** One damage; what does not hold of it. */
  async round(seed: number): Promise<string[]> {
    const next = seededNumbers(seed);
    const structure = STRUCTURES[seed % STRUCTURES.length]!;
    const places = this.#places.filter(place => place.structure === structure);
    const place = places[next(places.length)]!;
    rmSync(this.#directory, { recursive: true });
    cpSync(this.#pristine, this.#directory, { recursive: true });
    const done = damage(place, next);
    const problems = await this.#outcome(structure, done).catch((thrown: unknown) => [
      (thrown as Error).stack ?? String(thrown),
    ]);
    const where = `${structure}, ${place.path.slice(this.#directory.length)}, ${done.what}`;
    return problems.map(problem => `seed ${seed}: ${where}: ${problem}`);
  }

  async #outcome(structure: Structure, { isCut }: Done): Promise<string[]> {
    const problems: string[] = [];
    const mayLose = WITHOUT_COPY.includes(structure) || (isCut && OF_DATA_STORE.includes(structure));
    const system = await this.#open();
    try {
      let isSurvived = true;
      for (const [name, content] of this.#files) {
        const problem = await this.#fileProblem(system, name, content);
        isSurvived &&= problem === undefined;
        if (problem !== undefined && !mayLose) problems.push(problem);
        if (problem?.startsWith('WRONG') === true) problems.push(problem);
      }
      const report = await system.verify();
      const said = saidOf(report, system);
      // A trailer or header that is cut short is what a crash leaves, and the start does what it does then.
      const isLikeCrash = isCut && isSurvived && OF_DATA_STORE.includes(structure) && structure !== 'record';
      if (structure !== 'RocksDB file' && !isLikeCrash && !said.some(text => NAMED[structure].test(text))) {
        problems.push(`nobody names it: ${JSON.stringify(said)}`);
      }
      if (isSurvived !== (report.damages.filter(({ what }) => what.startsWith('file')).length === 0)) {
        problems.push(`verify and restores disagree: ${JSON.stringify(report.damages)}`);
      }
    } finally {
      await system.close();
    }
    return problems;
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

  #open(): Promise<WholeSystem> {
    const unlock = { keyFile: KEY_FILE };
    return WholeSystem.open({ lane: this.#lane, directory: this.#directory, unlock });
  }
}

/** What an operator can read of the damage: the report of verify, and what the start has logged. */
function saidOf({ damages, healed }: VerifyResult, { events }: WholeSystem): string[] {
  const reported = [...damages, ...healed].map(({ what, reason }) => `${what}: ${reason}`);
  return [...reported, ...events.filter(({ level }) => level !== 'info').map(({ message }) => message)];
}
