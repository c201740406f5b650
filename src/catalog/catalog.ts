/**
 * The catalog: storage groups, containers, files, behind the one interface that flows, front end and
 * command line use (types.ts). This file puts the parts together; each part does its one thing beside it.
 */
import { asStoreError, StoreError } from '../base/errors.js';
import type { Secret } from '../keys/slots.js';
import { configChange } from './changes.js';
import { Containers } from './containers.js';
import type { CatalogContext } from './context.js';
import { ContainerFiles, type FileQuery } from './files.js';
import { Group } from './group.js';
import {
  formatGroup,
  measureTier,
  planGroup,
  prepareDirectory,
  removeGroup,
  secretsOf,
  settingsFrom,
} from './group-maker.js';
import type { OpenedGroup } from './opened-group.js';
import { quotaState } from './quota.js';
import { type BinQuery, ContainerBin } from './recycle-bin.js';
import { settingsOfPolicy } from './retention.js';
import { addSums, byteStatistics, containerSums, groupSums } from './statistics.js';
import { type GroupEntry, SystemFile } from './system-file.js';
import type {
  BinPage,
  ByteStatistics,
  Catalog,
  CleanerSettings,
  ContainerDetails,
  ContainerInfo,
  ContainerSettings,
  FileDraft,
  FilePage,
  FileRecord,
  GroupChange,
  GroupInfo,
  GroupRequest,
  GroupSettings,
  LockRequest,
  OpenGroup,
} from './types.js';
import { Users } from './users.js';

export const DEFAULT_GROUP = 'DefaultGroup';

export interface CatalogParameters {
  readonly context: CatalogContext;
  /** Absolute. */
  readonly dataDirectory: string;
  /** Is tried on every encrypted group at start. */
  readonly unlock?: Secret;
}

export class GranaryCatalog implements Catalog {
  readonly #context: CatalogContext;
  readonly #dataDirectory: string;
  readonly #system: SystemFile;
  readonly #groups = new Map<string, Group>();
  readonly #containers: Containers;
  readonly users: Users;
  /** Groups are made and deleted one at a time. */
  #making: Promise<unknown> = Promise.resolve();

  private constructor(parameters: CatalogParameters, system: SystemFile) {
    this.#context = parameters.context;
    this.#dataDirectory = parameters.dataDirectory;
    this.#system = system;
    this.#containers = new Containers(this.#context, system, this.#groups);
    this.users = new Users(system);
  }

  /**
   * Opens the system and all its groups; makes DefaultGroup at the first start. A group that cannot be
   * opened says so in showGroup and on each access, the others serve.
   */
  static async open(parameters: CatalogParameters): Promise<GranaryCatalog> {
    const system = await SystemFile.open(parameters.context, parameters.dataDirectory);
    const catalog = new GranaryCatalog(parameters, system);
    for (const reason of system.damages) {
      parameters.context.onEvent({
        level: 'warn',
        message: `system file: ${reason}; made good from the other`,
      });
    }
    await catalog.#finishInterrupted();
    for (const entry of system.content.groups) {
      const group = await Group.open(parameters.context, entry, parameters.unlock);
      catalog.#groups.set(entry.name, group);
      await catalog.#containers.learn(group);
    }
    const isFirstStart = system.group(DEFAULT_GROUP) === undefined && parameters.context.isReadOnly !== true;
    if (isFirstStart) await catalog.addGroup({ name: DEFAULT_GROUP });
    return catalog;
  }

  // --- groups ---

