/**
 * A double of what the catalog needs of the addon: small files, directories, groups with a log, counters;
 * all in memory. Verbs can be made to fail or to wait. The views of a FakeDisk live as long as it does, so
 * a second catalog over it is a restart.
 */
import { StoreError } from '../../src/base/errors.js';
import type {
  AttachParameters,
  AttachReport,
  BlockmapRoot,
  EngineCounters,
  GroupFormat,
  ScrubReport,
} from '../../src/native/binding.js';
import type { KvStore } from '../../src/view/kv.js';
import { MemoryStore } from '../../src/view/memory-store.js';
import type { Lane } from '../../src/workers/pool.js';

interface FakeEntry {
  readonly sequence: number;
  readonly type: number;
  readonly payload: Buffer;
}

interface FakeGroup {
  readonly format: GroupFormat;
  log: FakeEntry[];
  incarnation: number;
  checkpoint: number;
}

export interface FakeCounters {
  fileBytes: number;
  freeBytes: number;
  residentIsComplete: boolean;
  residentBytes: number;
  chunkTableBytes: number;
}

export class FakeDisk {
  readonly files = new Map<string, Uint8Array>();
  readonly directories = new Set<string>();
  readonly groups = new Map<string, FakeGroup>();
  readonly views = new Map<string, MemoryStore>();
  readonly attached = new Map<number, string>();
  /** Verbs in the order of their calls. */
  readonly calls: string[] = [];
  readonly parameters: { verb: string; values: readonly unknown[] }[] = [];
  readonly counters: FakeCounters = {
    fileBytes: 0,
    freeBytes: 1e12,
    residentIsComplete: true,
    residentBytes: 0,
    chunkTableBytes: 0,
  };
  /** Closed data stores of every group: hex id to packed fingerprints. */
  readonly dataStores = new Map<string, Uint8Array>();
  /** First bytes of roots (see draft) whose chunks cannot be found, or lie in a damaged record. */
  readonly lostRoots = new Set<number>();
  readonly damagedRoots = new Set<number>();
  /** That made a data store; 1 when it is not said. */
  readonly incarnations = new Map<string, number>();
  /** Data stores that have no damage, whatever damagedRoots says: those made by repair. */
  readonly repaired = new Set<string>();
  /** What is hidden: data store, reason, chunk. */
  readonly hidden = new Set<string>();
  readonly #failures: { verb: string; count: number; error: StoreError; isAfter: boolean }[] = [];
  readonly #gates = new Map<string, Promise<void>>();
  #engines = 0;

  /** The next call of `verb` but `skip` fails; `isAfter`: when its work has been done. */
  failNext(verb: string, error: StoreError, { skip = 0, isAfter = false } = {}): void {
    this.#failures.push({ verb, count: skip, error, isAfter });
  }

