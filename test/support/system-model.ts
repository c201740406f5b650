/**
 * One run of random operations: put, overwrite, delete, range, list, restart. The model is a map of bytes.
 */
import { DirectLane } from './direct-lane.js';
import { seededBytes, seededNumbers } from './ledger.js';
import { codeOf, WholeSystem } from './whole-system.js';

const STEPS = 60;
const NAMES = ['a', 'a/b', 'b', '\u{ffee}', '\u{1f600}', 'dir/x', 'dir/y', 'z'];
const SECRETS = { passphrase: 'p', keyFile: Buffer.alloc(32, 'key file') };

class ModelRun {
  readonly #directory: string;
  readonly #lane = new DirectLane();
  readonly #next: (bound: number) => number;
  readonly #files = new Map<string, Buffer>();
  readonly disagreements: string[] = [];
  #system!: WholeSystem;

  constructor(directory: string, seed: number) {
    this.#directory = directory;
    this.#next = seededNumbers(seed);
  }

  async begin(isEncrypted: boolean): Promise<void> {
    await this.#open();
    const encryption = isEncrypted ? ({ encryption: 'static', ...SECRETS } as const) : {};
    const chunkSizeAverage = 4096 << this.#next(4);
    await this.#system.catalog.addGroup({ name: 'g', chunkSizeAverage, ...encryption });
    await this.#system.catalog.addContainer('c', 'g');
  }

  async end(): Promise<void> {
    await this.#restart();
    for (const name of NAMES) await this.#range(name);
    const { damages } = await this.#system.verify();
    for (const { what, reason } of damages) this.disagreements.push(`${what}: ${reason}`);
    await this.#system.close();
  }

  async step(): Promise<void> {
    const name = NAMES[this.#next(NAMES.length)]!;
    const kind = this.#next(20);
    if (kind < 8) await this.#put(name);
    else if (kind < 11) await this.#remove(name);
    else if (kind < 16) await this.#range(name);
    else if (kind < 19) await this.#list();
    else await this.#restart();
  }

  async #open(): Promise<void> {
    const unlock = { keyFile: SECRETS.keyFile };
    this.#system = await WholeSystem.open({ lane: this.#lane, directory: this.#directory, unlock });
  }

  async #restart(): Promise<void> {
    await this.#system.close();
    await this.#open();
    await this.#list();
  }

  async #put(name: string): Promise<void> {
    const sizes = [0, 1, this.#next(5000), this.#next(300_000), this.#next(6_000_000)];
    const size = sizes[this.#next(sizes.length)]!;
    // Few seeds: much of what is put is there already, at another place.
    const bytes = seededBytes(this.#next(3), size + this.#next(2) * 10_000).subarray(0, size);
    if (size > 0 && this.#next(2) === 0) bytes[this.#next(size)]! ^= 1;
    await this.#system.put('c', name, bytes);
    this.#files.set(name, bytes);
  }

  async #remove(name: string): Promise<void> {
    const isThere = this.#files.delete(name);
    const found = await this.#codeOf(() => this.#system.catalog.deleteFile('c', name));
    this.#compare(`delete ${name}`, found, isThere ? 'done' : 'NOT_FOUND');
  }

  async #range(name: string): Promise<void> {
    const bytes = this.#files.get(name);
    if (bytes === undefined) {
      this.#compare(`get ${name}`, await this.#codeOf(() => this.#system.get('c', name)), 'NOT_FOUND');
      return;
    }
    const offset = this.#next(bytes.length + 1);
    const length = this.#next(bytes.length - offset + 1);
    const part = await this.#system.get('c', name, { offset, length });
    const isSame = part.equals(bytes.subarray(offset, offset + length));
    this.#compare(`${length} bytes at ${offset} of ${name}`, isSame, true);
    this.#compare(`bytes of ${name}`, (await this.#system.get('c', name)).equals(bytes), true);
  }

  async #list(): Promise<void> {
    const wanted = [...this.#files.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    this.#compare('list', JSON.stringify(await this.#system.list('c')), JSON.stringify(wanted));
    const { files, logicalBytes } = this.#system.catalog.showContainer('c');
    const bytes = [...this.#files.values()].reduce((sum, file) => sum + file.length, 0);
    this.#compare('statistics', `${files} ${logicalBytes}`, `${this.#files.size} ${bytes}`);
  }

  async #codeOf(action: () => Promise<unknown>): Promise<string> {
    try {
      await action();
      return 'done';
    } catch (thrown) {
      return codeOf(thrown);
    }
  }

  #compare<T>(what: string, found: T, wanted: T): void {
    if (found !== wanted) this.disagreements.push(`${what}: found ${found}, wanted ${wanted}`);
  }
}

export async function systemModel(
  directory: string,
  seed: number,
  isEncrypted: boolean,
): Promise<readonly string[]> {
  const run = new ModelRun(directory, seed);
  await run.begin(isEncrypted);
  for (let step = 0; step < STEPS && run.disagreements.length === 0; step += 1) await run.step();
  await run.end();
  return run.disagreements;
}
