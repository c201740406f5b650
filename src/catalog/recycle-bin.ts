/**
 * Recycle bins: what was deleted or overwritten in a container that has one, listed, given back, and dropped
 * when the retention clock is past its time. Nothing drops it earlier, whoever asks.
 */
import { isoTime } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { BIN_DROP_BATCH_MAX, LIST_LIMIT_MAX } from '../base/limits.js';
import type { BinKey, BinRow } from './bin-index.js';
import { fileRecord } from './files.js';
import { fileNameBytes } from './names.js';
import type { OpenedGroup } from './opened-group.js';
import { mayLeaveBin, reasonKept } from './retention.js';
import { dropChange, restoreChange } from './retention-changes.js';
import type { BinPage, ContainerInfo, FileRecord } from './types.js';

export interface BinQuery {
  readonly prefix?: string;
  /** Versions behind this one only. */
  readonly after?: number;
  readonly limit?: number;
}

/** What became of a walk through a bin. */
export interface Purged {
  readonly dropped: number;
  /** When the next version may go; absent: none that is there is waiting for the clock alone. */
  readonly nextMs?: number;
}

export class ContainerBin {
  readonly #group: OpenedGroup;
  readonly #container: ContainerInfo;

  constructor(group: OpenedGroup, container: ContainerInfo) {
    this.#group = group;
    this.#container = container;
  }

  async list({ prefix = '', after = -1, limit = LIST_LIMIT_MAX }: BinQuery): Promise<BinPage> {
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) {
      throw new StoreError('INVALID', `the limit of a listing is 1 to ${LIST_LIMIT_MAX}`);
    }
    const files: FileRecord[] = [];
    for await (const row of this.#rows(after)) {
      if (!row.name.startsWith(prefix)) continue;
      if (files.length === limit) return { files, next: files.at(-1)!.version };
      files.push(fileRecord(row));
    }
    this.#group.demandReadable();
    return { files };
  }

  async restore(path: string, version?: number): Promise<FileRecord> {
    fileNameBytes(path);
    const { id, name } = this.#container;
    const wanted = version ?? (await this.#newest(path));
    if (wanted === undefined) {
      this.#group.demandReadable();
      throw new StoreError('NOT_FOUND', `the recycle bin of container '${name}' has no file '${path}'`);
    }
    const key = { containerId: id, name: path, version: wanted };
    return fileRecord(await this.#group.commit(restoreChange(this.#group, key, name)));
  }

  /** Answers how many versions that were. */
  async purge(): Promise<number> {
    return (await purge(this.#group, this.#rows())).dropped;
  }

  /** LOCKED, saying until when, while a version is in it that may not go yet. The others are dropped. */
  async demandEmpty(): Promise<void> {
    await this.purge();
    let lastMs = 0;
    for await (const row of this.#rows()) {
      const what = `'${row.name}' (version ${row.version}) in the recycle bin`;
      const reason = reasonKept(row, this.#group.retention.nowMs());
      if (reason !== undefined) throw this.#locked(`${what}: ${reason}`);
      lastMs = Math.max(lastMs, row.binUntilMs);
    }
    if (lastMs > 0)
      throw this.#locked(`its recycle bin is kept until ${isoTime(lastMs)} of the retention clock`);
  }

  #locked(reason: string): StoreError {
    return new StoreError('LOCKED', `container '${this.#container.name}' cannot be deleted: ${reason}`);
  }

  #rows(after?: number): AsyncIterable<BinRow> {
    return this.#group.state.bin.scanContainer(this.#container.id, after);
  }

  /** Of that name; rows come by version. */
  async #newest(path: string): Promise<number | undefined> {
    let newest: number | undefined;
    for await (const row of this.#rows()) {
      if (row.name === path) newest = row.version;
    }
    return newest;
  }
}

/** Drops those of the rows that may go, in batches; what has changed since they were read is asked again. */
export async function purge(
  group: OpenedGroup,
  rows: AsyncIterable<BinRow>,
  isStopped: () => boolean = () => false,
): Promise<Purged> {
  let dropped = 0;
  let nextMs: number | undefined;
  let batch: BinKey[] = [];
  const drop = async (): Promise<void> => {
    if (batch.length > 0) dropped += await group.commit(dropChange(group, batch));
    batch = [];
  };
  for await (const row of rows) {
    if (isStopped()) break;
    const nowMs = group.retention.nowMs();
    if (mayLeaveBin(row, nowMs)) batch.push({ containerId: row.containerId, version: row.version });
    else if (row.binUntilMs > nowMs) nextMs = Math.min(nextMs ?? row.binUntilMs, row.binUntilMs);
    if (batch.length === BIN_DROP_BATCH_MAX) await drop();
  }
  await drop();
  return { dropped, ...(nextMs === undefined ? {} : { nextMs }) };
}
