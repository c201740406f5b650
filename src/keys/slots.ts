/**
 * Slots: each wraps the group's root key under one secret (passphrase, key file, recovery key). From the
 * secret and the slot's own salt come 64 bytes: a key that is used for nothing else, and a commitment that
 * is compared before anything is unwrapped, so that no slot opens under two secrets. Slots of kind `open`
 * hold the root key in the clear, for groups that are not encrypted.
 */
import {
  createCipheriv,
  createDecipheriv,
  hkdfSync,
  randomBytes,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { z } from 'zod';
import { StoreError } from '../base/errors.js';
import {
  KEY_FILE_SIZE_MAX,
  PASSPHRASE_SIZE_MAX,
  SCRYPT_BLOCK_SIZE,
  SCRYPT_COST,
  SCRYPT_COST_MAX,
  SCRYPT_COST_MIN,
  SCRYPT_PARALLEL,
  SCRYPT_PARALLEL_MAX,
} from '../base/limits.js';
import { parseRecoveryKey } from './recovery-key.js';

export const KEY_SIZE = 32;
const SALT_SIZE = 16;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;

/** Of scrypt (RFC 7914): N, r, p. */
export interface PassphraseCost {
  readonly cost: number;
  readonly blockSize: typeof SCRYPT_BLOCK_SIZE;
  readonly parallel: number;
}

export const PASSPHRASE_COST: PassphraseCost = {
  cost: SCRYPT_COST,
  blockSize: SCRYPT_BLOCK_SIZE,
  parallel: SCRYPT_PARALLEL,
};

/** One of them. */
export interface Secret {
  readonly passphrase?: string;
  readonly keyFile?: Uint8Array;
  readonly recoveryKey?: string;
}

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);
const wrapped = { id: z.number().int(), salt: base64, commitment: base64, nonce: base64, sealed: base64 };

export const SLOT = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('open'), id: z.number().int(), rootKey: base64 }),
  z.strictObject({
    kind: z.literal('passphrase'),
    // A hostile file must neither make guessing cheap nor take all memory.
    cost: z.number().int().min(SCRYPT_COST_MIN).max(SCRYPT_COST_MAX),
    blockSize: z.literal(SCRYPT_BLOCK_SIZE),
    parallel: z.number().int().min(1).max(SCRYPT_PARALLEL_MAX),
    ...wrapped,
  }),
  z.strictObject({ kind: z.literal('keyFile'), ...wrapped }),
  z.strictObject({ kind: z.literal('recovery'), ...wrapped }),
]);
export type Slot = z.infer<typeof SLOT>;
type WrappedSlot = Exclude<Slot, { kind: 'open' }>;
type PassphraseSlot = Extract<Slot, { kind: 'passphrase' }>;
type PlainSlot = Exclude<WrappedSlot, PassphraseSlot>;
/** All of a slot but what is sealed. */
type SlotHead = Omit<PassphraseSlot, 'sealed'> | Omit<PlainSlot, 'sealed'>;
type SlotKind = WrappedSlot['kind'];

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** The secret's kind and bytes. INVALID when it is none, or of an illegal size. */
export function checkSecret(secret: Secret): { readonly kind: SlotKind; readonly bytes: Uint8Array } {
  if (secret.passphrase !== undefined) {
    const bytes = Buffer.from(secret.passphrase, 'utf8');
    if (bytes.length < 1 || bytes.length > PASSPHRASE_SIZE_MAX) {
      throw new StoreError(
        'INVALID',
        `a passphrase has 1 to ${PASSPHRASE_SIZE_MAX} bytes, this has ${bytes.length}`,
      );
    }
    return { kind: 'passphrase', bytes };
  }
  if (secret.keyFile !== undefined) {
    const size = secret.keyFile.length;
    if (size < KEY_SIZE || size > KEY_FILE_SIZE_MAX) {
      throw new StoreError(
        'INVALID',
        `a key file has ${KEY_SIZE} to ${KEY_FILE_SIZE_MAX} bytes, this has ${size}`,
      );
    }
    return { kind: 'keyFile', bytes: secret.keyFile };
  }
  if (secret.recoveryKey !== undefined) {
    return { kind: 'recovery', bytes: parseRecoveryKey(secret.recoveryKey) };
  }
  throw new StoreError('INVALID', 'a passphrase, a key file or a recovery key is needed');
}

