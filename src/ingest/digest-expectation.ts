/**
 * Which whole-file digests a stream takes, what its client has announced of them, and whether that came true.
 */
import { StoreError } from '../base/errors.js';
import type { FileDigests } from '../catalog/types.js';
import {
  DIGEST_BLAKE3,
  DIGEST_MD5,
  DIGEST_SHA256,
  DIGEST_XXH3,
  type StreamReport,
} from '../native/binding.js';

/** Digests that are taken only when a client sends or asks for one. */
export type StrongDigest = 'blake3' | 'sha256' | 'md5';

/** Lower-case hex. */
export type ExpectedDigests = Partial<FileDigests>;

const BITS = { xxh3: DIGEST_XXH3, blake3: DIGEST_BLAKE3, sha256: DIGEST_SHA256, md5: DIGEST_MD5 } as const;
const NAMES = ['xxh3', 'blake3', 'sha256', 'md5'] as const;

export class DigestExpectation {
  /** Bits for openStream. */
  readonly bits: number;
  readonly #expected: ExpectedDigests;

  constructor(asked: readonly StrongDigest[], expected: ExpectedDigests) {
    this.#expected = expected;
    const names = NAMES.filter(
      name => name === 'xxh3' || expected[name] !== undefined || asked.includes(name),
    );
    this.bits = names.reduce((bits, name) => bits | BITS[name], 0);
  }

  /** The digests that were taken, in hex. INVALID when one is not what was announced. */
  settle(report: StreamReport): FileDigests {
    const digests: { -readonly [K in keyof FileDigests]: FileDigests[K] } = { xxh3: '' };
    for (const name of NAMES) {
      const found = report[name];
      if (found !== undefined) digests[name] = Buffer.from(found).toString('hex');
    }
    for (const name of NAMES) this.#check(name, digests[name]);
    return digests;
  }

  #check(name: keyof FileDigests, found: string | undefined): void {
    const wanted = this.#expected[name];
    if (wanted === undefined || wanted.toLowerCase() === found) return;
    throw new StoreError(
      'INVALID',
      `the ${name} of the received bytes is ${found}, the client announced ${wanted}`,
    );
  }
}
