/**
 * A storage group as the catalog keeps it, open or not: locked (its keyring needs a secret), failed
 * (missing, foreign, damaged, newer, in use), or open. A group that cannot be opened never stops the
 * others, and its directory is never initialised by itself.
 */
import { isoTime } from '../base/clock.js';
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { LockedKeyring } from '../keys/keyring.js';
import type { Secret } from '../keys/slots.js';
import { Background } from './background.js';
import type { CatalogContext, GroupService } from './context.js';
import { OpenedGroup } from './opened-group.js';
import { quotaState } from './quota.js';
import type { GroupEntry } from './system-file.js';
import type { GroupInfo } from './types.js';

export const SUPERBLOCK_COPIES = 4;

type Status =
  | { readonly kind: 'locked'; readonly keyring: LockedKeyring }
  | { readonly kind: 'failed'; readonly failure: StoreError }
  | { readonly kind: 'open'; readonly opened: OpenedGroup; readonly services: readonly GroupService[] };

export class Group {
  readonly #context: CatalogContext;
  #entry: GroupEntry;
  #status: Status;
  /** What the start found damaged and has made good from a copy. */
  readonly healed: { readonly what: string; readonly reason: string }[] = [];
  /** Only one unlock at a time: it opens files. */
  #unlocking: Promise<unknown> = Promise.resolve();

  private constructor(context: CatalogContext, entry: GroupEntry) {
    this.#context = context;
    this.#entry = entry;
    this.#status = { kind: 'failed', failure: new StoreError('IO', `group '${entry.name}' is not open`) };
  }

  /** Never throws: what is wrong shows in `failure`. A group that `secret` does not open stays locked. */
  static async open(context: CatalogContext, entry: GroupEntry, secret?: Secret): Promise<Group> {
    const group = new Group(context, entry);
    try {
      await group.#start(secret);
    } catch (thrown) {
      group.#fail(thrown);
    }
    return group;
  }

  get name(): string {
    return this.#entry.name;
  }

  get entry(): GroupEntry {
    return this.#entry;
  }

  set entry(entry: GroupEntry) {
    this.#entry = entry;
  }

  /** The open group, or undefined. */
  get opened(): OpenedGroup | undefined {
    return this.#status.kind === 'open' ? this.#status.opened : undefined;
  }

  get isLocked(): boolean {
    return this.#status.kind === 'locked';
  }

  /** DENIED while locked; the failure that keeps it from being open. */
  demandOpen(): OpenedGroup {
    if (this.#status.kind === 'open') return this.#status.opened;
    if (this.#status.kind === 'failed') throw this.#status.failure;
    throw new StoreError('DENIED', `storage group '${this.name}' is locked: unlock it first`);
  }

  /** DENIED: the secret does not fit, and nothing has changed. */
  unlock(secret: Secret): Promise<void> {
    const unlocked = this.#unlocking.then(async () => {
      const status = this.#status;
      if (status.kind === 'open') return;
      if (status.kind === 'failed') throw status.failure;
      const keyring = await status.keyring.open(secret);
      try {
        await this.#openWith(keyring);
      } catch (thrown) {
        this.#fail(thrown);
        throw thrown;
      }
    });
    this.#unlocking = unlocked.catch(() => undefined);
    return unlocked;
  }

  /**
   * Encrypts an open group that was made without: keyring first, then the group opens again and writes sealed
   * from there on; the view is made anew, and two checkpoints let the clear log go. A crash between leaves a
   * group that is locked until one of the secrets is given, and goes on then. BUSY: a stream is under way.
   * Restores that are under way end with an error.
   */
  async encrypt(secrets: readonly Secret[]): Promise<string> {
    const status = this.#status;
    if (status.kind !== 'open') throw new StoreError('BUSY', `storage group '${this.name}' is not open`);
    const failure = new StoreError('BUSY', `storage group '${this.name}' is being encrypted`);
    this.#status = { kind: 'failed', failure };
    const { opened, services } = status;
    let sealed: Awaited<ReturnType<typeof opened.keyring.encrypt>>;
    try {
      await opened.endIngest();
      sealed = await opened.keyring.encrypt(secrets);
    } catch (thrown) {
      opened.resumeIngest();
      this.#status = status;
      throw thrown;
    }
    try {
      for (const service of [...services].reverse()) await service.close();
      await opened.close();
      await this.#openWith(sealed.keyring);
    } catch (thrown) {
      this.#fail(thrown);
      throw thrown;
    }
    return sealed.recoveryKey;
  }

