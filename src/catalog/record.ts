/**
 * The one encoder and decoder of what the catalog writes into commit logs and view values:
 * native/FORMAT.md, sections "Commit log entries" and "View tables". A payload is a list of fields {tag u8,
 * size u16, bytes}, little-endian, tags rising. A tag or type of 128 and more may be skipped by who does
 * not know it; any other unknown one is UNSUPPORTED. The encoding of a record is unique: what decodes,
 * encodes to the same bytes (but for skipped fields).
 */
import { StoreError } from '../base/errors.js';
import { LOG_PAYLOAD_SIZE_MAX } from '../base/limits.js';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../native/binding.js';
import { decodeFileName } from './names.js';
import type { Compression, Encryption } from './types.js';

/** Never renumbered. 16 and 21 are kept for RENAME, RELATION. */
export const RecordType = {
  CONFIG: 1,
  CONTAINER_ADD: 2,
  CONTAINER_DELETE: 3,
  PUT: 4,
  DELETE: 5,
  KEY: 6,
  EPOCH: 7,
  CHECKPOINT_BEGIN: 8,
  CHECKPOINT_FILE: 9,
  CHECKPOINT_END: 10,
  CHECKPOINT_CONTAINER: 11,
  CONTAINER_UPDATE: 12,
  BIN_DROP: 13,
  BIN_RESTORE: 14,
  CLOCK: 15,
  LOCK: 17,
  MOVE: 18,
  CONDEMN: 19,
  RECLAIM: 20,
  PARDON: 22,
  QUARANTINE: 23,
} as const;

/** Every field that any record has. */
export interface RecordFields {
  readonly containerId: number;
  readonly name: string;
  readonly createdMs: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly rootLength: number;
  readonly depth: number;
  readonly chunkCount: number;
  readonly newBytes: number;
  readonly storedBytes: number;
  /** Digests in hex. */
  readonly xxh3: string;
  readonly blake3: string;
  readonly sha256: string;
  readonly md5: string;
  /** Of a file: the sequence number of its PUT. */
  readonly version: number;
  readonly epoch: number;
  readonly compression: Compression;
  readonly encryption: Encryption;
  readonly rotationDays: number;
  readonly quotaBytes: number;
  readonly beginSequence: number;
  readonly fileCount: number;
  readonly containerCount: number;
  /** 128-bit sum over all entries (set-digest.ts). */
  readonly setDigest: Uint8Array;
  /** Of a file in the recycle bin: when the retention clock says that it may go. */
  readonly binUntilMs: number;
  /** Retention lock of a file, and until when by the retention clock; a hold has no end. */
  readonly lockMode: LockMode;
  readonly lockUntilMs: number;
  readonly hold: Hold;
  /** Of a container: days in the recycle bin (0: none), default lock of new files, bound of logical bytes. */
  readonly binDays: number;
  readonly defaultLockMode: LockMode;
  readonly defaultLockDays: number;
  readonly logicalQuotaBytes: number;
  /** The retention clock. */
  readonly retentionMs: number;
  readonly dataStore: Uint8Array;
  /** Bit i of `bits` (byte i / 8, bit i % 8) is chunk firstChunk + i of the data store. */
  readonly firstChunk: number;
  readonly bits: Uint8Array;
  readonly deadPlainBytes: number;
  /** Plain bytes that the cleaner has dropped because another data store had them, too. */
  readonly duplicateBytes: number;
}

export type LockMode = 'none' | 'governance' | 'compliance';
export type Hold = 'none' | 'legal';

type Field = keyof RecordFields;
type With<K extends Field> = Pick<RecordFields, K>;
type StrongDigests = Partial<With<'blake3' | 'sha256' | 'md5'>>;
type FileContent = With<
  'createdMs' | 'size' | 'root' | 'rootLength' | 'depth' | 'chunkCount' | 'newBytes' | 'storedBytes' | 'xxh3'
> &
  StrongDigests;
