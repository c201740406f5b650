/**
 * Fills the view's tables of places from the trailers of closed data stores. Only a data store whose
 * fingerprints are all in the view is marked for the engine (markInView): until then the engine finds its
 * chunks by itself. Never on the path of an acknowledgement; interrupted, it goes on with the data store it
 * was at.
 */
import { VIEW_BATCH_MAX } from '../base/limits.js';
import { type DataStoreInfo, FINGERPRINT_SIZE } from '../native/binding.js';
import type { KvOperation } from '../view/kv.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { OpenedGroup } from './opened-group.js';
import { doneKey, placeKey } from './places.js';

export class PlaceFiller {
  readonly #group: OpenedGroup;

  constructor(group: OpenedGroup) {
    this.#group = group;
  }

  /**
   * Works until all closed data stores are in the view, or `isStopped` says so. Answers how many
   * fingerprints it wrote. `onProgress`: bytes of data stores.
   */
  async fill(
    isStopped: () => boolean,
    onProgress: (done: number, total: number) => void = () => undefined,
  ): Promise<number> {
    let written = 0;
    const left = await this.markEntered();
    const total = left.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    let entered = 0;
    for (const { id, fileBytes } of left) {
      if (isStopped()) break;
      onProgress(entered, total);
      entered += fileBytes;
      written += await this.#group.placeMarks.change(() => this.#fillLasting(id));
    }
    return written;
  }

  /** Tells the engine which data stores the view has; answers the closed ones that it lacks. */
  async markEntered(): Promise<DataStoreInfo[]> {
    const stores = await this.#group.lane.call('listDataStores', this.#group.engine);
    const { marked } = this.#group.placeMarks;
    const closed = stores.filter(({ id, isClosed }) => isClosed && !marked.has(id));
    const done = await this.#group.view.getMany(closed.map(({ id }) => doneKey(id)));
    await this.#mark(closed.flatMap(({ id }, index) => (done[index] === undefined ? [] : [id])));
    return closed.filter((_store, index) => done[index] === undefined);
  }

  /** What the cleaner is about to empty gets no entries: they would name it when it is gone. */
  async #fillLasting(id: string): Promise<number> {
    const state = this.#group.state.stores.get(id);
    if (state !== undefined && (state.moved !== undefined || state.condemned.length > 0)) return 0;
    const written = await this.#fillOne(id);
    await this.#mark([id]);
    return written;
  }

  async #fillOne(id: string): Promise<number> {
    const { lane, engine, view } = this.#group;
    const out = sharedBytes(VIEW_BATCH_MAX * FINGERPRINT_SIZE);
    const place = Buffer.from(id, 'hex');
    for (let from = 0; ; ) {
      const count = await lane.call('readFingerprints', engine, id, from, out);
      const operations: KvOperation[] = [];
      for (let index = 0; index < count; index += 1) {
        const at = index * FINGERPRINT_SIZE;
        operations.push({
          type: 'put',
          key: placeKey(out.subarray(at, at + FINGERPRINT_SIZE)),
          value: place,
        });
      }
      operations.sort((a, b) => Buffer.compare(a.key, b.key));
      from += count;
      if (count < VIEW_BATCH_MAX) operations.push({ type: 'put', key: doneKey(id), value: Buffer.alloc(1) });
      await view.batch(operations);
      if (count < VIEW_BATCH_MAX) return from;
    }
  }

  async #mark(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const packed = new Uint8Array(Buffer.from(ids.join(''), 'hex'));
    await this.#group.lane.call('markInView', this.#group.engine, packed);
    for (const id of ids) this.#group.placeMarks.marked.add(id);
  }
}
