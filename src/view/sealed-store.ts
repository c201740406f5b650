/**
 * The view of an encrypted group: values are sealed with AES-256-GCM, bound to their key's bytes; keys are
 * stored as they are given (the catalog gives none that says anything, see file-index-sealed.ts). Each
 * database has a salt of its own, from which its key derives, so that the bound on random nonces (2^32
 * values under a key) begins anew whenever the view is rebuilt.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { StoreError } from '../base/errors.js';
import { VIEW_SEAL_BURST } from '../base/limits.js';
import type { KvOperation, KvRange, KvStore } from './kv.js';

const SALT_KEY = Buffer.from('!salt');
const SALT_SIZE = 16;
const NONCE_SIZE = 12;
const TAG_SIZE = 16;

export class SealedStore implements KvStore {
  readonly #store: KvStore;
  readonly #key: Uint8Array;

  private constructor(store: KvStore, key: Uint8Array) {
    this.#store = store;
    this.#key = key;
  }

  /** Seals what goes into `store` from now on; makes the salt when there is none. */
  static async open(store: KvStore, viewKey: Uint8Array): Promise<SealedStore> {
    let salt = await store.get(SALT_KEY);
    if (salt === undefined || salt.length !== SALT_SIZE) {
      salt = randomBytes(SALT_SIZE);
      await store.batch([{ type: 'put', key: SALT_KEY, value: salt }]);
    }
    return new SealedStore(
      store,
      new Uint8Array(hkdfSync('sha256', viewKey, salt, 'granary view value', 32)),
    );
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const value = await this.#store.get(key);
    return value === undefined ? undefined : this.#open(key, value);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const values = await this.#store.getMany(keys);
    const opened: (Uint8Array | undefined)[] = [];
    for (const [index, value] of values.entries()) {
      if (index % VIEW_SEAL_BURST === VIEW_SEAL_BURST - 1) await setImmediate();
      opened.push(value === undefined ? undefined : this.#open(keys[index]!, value));
    }
    return opened;
  }

  async batch(operations: readonly KvOperation[]): Promise<void> {
    const sealed: KvOperation[] = [];
    for (const [index, operation] of operations.entries()) {
      if (index % VIEW_SEAL_BURST === VIEW_SEAL_BURST - 1) await setImmediate();
      if (operation.type === 'del') sealed.push(operation);
      else sealed.push({ ...operation, value: this.#seal(operation.key, operation.value) });
    }
    await this.#store.batch(sealed);
  }

  scan(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    return this.#opened(this.#store.scan(range));
  }

  /** Keeps the salt, whatever the range. */
  async clear(range: Pick<KvRange, 'from' | 'to'>): Promise<void> {
    const salt = await this.#store.get(SALT_KEY);
    await this.#store.clear(range);
    if (salt !== undefined) await this.#store.batch([{ type: 'put', key: SALT_KEY, value: salt }]);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async *#opened(
    pairs: AsyncIterable<readonly [Uint8Array, Uint8Array]>,
  ): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    for await (const [key, value] of pairs) {
      if (Buffer.compare(key, SALT_KEY) !== 0) yield [key, this.#open(key, value)];
    }
  }

  #seal(key: Uint8Array, value: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_SIZE);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(key);
    const text = cipher.update(value);
    cipher.final();
    return Buffer.concat([nonce, text, cipher.getAuthTag()]);
  }

  #open(key: Uint8Array, value: Uint8Array): Uint8Array {
    if (value.length < NONCE_SIZE + TAG_SIZE) {
      throw new StoreError('CORRUPT', `view: a sealed value of ${value.length} bytes`);
    }
    const cipher = createDecipheriv('aes-256-gcm', this.#key, value.subarray(0, NONCE_SIZE)).setAAD(key);
    cipher.setAuthTag(value.subarray(value.length - TAG_SIZE));
    const text = cipher.update(value.subarray(NONCE_SIZE, value.length - TAG_SIZE));
    try {
      cipher.final();
    } catch (cause) {
      throw new StoreError('CORRUPT', 'view: a value does not fit its seal', { cause });
    }
    return text;
  }
}
