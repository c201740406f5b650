/**
 * One broken rule each: the line that holds it, what it becomes, and the test that has to notice. `isFast`:
 * the normal run takes it, too.
 */
import { CLEANER_MUTANTS } from './cleaner-mutants.js';
import { STORE_MUTANTS } from './store-mutants.js';

export interface Change {
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Change {
  readonly name: string;
  /** The invariant of the design, or the rule of the cleaner, that it breaks. */
  readonly breaks: string;
  /** A second change, where a rule is kept by two lines, or a fault is needed to see that one is missing. */
  readonly with?: Change;
  /** Nothing is to be noticed: the rest of the system makes up for it, and the test passes. */
  readonly isHarmless?: boolean;
  readonly caughtBy: {
    /** A test file, and a part of the names of the tests that count. */
    readonly test?: string;
    readonly name?: string;
    /** So many seeds of the simulator at most. */
    readonly simulate?: number;
  };
  readonly isFast?: boolean;
}

export const MUTANTS: readonly Mutant[] = [...STORE_MUTANTS, ...CLEANER_MUTANTS];