/** How a version is kept from deletion; absent: it is not. */
export type FileKeeping = Partial<With<'lockMode' | 'lockUntilMs' | 'hold'>>;
/** Policy of a container; absent fields are 0 and 'none'. */
export type ContainerPolicy = Partial<
  With<'binDays' | 'defaultLockMode' | 'defaultLockDays' | 'logicalQuotaBytes'>
>;

export type Settings = With<'compression' | 'encryption' | 'rotationDays' | 'quotaBytes'>;
export type ConfigRecord = { readonly type: typeof RecordType.CONFIG } & Settings;
export type ContainerAddRecord = {
  readonly type: typeof RecordType.CONTAINER_ADD;
} & With<'containerId' | 'name' | 'createdMs'> &
  ContainerPolicy;
export type ContainerDeleteRecord = {
  readonly type: typeof RecordType.CONTAINER_DELETE;
} & With<'containerId'>;
export type PutRecord = {
  readonly type: typeof RecordType.PUT;
} & With<'containerId' | 'name'> &
  FileContent &
  FileKeeping &
  /** What it replaces goes to the recycle bin until then. */
  Partial<With<'binUntilMs'>>;
/** With binUntilMs the version goes to the recycle bin. */
export type DeleteRecord = {
  readonly type: typeof RecordType.DELETE;
} & With<'containerId' | 'name' | 'version'> &
  Partial<With<'binUntilMs'>>;
export type KeyRecord = { readonly type: typeof RecordType.KEY } & With<'epoch' | 'createdMs'>;
export type EpochRecord = { readonly type: typeof RecordType.EPOCH } & With<'epoch'>;
/** `containerId`: the highest that was ever given. */
export type CheckpointBeginRecord = {
  readonly type: typeof RecordType.CHECKPOINT_BEGIN;
} & Settings &
  With<'containerId'> &
  Partial<With<'retentionMs' | 'duplicateBytes'>>;
/** A file as a checkpoint and the view keep it; with binUntilMs it lies in the recycle bin. */
export type FileRow = { readonly type: typeof RecordType.CHECKPOINT_FILE } & With<
  'containerId' | 'name' | 'version'
> &
  FileContent &
  FileKeeping &
  Partial<With<'binUntilMs'>>;
/** A container as a checkpoint and the view keep it. */
export type ContainerRow = { readonly type: typeof RecordType.CHECKPOINT_CONTAINER } & With<
  'containerId' | 'name' | 'createdMs'
> &
  ContainerPolicy;
export type CheckpointEndRecord = {
  readonly type: typeof RecordType.CHECKPOINT_END;
} & With<'beginSequence' | 'fileCount' | 'containerCount' | 'setDigest'>;
export type ContainerUpdateRecord = {
  readonly type: typeof RecordType.CONTAINER_UPDATE;
} & With<'containerId'> &
  ContainerPolicy;
/** The version leaves the recycle bin for good. */
export type BinDropRecord = {
  readonly type: typeof RecordType.BIN_DROP;
} & With<'containerId' | 'name' | 'version'>;
/** The version is the file of its name again; what is there goes to the recycle bin. */
export type BinRestoreRecord = {
  readonly type: typeof RecordType.BIN_RESTORE;
} & With<'containerId' | 'name' | 'version'> &
  Partial<With<'binUntilMs'>>;
export type ClockRecord = { readonly type: typeof RecordType.CLOCK } & With<'retentionMs'>;
/** How the version is kept from now on: all three fields, absent ones are none. */
export type LockRecord = {
  readonly type: typeof RecordType.LOCK;
} & With<'containerId' | 'name' | 'version'> &
  FileKeeping;
