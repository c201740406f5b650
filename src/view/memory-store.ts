/**
 * The view in memory: for tests, for simulated disks, and for groups that are read without their view
 * (verify, inspect). Keys are kept as Latin-1 strings, whose order is the order of their bytes.
 */
import type { KvOperation, KvRange, KvStore } from './kv.js';
import { SortedTree } from './sorted-tree.js';

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

// A Buffer's own slice() shares its memory.
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export class MemoryStore implements KvStore {
  readonly #pairs = new SortedTree<string, Uint8Array>(undefined, compareText);

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0];
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map(key => {
      const value = this.#pairs.get(text(key));
      return value === undefined ? undefined : copyOf(value);
    });
  }

  async batch(operations: readonly KvOperation[]): Promise<void> {
    for (const operation of operations) {
      if (operation.type === 'put') this.#pairs.set(text(operation.key), copyOf(operation.value));
      else this.#pairs.delete(text(operation.key));
    }
  }

  scan(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const selected = this.#select(range);
    if (range.isReverse === true) selected.reverse();
    const limited = range.limit === undefined ? selected : selected.slice(0, range.limit);
    return pairs(limited);
  }

  async clear(range: Pick<KvRange, 'from' | 'to'>): Promise<void> {
    for (const [key] of this.#select(range)) this.#pairs.delete(key);
  }

  async close(): Promise<void> {}

  #select(range: Pick<KvRange, 'from' | 'to'>): [string, Uint8Array][] {
    const low = range.from === undefined ? '' : text(range.from);
    const high = range.to === undefined ? undefined : text(range.to);
    const selected: [string, Uint8Array][] = [];
    for (const [key, value] of this.#pairs.entries(low)) {
      if (high !== undefined && key >= high) break;
      selected.push([key, value]);
    }
    return selected;
  }
}

async function* pairs(
  selected: readonly [string, Uint8Array][],
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (const [key, value] of selected) yield [Buffer.from(key, 'latin1'), copyOf(value)];
}
