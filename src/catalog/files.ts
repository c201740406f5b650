/** Files of one container: the commit point, reading records, listing. */
import { StoreError } from '../base/errors.js';
import { LIST_LIMIT_MAX } from '../base/limits.js';
import { deleteChange, putChange } from './changes.js';
import { compareNames, fileNameBytes } from './names.js';
import type { OpenedGroup } from './opened-group.js';
import { demandRoom } from './quota.js';
import { type FileRow, RecordType } from './record.js';
import { demandRemovable } from './retention.js';
import { lockChange } from './retention-changes.js';
import type { ContainerInfo, FileDraft, FilePage, FileRecord, LockRequest } from './types.js';

const LONE_SURROGATE = /\p{Surrogate}/u;

export interface FileQuery {
  readonly prefix?: string;
  readonly after?: string;
  readonly limit?: number;
}

export class ContainerFiles {
  readonly #group: OpenedGroup;
  readonly #container: ContainerInfo;

  constructor(group: OpenedGroup, container: ContainerInfo) {
    this.#group = group;
    this.#container = container;
  }

  async get(path: string): Promise<FileRecord> {
    fileNameBytes(path);
    const [row] = await this.#group.state.index.load([{ containerId: this.#container.id, name: path }]);
    if (row !== undefined) return fileRecord(row);
    this.#group.demandReadable();
    throw new StoreError('NOT_FOUND', `there is no file '${path}' in container '${this.#container.name}'`);
  }

  async put(path: string, draft: FileDraft, createdMs: number): Promise<FileRecord> {
    fileNameBytes(path);
    const { size, map, newBytes, storedBytes, chunkCount, xxh3, blake3, sha256, md5 } = draft;
    const row = await this.#group.commit(
      putChange(this.#group, {
        type: RecordType.PUT,
        containerId: this.#container.id,
        name: path,
        createdMs,
        size,
        root: map.root,
        rootLength: map.rootLength,
        depth: map.depth,
        chunkCount,
        newBytes,
        storedBytes,
        xxh3,
        ...(blake3 === undefined ? {} : { blake3 }),
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(md5 === undefined ? {} : { md5 }),
      }),
    );
    return fileRecord(row);
  }

  async delete(path: string): Promise<void> {
    fileNameBytes(path);
    await this.#group.commit(
      deleteChange(this.#group, { containerId: this.#container.id, name: path }, this.#container.name),
    );
  }

  async list(query: FileQuery): Promise<FilePage> {
    const limit = query.limit ?? LIST_LIMIT_MAX;
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) {
      throw new StoreError('INVALID', `the limit of a listing is 1 to ${LIST_LIMIT_MAX}`);
    }
    const prefix = demandText(query.prefix ?? '');
    const after = query.after === undefined ? undefined : demandText(query.after);
    // One more than asked for tells whether there is a next page.
    const rows = await this.#group.state.index.list(this.#container.id, { prefix, after, limit: limit + 1 });
    this.#group.demandReadable();
    rows.sort((a, b) => compareNames(a.name, b.name));
    const files = rows.slice(0, limit).map(fileRecord);
    return rows.length > limit ? { files, next: files.at(-1)!.path } : { files };
  }

  /** How the file, or that version of it in the recycle bin, is kept from now on. */
  async lock(path: string, request: LockRequest): Promise<FileRecord> {
    fileNameBytes(path);
    const key = { containerId: this.#container.id, name: path };
    return fileRecord(await this.#group.commit(lockChange(this.#group, key, this.#container.name, request)));
  }

  /** What a put of this name will replace. LOCKED, NO_SPACE: as its commit will be, if nothing changes. */
  async admitPut(path: string, size = 0): Promise<FileRecord | undefined> {
    fileNameBytes(path);
    const { state, retention } = this.#group;
    const [row] = await state.index.load([{ containerId: this.#container.id, name: path }]);
    if (row !== undefined) demandRemovable(row, retention.nowMs());
    const container = state.containers.get(this.#container.id);
    if (container !== undefined) {
      demandRoom(container, container.totals.logicalBytes, size - (row?.size ?? 0));
    }
    return row === undefined ? undefined : fileRecord(row);
  }

  /** LOCKED when any file may not be deleted. No file may come and none may be locked meanwhile. */
  async demandAllRemovable(): Promise<void> {
    const { id } = this.#container;
    let after: string | undefined;
    do {
      const rows = await this.#group.state.index.list(id, { prefix: '', after, limit: LIST_LIMIT_MAX });
      const nowMs = this.#group.retention.nowMs();
      for (const row of rows) demandRemovable(row, nowMs);
      after = rows.length < LIST_LIMIT_MAX ? undefined : rows.at(-1)!.name;
    } while (after !== undefined);
  }

  /** Deletes all files, in groups; new ones are refused meanwhile. */
  async deleteAll(): Promise<void> {
    const { id, name } = this.#container;
    for (;;) {
      const rows = await this.#group.state.index.list(id, { prefix: '', limit: LIST_LIMIT_MAX });
      if (rows.length === 0) return;
      await Promise.all(
        rows.map(row =>
          this.#group.commit(deleteChange(this.#group, { containerId: id, name: row.name }, name, true)),
        ),
      );
    }
  }
}

function demandText(text: string): string {
  if (LONE_SURROGATE.test(text)) throw new StoreError('INVALID', 'a prefix or name must be valid UTF-8');
  return text;
}

export function fileRecord(row: FileRow): FileRecord {
  const { name, version, size, createdMs, root, rootLength, depth, newBytes, storedBytes, chunkCount } = row;
  const { lockMode, lockUntilMs, hold, binUntilMs } = row;
  return {
    path: name,
    version,
    size,
    createdMs,
    map: { root, rootLength, depth },
    newBytes,
    storedBytes,
    chunkCount,
    xxh3: row.xxh3,
    ...(row.blake3 === undefined ? {} : { blake3: row.blake3 }),
    ...(row.sha256 === undefined ? {} : { sha256: row.sha256 }),
    ...(row.md5 === undefined ? {} : { md5: row.md5 }),
    ...(lockMode === undefined || lockUntilMs === undefined ? {} : { lockMode, lockUntilMs }),
    ...(hold === undefined ? {} : { hold }),
    ...(binUntilMs === undefined ? {} : { binUntilMs }),
  };
}
