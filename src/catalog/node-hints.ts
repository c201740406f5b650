/**
 * Blockmap nodes that a walk meets and whose place is not resident: the view is asked which data store holds
 * them, and the engine is told to load it; when that does not help, the node is searched for everywhere.
 */
import { StoreError } from '../base/errors.js';
import type { OpenGroup } from './types.js';

/** Of one walk. */
export class NodeHints {
  readonly #group: OpenGroup;
  readonly #isWanted: () => Promise<boolean>;
  #node: Uint8Array | undefined;
  #isRescued = false;

  /**
   * `isWanted` is asked before everything is searched: what a file that has been deleted since names may be
   * in the trash, rightly.
   */
  constructor(group: OpenGroup, isWanted: () => Promise<boolean> = async () => true) {
    this.#group = group;
    this.#isWanted = isWanted;
  }

  /** The same node again: what was done did not help. CORRUPT: it is nowhere. */
  async resolve(node: Uint8Array): Promise<void> {
    const isAgain = this.#node !== undefined && Buffer.compare(node, this.#node) === 0;
    if (isAgain && this.#isRescued) throw lost(node);
    this.#node = node.slice();
    this.#isRescued = isAgain;
    const place = isAgain ? undefined : await this.#group.places(this.#node);
    if (place?.some(byte => byte !== 0) === true) {
      await this.#group.lane.call('hintPlaces', this.#group.engine, place);
      return;
    }
    this.#isRescued = true;
    if (!(await this.#isWanted())) throw lost(node);
    if ((await this.#group.rescue(this.#node)).length > 0) throw lost(node);
  }
}

function lost(node: Uint8Array): StoreError {
  return new StoreError('CORRUPT', `blockmap node ${Buffer.from(node).toString('hex')} is in no data store`);
}
