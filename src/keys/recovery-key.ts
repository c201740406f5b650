/**
 * A recovery key: 32 random bytes, shown once as text to be printed. 3 bytes of checksum make 35 bytes, 56
 * letters of base32 without I, L, O, U (Crockford's alphabet), in 8 groups of 7. Reading forgives case,
 * blanks, dashes, and O, I, L for 0, 1, 1.
 */
import { createHash } from 'node:crypto';
import { StoreError } from '../base/errors.js';

export const RECOVERY_KEY_SIZE = 32;
const CHECKSUM_SIZE = 3;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LETTERS = ((RECOVERY_KEY_SIZE + CHECKSUM_SIZE) * 8) / 5;

function checksum(key: Uint8Array): Uint8Array {
  return createHash('sha256').update('granary recovery key').update(key).digest().subarray(0, CHECKSUM_SIZE);
}

export function formatRecoveryKey(key: Uint8Array): string {
  let number = BigInt(`0x${Buffer.concat([key, checksum(key)]).toString('hex')}`);
  let letters = '';
  for (let index = 0; index < LETTERS; index += 1) {
    letters = ALPHABET[Number(number & 31n)] + letters;
    number >>= 5n;
  }
  return letters.match(/.{7}/g)!.join('-');
}

/** INVALID when letters are missing, illegal or mistyped. */
export function parseRecoveryKey(text: string): Uint8Array {
  const plain = text.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1');
  if (plain.length !== LETTERS) {
    throw new StoreError(
      'INVALID',
      `a recovery key has ${LETTERS} letters and digits, this has ${plain.length}`,
    );
  }
  let number = 0n;
  for (const letter of plain) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) throw new StoreError('INVALID', `a recovery key does not contain '${letter}'`);
    number = (number << 5n) | BigInt(value);
  }
  const bytes = Buffer.from(number.toString(16).padStart((LETTERS * 5) / 4, '0'), 'hex');
  const key = bytes.subarray(0, RECOVERY_KEY_SIZE);
  if (Buffer.compare(checksum(key), bytes.subarray(RECOVERY_KEY_SIZE)) !== 0) {
    throw new StoreError('INVALID', 'the recovery key is mistyped: its checksum does not fit');
  }
  return new Uint8Array(key);
}
