/** Scrub of all storage groups of a system: made with each group that opens, asked by the front end. */
import { StoreError } from '../base/errors.js';
import type { GroupService } from '../catalog/context.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import {
  Scrub,
  type ScrubContext,
  type ScrubProgress,
  type ScrubRunReport,
  type ScrubStatus,
} from './scrub.js';

export class Scrubs {
  readonly #context: ScrubContext;
  readonly #scrubs = new Map<string, Scrub>();

  constructor(context: ScrubContext) {
    this.#context = context;
  }

  /** The service of a group, as CatalogContext.services wants it. */
  readonly serve = (group: OpenedGroup): GroupService => {
    const scrub = new Scrub(this.#context, group);
    return {
      start: () => {
        this.#scrubs.set(group.name, scrub);
        scrub.start();
      },
      close: async () => {
        if (this.#scrubs.get(group.name) === scrub) this.#scrubs.delete(group.name);
        await scrub.close();
      },
    };
  };

  /** One group after the other. NOT_FOUND: it is not open. CANCELLED: the signal came. */
  async run(options: {
    readonly group?: string | undefined;
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: ((progress: ScrubProgress) => void) | undefined;
  }): Promise<ScrubRunReport[]> {
    const reports: ScrubRunReport[] = [];
    for (const scrub of this.#chosen(options.group)) reports.push(await scrub.run(options));
    return reports;
  }

  /** NOT_FOUND: the group is not open. */
  status(group?: string): Promise<ScrubStatus[]> {
    return Promise.all(this.#chosen(group).map(scrub => scrub.status()));
  }

  #chosen(group: string | undefined): Scrub[] {
    if (group === undefined) return [...this.#scrubs.values()];
    const scrub = this.#scrubs.get(group);
    if (scrub === undefined) throw new StoreError('NOT_FOUND', `storage group '${group}' is not open`);
    return [scrub];
  }
}
