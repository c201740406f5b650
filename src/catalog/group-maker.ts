/**
 * Makes and removes storage groups. The system file names a group that is being made or deleted before its
 * directory is touched, so that whatever a crash leaves is finished at the next start; what is removed are
 * the objects of a group, nothing else.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, StoreError } from '../base/errors.js';
import {
  CHUNK_SIZE_AVERAGE_DEFAULT,
  CHUNK_SIZE_AVERAGE_MAX,
  CHUNK_SIZE_AVERAGE_MIN,
  QUOTA_BYTES_MIN,
  ROTATION_DAYS_DEFAULT,
  ROTATION_DAYS_MAX,
  ROTATION_DAYS_MIN,
  TIER_RANDOM_IOPS_MIN,
  TIER_SEQUENTIAL_IOPS_MIN,
} from '../base/limits.js';
import { createKeyring } from '../keys/keyring.js';
import { checkSecret, type Secret } from '../keys/slots.js';
import type { VolumeMeasure } from '../native/binding.js';
import type { CatalogContext } from './context.js';
import { checkDirectory, checkName, isNested } from './names.js';
import { RESERVE_FILE } from './reserve.js';
import type { GroupEntry } from './system-file.js';
import type { GroupRequest, GroupSettings } from './types.js';

/** Everything that a group's directory may hold (`quarantine`: made by earlier versions, always empty). */
const GROUP_OBJECTS = [
  ...[0, 1, 2, 3].map(copy => `superblock.${copy}`),
  ...['keyring.a', 'keyring.b', 'log', 'data', 'view', 'trash', 'quarantine', 'lock', RESERVE_FILE],
  ...['cleaner.a', 'cleaner.b', 'scrub.a', 'scrub.b'],
];
const COMPRESSIONS = new Set(['none', 'fast', 'best']);
const ENCRYPTIONS = new Set(['off', 'static', 'internal']);

/** The settings with what was asked for. INVALID names what is out of range. */
export function settingsFrom(base: GroupSettings, change: Partial<GroupSettings>): GroupSettings {
  const settings = {
    compression: change.compression ?? base.compression,
    encryption: change.encryption ?? base.encryption,
    rotationDays: change.rotationDays ?? base.rotationDays,
    quotaBytes: change.quotaBytes ?? base.quotaBytes,
  };
  const demand = (isLegal: boolean, what: string): void => {
    if (!isLegal) throw new StoreError('INVALID', what);
  };
  demand(COMPRESSIONS.has(settings.compression), 'compression is none, fast or best');
  demand(ENCRYPTIONS.has(settings.encryption), 'encryption is off, static or internal');
  const { rotationDays: days, quotaBytes: quota } = settings;
  const isDays = Number.isInteger(days) && days >= ROTATION_DAYS_MIN && days <= ROTATION_DAYS_MAX;
  demand(isDays, `rotation is every ${ROTATION_DAYS_MIN} to ${ROTATION_DAYS_MAX} days`);
  const isQuota = Number.isSafeInteger(quota) && (quota === 0 || quota >= QUOTA_BYTES_MIN);
  demand(isQuota, `a quota is 0 (none) or at least ${QUOTA_BYTES_MIN} bytes`);
  return settings;
}

const DEFAULTS: GroupSettings = {
  compression: 'fast',
  encryption: 'off',
  rotationDays: ROTATION_DAYS_DEFAULT,
  quotaBytes: 0,
};

/**
 * The entry of a group to be made. INVALID, EXISTS: the directory is inside another group's, or the other
 * way round.
 */
export function planGroup(
  request: GroupRequest,
  dataDirectory: string,
  others: readonly GroupEntry[],
): GroupEntry {
  checkName('storage group', request.name);
  const path = checkDirectory(request.path ?? `${dataDirectory}/groups/${request.name}`);
  const isAboveData = isNested(path, dataDirectory) && path.length <= dataDirectory.length;
  const neighbour = others.find(other => isNested(other.path, path));
  if (isAboveData || neighbour !== undefined) {
    const whose = neighbour === undefined ? 'the data directory' : `group '${neighbour.name}'`;
    throw new StoreError('INVALID', `${path} and the directory of ${whose} must not lie in one another`);
  }
  if (request.isPerformanceTier === true && request.path === undefined) {
    throw new StoreError('INVALID', 'a performance tier needs the path of its own volume');
  }
  const average = request.chunkSizeAverage ?? CHUNK_SIZE_AVERAGE_DEFAULT;
  const isAverage = average >= CHUNK_SIZE_AVERAGE_MIN && average <= CHUNK_SIZE_AVERAGE_MAX;
  // The cut rule's masks come from its logarithm.
  if (!isAverage || !Number.isInteger(Math.log2(average))) {
    throw new StoreError(
      'INVALID',
      `the chunk size is a power of two, ${CHUNK_SIZE_AVERAGE_MIN} to ${CHUNK_SIZE_AVERAGE_MAX} bytes`,
    );
  }
  return {
    name: request.name,
    path,
    id: randomBytes(16).toString('hex'),
    state: 'making',
    isPerformanceTier: request.isPerformanceTier === true,
    chunkSizeAverage: average,
    settings: settingsFrom(DEFAULTS, request),
  };
}

