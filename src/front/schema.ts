/**
 * What requests and answers look like, once: the same zod schemas check requests and become the OpenAPI
 * document. Sizes are numbers of bytes, times ISO 8601 UTC.
 */
import { extendZodWithOpenApi } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import {
  BIN_DAYS_MAX,
  BIN_DAYS_MIN,
  CHUNK_SIZE_AVERAGE_MAX,
  CHUNK_SIZE_AVERAGE_MIN,
  FILE_NAME_SIZE_MAX,
  LIST_LIMIT_MAX,
  LOCK_DAYS_MAX,
  LOCK_DAYS_MIN,
  NAME_LENGTH_MAX,
  PASSPHRASE_SIZE_MAX,
  ROTATION_DAYS_MAX,
  ROTATION_DAYS_MIN,
  WORK_NAME_LENGTH_MAX,
} from '../base/limits.js';
import { ROLES } from './auth.js';

extendZodWithOpenApi(z);

const bytes = z.number().int().min(0);

export const plainName = z
  .string()
  .max(NAME_LENGTH_MAX)
  .regex(/^[A-Za-z0-9._-]+$/, "letters, digits, '-', '_', '.'")
  .regex(/[^.]/, 'not dots alone');

export const groupParams = z.strictObject({ group: plainName });
export const containerParams = z.strictObject({ container: plainName });
export const userParams = z.strictObject({ user: plainName });
/** The path is decoded and checked as bytes before it comes here. */
export const fileParams = z.strictObject({
  container: plainName,
  path: z.string().meta({
    description: `Percent-encoded UTF-8, 1 to ${FILE_NAME_SIZE_MAX} bytes without NUL; '%2F' is a slash.`,
  }),
});

const settings = {
  compression: z.enum(['none', 'fast', 'best']),
  encryption: z.enum(['off', 'static', 'internal']),
  rotationDays: z.number().int().min(ROTATION_DAYS_MIN).max(ROTATION_DAYS_MAX),
  quotaBytes: bytes.meta({ description: 'Physical bytes; 0: no quota.' }),
};
const secrets = {
  passphrase: z.string().max(PASSPHRASE_SIZE_MAX),
  keyFile: z.base64().meta({ description: "A key file's content." }),
  recoveryKey: z.string().max(PASSPHRASE_SIZE_MAX),
};

export const groupRequest = z
  .strictObject({
    name: plainName,
    path: z.string().optional(),
    isPerformanceTier: z.boolean().optional(),
    acceptSlow: z.boolean().optional(),
    chunkSizeAverage: z.number().int().min(CHUNK_SIZE_AVERAGE_MIN).max(CHUNK_SIZE_AVERAGE_MAX).optional(),
    passphrase: secrets.passphrase.optional(),
    keyFile: secrets.keyFile.optional(),
    ...z.strictObject(settings).partial().shape,
  })
  .openapi('GroupRequest');

export const groupChange = z
  .strictObject({
    ...settings,
    /** With the first encryption of a group that was made without. */
    passphrase: secrets.passphrase,
    keyFile: secrets.keyFile,
  })
  .partial()
  .openapi('GroupChange');
export const unlockRequest = z.strictObject(secrets).partial().openapi('UnlockRequest');
export const passphraseChange = z
  .strictObject({ passphrase: secrets.passphrase, newPassphrase: secrets.passphrase })
  .openapi('PassphraseChange');
export const keyRequest = z
  .strictObject({ passphrase: secrets.passphrase, keyFile: secrets.keyFile })
  .openapi('KeyRequest');

const quotaState = z.enum(['none', 'ok', 'warning', 'full']);

export const groupInfo = z
  .looseObject({
    name: z.string(),
    id: z.string(),
    path: z.string(),
    isPerformanceTier: z.boolean(),
    chunkSizeAverage: bytes,
    isLocked: z.boolean(),
    keyEpoch: z.number().int(),
    ...settings,
    usedBytes: bytes.optional(),
    quotaState: quotaState.optional(),
    retentionClock: z.iso.datetime().optional(),
    isRetentionFrozen: z
      .boolean()
      .optional()
      .meta({ description: 'The wall clock has moved: nothing expires until it is right again.' }),
    admission: z
      .looseObject({
        sequentialIops: z.number(),
        randomIops: z.number(),
        isRotational: z.boolean().optional(),
      })
      .optional(),
    failure: z.string().optional(),
    recoveryKey: z.string().optional().meta({ description: 'Shown once, when the group is made.' }),
  })
  .openapi('Group');