/**
 * Derivations run one after the other: each takes up to 1 GiB, and many at once would be a way to take the
 * machine down.
 */
let derivations: Promise<unknown> = Promise.resolve();

function runScrypt(secret: Uint8Array, salt: Uint8Array, cost: PassphraseCost): Promise<Uint8Array> {
  const options: ScryptOptions = {
    N: cost.cost,
    r: cost.blockSize,
    p: cost.parallel,
    maxmem: 256 * cost.cost * cost.blockSize * cost.parallel,
  };
  const result = derivations.then(
    () =>
      new Promise<Uint8Array>((resolve, reject) => {
        scrypt(secret, salt, 2 * KEY_SIZE, options, (error, bytes) =>
          error ? reject(error) : resolve(bytes),
        );
      }),
  );
  derivations = result.catch(() => undefined);
  return result;
}

async function derive(kind: SlotKind, secret: Uint8Array, salt: Uint8Array, cost: PassphraseCost) {
  const bytes =
    kind === 'passphrase'
      ? await runScrypt(secret, salt, cost)
      : new Uint8Array(hkdfSync('sha256', secret, salt, `granary slot ${kind}`, 2 * KEY_SIZE));
  return { key: bytes.subarray(0, KEY_SIZE), commitment: bytes.subarray(KEY_SIZE) };
}

function additionalData(storeId: Uint8Array, slot: SlotHead): Uint8Array {
  const cost = slot.kind === 'passphrase' ? [slot.cost, slot.blockSize, slot.parallel] : [];
  return Buffer.from(
    JSON.stringify(['granary slot', textOf(storeId), slot.kind, slot.id, slot.salt, ...cost]),
  );
}

/** The root key wrapped under the secret, with a fresh salt. */
export async function makeSlot(
  storeId: Uint8Array,
  id: number,
  secret: Secret,
  rootKey: Uint8Array,
  cost: PassphraseCost,
): Promise<Slot> {
  const { kind, bytes } = checkSecret(secret);
  const salt = randomBytes(SALT_SIZE);
  const { key, commitment } = await derive(kind, bytes, salt, cost);
  const nonce = randomBytes(NONCE_SIZE);
  const fields = { id, salt: textOf(salt), commitment: textOf(commitment), nonce: textOf(nonce) };
  const sealed = (head: SlotHead): string => textOf(seal(key, nonce, additionalData(storeId, head), rootKey));
  if (kind !== 'passphrase') return { kind, ...fields, sealed: sealed({ kind, ...fields }) };
  const head = { kind, ...cost, ...fields } as const;
  return { ...head, sealed: sealed(head) };
}

/**
 * The root key, or undefined when the secret is not this slot's. CORRUPT: it is, but the slot was changed.
 */
export async function openSlot(
  storeId: Uint8Array,
  slot: Slot,
  secret: Secret,
): Promise<Uint8Array | undefined> {
  const { kind, bytes } = checkSecret(secret);
  if (slot.kind !== kind) return undefined;
  const cost = slot.kind === 'passphrase' ? slot : PASSPHRASE_COST;
  const { key, commitment } = await derive(kind, bytes, bytesOf(slot.salt), cost);
  const stored = bytesOf(slot.commitment);
  if (stored.length !== commitment.length || !timingSafeEqual(stored, commitment)) return undefined;
  return unseal(key, bytesOf(slot.nonce), additionalData(storeId, slot), bytesOf(slot.sealed));
}

/** AES-256-GCM: text, then tag. */
export function seal(key: Uint8Array, nonce: Uint8Array, bound: Uint8Array, text: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bound);
  const sealed = cipher.update(text);
  cipher.final();
  return Buffer.concat([sealed, cipher.getAuthTag()]);
}

/** CORRUPT when the tag does not fit. */
export function unseal(
  key: Uint8Array,
  nonce: Uint8Array,
  bound: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  try {
    const cipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(bound);
    cipher.setAuthTag(sealed.subarray(sealed.length - TAG_SIZE));
    const text = cipher.update(sealed.subarray(0, sealed.length - TAG_SIZE));
    cipher.final();
    return text;
  } catch (cause) {
    throw new StoreError('CORRUPT', 'keyring: a part does not fit its seal', { cause });
  }
}
