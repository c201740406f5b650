/**
 * A view that is being made from a checkpoint. Its entries are the state at BEGIN, whatever else stands among
 * them in the log; at END they must add up to the counts and the digest it carries. What was committed from
 * BEGIN on is applied behind that, as to any view that has got as far as BEGIN.
 */
import { StoreError } from '../base/errors.js';
import type { CheckpointEndRecord, ContainerRow, FileRow } from './record.js';
import { SetDigest } from './set-digest.js';

export class Restoring {
  readonly begin: number;
  readonly end: number;
  readonly #digest = new SetDigest();
  #fileCount = 0;
  #containerCount = 0;

  constructor(begin: number, end: number) {
    this.begin = begin;
    this.end = end;
  }

  noteFile(row: FileRow): void {
    this.#digest.add(row);
    this.#fileCount += 1;
  }

  noteContainer(row: ContainerRow): void {
    this.#digest.add(row);
    this.#containerCount += 1;
  }

  /** CORRUPT when the checkpoint's entries are not those that it was made of. */
  check(record: CheckpointEndRecord): void {
    const isWhole =
      record.fileCount === this.#fileCount &&
      record.containerCount === this.#containerCount &&
      this.#digest.equals(record.setDigest);
    if (!isWhole) throw new StoreError('CORRUPT', `the checkpoint at log record ${this.begin} is not whole`);
  }
}