/** These chunks of the data store are dead: first mark. One record for up to CONDEMN_BITS_MAX chunks. */
export type CondemnRecord = {
  readonly type: typeof RecordType.CONDEMN;
} & With<'dataStore' | 'epoch' | 'firstChunk' | 'bits' | 'deadPlainBytes'>;
/** All chunks of it that are not dead have a durable copy elsewhere: it belongs into the trash. */
export type MoveRecord = {
  readonly type: typeof RecordType.MOVE;
} & With<'dataStore' | 'epoch' | 'duplicateBytes'>;
/** The file of the data store is gone. */
export type ReclaimRecord = { readonly type: typeof RecordType.RECLAIM } & With<'dataStore'>;
/** It is neither condemned nor in the trash any more. */
export type PardonRecord = { readonly type: typeof RecordType.PARDON } & With<'dataStore'>;
/** These chunks of the data store are damaged; replaces what was said of the same firstChunk. */
export type QuarantineRecord = {
  readonly type: typeof RecordType.QUARANTINE;
} & With<'dataStore' | 'firstChunk' | 'bits'>;

export type LogRecord =
  | ConfigRecord
  | ContainerAddRecord
  | ContainerDeleteRecord
  | PutRecord
  | DeleteRecord
  | KeyRecord
  | EpochRecord
  | CheckpointBeginRecord
  | FileRow
  | ContainerRow
  | CheckpointEndRecord
  | ContainerUpdateRecord
  | BinDropRecord
  | BinRestoreRecord
  | ClockRecord
  | LockRecord
  | MoveRecord
  | CondemnRecord
  | ReclaimRecord
  | PardonRecord
  | QuarantineRecord;

type Kind =
  | { readonly kind: 'u32' | 'u64' | 'name' | 'blob' }
  | { readonly kind: 'bytes' | 'hex'; readonly size: number }
  | { readonly kind: 'choice'; readonly values: readonly string[] };

/** Tags, never renumbered; the order of encoding is the order of tags. */
const FIELDS: { readonly [K in Field]: Kind & { readonly tag: number } } = {
  containerId: { tag: 1, kind: 'u32' },
  name: { tag: 2, kind: 'name' },
  createdMs: { tag: 3, kind: 'u64' },
  size: { tag: 4, kind: 'u64' },
  root: { tag: 5, kind: 'bytes', size: FINGERPRINT_SIZE },
  rootLength: { tag: 6, kind: 'u32' },
  depth: { tag: 7, kind: 'u32' },
  chunkCount: { tag: 8, kind: 'u64' },
  newBytes: { tag: 9, kind: 'u64' },
  storedBytes: { tag: 10, kind: 'u64' },
  xxh3: { tag: 11, kind: 'hex', size: 16 },
  blake3: { tag: 12, kind: 'hex', size: 32 },
  sha256: { tag: 13, kind: 'hex', size: 32 },
  md5: { tag: 14, kind: 'hex', size: 16 },
  version: { tag: 15, kind: 'u64' },
  epoch: { tag: 16, kind: 'u32' },
  compression: { tag: 17, kind: 'choice', values: ['none', 'fast', 'best'] },
  encryption: { tag: 18, kind: 'choice', values: ['off', 'static', 'internal'] },
  rotationDays: { tag: 19, kind: 'u32' },
  quotaBytes: { tag: 20, kind: 'u64' },
  beginSequence: { tag: 21, kind: 'u64' },
  fileCount: { tag: 22, kind: 'u64' },
  containerCount: { tag: 23, kind: 'u64' },
  setDigest: { tag: 24, kind: 'bytes', size: 16 },
  binUntilMs: { tag: 25, kind: 'u64' },
  lockMode: { tag: 26, kind: 'choice', values: ['none', 'governance', 'compliance'] },
  lockUntilMs: { tag: 27, kind: 'u64' },
  hold: { tag: 28, kind: 'choice', values: ['none', 'legal'] },
  binDays: { tag: 29, kind: 'u32' },
  defaultLockMode: { tag: 30, kind: 'choice', values: ['none', 'governance', 'compliance'] },
  defaultLockDays: { tag: 31, kind: 'u32' },
  logicalQuotaBytes: { tag: 32, kind: 'u64' },
  retentionMs: { tag: 33, kind: 'u64' },
  dataStore: { tag: 34, kind: 'bytes', size: DATA_STORE_ID_SIZE },
  firstChunk: { tag: 35, kind: 'u32' },
  bits: { tag: 36, kind: 'blob' },
  deadPlainBytes: { tag: 37, kind: 'u64' },
  duplicateBytes: { tag: 38, kind: 'u64' },
};
const FIELD_BY_TAG = new Map(
  (Object.keys(FIELDS) as Field[]).map(field => [FIELDS[field].tag, field] as const),
);

