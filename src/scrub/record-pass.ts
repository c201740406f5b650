/**
 * Scrub of records: each is read past the page cache, unsealed, decompressed, and its fingerprints are taken
 * again. Closed data stores are read back soon after they were closed; all of them in a rolling round of
 * SCRUB_PERIOD_MS, spread over it; and those at once that a restore has found damaged. What is damaged goes
 * into quarantine.
 */
import { asStoreError, hasCode } from '../base/errors.js';
import { SCRUB_PERIOD_MS, SCRUB_STEP_BYTES, VIEW_BATCH_MAX } from '../base/limits.js';
import { nameOf } from '../catalog/damaged-chunks.js';
import { locate } from '../catalog/located-chunks.js';
import {
  DATA_STORE_ID_SIZE,
  type DataStoreInfo,
  FINGERPRINT_SIZE,
  type ScrubReport,
} from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { ScrubWork } from './work.js';

export class RecordPass {
  readonly #work: ScrubWork;
  /** Damaged records met by this pass, and chunks that it has put into quarantine. */
  damages = 0;
  quarantined = 0;

  constructor(work: ScrubWork) {
    this.#work = work;
  }

  /** What is not to wait: reports of restores, data stores that have been closed. */
  async fresh(): Promise<void> {
    await this.reported();
    await this.readBack();
  }

  /** Data stores that have been closed and not been read since. */
  async unread(): Promise<DataStoreInfo[]> {
    const { group, state } = this.#work;
    const stores = await group.lane.call('listDataStores', group.engine);
    const checked = new Set(state.content.checked);
    return stores.filter(
      ({ id, isClosed, incarnation }) =>
        isClosed && incarnation > state.content.settledIncarnation && !checked.has(id),
    );
  }

  async readBack(): Promise<void> {
    for (const { id } of await this.unread()) {
      await this.#store(id);
      this.#work.state.noteChecked(id);
    }
    await this.#settle();
  }

