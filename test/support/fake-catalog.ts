/**
 * A catalog and streams of bytes in memory, for tests of the front end: what is put is kept whole, and each
 * step can be told to fail, to wait, or to deliver a damaged end.
 */
import { createHash } from 'node:crypto';
import { StoreError } from '../../src/base/errors.js';
import { compareNames } from '../../src/catalog/names.js';
import type {
  BinPage,
  ByteStatistics,
  Catalog,
  ContainerDetails,
  ContainerInfo,
  ContainerSettings,
  FileDraft,
  FilePage,
  FileRecord,
  GroupInfo,
  GroupRequest,
  LockRequest,
  OpenGroup,
} from '../../src/catalog/types.js';
import type { DownloadSession, Streams, UploadSession } from '../../src/front/context.js';
import type { UploadOptions, UploadProgress } from '../../src/ingest/upload.js';
import type { ByteRange } from '../../src/restore/download.js';

const NOTHING_SAVED: ByteStatistics = {
  ...{ logicalBytes: 0, uniqueBytes: 0, storedBytes: 0, files: 0, chunks: 0, dataStores: 0 },
  ...{ dedupSavedBytes: 0, compressionSavedBytes: 0, binFiles: 0, binBytes: 0 },
  ...{ dedupSavingsPercent: 0, compressionSavingsPercent: 0, savingsPercent: 0 },
};

const NO_SETTINGS: ContainerSettings = { binDays: 0, lockMode: 'none', lockDays: 0, quotaBytes: 0 };