  addGroup(request: GroupRequest): Promise<GroupInfo & { recoveryKey?: string }> {
    return this.#oneByOne(async () => {
      if (this.#groups.has(request.name)) {
        throw new StoreError('EXISTS', `there is a storage group '${request.name}' already`);
      }
      const left = this.#system.group(request.name);
      if (left !== undefined) await this.#remove(left);
      const planned = planGroup(request, this.#dataDirectory, this.#system.content.groups);
      const secrets = secretsOf(request, planned.settings);
      await prepareDirectory(this.#context, planned);
      const entry = await this.#measured(planned, request.acceptSlow === true);
      await this.#system.setGroup(entry.name, entry);
      try {
        const recoveryKey = await formatGroup(this.#context, entry, secrets);
        const group = await this.#openNew(entry, secrets[0]);
        return { ...group.info, ...(recoveryKey === undefined ? {} : { recoveryKey }) };
      } catch (thrown) {
        await this.#remove(entry).catch((cause: unknown) => {
          const message = `what was made stays until the next start: ${asStoreError(cause).message}`;
          this.#context.onEvent({ level: 'warn', group: entry.name, message });
        });
        throw thrown;
      }
    });
  }

  listGroups(): GroupInfo[] {
    return [...this.#groups.values()].map(group => group.info);
  }

  showGroup(name: string): GroupInfo {
    return this.#group(name).info;
  }

  updateGroup(name: string, change: GroupChange): Promise<GroupInfo & { recoveryKey?: string }> {
    return this.#oneByOne(async () => {
      const group = this.#group(name);
      const opened = group.demandOpen();
      const settings = settingsFrom(opened.settings, change);
      demandLegalChange(opened, settings);
      const isFirstEncryption = !opened.keyring.isEncrypted && settings.encryption !== 'off';
      const isOff = settings.encryption === 'off';
      const secrets = isFirstEncryption || isOff ? secretsOf(change, settings) : noSecrets(change);
      const recoveryKey = isFirstEncryption ? await group.encrypt(secrets) : undefined;
      await this.#keepSettings(group, settings);
      return { ...group.info, ...(recoveryKey === undefined ? {} : { recoveryKey }) };
    });
  }

  async #keepSettings(group: Group, settings: GroupSettings): Promise<void> {
    const opened = group.demandOpen();
    await opened.commit(configChange(settings));
    await opened.setCompression(settings.compression);
    group.entry = { ...group.entry, settings };
    await this.#system.setGroup(group.name, group.entry);
  }

  deleteGroup(name: string): Promise<void> {
    return this.#oneByOne(async () => {
      const group = this.#group(name);
      if (name === DEFAULT_GROUP) throw new StoreError('INVALID', `${DEFAULT_GROUP} cannot be deleted`);
      const count = group.demandOpen().state.containers.size + this.#containers.reservedIn(name);
      if (count > 0) throw new StoreError('EXISTS', `storage group '${name}' has ${count} containers`);
      this.#groups.delete(name);
      await group.close();
      await this.#remove(group.entry);
    });
  }

  async unlockGroup(name: string, secret: Secret): Promise<GroupInfo> {
    const group = this.#group(name);
    await group.unlock(secret);
    await this.#containers.learn(group);
    return group.info;
  }

  async changePassphrase(name: string, current: string, next: string): Promise<void> {
    await this.#group(name).demandOpen().keyring.changePassphrase(current, next);
  }

  async addSecret(name: string, current: Secret, secret: Secret): Promise<void> {
    await this.#group(name).demandOpen().keyring.addSecret(current, secret);
  }

  openGroup(name: string): OpenGroup {
    return this.#group(name).demandOpen();
  }

  /** All groups, open or not: for verify and rebuild. */
  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  /** Copies of the system file that the start has made good, and why. */
  get systemDamages(): readonly string[] {
    return this.#system.damages;
  }

  /** The open group behind the interface. */
  openedGroup(name: string): OpenedGroup {
    return this.#group(name).demandOpen();
  }

  // --- containers ---

  async addContainer(
    name: string,
    group = DEFAULT_GROUP,
    settings: Partial<ContainerSettings> = {},
  ): Promise<ContainerInfo> {
    return this.#containers.add(name, this.#group(group), settings);
  }

  listContainers(): ContainerInfo[] {
    return this.#containers.list();
  }

  showContainer(name: string): ContainerDetails {
    const { container, group } = this.#containers.open(name);
    const { policy, totals, binTotals } = group.state.containers.get(container.id)!;
    const settings = settingsOfPolicy(policy);
    return {
      ...container,
      ...settings,
      quotaState: quotaState(totals.logicalBytes, settings.quotaBytes),
      ...byteStatistics(containerSums(totals, binTotals)),
    };
  }

  async updateContainer(name: string, change: Partial<ContainerSettings>): Promise<ContainerDetails> {
    await this.#containers.update(name, change);
    return this.showContainer(name);
  }

  deleteContainer(name: string, withFiles: boolean): Promise<void> {
    return this.#containers.delete(name, withFiles);
  }

  openContainer(name: string): { container: ContainerInfo; group: OpenGroup } {
    return this.#containers.open(name);
  }

  // --- files ---

  async file(container: string, path: string): Promise<FileRecord> {
    return this.#files(container).get(path);
  }

  async listFiles(container: string, query: FileQuery): Promise<FilePage> {
    return this.#files(container).list(query);
  }

  async putFile(container: string, path: string, draft: FileDraft): Promise<FileRecord> {
    return this.#files(container).put(path, draft, this.#context.clock.nowMs());
  }

  async deleteFile(container: string, path: string): Promise<void> {
    return this.#files(container).delete(path);
  }

  // --- cleaner ---

  get cleanerSettings(): CleanerSettings {
    return this.#system.content.cleaner ?? { isPaused: false, holdHours: 0, windows: [] };
  }

  /** Durable. */
  changeCleanerSettings(change: Partial<CleanerSettings>): Promise<void> {
    return this.#system.change(content => {
      const cleaner = { ...this.cleanerSettings, ...change };
      return { ...content, cleaner: { ...cleaner, windows: [...cleaner.windows] } };
    });
  }

  async admitPut(container: string, path: string, size?: number): Promise<FileRecord | undefined> {
    return this.#files(container).admitPut(path, size);
  }

  // --- retention ---

  async lockFile(container: string, path: string, request: LockRequest): Promise<FileRecord> {
    return this.#files(container).lock(path, request);
  }

  async listBin(container: string, query: BinQuery): Promise<BinPage> {
    return this.#bin(container).list(query);
  }

  async restoreFromBin(container: string, path: string, version?: number): Promise<FileRecord> {
    return this.#bin(container).restore(path, version);
  }

  async purgeBin(container: string): Promise<number> {
    return this.#bin(container).purge();
  }

  // --- statistics ---

  async statistics(scope: { group?: string; container?: string } = {}): Promise<ByteStatistics> {
    if (scope.container !== undefined) return this.showContainer(scope.container);
    const groups =
      scope.group === undefined
        ? [...this.#groups.values()].flatMap(group => group.opened ?? [])
        : [this.#group(scope.group).demandOpen()];
    const sums = await Promise.all(
      groups.map(async group =>
        groupSums(group.state.totals, group.state.binTotals, await group.space.refresh()),
      ),
    );
    return byteStatistics(addSums(sums));
  }

  /** Closes every group, also behind one whose closing fails; then throws the first failure. */
  async close(): Promise<void> {
    await this.#making;
    const failures: unknown[] = [];
    for (const group of this.#groups.values()) {
      await group.close().catch((thrown: unknown) => failures.push(thrown));
    }
    if (failures.length > 0) throw failures[0];
  }

  // --- parts ---

  #group(name: string): Group {
    const group = this.#groups.get(name);
    if (group === undefined) throw new StoreError('NOT_FOUND', `there is no storage group '${name}'`);
    return group;
  }

  #files(name: string): ContainerFiles {
    const { container, group } = this.#containers.open(name);
    return new ContainerFiles(group, container);
  }

  #bin(name: string): ContainerBin {
    const { container, group } = this.#containers.open(name);
    return new ContainerBin(group, container);
  }

  /** In this order: whatever the system file says after a failure, it never names a group without files. */
  async #remove(entry: GroupEntry): Promise<void> {
    await this.#system.setGroup(entry.name, { ...entry, state: 'deleting' });
    await removeGroup(this.#context, entry, this.#dataDirectory);
    await this.#system.setGroup(entry.name, undefined);
  }

  #oneByOne<T>(action: () => Promise<T>): Promise<T> {
    const made = this.#making.then(action);
    this.#making = made.catch(() => undefined);
    return made;
  }

  async #measured(entry: GroupEntry, acceptSlow: boolean): Promise<GroupEntry> {
    if (!entry.isPerformanceTier) return entry;
    const { sequentialIops, randomIops, isRotational } = await measureTier(
      this.#context,
      entry.path,
      acceptSlow,
    );
    const admission = { sequentialIops, randomIops, ...(isRotational === undefined ? {} : { isRotational }) };
    return { ...entry, admission };
  }

  /** The group's directory has been formatted: opens it, writes its settings, and names it ready. */
  async #openNew(entry: GroupEntry, secret: Secret | undefined): Promise<Group> {
    const ready: GroupEntry = { ...entry, state: 'ready' };
    const group = await Group.open(this.#context, ready, secret);
    try {
      await group.demandOpen().begin(entry.settings);
      await this.#system.setGroup(entry.name, ready);
    } catch (thrown) {
      await group.close();
      throw thrown;
    }
    this.#groups.set(entry.name, group);
    return group;
  }

  /** A group that was being made has no container yet, one that was being deleted has none any more. */
  async #finishInterrupted(): Promise<void> {
    if (this.#context.isReadOnly === true) return;
    for (const entry of this.#system.content.groups) {
      if (entry.state === 'ready') continue;
      await removeGroup(this.#context, entry, this.#dataDirectory);
      await this.#system.setGroup(entry.name, undefined);
      const message = `its ${entry.state} was interrupted; what was left has been removed`;
      this.#context.onEvent({ level: 'warn', group: entry.name, message });
    }
  }
}

function noSecrets(change: GroupChange): never[] {
  if (change.passphrase === undefined && change.keyFile === undefined) return [];
  throw new StoreError(
    'INVALID',
    'the group is encrypted already: change its passphrase or add a key instead',
  );
}

function demandLegalChange(group: OpenedGroup, settings: GroupSettings): void {
  const isEncrypted = group.keyring.isEncrypted;
  if (isEncrypted && settings.encryption === 'off') {
    throw new StoreError(
      'INVALID',
      'an encrypted group stays encrypted (static and internal can be exchanged)',
    );
  }
  const used = group.space.counters.fileBytes;
  if (settings.quotaBytes > 0 && settings.quotaBytes < used) {
    throw new StoreError('INVALID', `the quota must not be below what the group uses: ${used} bytes`);
  }
}