const SETTINGS: readonly Field[] = ['compression', 'encryption', 'rotationDays', 'quotaBytes'];
const FILE: readonly Field[] = [
  ...(['containerId', 'name', 'createdMs', 'size', 'root', 'rootLength', 'depth'] as const),
  ...(['chunkCount', 'newBytes', 'storedBytes', 'xxh3'] as const),
];
const DIGESTS: readonly Field[] = ['blake3', 'sha256', 'md5'];
const KEEPING: readonly Field[] = ['lockMode', 'lockUntilMs', 'hold'];
const POLICY: readonly Field[] = ['binDays', 'defaultLockMode', 'defaultLockDays', 'logicalQuotaBytes'];
const VERSION: readonly Field[] = ['containerId', 'name', 'version'];

interface Shape {
  readonly required: readonly Field[];
  readonly optional: readonly Field[];
}
const shape = (required: readonly Field[], optional: readonly Field[] = []): Shape => ({
  required,
  optional,
});

const SHAPES: ReadonlyMap<number, Shape> = new Map([
  [RecordType.CONFIG, shape(SETTINGS)],
  [RecordType.CONTAINER_ADD, shape(['containerId', 'name', 'createdMs'], POLICY)],
  [RecordType.CONTAINER_DELETE, shape(['containerId'])],
  [RecordType.PUT, shape(FILE, [...DIGESTS, ...KEEPING, 'binUntilMs'])],
  [RecordType.DELETE, shape(VERSION, ['binUntilMs'])],
  [RecordType.KEY, shape(['createdMs', 'epoch'])],
  [RecordType.EPOCH, shape(['epoch'])],
  [RecordType.CHECKPOINT_BEGIN, shape(['containerId', ...SETTINGS], ['retentionMs', 'duplicateBytes'])],
  [RecordType.CHECKPOINT_FILE, shape([...FILE, 'version'], [...DIGESTS, ...KEEPING, 'binUntilMs'])],
  [RecordType.CHECKPOINT_END, shape(['beginSequence', 'fileCount', 'containerCount', 'setDigest'])],
  [RecordType.CHECKPOINT_CONTAINER, shape(['containerId', 'name', 'createdMs'], POLICY)],
  [RecordType.CONTAINER_UPDATE, shape(['containerId'], POLICY)],
  [RecordType.BIN_DROP, shape(VERSION)],
  [RecordType.BIN_RESTORE, shape(VERSION, ['binUntilMs'])],
  [RecordType.CLOCK, shape(['retentionMs'])],
  [RecordType.LOCK, shape(VERSION, KEEPING)],
  [RecordType.MOVE, shape(['epoch', 'dataStore', 'duplicateBytes'])],
  [RecordType.CONDEMN, shape(['epoch', 'dataStore', 'firstChunk', 'bits', 'deadPlainBytes'])],
  [RecordType.RECLAIM, shape(['dataStore'])],
  [RecordType.PARDON, shape(['dataStore'])],
  [RecordType.QUARANTINE, shape(['dataStore', 'firstChunk', 'bits'])],
] as [number, Shape][]);

/** Fields of each type in the order of their tags, required or not. */
const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map(
  [...SHAPES].map(([type, { required, optional }]) => [
    type,
    [...required, ...optional].sort((a, b) => FIELDS[a].tag - FIELDS[b].tag),
  ]),
);

const FIELD_HEADER_SIZE = 3;
/** Tags and types from here on may be skipped by who does not know them. */
const OPTIONAL_FROM = 128;

function corrupt(what: string): StoreError {
  return new StoreError('CORRUPT', `catalog record: ${what}`);
}