function hex(algorithm: string, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

/** Stands in for XXH3-128: as long, and different for different bytes. */
export function fakeXxh3(bytes: Uint8Array): string {
  return hex('md5', Buffer.concat([Buffer.from('xxh3'), bytes]));
}

export class FakeCatalog implements Catalog {
  readonly contents = new Map<string, Buffer>();
  readonly groups = new Map<string, GroupInfo>();
  readonly containers = new Map<string, ContainerInfo>();
  readonly files = new Map<string, Map<string, FileRecord>>();
  readonly calls: unknown[][] = [];
  /** Thrown by the next call that admits ingest. */
  admission: StoreError | undefined;
  commitFailure: StoreError | undefined;
  /** Thrown by admitPut. */
  refusal: StoreError | undefined;
  readonly settings = new Map<string, ContainerSettings>();
  readonly binned: FileRecord[] = [];
  #version = 0;

  constructor() {
    void this.addGroup({ name: 'DefaultGroup' });
    void this.addContainer('c');
  }

  async addGroup(request: GroupRequest): Promise<GroupInfo & { recoveryKey?: string }> {
    this.calls.push(['addGroup', request]);
    if (this.groups.has(request.name)) throw new StoreError('EXISTS', `there is a group ${request.name}`);
    const info: GroupInfo = {
      ...{ name: request.name, id: '00', path: '/g', isPerformanceTier: false, chunkSizeAverage: 16384 },
      ...{
        isLocked: false,
        keyEpoch: 0,
        compression: 'fast',
        encryption: 'off',
        rotationDays: 30,
        quotaBytes: 0,
      },
    };
    this.groups.set(request.name, info);
    return info;
  }

  listGroups(): GroupInfo[] {
    return [...this.groups.values()];
  }

  showGroup(name: string): GroupInfo {
    const group = this.groups.get(name);
    if (group === undefined) throw new StoreError('NOT_FOUND', `there is no group ${name}`);
    return group;
  }

  async updateGroup(name: string, change: Partial<GroupInfo>): Promise<GroupInfo> {
    const group = { ...this.showGroup(name), ...change };
    this.groups.set(name, group);
    return group;
  }

  async deleteGroup(name: string): Promise<void> {
    this.showGroup(name);
    this.groups.delete(name);
  }

  async unlockGroup(
    name: string,
    secret: { passphrase?: string; keyFile?: Uint8Array; recoveryKey?: string },
  ): Promise<GroupInfo> {
    this.calls.push(['unlockGroup', name, secret]);
    if (secret.passphrase === 'wrong') throw new StoreError('DENIED', 'the passphrase does not fit');
    return this.updateGroup(name, { isLocked: false });
  }

  async changePassphrase(name: string, current: string, next: string): Promise<void> {
    this.calls.push(['changePassphrase', name, current, next]);
    if (current === 'wrong') throw new StoreError('DENIED', 'the passphrase does not fit');
  }

  async addSecret(name: string, current: object, secret: object): Promise<void> {
    this.calls.push(['addSecret', name, current, secret]);
  }

  openGroup(name: string): OpenGroup {
    if (this.showGroup(name).isLocked) throw new StoreError('DENIED', `group ${name} is locked`);
    const admitIngest = () => {
      if (this.admission !== undefined) throw this.admission;
    };
    return { name, admitIngest } as unknown as OpenGroup;
  }

  async addContainer(name: string, group = 'DefaultGroup'): Promise<ContainerInfo> {
    if (this.containers.has(name)) throw new StoreError('EXISTS', `there is a container ${name}`);
    const info = { name, id: this.containers.size + 1, group, createdMs: 1_700_000_000_000 };
    this.containers.set(name, info);
    this.files.set(name, new Map());
    return info;
  }

  listContainers(): ContainerInfo[] {
    return [...this.containers.values()];
  }

  showContainer(name: string): ContainerDetails {
    const settings = this.settings.get(name) ?? NO_SETTINGS;
    return { ...this.openContainer(name).container, ...settings, quotaState: 'none', ...NOTHING_SAVED };
  }

  async updateContainer(name: string, change: Partial<ContainerSettings>): Promise<ContainerDetails> {
    this.calls.push(['updateContainer', name, change]);
    this.settings.set(name, { ...this.showContainer(name), ...change });
    return this.showContainer(name);
  }

  async deleteContainer(name: string, withFiles: boolean): Promise<void> {
    this.calls.push(['deleteContainer', name, withFiles]);
    if (this.#filesOf(name).size > 0 && !withFiles) throw new StoreError('EXISTS', 'it has files');
    this.containers.delete(name);
  }

  openContainer(name: string): { container: ContainerInfo; group: OpenGroup } {
    const container = this.containers.get(name);
    if (container === undefined) throw new StoreError('NOT_FOUND', `there is no container ${name}`);
    return { container, group: this.openGroup(container.group) };
  }

  async file(container: string, path: string): Promise<FileRecord> {
    const file = this.#filesOf(container).get(path);
    if (file === undefined) throw new StoreError('NOT_FOUND', `there is no file ${path}`);
    return file;
  }

  async listFiles(
    container: string,
    { prefix = '', after, limit = 1000 }: { prefix?: string; after?: string; limit?: number },
  ): Promise<FilePage> {
    const names = [...this.#filesOf(container).keys()].sort(compareNames);
    const wanted = names.filter(
      name => name.startsWith(prefix) && (after === undefined || compareNames(name, after) > 0),
    );
    const files = wanted.slice(0, limit).map(name => this.#filesOf(container).get(name)!);
    return wanted.length > limit ? { files, next: files.at(-1)!.path } : { files };
  }

  async putFile(container: string, path: string, draft: FileDraft): Promise<FileRecord> {
    if (this.commitFailure !== undefined) throw this.commitFailure;
    this.#version += 1;
    const file = { ...draft, path, version: this.#version, createdMs: 1_700_000_000_500 };
    this.#filesOf(container).set(path, file);
    return file;
  }

  async deleteFile(container: string, path: string): Promise<void> {
    await this.file(container, path);
    this.#filesOf(container).delete(path);
  }

  async admitPut(container: string, path: string): Promise<FileRecord | undefined> {
    if (this.refusal !== undefined) throw this.refusal;
    return this.#filesOf(container).get(path);
  }

  async lockFile(container: string, path: string, request: LockRequest): Promise<FileRecord> {
    this.calls.push(['lockFile', container, path, request]);
    return this.file(container, path);
  }

  async listBin(container: string, query: object): Promise<BinPage> {
    this.calls.push(['listBin', container, query]);
    this.openContainer(container);
    return { files: this.binned };
  }

  async restoreFromBin(container: string, path: string, version?: number): Promise<FileRecord> {
    this.calls.push(['restoreFromBin', container, path, version]);
    const file = this.binned.find(each => each.path === path);
    if (file === undefined) throw new StoreError('NOT_FOUND', `there is no file ${path} in the bin`);
    return file;
  }

  async purgeBin(container: string): Promise<number> {
    this.openContainer(container);
    return this.binned.length;
  }

  async statistics(scope?: { group?: string; container?: string }): Promise<ByteStatistics> {
    this.calls.push(['statistics', scope]);
    return NOTHING_SAVED;
  }

  async close(): Promise<void> {}

  #filesOf(container: string): Map<string, FileRecord> {
    return this.files.get(this.openContainer(container).container.name)!;
  }
}

/** Streams over the catalog's contents. */
export class FakeStreams implements Streams {
  readonly #catalog: FakeCatalog;
  uploadsOpen = 0;
  downloadsOpen = 0;
  bytesRead = 0;
  /** Uploads take nothing for a while after so many bytes. */
  starveEvery = Number.POSITIVE_INFINITY;
  /** Uploads fail at this byte. */
  failUploadAt = Number.POSITIVE_INFINITY;
  uploadFailure = new StoreError('NO_SPACE', 'the volume is full');
  /** Downloads throw CORRUPT at this byte. */
  damageAt = Number.POSITIVE_INFINITY;
  segmentSize = 1 << 20;

  constructor(catalog: FakeCatalog) {
    this.#catalog = catalog;
  }

  upload(group: OpenGroup, options: UploadOptions): UploadSession {
    group.admitIngest();
    this.uploadsOpen += 1;
    return new FakeUpload(this, this.#catalog, options);
  }

  download(_group: OpenGroup, file: FileRecord, range?: ByteRange): DownloadSession {
    this.downloadsOpen += 1;
    const bytes = this.#catalog.contents.get(Buffer.from(file.map.root).toString('hex'))!;
    const { offset, length } = range ?? { offset: 0, length: file.size };
    // One buffer for all segments, as a slab is used again.
    const buffer = Buffer.alloc(this.segmentSize);
    let at = offset;
    return {
      next: async () => {
        const size = Math.min(this.segmentSize, offset + length - at);
        if (at + size > this.damageAt)
          throw new StoreError('CORRUPT', 'a chunk does not match its fingerprint');
        if (size <= 0) return undefined;
        bytes.copy(buffer, 0, at, at + size);
        at += size;
        this.bytesRead += size;
        return buffer.subarray(0, size);
      },
      close: async () => {
        this.downloadsOpen -= 1;
      },
    };
  }
}

class FakeUpload implements UploadSession {
  readonly #streams: FakeStreams;
  readonly #catalog: FakeCatalog;
  readonly #options: UploadOptions;
  readonly #parts: Buffer[] = [];
  #size = 0;
  #starvedAt = 0;
  failure: StoreError | undefined;

  get progress(): UploadProgress {
    const received = this.#size;
    return { received, settledBytes: received, newBytes: received, storedBytes: received >> 1 };
  }

  constructor(streams: FakeStreams, catalog: FakeCatalog, options: UploadOptions) {
    this.#streams = streams;
    this.#catalog = catalog;
    this.#options = options;
  }

  write(bytes: Uint8Array): boolean {
    this.#parts.push(Buffer.from(bytes));
    this.#size += bytes.length;
    if (this.#size >= this.#streams.failUploadAt) this.failure = this.#streams.uploadFailure;
    if (this.#size - this.#starvedAt < this.#streams.starveEvery) return true;
    this.#starvedAt = this.#size;
    return false;
  }

  ready(): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, 2));
  }

  async finish(): Promise<FileDraft> {
    const bytes = Buffer.concat(this.#parts);
    const { size, expected = {}, digests = [] } = this.#options;
    if (size !== undefined && size !== bytes.length) throw new StoreError('INVALID', 'another size');
    const found = {
      ...{ xxh3: fakeXxh3(bytes), sha256: hex('sha256', bytes) },
      ...{ md5: hex('md5', bytes), blake3: hex('sha3-256', bytes) },
    };
    for (const [name, value] of Object.entries(expected)) {
      if (found[name as keyof typeof found] !== value)
        throw new StoreError('INVALID', `the ${name} is another`);
    }
    const root = createHash('sha256').update(bytes).digest();
    this.#catalog.contents.set(root.toString('hex'), bytes);
    const kept = digests.map(name => [name, found[name]] as const);
    return {
      ...{ xxh3: found.xxh3, ...Object.fromEntries(kept) },
      ...{ size: bytes.length, map: { root, rootLength: 40, depth: 1 } },
      ...{ newBytes: bytes.length, storedBytes: bytes.length >> 1, chunkCount: 1 },
    };
  }

  async close(): Promise<void> {
    this.#streams.uploadsOpen -= 1;
  }
}