/** What opens the new group; none for groups that are not encrypted. */
export function secretsOf(
  request: Pick<GroupRequest, 'passphrase' | 'keyFile'>,
  settings: GroupSettings,
): Secret[] {
  const { passphrase, keyFile } = request;
  const secrets: Secret[] = [];
  if (passphrase !== undefined) secrets.push({ passphrase });
  if (keyFile !== undefined) secrets.push({ keyFile });
  if (settings.encryption === 'off' && secrets.length > 0) {
    throw new StoreError('INVALID', 'a passphrase or key file is for encrypted groups: choose an encryption');
  }
  if (settings.encryption !== 'off' && passphrase === undefined) {
    throw new StoreError('INVALID', 'an encrypted group needs a passphrase');
  }
  for (const secret of secrets) checkSecret(secret);
  return secrets;
}

/** Makes the group's directory where there is none. EXISTS when it holds anything. */
export async function prepareDirectory(context: CatalogContext, entry: GroupEntry): Promise<void> {
  const { lane, disk } = context;
  await lane.call('makeDirectory', entry.path, disk);
  const names = await lane.call('listDirectory', entry.path, disk);
  const found = names.find(name => name !== 'lost+found');
  if (found === undefined) return;
  throw new StoreError(
    'EXISTS',
    `${entry.path} is not empty ('${found}'): a new group needs an empty directory`,
  );
}

/** Writes superblock and keyring. Answers with the recovery key of an encrypted group. */
export async function formatGroup(
  context: CatalogContext,
  entry: GroupEntry,
  secrets: readonly Secret[],
): Promise<string | undefined> {
  const { lane, disk, clock, passphraseCost } = context;
  const storeId = new Uint8Array(Buffer.from(entry.id, 'hex'));
  await lane.call('formatGroup', {
    directory: entry.path,
    disk,
    storeId,
    realmId: new Uint8Array(randomBytes(16)),
    chunkSizeAverage: entry.chunkSizeAverage,
    isEncrypted: secrets.length > 0,
  });
  const parameters = {
    lane,
    disk,
    directory: entry.path,
    storeId,
    clock,
    ...(passphraseCost === undefined ? {} : { passphraseCost }),
  };
  return (await createKeyring(parameters, secrets)).recoveryKey;
}

/** The admission test of a performance tier's volume. INVALID, with the figures, when it is too slow. */
export async function measureTier(
  context: CatalogContext,
  path: string,
  acceptSlow: boolean,
): Promise<VolumeMeasure> {
  const measure = await context.lane.call('measureVolume', path);
  const isFast =
    measure.sequentialIops >= TIER_SEQUENTIAL_IOPS_MIN && measure.randomIops >= TIER_RANDOM_IOPS_MIN;
  if (isFast || acceptSlow) return measure;
  throw new StoreError(
    'INVALID',
    `the volume of ${path} does ${Math.floor(measure.sequentialIops)} sequential and ` +
      `${Math.floor(measure.randomIops)} random IOPS; a performance tier needs ${TIER_SEQUENTIAL_IOPS_MIN} ` +
      `and ${TIER_RANDOM_IOPS_MIN} (--accept-slow takes it all the same)`,
  );
}

/**
 * Removes the group's objects; the directory itself too, when it is one that we made below the data
 * directory.
 */
export async function removeGroup(
  context: CatalogContext,
  entry: GroupEntry,
  dataDirectory: string,
): Promise<void> {
  const remove = async (path: string): Promise<void> => {
    try {
      await context.lane.call('removeTree', path, context.disk);
    } catch (thrown) {
      if (!hasCode(thrown, 'NOT_FOUND')) throw thrown;
    }
  };
  for (const name of GROUP_OBJECTS) await remove(`${entry.path}/${name}`);
  if (entry.path === `${dataDirectory}/groups/${entry.name}`) await remove(entry.path);
}
