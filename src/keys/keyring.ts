/**
 * A storage group's keyring: root key, slots that wrap it, and the ring of keys that it wraps. Files
 * keyring.a and keyring.b in the group's directory (native/FORMAT.md, "Keyring"). Every change is durable
 * in both copies before it is used; old data is never touched by a change of passphrase, because only the
 * slots depend on it.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type Clock, DAY_MS } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { KEY_EPOCHS_MAX, KEY_SLOTS_MAX } from '../base/limits.js';
import type { DataKey, DiskHandle } from '../native/binding.js';
import type { Lane } from '../workers/pool.js';
import { formatRecoveryKey, RECOVERY_KEY_SIZE } from './recovery-key.js';
import {
  KEY_SIZE,
  makeSlot,
  openSlot,
  PASSPHRASE_COST,
  type PassphraseCost,
  type Secret,
  SLOT,
  type Slot,
  seal,
  unseal,
} from './slots.js';
import { StateFile } from './state-file.js';

const NONCE_SIZE = 12;
const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);

const STORED = z.strictObject({
  storeId: base64,
  slots: z.array(SLOT).min(1).max(KEY_SLOTS_MAX),
  // Bound with the ring: the generation in which it was sealed.
  ring: z.strictObject({ serial: z.number().int(), nonce: base64, sealed: base64 }),
});
type StoredKeyring = z.infer<typeof STORED>;

const key = base64
  .transform(text => new Uint8Array(Buffer.from(text, 'base64')))
  .refine(bytes => bytes.length === KEY_SIZE);
const EPOCH_KEY = z.strictObject({
  epoch: z.number().int().min(1).max(KEY_EPOCHS_MAX),
  createdMs: z.number().int(),
  key,
});
const RING = z.strictObject({
  dataKeys: z.array(EPOCH_KEY).max(KEY_EPOCHS_MAX),
  fingerprintKey: key,
  chunkerKey: key,
  logKey: key,
  viewKey: key,
  nameKey: key,
  manifestKey: key,
  cloudKeys: z.array(EPOCH_KEY).max(KEY_EPOCHS_MAX),
});
/** The keys themselves, in memory only. */
export type Ring = z.infer<typeof RING>;

export interface KeyringParameters {
  readonly lane: Pick<Lane, 'call'>;
  readonly disk: DiskHandle;
  /** Of the storage group. */
  readonly directory: string;
  readonly storeId: Uint8Array;
  readonly clock: Clock;
  /** What new passphrase slots cost; tests take less. */
  readonly passphraseCost?: PassphraseCost;
}

function keyringFile(parameters: KeyringParameters): StateFile<StoredKeyring> {
  return new StateFile({
    lane: parameters.lane,
    disk: parameters.disk,
    path: `${parameters.directory}/keyring`,
    format: 'granary keyring',
    parse: content => STORED.parse(content),
  });
}

/** Makes the keyring of a new group. Without secrets the group is not encrypted and needs none. */
export async function createKeyring(
  parameters: KeyringParameters,
  secrets: readonly Secret[],
): Promise<{ keyring: Keyring; recoveryKey?: string }> {
  const rootKey = freshKey();
  const made =
    secrets.length === 0
      ? { slots: [{ kind: 'open' as const, id: 0, rootKey: textOf(rootKey) }] }
      : await slotsOf(parameters, secrets, rootKey);
  const ring = freshRing(secrets.length === 0 ? [] : [freshEpoch(1, parameters.clock)]);
  const keyring = new Keyring(parameters, keyringFile(parameters), rootKey, ring, made.slots);
  await keyring.store();
  return 'recoveryKey' in made ? { keyring, recoveryKey: made.recoveryKey } : { keyring };
}

