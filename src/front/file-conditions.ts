/**
 * Conditional requests and ranges of one file, RFC 9110 sections 13 and 14, as far as one range and strong
 * tags go.
 */
import type { FileRecord } from '../catalog/types.js';
import type { HttpRequestHead } from './http.js';
import { Refusal } from './refusal.js';

/** Content and version: a file put again with the same bytes has another one, since it is another version. */
export function entityTag(file: FileRecord): string {
  return `"${file.xxh3}-${file.version.toString(16)}"`;
}

export function lastModified(file: FileRecord): string {
  return new Date(file.createdMs).toUTCString();
}

/** True: answer 304. 412 when If-Match or If-Unmodified-Since forbids. */
export function isUnchanged(headers: HttpRequestHead['headers'], file: FileRecord): boolean {
  const tag = entityTag(file);
  const match = headers.get('if-match');
  if (
    match !== undefined ? !listsTag(match, tag) : isModifiedSince(headers.get('if-unmodified-since'), file)
  ) {
    throw new Refusal(412, 'INVALID', `the file is not the wanted version: it is ${tag} now`, { etag: tag });
  }
  const noneMatch = headers.get('if-none-match');
  if (noneMatch !== undefined) return listsTag(noneMatch, tag);
  const since = headers.get('if-modified-since');
  return since !== undefined && isModifiedSince(since, file) === false && !Number.isNaN(Date.parse(since));
}

function isModifiedSince(date: string | undefined, file: FileRecord): boolean {
  const ms = date === undefined ? Number.NaN : Date.parse(date);
  return !Number.isNaN(ms) && Math.floor(file.createdMs / 1000) * 1000 > ms;
}

function listsTag(list: string, tag: string): boolean {
  return list.trim() === '*' || list.split(',').some(item => item.trim().replace(/^W\//, '') === tag);
}

export interface WantedRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The single range that is wanted; absent: all of it (none given, several, not understood, If-Range fails).
 * 416 beyond it.
 */
export function wantedRange(headers: HttpRequestHead['headers'], file: FileRecord): WantedRange | undefined {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(headers.get('range')?.replaceAll(' ', '') ?? '');
  if (match === null || !isRangeCurrent(headers.get('if-range'), file)) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const offset = first === '' ? Math.max(0, file.size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? file.size : Math.min(file.size, Number(last) + 1);
  if (offset >= end) {
    const headers = { 'content-range': `bytes */${file.size}` };
    throw new Refusal(416, 'INVALID', `the range lies beyond the file's ${file.size} bytes`, headers);
  }
  return { offset, length: end - offset };
}

function isRangeCurrent(ifRange: string | undefined, file: FileRecord): boolean {
  return ifRange === undefined || ifRange === entityTag(file) || ifRange === lastModified(file);
}
