/**
 * A digest of a set: the sum of its entries' hashes modulo 2^128. It is kept current by adding what comes
 * and taking away what goes, and compared with a walk over the view before a checkpoint is written. It
 * finds mistakes, not attackers: the log has its own seals.
 */
import { createHash } from 'node:crypto';
import { encodeRecord, type LogRecord } from './record.js';

const BITS = 128;
export const SET_DIGEST_SIZE = BITS / 8;

export class SetDigest {
  #sum: bigint;

  constructor(bytes?: Uint8Array) {
    this.#sum = bytes === undefined ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  }

  add(record: LogRecord): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum + entryHash(record));
  }

  remove(record: LogRecord): void {
    this.#sum = BigInt.asUintN(BITS, this.#sum - entryHash(record));
  }

  /** Big-endian. */
  get bytes(): Uint8Array {
    return Buffer.from(this.#sum.toString(16).padStart(2 * SET_DIGEST_SIZE, '0'), 'hex');
  }

  equals(bytes: Uint8Array): boolean {
    return Buffer.compare(this.bytes, bytes) === 0;
  }
}

function entryHash(record: LogRecord): bigint {
  const hash = createHash('sha256')
    .update(Uint8Array.of(record.type))
    .update(encodeRecord(record))
    .digest('hex');
  return BigInt(`0x${hash.slice(0, 2 * SET_DIGEST_SIZE)}`);
}
