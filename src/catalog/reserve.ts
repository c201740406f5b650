/**
 * Space that is kept for the day on which the volume is full: a file beside the group's objects. Data stores
 * leave some MiB to log and view, but others on the volume may not; then the file is given up, so that
 * deletions and what they write to log and view go on. It is made again when there is room; before there is
 * room for it no ingest is admitted.
 */
import { randomBytes } from 'node:crypto';
import { RESERVE_LOW_BYTES, RESERVE_SIZE } from '../base/limits.js';
import type { DiskHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { CatalogContext } from './context.js';

export const RESERVE_FILE = 'reserve';

export class SpaceReserve {
  readonly size: number;
  readonly #lane: Pick<Lane, 'call'>;
  readonly #path: string;
  readonly #disk: DiskHandle;
  #isKept: boolean;
  #isGivenUp = false;
  /** One change at a time: commits and background work both come here. */
  #changing: Promise<void> = Promise.resolve();

  private constructor(
    lane: Pick<Lane, 'call'>,
    path: string,
    disk: DiskHandle,
    size: number,
    isKept: boolean,
  ) {
    this.size = size;
    this.#lane = lane;
    this.#path = path;
    this.#disk = disk;
    this.#isKept = isKept;
  }

  static async find(
    lane: Pick<Lane, 'call'>,
    { disk, reserveSize = RESERVE_SIZE }: CatalogContext,
    directory: string,
  ): Promise<SpaceReserve> {
    const names = await lane.call('listDirectory', directory, disk);
    const path = `${directory}/${RESERVE_FILE}`;
    return new SpaceReserve(lane, path, disk, reserveSize, names.includes(RESERVE_FILE));
  }

  /** It had to be given up, and there was no room for it since. */
  get isGivenUp(): boolean {
    return this.#isGivenUp;
  }

  /** Gives it up when `freeBytes` are too few to go on with. */
  giveUp(freeBytes: number): Promise<void> {
    return this.#change(async () => {
      if (freeBytes >= RESERVE_LOW_BYTES) return;
      this.#isGivenUp = true;
      if (!this.#isKept) return;
      await this.#lane.call('removeTree', this.#path, this.#disk);
      this.#isKept = false;
    });
  }

  /** Makes it when there is room for it and for `floor` bytes beside it. */
  keep(freeBytes: number, floor: number): Promise<void> {
    return this.#change(async () => {
      const isRoomy = freeBytes >= RESERVE_LOW_BYTES + floor + (this.#isKept ? 0 : this.size);
      if (!isRoomy) return;
      // Random: no file system stores it for less.
      if (!this.#isKept) {
        await this.#lane.call('replaceFile', this.#path, new Uint8Array(randomBytes(this.size)), this.#disk);
      }
      this.#isKept = true;
      this.#isGivenUp = false;
    });
  }

  #change(action: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(action);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }
}
