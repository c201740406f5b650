/**
 * Damage of stored files by structure class: where each structure lies in the files of a stopped system, and a
 * change of it that follows from a seed.
 */
import { basename } from 'node:path';

export const STRUCTURES = [
  'superblock slot',
  'log copy A',
  'log copy B',
  'data store header',
  'record',
  'trailer',
  'footer',
  'keyring copy',
  'system file copy',
  'RocksDB file',
] as const;
export type Structure = (typeof STRUCTURES)[number];

/** A part of a file that one structure takes. */
export interface Place {
  readonly structure: Structure;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 4096;
const RECORD_MAGIC = Buffer.from('debbd2d900b5565b', 'hex');
const SYSTEM_COPY = /^system\.[ab]$/;
/** Where the footer names the trailer (native/FORMAT.md, "Trailer and footer"). */
const TRAILER_OFFSET_AT = 8;

/** Files of a stopped system, by path. */
export type Files = ReadonlyMap<string, Buffer>;

/** All places of a stopped system. */
export function placesIn(files: Files): Place[] {
  return [...files].flatMap(([path, bytes]) => placesOf(path, bytes)).filter(({ size }) => size > 0);
}

function placesOf(path: string, bytes: Buffer): Place[] {
  const name = basename(path);
  const size = bytes.length;
  const whole = (structure: Structure): Place[] => [{ structure, path, offset: 0, size }];
  if (/\/superblock\.[0-3]$/.test(path)) return whole('superblock slot');
  if (/\/log\/a\//.test(path)) return [{ structure: 'log copy A', path, offset: 0, size: logSize(bytes) }];
  if (/\/log\/b\//.test(path)) return [{ structure: 'log copy B', path, offset: 0, size: logSize(bytes) }];
  if (name.endsWith('.gds')) return dataStorePlaces(path, bytes);
  if (/\/keyring\.[ab]$/.test(path)) return whole('keyring copy');
  if (SYSTEM_COPY.test(name)) return whole('system file copy');
  // RocksDB's own lock and log of events hold nothing.
  if (/\/view\//.test(path) && !/^(LOCK|LOG.*)$/.test(name)) return whole('RocksDB file');
  return [];
}

/** Without the zeros that are allocated behind the records. */
function logSize(bytes: Buffer): number {
  let size = bytes.length;
  while (size > 0 && bytes[size - 1] === 0) size -= 1;
  return size;
}

function dataStorePlaces(path: string, bytes: Buffer): Place[] {
  const footer = bytes.subarray(bytes.length - BLOCK);
  const trailer = Number(footer.readBigUInt64LE(TRAILER_OFFSET_AT));
  const trailerSize = Number(footer.readBigUInt64LE(TRAILER_OFFSET_AT + 8));
  return [
    ...recordPlaces(path, bytes, trailer),
    { structure: 'data store header', path, offset: 0, size: 128 },
    { structure: 'trailer', path, offset: trailer, size: trailerSize },
    { structure: 'footer', path, offset: bytes.length - BLOCK, size: 240 },
  ];
}

/** Between the records lie zeros that nobody needs; damage there is none. */
function recordPlaces(path: string, bytes: Buffer, end: number): Place[] {
  const places: Place[] = [];
  for (let at = BLOCK; at < end; ) {
    if (bytes.subarray(at, at + RECORD_MAGIC.length).equals(RECORD_MAGIC)) {
      const size = 64 + 36 * bytes.readUInt32LE(at + 12) + bytes.readUInt32LE(at + 28) + 16;
      places.push({ structure: 'record', path, offset: at, size });
      at += Math.ceil(size / 8) * 8;
    } else at += 8;
  }
  return places;
}

export type DamageKind = 'bit' | 'zeros' | 'noise' | 'moved' | 'cut';
const KINDS: readonly DamageKind[] = ['bit', 'bit', 'zeros', 'noise', 'moved', 'cut'];

export interface Done {
  readonly what: string;
  /** The rest of the file is gone, too. */
  readonly isCut: boolean;
  /** The file as it is now. */
  readonly bytes: Buffer;
}

/** The place damaged. What would be left as it was (zeros over zeros) gets a bit flipped. */
export function damaged(files: Files, place: Place, next: (bound: number) => number): Done {
  const kind = KINDS[next(KINDS.length)]!;
  const at = place.offset + next(place.size);
  const length = Math.min(1 + next(600), place.offset + place.size - at);
  const before = files.get(place.path)!;
  if (kind === 'cut' && at < before.length) {
    return { what: `cut at ${at}`, isCut: true, bytes: before.subarray(0, at) };
  }
  const bytes = Buffer.from(before);
  if (kind === 'zeros') bytes.fill(0, at, at + length);
  if (kind === 'noise') for (let index = at; index < at + length; index += 1) bytes[index] = next(256);
  if (kind === 'moved') before.copy(bytes, at, place.offset, place.offset + length);
  const isSame = bytes.equals(before);
  if (isSame || kind === 'bit') bytes[at] = bytes[at]! ^ (1 << next(8));
  const what = isSame || kind === 'bit' ? `bit flipped at ${at}` : `${kind}, ${length} bytes at ${at}`;
  return { what, isCut: false, bytes };
}