const lockMode = z.enum(['none', 'governance', 'compliance']);
const lockDays = z.number().int().min(LOCK_DAYS_MIN).max(LOCK_DAYS_MAX);
const containerSettings = {
  binDays: z
    .number()
    .int()
    .min(0)
    .max(BIN_DAYS_MAX)
    .meta({
      description: `Days in the recycle bin, ${BIN_DAYS_MIN} to ${BIN_DAYS_MAX}; 0: none. Once on, it stays.`,
    }),
  lockMode: lockMode.meta({ description: 'Lock of files that are put from now on.' }),
  lockDays: z.number().int().min(0).max(LOCK_DAYS_MAX),
  quotaBytes: bytes.meta({ description: 'Bytes of all its files as they came; 0: no quota.' }),
};

export const containerRequest = z
  .strictObject({
    name: plainName,
    group: plainName.optional(),
    ...z.strictObject(containerSettings).partial().shape,
  })
  .openapi('ContainerRequest');
export const containerChange = z.strictObject(containerSettings).partial().openapi('ContainerChange');

export const containerInfo = z
  .looseObject({ name: z.string(), id: z.number().int(), group: z.string(), created: z.iso.datetime() })
  .openapi('Container');
export const containerDetails = containerInfo
  .extend({
    ...containerSettings,
    quotaState,
    files: bytes,
    logicalBytes: bytes,
    binFiles: bytes,
    binBytes: bytes,
  })
  .openapi('ContainerDetails');

export const containerDeletion = z.strictObject({
  files: z
    .enum(['0', '1', 'false', 'true'])
    .default('0')
    .transform(flag => flag === '1' || flag === 'true')
    .meta({ description: "'1': with all its files." }),
});

const percent = z.number();
export const statistics = z
  .looseObject({
    logicalBytes: bytes,
    uniqueBytes: bytes,
    storedBytes: bytes,
    files: bytes,
    chunks: bytes,
    dataStores: bytes,
    dedupSavedBytes: z.number().int(),
    compressionSavedBytes: z.number().int(),
    dedupSavingsPercent: percent,
    compressionSavingsPercent: percent,
    savingsPercent: percent,
    binFiles: bytes.meta({ description: 'Versions in recycle bins; not among files.' }),
    binBytes: bytes.meta({ description: 'Their bytes as they came; not among logicalBytes.' }),
  })
  .openapi('Statistics');

export const statisticsQuery = z.strictObject({
  group: plainName.optional(),
  container: plainName.optional(),
});

const digests = {
  xxh3: z.string().meta({ description: 'XXH3-128 of the bytes, hex.' }),
  blake3: z.string().optional(),
  sha256: z.string().optional(),
  md5: z.string().optional(),
};

export const putAnswer = z
  .object({
    path: z.string(),
    version: z.number().int(),
    size: bytes,
    newBytes: bytes,
    storedBytes: bytes,
    seconds: z.number(),
    ...digests,
  })
  .openapi('PutAnswer');

/** What a client calls an upload or another piece of work, to ask for its progress. */
export const workName = z
  .string()
  .min(1)
  .max(WORK_NAME_LENGTH_MAX)
  .regex(/^[A-Za-z0-9_-]+$/, "letters, digits, '-', '_'");
export const uploadParams = z.strictObject({ upload: workName });
export const uploadProgress = z
  .object({
    received: bytes.meta({ description: 'Bytes that have come.' }),
    settledBytes: bytes.meta({ description: 'Of these, cut and stored where they are new.' }),
    newBytes: bytes.meta({ description: 'Of the settled ones, those that were not there before.' }),
    storedBytes: bytes.meta({ description: 'What these take.' }),
  })
  .openapi('UploadProgress');

export const fileInfo = z
  .object({
    path: z.string(),
    version: z.number().int(),
    size: bytes,
    state: z.enum(['local', 'uploading', 'both', 'stub']),
    created: z.iso.datetime(),
    newBytes: bytes,
    storedBytes: bytes,
    chunkCount: z.number().int(),
    etag: z.string(),
    lockMode: lockMode.optional(),
    lockUntil: z.iso.datetime().optional().meta({ description: 'By the retention clock.' }),
    hold: z.enum(['none', 'legal']).optional(),
    binUntil: z.iso.datetime().optional().meta({ description: 'Of a version in the recycle bin.' }),
    ...digests,
  })
  .openapi('File');

