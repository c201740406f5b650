/**
 * The first source of repair: another copy in the storage group itself. The engine prefers a copy that is not
 * in quarantine, and finds one in the trash when it is told to look there, which stops the cleaner: what it
 * has put there is needed.
 */
import { hasCode } from '../base/errors.js';
import { ROW_LENGTH_OFFSET, ROW_SIZE } from '../native/binding.js';
import { sharedBytes } from '../workers/shared-bytes.js';
import type { OpenedGroup } from './opened-group.js';
import type { RepairSource, WantedChunk } from './repair-source.js';

export class LocalCopies implements RepairSource {
  readonly name = 'another copy in the storage group';
  readonly #group: Pick<OpenedGroup, 'engine' | 'lane' | 'onTrashRead'>;

  constructor(group: Pick<OpenedGroup, 'engine' | 'lane' | 'onTrashRead'>) {
    this.#group = group;
  }

  async fetch(wanted: readonly WantedChunk[]): Promise<(Uint8Array | undefined)[]> {
    const answers: (Uint8Array | undefined)[] = [];
    for (const chunk of wanted) answers.push(await this.#read(chunk));
    const missing = [...wanted.keys()].filter(index => answers[index] === undefined);
    if (missing.length === 0) return answers;
    const { lane, engine } = this.#group;
    const fingerprints = new Uint8Array(Buffer.concat(missing.map(index => wanted[index]!.fingerprint)));
    if ((await lane.call('rescueChunks', engine, fingerprints, missing.length)) === 0) return answers;
    this.#group.onTrashRead();
    for (const index of missing) answers[index] = await this.#read(wanted[index]!);
    return answers;
  }

  async #read({ fingerprint, length }: WantedChunk): Promise<Uint8Array | undefined> {
    const { lane, engine } = this.#group;
    const rows = sharedBytes(ROW_SIZE);
    rows.set(fingerprint);
    new DataView(rows.buffer).setUint32(ROW_LENGTH_OFFSET, length, true);
    const bytes = sharedBytes(length);
    try {
      const { unresolvedCount } = await lane.call('readRecords', engine, rows, 1, bytes, 0);
      return unresolvedCount === 0 ? bytes : undefined;
    } catch (thrown) {
      if (hasCode(thrown, 'CORRUPT') || hasCode(thrown, 'IO')) return undefined;
      throw thrown;
    }
  }
}