/** A slot for each secret and for a recovery key that is made here. */
async function slotsOf(
  parameters: KeyringParameters,
  secrets: readonly Secret[],
  rootKey: Uint8Array,
): Promise<{ slots: Slot[]; recoveryKey: string }> {
  const recoveryKey = formatRecoveryKey(randomBytes(RECOVERY_KEY_SIZE));
  const cost = parameters.passphraseCost ?? PASSPHRASE_COST;
  const slots: Slot[] = [];
  for (const [id, secret] of [...secrets, { recoveryKey }].entries()) {
    slots.push(await makeSlot(parameters.storeId, id, secret, rootKey, cost));
  }
  return { slots, recoveryKey };
}

/** The keyring as it lies on disk, before any secret is known. */
export class LockedKeyring {
  readonly #parameters: KeyringParameters;
  readonly #file: StateFile<StoredKeyring>;
  readonly #stored: StoredKeyring;

  private constructor(parameters: KeyringParameters, file: StateFile<StoredKeyring>, stored: StoredKeyring) {
    this.#parameters = parameters;
    this.#file = file;
    this.#stored = stored;
  }

  /**
   * NOT_FOUND, CORRUPT (no copy is valid, or it is another group's), UNSUPPORTED. Repairs a stale or
   * damaged copy.
   */
  static async read(parameters: KeyringParameters): Promise<LockedKeyring> {
    const file = keyringFile(parameters);
    const stored = await file.read();
    if (stored.storeId !== textOf(parameters.storeId)) {
      throw new StoreError('CORRUPT', `${parameters.directory}/keyring belongs to another storage group`);
    }
    return new LockedKeyring(parameters, file, stored);
  }

  /** Copies that were damaged or missing, and have been made good from the other one. */
  get damages(): readonly string[] {
    return this.#file.damages;
  }

  get isEncrypted(): boolean {
    return this.#stored.slots.every(slot => slot.kind !== 'open');
  }

  /**
   * DENIED: the secret opens no slot; nothing has changed then. No secret is needed where the group is not
   * encrypted.
   */
  async open(secret?: Secret): Promise<Keyring> {
    const rootKey = await this.#rootKey(secret);
    const { ring } = this.#stored;
    const bound = ringBinding(this.#parameters.storeId, ring.serial);
    const text = unseal(rootKey, bytesOf(ring.nonce), bound, bytesOf(ring.sealed));
    const parsed = RING.safeParse(JSON.parse(Buffer.from(text).toString('utf8')));
    if (!parsed.success) throw new StoreError('CORRUPT', `keyring: ${parsed.error.message}`);
    return new Keyring(this.#parameters, this.#file, rootKey, parsed.data, this.#stored.slots, ring.serial);
  }

  async #rootKey(secret: Secret | undefined): Promise<Uint8Array> {
    for (const slot of this.#stored.slots) {
      if (slot.kind === 'open') return bytesOf(slot.rootKey);
      const rootKey = secret && (await openSlot(this.#parameters.storeId, slot, secret));
      if (rootKey !== undefined) return rootKey;
    }
    if (secret === undefined) throw new StoreError('DENIED', 'the storage group is locked: unlock it first');
    throw new StoreError('DENIED', `the storage group is not opened by this ${secretName(secret)}`);
  }
}

/** An opened keyring. What changes it happens one after the other. */
export class Keyring {
  readonly #parameters: KeyringParameters;
  readonly #file: StateFile<StoredKeyring>;
  readonly #rootKey: Uint8Array;
  #ring: Ring;
  #slots: readonly Slot[];
  #serial: number;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(
    parameters: KeyringParameters,
    file: StateFile<StoredKeyring>,
    rootKey: Uint8Array,
    ring: Ring,
    slots: readonly Slot[],
    serial = 0,
  ) {
    this.#parameters = parameters;
    this.#file = file;
    this.#rootKey = rootKey;
    this.#ring = ring;
    this.#slots = slots;
    this.#serial = serial;
  }

  get ring(): Ring {
    return this.#ring;
  }

  get isEncrypted(): boolean {
    return this.#slots.every(slot => slot.kind !== 'open');
  }

  get slots(): readonly Pick<Slot, 'kind' | 'id'>[] {
    return this.#slots.map(({ kind, id }) => ({ kind, id }));
  }

  /** As the addon takes them. */
  get dataKeys(): readonly DataKey[] {
    return this.#ring.dataKeys.map(({ epoch, key: bytes }) => ({ epoch, key: bytes }));
  }

  /** New data stores are sealed under it; 0: not sealed. */
  get activeEpoch(): number {
    return this.#ring.dataKeys.at(-1)?.epoch ?? 0;
  }

  /** A further passphrase or key file. DENIED when `current` does not open the group; nothing has changed. */
  addSecret(current: Secret, secret: Secret): Promise<void> {
    return this.#oneByOne(async () => {
      await this.#slotOf(current);
      await this.#addSecret(secret);
    });
  }

