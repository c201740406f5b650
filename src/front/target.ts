/**
 * What a request target names: path segments and queries are percent-decoded exactly once, strictly. A file's
 * name is what stands behind /files/ as bytes: '%2F' is a slash like any other, '..' and '//' mean nothing.
 * It never becomes a path of this machine.
 */

import { StoreError } from '../base/errors.js';
import { fileNameBytes } from '../catalog/names.js';

// A leading byte order mark belongs to the name.
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const PERCENT = 0x25;

/** INVALID, saying what was wrong and where. `what` names the part for the message. */
export function decodePercent(raw: string, what: string): string {
  if (!raw.includes('%')) return raw;
  const bytes = Buffer.alloc(raw.length);
  let size = 0;
  for (let at = 0; at < raw.length; size += 1) {
    const unit = raw.charCodeAt(at);
    bytes[size] = unit === PERCENT ? escapedByte(raw, at, what) : unit;
    at += unit === PERCENT ? 3 : 1;
  }
  try {
    return STRICT.decode(bytes.subarray(0, size));
  } catch (cause) {
    throw new StoreError('INVALID', `${what} is not valid UTF-8 after percent-decoding`, { cause });
  }
}

function escapedByte(raw: string, at: number, what: string): number {
  const digits = raw.slice(at + 1, at + 3);
  if (!/^[0-9A-Fa-f]{2}$/.test(digits)) {
    throw new StoreError('INVALID', `${what} holds a '%' at ${at} that two hex digits do not follow`);
  }
  return Number.parseInt(digits, 16);
}

/** The file name that a raw path names: 1 … FILE_NAME_SIZE_MAX bytes of UTF-8, no NUL. */
export function decodeFileName(raw: string): string {
  const name = decodePercent(raw, 'the file name');
  fileNameBytes(name);
  return name;
}

/** A query as its pairs; '+' is a blank. INVALID for a name that comes twice. */
export function parseQuery(raw: string): Record<string, string> {
  const query: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of raw.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decodeQueryPart(at < 0 ? pair : pair.slice(0, at));
    if (name in query) throw new StoreError('INVALID', `the query has '${name}' twice`);
    query[name] = at < 0 ? '' : decodeQueryPart(pair.slice(at + 1));
  }
  return query;
}

function decodeQueryPart(raw: string): string {
  return decodePercent(raw.replaceAll('+', ' '), 'the query');
}
