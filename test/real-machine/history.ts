/**
 * When each operation was sent and acknowledged, in positions of a record: what a client knew at any
 * moment of a run, as the ledger of that moment.
 */
import { type FileState, Ledger } from '../support/ledger.js';

interface Operation {
  readonly path: string;
  readonly next: FileState;
  readonly sentAt: number;
  acknowledgedAt: number;
}

export class History {
  readonly #position: () => number;
  readonly #operations: Operation[] = [];

  constructor(position: () => number) {
    this.#position = position;
  }

  /** Runs `action`, whose end is the acknowledgement. One at a time on a path. */
  async run(path: string, next: FileState, action: () => Promise<unknown>): Promise<void> {
    const operation = { path, next, sentAt: this.#position(), acknowledgedAt: Infinity };
    this.#operations.push(operation);
    await action();
    operation.acknowledgedAt = this.#position();
  }

  get length(): number {
    return this.#operations.length;
  }

  /** What was known when the record ended at `position`. */
  ledgerAt(position: number): Ledger {
    const ledger = new Ledger();
    for (const { path, next, sentAt, acknowledgedAt } of this.#operations) {
      // What is sent at the end of the record has written nothing of it.
      if (sentAt >= position) continue;
      ledger.send(path, next);
      if (acknowledgedAt <= position) ledger.acknowledge(path);
    }
    return ledger;
  }
}