  async #addSecret(secret: Secret): Promise<void> {
    this.#demandEncrypted();
    if (this.#slots.length >= KEY_SLOTS_MAX) {
      throw new StoreError('INVALID', `a keyring has at most ${KEY_SLOTS_MAX} slots`);
    }
    const id = Math.max(...this.#slots.map(slot => slot.id)) + 1;
    const cost = this.#parameters.passphraseCost ?? PASSPHRASE_COST;
    const slot = await makeSlot(this.#parameters.storeId, id, secret, this.#rootKey, cost);
    await this.#change({ slots: [...this.#slots, slot] });
  }

  /**
   * Puts `next` in the place of the passphrase `current`. The new slot is durable and has been opened from
   * disk before the old one goes; a crash between leaves both. DENIED when `current` is not a passphrase of
   * the group.
   */
  changePassphrase(current: string, next: string): Promise<void> {
    return this.#oneByOne(async () => {
      const old = await this.#slotOf({ passphrase: current });
      await this.#addSecret({ passphrase: next });
      const reread = await LockedKeyring.read(this.#parameters);
      await reread.open({ passphrase: next });
      await this.#change({ slots: this.#slots.filter(slot => slot.id !== old.id) });
    });
  }

  /**
   * Secrets, a first data key, and new keys for log, view and names in the place of those that lay open:
   * the keyring of a group that is encrypted from now on. Fingerprint and chunker keys stay, since what is
   * stored is named and cut by them; who has read the old keyring knows them. INVALID: it is encrypted
   * already.
   */
  encrypt(secrets: readonly Secret[]): Promise<{ keyring: Keyring; recoveryKey: string }> {
    return this.#oneByOne(async () => {
      if (this.isEncrypted) throw new StoreError('INVALID', 'the storage group is encrypted already');
      const { fingerprintKey, chunkerKey } = this.#ring;
      const dataKeys = [freshEpoch(1, this.#parameters.clock)];
      const ring = { ...freshRing(dataKeys), fingerprintKey, chunkerKey };
      const rootKey = freshKey();
      const { slots, recoveryKey } = await slotsOf(this.#parameters, secrets, rootKey);
      const keyring = new Keyring(this.#parameters, this.#file, rootKey, ring, slots, this.#serial);
      await keyring.store();
      return { keyring, recoveryKey };
    });
  }

  /** A new data key, durable before it is used; returns its epoch. */
  addEpoch(): Promise<number> {
    return this.#oneByOne(async () => {
      this.#demandEncrypted();
      if (this.activeEpoch >= KEY_EPOCHS_MAX) {
        throw new StoreError('INVALID', `a keyring has at most ${KEY_EPOCHS_MAX} key epochs`);
      }
      const epoch = freshEpoch(this.activeEpoch + 1, this.#parameters.clock);
      await this.#change({ ring: { ...this.#ring, dataKeys: [...this.#ring.dataKeys, epoch] } });
      return epoch.epoch;
    });
  }

  /**
   * Data keys that nothing is sealed with any more go for good; answers their epochs. Never the newest. The
   * caller has seen to it that no file needs them.
   */
  retireEpochs(isUnused: (epoch: number) => boolean): Promise<readonly number[]> {
    return this.#oneByOne(async () => {
      const { dataKeys } = this.#ring;
      const retired = dataKeys.filter(({ epoch }) => epoch !== this.activeEpoch && isUnused(epoch));
      if (retired.length === 0) return [];
      const kept = dataKeys.filter(entry => !retired.includes(entry));
      await this.#change({ ring: { ...this.#ring, dataKeys: kept } });
      return retired.map(({ epoch }) => epoch);
    });
  }

  /** Is the newest data key older than so many days, and is there room for another? */
  needsRotation(rotationDays: number): boolean {
    const newest = this.#ring.dataKeys.at(-1);
    if (newest === undefined || newest.epoch >= KEY_EPOCHS_MAX) return false;
    return this.#parameters.clock.nowMs() - newest.createdMs >= rotationDays * DAY_MS;
  }

  /** Writes the keyring as it is, as the next generation. */
  store(): Promise<void> {
    return this.#change({});
  }

  async #change(change: { readonly ring?: Ring; readonly slots?: readonly Slot[] }): Promise<void> {
    const ring = change.ring ?? this.#ring;
    const slots = change.slots ?? this.#slots;
    const serial = this.#serial + 1;
    const nonce = randomBytes(NONCE_SIZE);
    const bound = ringBinding(this.#parameters.storeId, serial);
    const sealed = seal(this.#rootKey, nonce, bound, encodeRing(ring));
    await this.#file.write({
      storeId: textOf(this.#parameters.storeId),
      slots: [...slots],
      ring: { serial, nonce: textOf(nonce), sealed: textOf(sealed) },
    });
    this.#serial = serial;
    this.#ring = ring;
    this.#slots = slots;
  }

  #oneByOne<T>(action: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(action);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #slotOf(secret: Secret): Promise<Slot> {
    for (const slot of this.#slots) {
      if ((await openSlot(this.#parameters.storeId, slot, secret)) !== undefined) return slot;
    }
    throw new StoreError('DENIED', `the storage group is not opened by this ${secretName(secret)}`);
  }

  #demandEncrypted(): void {
    if (!this.isEncrypted) throw new StoreError('INVALID', 'the storage group is not encrypted');
  }
}