/** The payload of a record; its type goes beside it. */
export function encodeRecord(record: LogRecord): Uint8Array {
  const values = record as Partial<RecordFields>;
  const parts: Uint8Array[] = [];
  for (const field of LAYOUTS.get(record.type)!) {
    const value = values[field];
    if (value === undefined) continue;
    const bytes = encodeValue(FIELDS[field], value);
    parts.push(Uint8Array.of(FIELDS[field].tag, bytes.length & 0xff, bytes.length >> 8), bytes);
  }
  return Buffer.concat(parts);
}

function encodeValue(kind: Kind, value: string | number | Uint8Array): Uint8Array {
  switch (kind.kind) {
    case 'u32': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value as number);
      return bytes;
    }
    case 'u64': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value as number));
      return bytes;
    }
    case 'name':
      return Buffer.from(value as string, 'utf8');
    case 'bytes':
    case 'blob':
      return value as Uint8Array;
    case 'hex':
      return Buffer.from(value as string, 'hex');
    case 'choice':
      return Uint8Array.of(kind.values.indexOf(value as string));
  }
}

/**
 * The record that a payload of this type holds; undefined for a type that may be skipped. CORRUPT: not one
 * of ours; UNSUPPORTED: a newer version wrote it.
 */
export function decodeRecord(type: number, payload: Uint8Array): LogRecord | undefined {
  const known = SHAPES.get(type);
  if (known === undefined) {
    if (type >= OPTIONAL_FROM) return undefined;
    throw new StoreError('UNSUPPORTED', `catalog record of unknown type ${type}: written by a newer version`);
  }
  if (payload.length > LOG_PAYLOAD_SIZE_MAX) throw corrupt(`a payload of ${payload.length} bytes`);
  const record = readFields(type, payload);
  for (const field of known.required) {
    if (record[field] === undefined) throw corrupt(`type ${type} without its field '${field}'`);
  }
  return record as unknown as LogRecord;
}

function readFields(type: number, payload: Uint8Array): Record<string, unknown> {
  const { required, optional } = SHAPES.get(type)!;
  const bytes = Buffer.from(payload); // a copy: what we keep must not lie in a reused buffer
  const record: Record<string, unknown> = { type };
  let last = 0;
  for (let offset = 0; offset < bytes.length; ) {
    if (offset + FIELD_HEADER_SIZE > bytes.length) throw corrupt('a cut field');
    const tag = bytes[offset]!;
    const start = offset + FIELD_HEADER_SIZE;
    offset = start + bytes.readUInt16LE(offset + 1);
    if (offset > bytes.length) throw corrupt(`field ${tag} is cut`);
    if (tag <= last) throw corrupt(`field ${tag} behind field ${last}`);
    last = tag;
    if (tag >= OPTIONAL_FROM) continue;
    const field = FIELD_BY_TAG.get(tag);
    if (field === undefined || !(required.includes(field) || optional.includes(field))) {
      throw new StoreError('UNSUPPORTED', `catalog record: type ${type} with unknown field ${tag}`);
    }
    record[field] = decodeValue(field, FIELDS[field], bytes.subarray(start, offset));
  }
  return record;
}

function decodeValue(field: Field, kind: Kind, bytes: Buffer): string | number | Uint8Array {
  switch (kind.kind) {
    case 'u32':
      if (bytes.length !== 4) break;
      return bytes.readUInt32LE();
    case 'u64': {
      const value = bytes.length === 8 ? Number(bytes.readBigUInt64LE()) : Number.NaN;
      if (!Number.isSafeInteger(value)) break;
      return value;
    }
    case 'name':
      return decodeFileName(bytes);
    case 'bytes':
      if (bytes.length !== kind.size) break;
      return new Uint8Array(bytes);
    case 'blob':
      return new Uint8Array(bytes);
    case 'hex':
      if (bytes.length !== kind.size) break;
      return bytes.toString('hex');
    case 'choice': {
      const value = bytes.length === 1 ? kind.values[bytes[0]!] : undefined;
      if (value === undefined) break;
      return value;
    }
  }
  throw corrupt(`field '${field}' has an illegal value of ${bytes.length} bytes`);
}