  /** Calls of `verb` wait until the answer is called. */
  hold(verb: string): () => void {
    let open = (): void => {};
    this.#gates.set(
      verb,
      new Promise(resolve => {
        open = resolve;
      }),
    );
    return () => {
      this.#gates.delete(verb);
      open();
    };
  }

  /**
   * What a process finds that starts after this one died: a copy, which the dead one cannot change any
   * more.
   */
  async crashed(): Promise<FakeDisk> {
    const disk = new FakeDisk();
    for (const [path, content] of this.files) disk.files.set(path, content);
    for (const path of this.directories) disk.directories.add(path);
    for (const [path, group] of this.groups) disk.groups.set(path, { ...group, log: [...group.log] });
    for (const [path, view] of this.views) disk.views.set(path, await copyOf(view));
    for (const [id, fingerprints] of this.dataStores) disk.dataStores.set(id, fingerprints);
    return disk;
  }

  openStore = async (directory: string): Promise<KvStore> => {
    let view = this.views.get(directory);
    if (view === undefined) {
      view = new MemoryStore();
      this.views.set(directory, view);
    }
    return view;
  };

  lane(name = 'fake'): Lane {
    const call = async (verb: string, ...values: unknown[]): Promise<unknown> => {
      this.calls.push(verb);
      this.parameters.push({ verb, values });
      await Promise.resolve();
      await this.#gates.get(verb);
      const failure = this.#failures.find(candidate => candidate.verb === verb);
      const isDue = failure !== undefined && failure.count-- === 0;
      if (isDue) this.#failures.splice(this.#failures.indexOf(failure), 1);
      if (isDue && !failure.isAfter) throw failure.error;
      const run = Reflect.get(this.#verbs, verb) as ((...parameters: unknown[]) => unknown) | undefined;
      if (run === undefined) throw new Error(`the double has no verb ${verb}`);
      const result = run(...values);
      if (isDue) throw failure.error;
      return result;
    };
    const slabs = { free: 1, countMax: 1 };
    // The digest that draft() gives a file of these bytes.
    let byte = 0;
    const inline = {
      digestOpen: () => 1,
      digestUpdate: (_digest: number, bytes: Uint8Array) => {
        byte = bytes[0] ?? byte;
      },
      digestFinish: () => ({
        xxh3: Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? byte : 0)),
      }),
      digestDrop: () => undefined,
    };
    return { name, call, slabs, inline, close: async () => {} } as unknown as Lane;
  }

  groupOf(engine: number): FakeGroup {
    const directory = this.attached.get(engine);
    if (directory === undefined) throw new Error(`engine ${engine} is not attached`);
    return this.groups.get(directory)!;
  }

  /** A copy that is not hidden first. */
  #locate(fingerprint: Uint8Array): string | undefined {
    const places = [...this.dataStores].flatMap(([id, all]) =>
      Array.from({ length: all.length / 32 }, (_, chunk) => chunk)
        .filter(chunk => Buffer.compare(all.subarray(chunk * 32, chunk * 32 + 32), fingerprint) === 0)
        .map(chunk => ({ id, isHidden: this.hidden.has(`${id}/2/${chunk}`) })),
    );
    return (places.find(({ isHidden }) => !isHidden) ?? places[0])?.id;
  }

  readonly #verbs = {
    replaceFile: (path: string, content: Uint8Array) => void this.files.set(path, new Uint8Array(content)),
    readSmallFile: (path: string): Uint8Array => {
      const content = this.files.get(path);
      if (content === undefined) throw new StoreError('NOT_FOUND', `${path}: no such file`);
      return new Uint8Array(content);
    },
    makeDirectory: (path: string) => {
      for (let part = path; part.length > 1; part = part.slice(0, part.lastIndexOf('/'))) {
        this.directories.add(part);
      }
    },
    listDirectory: (path: string): string[] => {
      if (!this.directories.has(path)) throw new StoreError('NOT_FOUND', `${path}: no such directory`);
      const names = new Set<string>();
      for (const entry of [...this.files.keys(), ...this.directories, ...this.views.keys()]) {
        if (entry.startsWith(`${path}/`)) names.add(entry.slice(path.length + 1).split('/')[0]!);
      }
      if (this.groups.has(path)) names.add('superblock.0');
      return [...names];
    },
    removeTree: (path: string) => {
      for (const map of [this.files, this.directories, this.views]) {
        for (const key of [...map.keys()]) {
          if (key === path || key.startsWith(`${path}/`)) map.delete(key);
        }
      }
      if (path.endsWith('/superblock.0')) this.groups.delete(path.slice(0, path.lastIndexOf('/')));
      this.groups.delete(path);
    },
    measureVolume: () => ({ sequentialIops: 1500, randomIops: 400, isRotational: true }),
    formatGroup: (format: GroupFormat) => {
      if (this.groups.has(format.directory)) throw new StoreError('EXISTS', 'a group is there');
      this.groups.set(format.directory, { format, log: [], incarnation: 0, checkpoint: 0 });
    },
    probeGroup: (directory: string) => {
      const group = this.groups.get(directory);
      if (group === undefined) throw new StoreError('NOT_FOUND', `${directory}: no superblock`);
      return { ...group.format, formatVersion: 1, superblockCopies: 4 };
    },
    attach: (parameters: AttachParameters): AttachReport => {
      const group = this.groups.get(parameters.directory)!;
      if ([...this.attached.values()].includes(parameters.directory)) {
        throw new StoreError('BUSY', 'the group is in use');
      }
      this.#engines += 1;
      group.incarnation += 1;
      this.attached.set(this.#engines, parameters.directory);
      return {
        engine: this.#engines,
        incarnation: group.incarnation,
        sealedFrom: 0,
        lastSequence: group.log.at(-1)?.sequence ?? 0,
        firstSequence: group.log[0]?.sequence ?? 0,
        dataStoreCount: 0,
        dataStoresRecovered: 0,
        logBytesCut: 0,
        logRecordsRepaired: 0,
        damaged: [],
      };
    },
    detach: (engine: number) => void this.attached.delete(engine),
    setDataKeys: () => {},
    setCompression: () => {},
    warmIndex: () => 0,
    sync: () => {},
    appendLog: (engine: number, entries: Uint8Array): number => {
      const group = this.groupOf(engine);
      const bytes = Buffer.from(entries);
      const first = (group.log.at(-1)?.sequence ?? 0) + 1;
      for (let offset = 0; offset < bytes.length; ) {
        const end = offset + 8 + bytes.readUInt32LE(offset + 4);
        const sequence = (group.log.at(-1)?.sequence ?? 0) + 1;
        group.log.push({ sequence, type: bytes[offset]!, payload: bytes.subarray(offset + 8, end) });
        offset = end;
      }
      return first;
    },
    readLog: (engine: number, from: number, out: Uint8Array) => {
      const buffer = Buffer.from(out.buffer, out.byteOffset, out.length);
      let bytes = 0;
      let next = from;
      for (const entry of this.groupOf(engine).log) {
        // A few at a time, so that reading goes on over several calls.
        if (entry.sequence < from || entry.sequence >= from + 7) continue;
        buffer.writeBigUInt64LE(BigInt(entry.sequence), bytes);
        buffer.writeUInt32LE(entry.type, bytes + 8);
        buffer.writeUInt32LE(entry.payload.length, bytes + 12);
        buffer.set(entry.payload, bytes + 16);
        bytes += 16 + entry.payload.length;
        next = entry.sequence + 1;
      }
      return { bytes, next };
    },
    setCheckpoint: (engine: number, sequence: number, dropBefore: number) => {
      const group = this.groupOf(engine);
      group.checkpoint = sequence;
      group.log = group.log.filter(entry => entry.sequence >= dropBefore);
      return group.log[0]?.sequence ?? 0;
    },
    listDataStores: () =>
      [...this.dataStores].map(([id, fingerprints]) => ({
        id,
        isClosed: true,
        chunkCount: fingerprints.length / 32,
        fileBytes: 64 * (fingerprints.length / 32),
        incarnation: this.incarnations.get(id) ?? 1,
      })),
    readFingerprints: (_engine: number, id: string, from: number, out: Uint8Array): number => {
      const all = this.dataStores.get(id)!;
      const part = all.subarray(from * 32, from * 32 + out.length);
      out.set(part);
      return part.length / 32;
    },
    markInView: () => {},
    // A file is rows of 100 bytes, each named by the first byte of its root.
    readRows: (_engine: number, map: BlockmapRoot, offset: number, length: number, rows: Uint8Array) => {
      rows.fill(0, 0, 40);
      rows[0] = map.root[0]!;
      rows[32] = 100;
      return { rowCount: 1, skip: offset % 100, covered: Math.min(100, (offset % 100) + length) };
    },
    findRows: (_engine: number, rows: Uint8Array): number => {
      const isLost = this.lostRoots.has(rows[0]!);
      rows[36] = isLost ? 2 : 0;
      return isLost ? 1 : 0;
    },
    // A record a chunk, of 64 bytes; two a step at most.
    scrubStore: (_engine: number, id: string, from: number, bytesMax: number): ScrubReport => {
      const all = this.dataStores.get(id);
      if (all === undefined) throw new StoreError('NOT_FOUND', `there is no data store ${id}`);
      const next = Math.min(from + Math.min(2, Math.max(1, Math.floor(bytesMax / 64))), all.length / 32);
      const count = next - from;
      const damages = Array.from({ length: count }, (_, index) => from + index).flatMap(chunk => {
        const fingerprints = all.slice(chunk * 32, (chunk + 1) * 32);
        if (!this.damagedRoots.has(fingerprints[0]!) || this.repaired.has(id)) return [];
        const reason = 'its seal does not fit';
        const offset = 4096 + 64 * chunk;
        return [{ dataStore: id, offset, firstChunk: chunk, chunkCount: 1, reason, fingerprints }];
      });
      return { recordCount: count, chunkCount: count, bytes: count * 64, damages, next };
    },
    hideChunks: (_engine: number, id: string, reason: number, firstChunk: number, bits: Uint8Array) => {
      if (!this.dataStores.has(id)) throw new StoreError('NOT_FOUND', `there is no data store ${id}`);
      for (let bit = 0; bit < bits.length * 8; bit += 1) {
        if ((bits[bit >> 3]! & (1 << (bit & 7))) !== 0)
          this.hidden.add(`${id}/${reason}/${firstChunk + bit}`);
      }
    },
    locateChunks: (_engine: number, fingerprints: Uint8Array, count: number, ids: Uint8Array) => {
      ids.fill(0);
      for (let index = 0; index < count; index += 1) {
        const place = this.#locate(fingerprints.slice(index * 32, (index + 1) * 32));
        if (place !== undefined) ids.set(Buffer.from(place, 'hex'), index * 24);
      }
    },
    hintPlaces: () => {},
    rescueChunks: () => 0,
    // One row; the bytes of a chunk are its fingerprint's first byte, over and over.
    readRecords: (_engine: number, rows: Uint8Array, _count: number, slab: Uint8Array, offset: number) => {
      const isWhole = this.repaired.has(this.#locate(rows.slice(0, 32)) ?? '');
      if (this.damagedRoots.has(rows[0]!) && !isWhole) throw new StoreError('CORRUPT', 'a seal does not fit');
      slab.fill(rows[0]!, offset, offset + rows[32]!);
      return { bytes: rows[32]!, unresolvedCount: 0 };
    },
    admitRecords: (_engine: number, rows: Uint8Array, rowCount: number, bytes: Uint8Array): number => {
      const view = Buffer.from(rows);
      const fingerprints = [...Array(rowCount).keys()].map(row => view.subarray(row * 40, row * 40 + 32));
      let offset = 0;
      for (let row = 0; row < rowCount; row += 1) {
        const length = view.readUInt32LE(row * 40 + 32);
        const isRight = bytes.subarray(offset, offset + length).every(byte => byte === fingerprints[row]![0]);
        if (!isRight) throw new StoreError('CORRUPT', 'the bytes have another fingerprint');
        offset += length;
      }
      const id = `${'f'.repeat(46)}${(0xa0 + this.dataStores.size).toString(16)}`;
      this.dataStores.set(id, new Uint8Array(Buffer.concat(fingerprints)));
      this.repaired.add(id);
      return rowCount;
    },
    counters: (engine: number): EngineCounters => ({
      chunkCount: 10,
      dataStoreSizeTarget: 2 ** 27,
      dataStoreCount: this.dataStores.size,
      plainBytes: 600,
      storedBytes: 300,
      blockmapPlainBytes: 20,
      blockmapStoredBytes: 10,
      logBytes: 0,
      residentEntries: 10,
      streamsOpen: 0,
      epoch: 0,
      trashBytes: 0,
      trashReads: 0,
      deadReads: 0,
      lastSequence: this.groupOf(engine).log.at(-1)?.sequence ?? 0,
      ...this.counters,
    }),
  };
}

export async function copyOf(view: MemoryStore): Promise<MemoryStore> {
  const copy = new MemoryStore();
  for await (const [key, value] of view.scan({})) await copy.batch([{ type: 'put', key, value }]);
  return copy;
}
