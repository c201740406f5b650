/**
 * Work under way that its client has given a name, so that it can ask on another connection how it goes:
 * uploads, verify, scrub. A name is its user's own; it is gone when the work ends, however it ends.
 */
import { StoreError } from '../base/errors.js';
import type { User } from './auth.js';

export interface Going<P> {
  readonly progress: P;
}

export class NamedWork<P> {
  readonly #what: string;
  readonly #countMax: number;
  readonly #works = new Map<string, Going<P>>();

  /** `what`: as messages call it. */
  constructor(what: string, countMax: number) {
    this.#what = what;
    this.#countMax = countMax;
  }

  /**
   * Returns what forgets it. Work without a name, or beyond the bound, is not kept: progress is a comfort and
   * no reason to refuse anything. Of two with one name the later one is told of.
   */
  add(user: User | undefined, name: string | undefined, work: Going<P>): () => void {
    if (name === undefined || user === undefined) return forgetNothing;
    const key = keyOf(user, name);
    if (!this.#works.has(key) && this.#works.size >= this.#countMax) return forgetNothing;
    this.#works.set(key, work);
    return () => {
      if (this.#works.get(key) === work) this.#works.delete(key);
    };
  }

  /** NOT_FOUND: none of this user's under way has the name. */
  progress(user: User, name: string): P {
    const work = this.#works.get(keyOf(user, name));
    if (work === undefined) {
      throw new StoreError('NOT_FOUND', `no ${this.#what} '${name}' of yours is under way`);
    }
    return work.progress;
  }
}

function forgetNothing(): void {}

/** Neither part can hold a slash. */
function keyOf(user: User, name: string): string {
  return `${user.name}/${name}`;
}
