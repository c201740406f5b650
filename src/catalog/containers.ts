/**
 * Containers of all groups by name, which is unique in the system. The truth lies in the groups' logs; here
 * is the mapping from name to group, made from them when a group is opened. Of a locked group only hashes
 * of its containers' names are known (system file): enough to answer that the group is locked, and to keep
 * a name from being given twice.
 */
import { StoreError } from '../base/errors.js';
import { addContainerChange, deleteContainerChange, updateContainerChange } from './changes.js';
import type { ContainerState } from './container-table.js';
import type { CatalogContext } from './context.js';
import { ContainerFiles } from './files.js';
import type { Group } from './group.js';
import { checkName } from './names.js';
import type { OpenedGroup } from './opened-group.js';
import { ContainerBin } from './recycle-bin.js';
import type { SystemFile } from './system-file.js';
import type { ContainerInfo, ContainerSettings } from './types.js';

interface Place {
  readonly group: Group;
  readonly id: number;
}

export class Containers {
  readonly #context: CatalogContext;
  readonly #system: SystemFile;
  readonly #groups: ReadonlyMap<string, Group>;
  readonly #places = new Map<string, Place>();
  /** Names that are being added, and the group each goes to. */
  readonly #reserved = new Map<string, string>();

  constructor(context: CatalogContext, system: SystemFile, groups: ReadonlyMap<string, Group>) {
    this.#context = context;
    this.#system = system;
    this.#groups = groups;
  }

  /** Takes the containers of a group that has been opened into the mapping. */
  async learn(group: Group): Promise<void> {
    if (group.opened === undefined) return;
    for (const { name, id } of group.opened.state.containers.values()) {
      const place = this.#places.get(name);
      if (place === undefined || place.group === group) {
        this.#places.set(name, { group, id });
        continue;
      }
      const message = `container '${name}' cannot be reached: group '${place.group.name}' has that name`;
      this.#context.onEvent({ level: 'error', group: group.name, message });
    }
    await this.#keepHashes(group);
  }

  async add(name: string, group: Group, settings?: Partial<ContainerSettings>): Promise<ContainerInfo> {
    checkName('container', name);
    const opened = group.demandOpen();
    const isTaken =
      this.#places.has(name) || this.#reserved.has(name) || this.#lockedWith(name) !== undefined;
    if (isTaken) throw new StoreError('EXISTS', `there is a container '${name}' already`);
    this.#reserved.set(name, group.name);
    try {
      const createdMs = this.#context.clock.nowMs();
      const id = await opened.commit(addContainerChange(opened.state, name, createdMs, settings));
      this.#places.set(name, { group, id });
      await this.#keepHashes(group);
      return { name, id, group: group.name, createdMs };
    } finally {
      this.#reserved.delete(name);
    }
  }

  /** In byte order of their names; those of locked and failed groups are not known. */
  list(): ContainerInfo[] {
    const infos: ContainerInfo[] = [];
    for (const [name, { group, id }] of this.#places) {
      const state = group.opened?.state.containers.get(id);
      if (state !== undefined) infos.push(infoOf(state, group.name));
      else if (group.opened === undefined) infos.push({ name, id, group: group.name, createdMs: 0 });
    }
    return infos.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** NOT_FOUND; DENIED: it lies in a locked group. */
  open(name: string): { container: ContainerInfo; group: OpenedGroup } {
    const place = this.#places.get(name);
    if (place === undefined) {
      this.#lockedWith(name)?.demandOpen();
      throw new StoreError('NOT_FOUND', `there is no container '${name}'`);
    }
    const group = place.group.demandOpen();
    group.demandReadable();
    const state = group.state.containers.get(place.id);
    if (state === undefined || state.isClosing) {
      throw new StoreError('NOT_FOUND', `there is no container '${name}'`);
    }
    return { container: infoOf(state, group.name), group };
  }

  async update(name: string, change: Partial<ContainerSettings>): Promise<void> {
    const { container, group } = this.open(name);
    await group.commit(updateContainerChange(group.state, container.id, change));
  }

  async delete(name: string, withFiles: boolean): Promise<void> {
    const { container, group } = this.open(name);
    const state = group.state.containers.get(container.id)!;
    demandFewEnough(state, withFiles);
    state.isClosing = true;
    try {
      // What was accepted before is in the view behind this.
      await group.queue.exclusive(async () => undefined);
      demandFewEnough(state, withFiles);
      const files = new ContainerFiles(group, container);
      if (withFiles) await files.demandAllRemovable();
      await new ContainerBin(group, container).demandEmpty();
      if (withFiles) await files.deleteAll();
      await group.commit(deleteContainerChange(group.state, container.id));
    } catch (thrown) {
      state.isClosing = false;
      throw thrown;
    }
    this.#places.delete(name);
    await this.#keepHashes(this.#groups.get(group.name)!);
  }

  /** Containers that are being added to this group. */
  reservedIn(group: string): number {
    return [...this.#reserved.values()].filter(name => name === group).length;
  }

  /** A group that is not open and has a container of this name. */
  #lockedWith(name: string): Group | undefined {
    const hash = this.#system.nameHash(name);
    for (const group of this.#groups.values()) {
      if (group.opened === undefined && group.entry.containers?.includes(hash) === true) return group;
    }
    return undefined;
  }

  /**
   * Notes the hashes of the group's containers in the system file, where they are needed and have changed.
   */
  async #keepHashes(group: Group): Promise<void> {
    if (group.opened === undefined || this.#context.isReadOnly === true) return;
    const names = [...group.opened.state.containers.values()].map(({ name }) => name);
    const containers = names.map(name => this.#system.nameHash(name)).sort();
    if (JSON.stringify(group.entry.containers ?? []) === JSON.stringify(containers)) return;
    group.entry = { ...group.entry, containers };
    await this.#system.setGroup(group.name, group.entry);
  }
}

/** EXISTS: it has files. LOCKED: they would all have to lie in its recycle bin first. */
function demandFewEnough({ name, totals, policy }: ContainerState, withFiles: boolean): void {
  if (totals.files === 0) return;
  if (!withFiles) throw new StoreError('EXISTS', `container '${name}' holds ${totals.files} files`);
  if (policy.binDays === undefined) return;
  throw new StoreError(
    'LOCKED',
    `container '${name}' has a recycle bin: delete its files, and the container when the bin is empty`,
  );
}

function infoOf({ name, id, createdMs }: ContainerState, group: string): ContainerInfo {
  return { name, id, group, createdMs };
}