function freshKey(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBytes(KEY_SIZE));
}

function freshEpoch(epoch: number, clock: Clock): Ring['dataKeys'][number] {
  return { epoch, createdMs: clock.nowMs(), key: freshKey() };
}

function freshRing(dataKeys: Ring['dataKeys']): Ring {
  return {
    dataKeys,
    fingerprintKey: freshKey(),
    chunkerKey: freshKey(),
    logKey: freshKey(),
    viewKey: freshKey(),
    nameKey: freshKey(),
    manifestKey: freshKey(),
    cloudKeys: [],
  };
}

function encodeRing(ring: Ring): Uint8Array {
  const epochs = (keys: Ring['dataKeys']) => keys.map(epoch => ({ ...epoch, key: textOf(epoch.key) }));
  const plain = {
    dataKeys: epochs(ring.dataKeys),
    fingerprintKey: textOf(ring.fingerprintKey),
    chunkerKey: textOf(ring.chunkerKey),
    logKey: textOf(ring.logKey),
    viewKey: textOf(ring.viewKey),
    nameKey: textOf(ring.nameKey),
    manifestKey: textOf(ring.manifestKey),
    cloudKeys: epochs(ring.cloudKeys),
  };
  return Buffer.from(JSON.stringify(plain));
}

function ringBinding(storeId: Uint8Array, serial: number): Uint8Array {
  return Buffer.from(JSON.stringify(['granary ring', textOf(storeId), serial]));
}

function secretName(secret: Secret): string {
  if (secret.passphrase !== undefined) return 'passphrase';
  return secret.keyFile === undefined ? 'recovery key' : 'key file';
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
