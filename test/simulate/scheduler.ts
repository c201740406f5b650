/**
 * Who goes on next follows from a seed. Every verb of a simulated lane and every call of its view waits here
 * for its turn; one is released at a time, when all that the one before has set going has come to a stop. So
 * the same seed gives the same order of everything, and another seed another one.
 */

interface Waiting {
  readonly what: string;
  readonly release: () => void;
}

export class Scheduler {
  readonly #next: (bound: number) => number;
  readonly #trace: (what: string) => void;
  readonly #waiting: Waiting[] = [];

  constructor(next: (bound: number) => number, trace: (what: string) => void) {
    this.#next = next;
    this.#trace = trace;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  turn(what: string): Promise<void> {
    return new Promise(resolve => this.#waiting.push({ what, release: resolve }));
  }

  /** Lets one go on, and resolves when nothing goes on any more. Answers whether there was one. */
  async step(): Promise<boolean> {
    // Nothing is drawn for nobody: how often that happens depends on other threads (scrypt).
    const count = this.#waiting.length;
    const chosen = count === 0 ? undefined : this.#waiting.splice(this.#next(count), 1)[0];
    if (chosen !== undefined) {
      this.#trace(chosen.what);
      chosen.release();
    }
    // Promises that follow from each other are settled within one turn of the event loop.
    await new Promise(resolve => setImmediate(resolve));
    return chosen !== undefined;
  }

  /** Steps until the promise is settled; what else waits goes on, too. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await new Promise(resolve => setImmediate(resolve));
    while (!isSettled) await this.step();
    return promise;
  }

  /** Steps until nobody waits. */
  async rest(): Promise<void> {
    while (await this.step());
  }
}
