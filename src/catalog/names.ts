/**
 * Names, checked once where they come in. A file's name is bytes: strict UTF-8, 1 … FILE_NAME_SIZE_MAX, no
 * NUL; '..', newlines and slashes are bytes like others, because a name is never a path of this machine.
 * Names are ordered by their bytes, which for strings means by code points: JavaScript's own order (UTF-16
 * units) differs for astral characters.
 */
import { isAbsolute, normalize, sep } from 'node:path';
import { StoreError } from '../base/errors.js';
import { FILE_NAME_SIZE_MAX, NAME_LENGTH_MAX } from '../base/limits.js';

const PLAIN_NAME = /^[A-Za-z0-9._-]+$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
// A leading byte order mark is part of the name: without ignoreBOM the decoder would swallow it.
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of a file's name. INVALID, with the reason, when it is not one. */
export function fileNameBytes(name: string): Uint8Array {
  if (LONE_SURROGATE.test(name)) throw new StoreError('INVALID', 'a file name must be valid UTF-8');
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length === 0) throw new StoreError('INVALID', 'a file name must not be empty');
  if (bytes.length > FILE_NAME_SIZE_MAX) {
    throw new StoreError(
      'INVALID',
      `a file name has ${bytes.length} bytes, at most ${FILE_NAME_SIZE_MAX} are allowed`,
    );
  }
  if (bytes.includes(0)) throw new StoreError('INVALID', 'a file name must not contain NUL');
  return bytes;
}

/** The name that was stored as these bytes. CORRUPT when they are no legal name. */
export function decodeFileName(bytes: Uint8Array): string {
  try {
    const name = STRICT.decode(bytes);
    fileNameBytes(name);
    return name;
  } catch (cause) {
    throw new StoreError('CORRUPT', `a stored file name of ${bytes.length} bytes is not legal`, { cause });
  }
}

/** Checks the name of a storage group, container or user: `what` says which, for the message. */
export function checkName(what: string, name: string): void {
  const isLegal = PLAIN_NAME.test(name) && name.length <= NAME_LENGTH_MAX && !/^\.+$/.test(name);
  if (isLegal) return;
  throw new StoreError(
    'INVALID',
    `not a ${what} name: ${JSON.stringify(name.slice(0, 2 * NAME_LENGTH_MAX))} ` +
      `(letters, digits, '-', '_', '.'; 1 to ${NAME_LENGTH_MAX})`,
  );
}

/**
 * The directory of a storage group in its plain form: absolute, no '..', no slash at its end. INVALID
 * otherwise.
 */
export function checkDirectory(path: string): string {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new StoreError('INVALID', `a storage group's path must be absolute: ${JSON.stringify(path)}`);
  }
  const plain = normalize(path);
  return plain.length > 1 && plain.endsWith(sep) ? plain.slice(0, -1) : plain;
}

/** Is one of the two directories the other, or inside it? */
export function isNested(a: string, b: string): boolean {
  const inside = (inner: string, outer: string): boolean =>
    inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
  return inside(a, b) || inside(b, a);
}

/** Order of the names' UTF-8 bytes. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const unitA = a.charCodeAt(index);
    const unitB = b.charCodeAt(index);
    if (unitA !== unitB) return codePointRank(unitA) - codePointRank(unitB);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others, though their units are below 0xE000. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