export const lockRequest = z
  .strictObject({
    mode: lockMode,
    until: z.iso.datetime().meta({ description: 'By the retention clock.' }),
    days: lockDays.meta({ description: 'From now, instead of until.' }),
    hold: z.boolean().meta({ description: 'A legal hold has no end.' }),
    bypassGovernance: z.boolean().meta({ description: 'Shortens or takes off a governance lock.' }),
    version: bytes.meta({ description: 'Of a version in the recycle bin; without it the current file.' }),
  })
  .partial()
  .openapi('LockRequest');

export const binQuery = z.strictObject({
  prefix: z.string().optional(),
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_MAX),
});
export const binPage = z
  .object({
    files: z.array(fileInfo),
    next: z
      .number()
      .int()
      .optional()
      .meta({ description: "Give it as 'after' for the next page; absent at the end." }),
  })
  .openapi('BinPage');
export const binRestore = z
  .strictObject({
    path: z.string(),
    version: bytes.optional().meta({ description: 'Without it the newest of that name.' }),
  })
  .openapi('BinRestore');
export const binPurged = z.object({ dropped: bytes }).openapi('BinPurged');

export const listQuery = z.strictObject({
  prefix: z.string().optional(),
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_MAX),
});

export const filePage = z
  .object({
    files: z.array(fileInfo),
    next: z
      .string()
      .optional()
      .meta({ description: "Give it as 'after' for the next page; absent at the end." }),
  })
  .openapi('FilePage');

export const verifyRequest = z
  .strictObject({ full: z.boolean().default(false), group: plainName.optional() })
  .openapi('VerifyRequest');
export const verifyReport = z.looseObject({}).openapi('VerifyReport');

export const scrubRequest = z.strictObject({ group: plainName.optional() }).openapi('ScrubRequest');
export const scrubQuery = z.strictObject({ group: plainName.optional() });
const count = z.number().int();
const scrubCounts = {
  group: z.string(),
  bytesRead: bytes,
  filesRead: count,
  quarantinedChunks: count.meta({ description: 'Damaged chunks, hidden from dedup.' }),
  healedChunks: count.meta({ description: 'Of these, chunks that have another copy now.' }),
  repairedChunks: count,
  lostChunks: count.meta({ description: 'Chunks that files need and no data store has whole.' }),
  damagedFiles: count,
  names: z.string().array().meta({ description: 'The first of the damaged files.' }),
};
export const scrubReport = z.object({ ...scrubCounts, damagedRecords: count }).openapi('ScrubReport');
export const scrubStatus = z
  .object({
    ...scrubCounts,
    roundPercent: z.number(),
    roundStarted: z.iso.datetime(),
    roundCompleted: z.iso.datetime().optional(),
    unreadDataStores: count,
    referencesChecked: z.iso.datetime().optional(),
    checkedVersion: count.meta({ description: 'Files up to it have been read as a whole.' }),
    lastVersion: count,
    running: z.looseObject({}).optional(),
  })
  .openapi('ScrubStatus');
export const jobParams = z.strictObject({ job: workName });
export const jobProgress = z
  .object({ group: z.string(), stage: z.string(), done: z.number(), total: z.number() })
  .openapi('JobProgress');

export const systemInfo = z
  .object({
    version: z.string(),
    dataDirectory: z.string(),
    pid: z.number().int(),
    uptimeSeconds: z.number(),
    isStopping: z.boolean(),
  })
  .openapi('System');

export const userRequest = z.strictObject({ name: plainName, role: z.enum(ROLES) }).openapi('UserRequest');
export const userInfo = z.object({ name: z.string(), role: z.enum(ROLES) }).openapi('User');
export const newUser = userInfo
  .extend({ token: z.string().meta({ description: 'Shown once.' }) })
  .openapi('NewUser');

export const errorBody = z
  .object({ error: z.object({ code: z.string(), message: z.string() }) })
  .openapi('Error');
export const health = z.object({ status: z.literal('ok') }).openapi('Health');
