/**
 * What the cleaner of one group must not forget in a restart: the brake, the last epoch in which a mark was
 * complete, since when trash of an epoch has been lying, and what the last cycle did. cleaner.a and cleaner.b
 * in the group's directory (native/FORMAT.md, "Cleaner's state"). Lost, it only makes the cleaner wait;
 * damaged, it counts as a brake.
 */
import { z } from 'zod';
import { asStoreError, hasCode } from '../base/errors.js';
import { CLEANER_TRASH_EPOCHS_MAX } from '../base/limits.js';
import { StateFile } from '../keys/state-file.js';
import type { DiskHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';

const count = z.number().int().min(0);
const FIGURES = z.strictObject({
  ...{ epoch: count, files: count, nodes: count, chunks: count, deadBytes: count },
  ...{ condemnedStores: count, condemnedChunks: count, condemnedBytes: count },
  ...{ emptiedStores: count, copiedBytes: count, copiedStoredBytes: count, duplicateBytes: count },
  ...{ reclaimedStores: count, freedBytes: count, resealStores: count, retiredKeys: count },
});

const CONTENT = z.strictObject({
  brake: z.strictObject({ reason: z.string(), sinceMs: count }).optional(),
  markedEpoch: count,
  /** Of bytes that may be dead by the log, at the last complete mark, what was found alive … */
  aliveBytes: count,
  /** … and what was not condemned, alive or too thinly spread to be worth it. */
  settledBytes: count,
  /** Sizes of all files at that mark. */
  namedBytes: count.default(0),
  wasGentle: z.boolean(),
  trash: z.array(z.strictObject({ epoch: count, sinceMs: count })).max(CLEANER_TRASH_EPOCHS_MAX),
  last: z
    .strictObject({
      startedMs: count,
      endedMs: count,
      outcome: z.enum(['done', 'failed', 'braked', 'cancelled']),
      failure: z.string().optional(),
      figures: FIGURES,
    })
    .optional(),
});
export type CleanerContent = z.infer<typeof CONTENT>;
export type CycleReport = NonNullable<CleanerContent['last']>;

const EMPTY: CleanerContent = {
  ...{ markedEpoch: 0, aliveBytes: 0, settledBytes: 0, namedBytes: 0, wasGentle: true },
  trash: [],
};

export interface CleanerFileParameters {
  readonly lane: Pick<Lane, 'call'>;
  readonly disk: DiskHandle;
  readonly directory: string;
  readonly nowMs: () => number;
}

export class CleanerFile {
  readonly #file: StateFile<CleanerContent>;
  #content: CleanerContent;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(file: StateFile<CleanerContent>, content: CleanerContent) {
    this.#file = file;
    this.#content = content;
  }

  /** Never throws: what cannot be read is a brake. */
  static async open({ lane, disk, directory, nowMs }: CleanerFileParameters): Promise<CleanerFile> {
    const file = new StateFile<CleanerContent>({
      ...{ lane, disk, path: `${directory}/cleaner`, format: 'granary cleaner' },
      parse: content => CONTENT.parse(content),
    });
    try {
      return new CleanerFile(file, await file.read());
    } catch (thrown) {
      if (hasCode(thrown, 'NOT_FOUND')) return new CleanerFile(file, EMPTY);
      const reason = `its state cannot be read: ${asStoreError(thrown).message}`;
      return new CleanerFile(file, { ...EMPTY, brake: { reason, sinceMs: nowMs() } });
    }
  }

  get content(): CleanerContent {
    return this.#content;
  }

  /** In memory at once, durable when it resolves: a brake holds even where it cannot be written. */
  change(change: (content: CleanerContent) => CleanerContent): Promise<void> {
    this.#content = CONTENT.parse(change(this.#content));
    const changed = this.#changing.then(() => this.#file.write(this.#content));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }
}