  /** Data stores of earlier incarnations are all closed: when they have been read, their number says so. */
  async #settle(): Promise<void> {
    const { group, state } = this.#work;
    const before = group.report.incarnation - 1;
    if (state.content.settledIncarnation >= before) return;
    const stores = await group.lane.call('listDataStores', group.engine);
    const current = new Set(stores.filter(store => store.incarnation > before).map(({ id }) => id));
    state.content.checked = state.content.checked.filter(id => current.has(id));
    state.content.settledIncarnation = before;
  }

  /** Reads records as far as the round's time has come, in the order of the data stores' ids. */
  async round(): Promise<void> {
    const { state, clock, group } = this.#work;
    const { content } = state;
    const nowMs = clock.nowMs();
    // A clock that was set back delays the round, and no more.
    content.roundMs = Math.min(content.roundMs, nowMs);
    const stores = await group.lane.call('listDataStores', group.engine);
    stores.sort((a, b) => (a.id < b.id ? -1 : 1));
    const total = stores.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    const due = total * Math.min(1, (nowMs - content.roundMs) / SCRUB_PERIOD_MS);
    let before = 0;
    for (const { id, fileBytes } of stores) {
      if (before >= due) return;
      if (id >= content.dataStore) await this.#roundStore(id);
      before += fileBytes;
    }
    if (nowMs - content.roundMs < SCRUB_PERIOD_MS) return;
    Object.assign(content, { dataStore: '', chunk: 0, roundMs: nowMs, roundDoneMs: nowMs });
  }

  /** The cursor stays behind the last step, so that a restart goes on in the middle of a data store. */
  async #roundStore(id: string): Promise<void> {
    const { content } = this.#work.state;
    if (id !== content.dataStore) Object.assign(content, { dataStore: id, chunk: 0 });
    await this.#store(id, content.chunk, next => {
      content.chunk = next;
    });
    Object.assign(content, { dataStore: behind(id), chunk: 0 });
  }

  /** Every record now; `progress` in bytes of files. The round begins anew behind it. */
  async all(progress: (done: number, total: number) => void): Promise<void> {
    const { group, state, clock } = this.#work;
    const stores = await group.lane.call('listDataStores', group.engine);
    const total = stores.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    let done = 0;
    for (const { id, fileBytes, isClosed, incarnation } of stores) {
      const before = done;
      await this.#store(id, 0, (_next, bytes) => progress(Math.min(before + bytes, total), total));
      if (isClosed && incarnation > state.content.settledIncarnation) state.noteChecked(id);
      done += fileBytes;
      progress(done, total);
    }
    const nowMs = clock.nowMs();
    state.content.checked = [...new Set(state.content.checked)];
    Object.assign(state.content, { dataStore: '', chunk: 0, roundMs: nowMs, roundDoneMs: nowMs });
  }

  /**
   * Looks at the records of chunks that reads have found damaged. When they are sound, the damage is in a
   * node of a blockmap below them: all of their data stores are read, then, as soon as may be, all others.
   */
  async reported(): Promise<void> {
    const { group, state } = this.#work;
    while (group.damageReports.count > 0) {
      const fingerprints = group.damageReports.take();
      const before = this.damages;
      const { ids } = await this.#work.unit(() => locate(group.lane, group.engine, fingerprints));
      const stores = Array.from({ length: ids.length / DATA_STORE_ID_SIZE }, (_, index) =>
        Buffer.from(ids.subarray(index * DATA_STORE_ID_SIZE, (index + 1) * DATA_STORE_ID_SIZE)).toString(
          'hex',
        ),
      );
      for (const id of stores) await this.#records(id, fingerprints);
      if (this.damages > before) continue;
      for (const id of stores) await this.#store(id);
      if (this.damages > before) continue;
      Object.assign(state.content, { dataStore: '', chunk: 0, roundMs: 0 });
    }
  }

  /** The records of one data store that hold some of the chunks. */
  async #records(id: string, fingerprints: Uint8Array): Promise<void> {
    const { group } = this.#work;
    const wanted = new Set<string>();
    for (let at = 0; at < fingerprints.length; at += FINGERPRINT_SIZE) wanted.add(nameOf(fingerprints, at));
    const out = sharedBytes(VIEW_BATCH_MAX * FINGERPRINT_SIZE);
    let read = 0;
    await this.#unlessGone(id, async () => {
      for (let from = 0; ; from += VIEW_BATCH_MAX) {
        const count = await group.lane.call('readFingerprints', group.engine, id, from, out);
        for (let index = 0; index < count; index += 1) {
          if (from + index < read || !wanted.has(nameOf(out, index * FINGERPRINT_SIZE))) continue;
          read = (await this.#step(id, from + index, 1)).next;
        }
        if (count < VIEW_BATCH_MAX) return;
      }
    });
  }

  /** All records from chunk `from` on. Said of each step: where the next begins, and bytes read so far. */
  async #store(
    id: string,
    from = 0,
    said: (next: number, bytes: number) => void = () => undefined,
  ): Promise<void> {
    await this.#unlessGone(id, async () => {
      let bytes = 0;
      for (let at = from; ; ) {
        const report = await this.#step(id, at, SCRUB_STEP_BYTES);
        if (report.recordCount === 0) return;
        bytes += report.bytes;
        at = report.next;
        said(at, bytes);
      }
    });
  }

  async #step(id: string, from: number, bytesMax: number): Promise<ScrubReport> {
    const { group, state } = this.#work;
    const report = await this.#work.unit(() =>
      group.lane.call('scrubStore', group.engine, id, from, bytesMax),
    );
    state.content.bytesRead += report.bytes;
    this.damages += report.damages.length;
    if (report.damages.length > 0) this.quarantined += await group.quarantine.take(id, report.damages);
    return report;
  }

  /** A data store that the cleaner has taken away meanwhile is no damage. */
  async #unlessGone(id: string, read: () => Promise<void>): Promise<void> {
    const { group } = this.#work;
    try {
      await read();
    } catch (thrown) {
      const { code, message } = asStoreError(thrown);
      if (hasCode(thrown, 'CANCELLED') || group.queue.failure !== undefined) throw thrown;
      const stores = await group.lane.call('listDataStores', group.engine);
      const isThere =
        group.state.stores.get(id)?.moved === undefined && stores.some(store => store.id === id);
      if (isThere) this.#work.event('error', `data store ${id} cannot be read: ${code} ${message}`);
    }
  }
}

/** The smallest name behind it. */
function behind(id: string): string {
  return `${id}0`;
}
