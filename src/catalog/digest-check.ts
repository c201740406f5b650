/**
 * The end-to-end check of a whole file that is read: every digest that was stored with the file is taken
 * again of the bytes, in their order. XXH3 alone is cheap enough for the main thread; stronger ones are
 * taken on the lane.
 */
import { StoreError } from '../base/errors.js';
import {
  DIGEST_BLAKE3,
  DIGEST_MD5,
  DIGEST_SHA256,
  DIGEST_XXH3,
  type DigestHandle,
} from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import type { FileDigests } from './types.js';

const BITS = { xxh3: DIGEST_XXH3, blake3: DIGEST_BLAKE3, sha256: DIGEST_SHA256, md5: DIGEST_MD5 } as const;
const NAMES = ['xxh3', 'blake3', 'sha256', 'md5'] as const;

export class DigestCheck {
  readonly #lane: Pick<Lane, 'call' | 'inline'>;
  readonly #file: FileDigests & { readonly path: string };
  readonly #isStrong: boolean;
  #digest: DigestHandle | undefined;

  constructor(lane: Pick<Lane, 'call' | 'inline'>, file: FileDigests & { readonly path: string }) {
    this.#lane = lane;
    this.#file = file;
    const names = NAMES.filter(name => file[name] !== undefined);
    this.#isStrong = names.length > 1;
    this.#digest = lane.inline.digestOpen(names.reduce((bits, name) => bits | BITS[name], 0));
  }

  /** One call at a time, in the file's order. */
  async update(bytes: Uint8Array): Promise<void> {
    if (this.#digest === undefined) return;
    if (this.#isStrong) await this.#lane.call('digestUpdate', this.#digest, bytes);
    else this.#lane.inline.digestUpdate(this.#digest, bytes);
  }

  /** CORRUPT: a digest of the bytes is not the stored one. */
  finish(): void {
    if (this.#digest === undefined) return;
    const found = this.#lane.inline.digestFinish(this.#digest);
    this.#digest = undefined;
    for (const name of NAMES) {
      const wanted = this.#file[name];
      const hex = Buffer.from(found[name] ?? []).toString('hex');
      if (wanted === undefined || wanted === hex) continue;
      throw new StoreError(
        'CORRUPT',
        `reading ${this.#file.path}: its ${name} is ${hex}, stored was ${wanted}`,
      );
    }
  }

  /** No update may be running. */
  drop(): void {
    if (this.#digest !== undefined) this.#lane.inline.digestDrop(this.#digest);
    this.#digest = undefined;
  }
}