  get info(): GroupInfo {
    const opened = this.opened;
    const { name, id, path, isPerformanceTier, chunkSizeAverage, admission, settings } = this.#entry;
    const failure = this.#failureText();
    return {
      name,
      id,
      path,
      isPerformanceTier,
      chunkSizeAverage,
      ...(opened?.settings ?? settings),
      isLocked: this.isLocked,
      keyEpoch: opened?.keyring.activeEpoch ?? 0,
      ...(opened === undefined ? {} : openInfo(opened)),
      ...(admission === undefined ? {} : { admission: admissionOf(admission) }),
      ...(failure === undefined ? {} : { failure }),
    };
  }

  async close(): Promise<void> {
    await this.#unlocking;
    const status = this.#status;
    if (status.kind !== 'open') return;
    this.#status = {
      kind: 'failed',
      failure: new StoreError('CANCELLED', `group '${this.name}' is closed`),
    };
    for (const service of [...status.services].reverse()) await service.close();
    await status.opened.close();
  }

  #failureText(): string | undefined {
    if (this.#status.kind === 'failed') return this.#status.failure.message;
    const opened = this.opened;
    return opened?.queue.failure?.message ?? opened?.space.counters.stopped;
  }

  #fail(thrown: unknown): void {
    const error = asStoreError(thrown);
    const failure = new StoreError(
      error.code,
      `storage group '${this.name}' cannot be opened: ${error.message}`,
      {
        cause: error,
      },
    );
    this.#status = { kind: 'failed', failure };
    this.#context.onEvent({ level: 'error', group: this.name, message: failure.message });
  }

  async #start(secret: Secret | undefined): Promise<void> {
    const { lane, disk, clock, passphraseCost } = this.#context;
    const probe = await lane.call('probeGroup', this.#entry.path, disk);
    if (Buffer.from(probe.storeId).toString('hex') !== this.#entry.id) {
      throw new StoreError('CORRUPT', `another storage group lies in ${this.#entry.path}`);
    }
    if (probe.superblockCopies < SUPERBLOCK_COPIES) {
      this.#heal('superblock', `${probe.superblockCopies} of its ${SUPERBLOCK_COPIES} copies were valid`);
    }
    const keyring = await LockedKeyring.read({
      lane,
      disk,
      directory: this.#entry.path,
      storeId: probe.storeId,
      clock,
      ...(passphraseCost === undefined ? {} : { passphraseCost }),
    });
    for (const reason of keyring.damages) this.#heal('keyring', reason);
    this.#status = { kind: 'locked', keyring };
    if (!keyring.isEncrypted) return this.#openWith(await keyring.open());
    if (secret === undefined) return;
    try {
      await this.#openWith(await keyring.open(secret));
    } catch (thrown) {
      if (!hasCode(thrown, 'DENIED')) throw thrown;
      const { message } = asStoreError(thrown);
      this.#context.onEvent({ level: 'warn', group: this.name, message: `stays locked: ${message}` });
    }
  }

  #heal(what: string, reason: string): void {
    this.healed.push({ what, reason });
    const message = `${what}: ${reason}; made good from what is left`;
    this.#context.onEvent({ level: 'warn', group: this.name, message });
  }

  async #openWith(keyring: Awaited<ReturnType<LockedKeyring['open']>>): Promise<void> {
    const opened = await OpenedGroup.open(this.#context, this.#entry, keyring);
    const services = [
      new Background(this.#context, opened),
      ...(this.#context.services ?? []).map(make => make(opened)),
    ];
    this.#status = { kind: 'open', opened, services };
    if (this.#context.isReadOnly === true) return;
    for (const service of services) service.start();
  }
}

function openInfo({ retention, settings, space }: OpenedGroup): Partial<GroupInfo> {
  const usedBytes = space.counters.fileBytes;
  const nowMs = retention.nowMs();
  return {
    usedBytes,
    quotaState: quotaState(usedBytes, settings.quotaBytes),
    retentionClock: isoTime(nowMs),
    isRetentionFrozen: retention.isFrozen,
  };
}

function admissionOf(admission: NonNullable<GroupEntry['admission']>): NonNullable<GroupInfo['admission']> {
  const { sequentialIops, randomIops, isRotational } = admission;
  return { sequentialIops, randomIops, ...(isRotational === undefined ? {} : { isRotational }) };
}
