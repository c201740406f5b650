/**
 * The one encoder and decoder of what the catalog writes into commit logs and view values:
 * native/FORMAT.md, sections "Commit log entries" and "View tables". A payload is a list of fields {tag u8,
 * size u16, bytes}, little-endian, tags rising. A tag or type of 128 and more may be skipped by who does
 * not know it; any other unknown one is UNSUPPORTED. The encoding of a record is unique: what decodes,
 * encodes to the same bytes (but for skipped fields).
 */
import { StoreError } from '../base/errors.js';
import { LOG_PAYLOAD_SIZE_MAX } from '../base/limits.js';
import { FINGERPRINT_SIZE } from '../native/binding.js';
import { decodeFileName } from './names.js';
import type { Compression, Encryption } from './types.js';

/** Never renumbered. 16 … 21 are kept for RENAME, LOCK, MOVE, CONDEMN, RECLAIM, RELATION. */
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
}

type Field = keyof RecordFields;
type With<K extends Field> = Pick<RecordFields, K>;
type StrongDigests = Partial<With<'blake3' | 'sha256' | 'md5'>>;
type FileContent = With<
  'createdMs' | 'size' | 'root' | 'rootLength' | 'depth' | 'chunkCount' | 'newBytes' | 'storedBytes' | 'xxh3'
> &
  StrongDigests;

export type Settings = With<'compression' | 'encryption' | 'rotationDays' | 'quotaBytes'>;
export type ConfigRecord = { readonly type: typeof RecordType.CONFIG } & Settings;
export type ContainerAddRecord = {
  readonly type: typeof RecordType.CONTAINER_ADD;
} & With<'containerId' | 'name' | 'createdMs'>;
export type ContainerDeleteRecord = {
  readonly type: typeof RecordType.CONTAINER_DELETE;
} & With<'containerId'>;
export type PutRecord = {
  readonly type: typeof RecordType.PUT;
} & With<'containerId' | 'name'> &
  FileContent;
export type DeleteRecord = {
  readonly type: typeof RecordType.DELETE;
} & With<'containerId' | 'name' | 'version'>;
export type KeyRecord = { readonly type: typeof RecordType.KEY } & With<'epoch' | 'createdMs'>;
export type EpochRecord = { readonly type: typeof RecordType.EPOCH } & With<'epoch'>;
/** `containerId`: the highest that was ever given. */
export type CheckpointBeginRecord = {
  readonly type: typeof RecordType.CHECKPOINT_BEGIN;
} & Settings &
  With<'containerId'>;
/** A file as a checkpoint and the view keep it. */
export type FileRow = { readonly type: typeof RecordType.CHECKPOINT_FILE } & With<
  'containerId' | 'name' | 'version'
> &
  FileContent;
/** A container as a checkpoint and the view keep it. */
export type ContainerRow = { readonly type: typeof RecordType.CHECKPOINT_CONTAINER } & With<
  'containerId' | 'name' | 'createdMs'
>;
export type CheckpointEndRecord = {
  readonly type: typeof RecordType.CHECKPOINT_END;
} & With<'beginSequence' | 'fileCount' | 'containerCount' | 'setDigest'>;

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
  | CheckpointEndRecord;

type Kind =
  | { readonly kind: 'u32' | 'u64' | 'name' }
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
  [RecordType.CONTAINER_ADD, shape(['containerId', 'name', 'createdMs'])],
  [RecordType.CONTAINER_DELETE, shape(['containerId'])],
  [RecordType.PUT, shape(FILE, DIGESTS)],
  [RecordType.DELETE, shape(['containerId', 'name', 'version'])],
  [RecordType.KEY, shape(['createdMs', 'epoch'])],
  [RecordType.EPOCH, shape(['epoch'])],
  [RecordType.CHECKPOINT_BEGIN, shape(['containerId', ...SETTINGS])],
  [RecordType.CHECKPOINT_FILE, shape([...FILE, 'version'], DIGESTS)],
  [RecordType.CHECKPOINT_END, shape(['beginSequence', 'fileCount', 'containerCount', 'setDigest'])],
  [RecordType.CHECKPOINT_CONTAINER, shape(['containerId', 'name', 'createdMs'])],
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
