/**
 * A view that is being made from a checkpoint. Its entries are the state at BEGIN; what was committed
 * between BEGIN and END stands among them in the log and is newer: a file that is there already, or that
 * was deleted in between, is not taken from the checkpoint any more. At END the entries must add up to the
 * counts and the digest it carries.
 */
import { StoreError } from '../base/errors.js';
import { fileMapKey } from './file-index.js';
import type { CheckpointEndRecord, ContainerRow, FileRow } from './record.js';
import { SetDigest } from './set-digest.js';

export class Restoring {
  readonly begin: number;
  readonly end: number;
  readonly #digest = new SetDigest();
  readonly #goneFiles = new Set<string>();
  #fileCount = 0;
  #containerCount = 0;

  constructor(begin: number, end: number) {
    this.begin = begin;
    this.end = end;
  }

  noteFileGone(key: string): void {
    this.#goneFiles.add(key);
  }

  takesFile(row: FileRow, sequence: number, current: FileRow | undefined): boolean {
    if (!this.#isWithin(sequence)) return false;
    this.#digest.add(row);
    this.#fileCount += 1;
    return current === undefined && !this.#goneFiles.has(fileMapKey(row));
  }

  /** Containers follow BEGIN in the same append: nothing can have come between. */
  takesContainer(row: ContainerRow, sequence: number): boolean {
    if (!this.#isWithin(sequence)) return false;
    this.#digest.add(row);
    this.#containerCount += 1;
    return true;
  }

  /** CORRUPT when the checkpoint's entries are not those that it was made of. */
  check(record: CheckpointEndRecord, sequence: number): void {
    if (sequence !== this.end) return;
    const isWhole =
      record.fileCount === this.#fileCount &&
      record.containerCount === this.#containerCount &&
      this.#digest.equals(record.setDigest);
    if (!isWhole) throw new StoreError('CORRUPT', `the checkpoint at log record ${this.begin} is not whole`);
  }

  #isWithin(sequence: number): boolean {
    return sequence > this.begin && sequence < this.end;
  }
}
