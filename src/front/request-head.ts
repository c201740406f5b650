/**
 * Checks a request's head, the same for both servers: what one parser lets through and another reads
 * differently is how requests are smuggled past a proxy, so whatever is ambiguous is refused and the
 * connection closed.
 */
import { REQUEST_HEADER_COUNT_MAX } from '../base/limits.js';
import type { HttpRequestHead } from './http.js';

export interface HeadRefusal {
  readonly status: number;
  readonly message: string;
}

export interface RawHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** In order, names as they came. */
  readonly headers: readonly (readonly [string, string])[];
  readonly remoteAddress: string;
  readonly isTls: boolean;
}

/** A second one of these would change what the request means. */
const SINGLE = new Set([
  'authorization',
  'content-length',
  'content-md5',
  'content-type',
  'host',
  'if-range',
  'range',
  'transfer-encoding',
  'x-granary-blake3',
  'x-granary-sha256',
  'x-granary-xxh3',
]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible ASCII without what no URL may hold. */
const TARGET = /^\/[!-~]*$/;
const QUERY = /^[!-~]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;

type Refuse = (message: string, status?: number) => HeadRefusal;
const refuse: Refuse = (message, status = 400) => ({ status, message });

/** The checked head, or what to answer before closing the connection. */
export function readHead(raw: RawHead): HttpRequestHead | HeadRefusal {
  if (!TOKEN.test(raw.method)) return refuse('the method is not a token');
  if (!TARGET.test(raw.path)) return refuse('the request target is not a path of percent-encoded ASCII');
  if (!QUERY.test(raw.query)) return refuse('the query is not percent-encoded ASCII');
  if (raw.headers.length > REQUEST_HEADER_COUNT_MAX) {
    return refuse(`more than ${REQUEST_HEADER_COUNT_MAX} headers`, 431);
  }
  const headers = joinHeaders(raw.headers);
  if (!(headers instanceof Map)) return headers;
  if (!headers.has('host')) return refuse('no Host header');
  const framing = readFraming(headers);
  if ('status' in framing) return framing;
  return {
    method: raw.method,
    rawPath: raw.path,
    rawQuery: raw.query,
    headers,
    remoteAddress: raw.remoteAddress,
    isTls: raw.isTls,
    ...framing,
  };
}

export function isRefusal(head: HttpRequestHead | HeadRefusal): head is HeadRefusal {
  return 'status' in head;
}

function joinHeaders(pairs: RawHead['headers']): Map<string, string> | HeadRefusal {
  const headers = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (!TOKEN.test(name)) return refuse('a header name is not a token');
    if (CONTROL.test(value)) return refuse(`header ${name} holds a control character`);
    const key = name.toLowerCase();
    const before = headers.get(key);
    if (before !== undefined && SINGLE.has(key)) return refuse(`more than one ${key} header`);
    headers.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function readFraming(
  headers: Map<string, string>,
): { contentLength?: number; isChunked: boolean } | HeadRefusal {
  const coding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  if (coding !== undefined && length !== undefined) {
    return refuse('Content-Length and Transfer-Encoding in one request');
  }
  if (coding !== undefined) {
    return coding.toLowerCase() === 'chunked'
      ? { isChunked: true }
      : refuse('a Transfer-Encoding other than chunked');
  }
  if (length === undefined) return { isChunked: false };
  const contentLength = Number(length);
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(contentLength)) {
    return refuse('Content-Length is not a number of bytes below 2^53');
  }
  return { contentLength, isChunked: false };
}

/** '::ffff:10.0.0.1' and 16 packed bytes that mean the same → '10.0.0.1'. */
export function addressText(address: string): string {
  const mapped = /^(?:::ffff:|0000:0000:0000:0000:0000:ffff:)(.+)$/i.exec(address)?.[1];
  if (mapped === undefined) return address;
  if (mapped.includes('.')) return mapped;
  const [high, low] = mapped.split(':').map(part => Number.parseInt(part, 16));
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join('.');
}

/** The body of an answer that a server gives by itself, in the same form as all errors. */
export function refusalBody(status: number, message: string): Uint8Array {
  const code = status === 503 ? 'BUSY' : status === 404 ? 'NOT_FOUND' : 'INVALID';
  return new TextEncoder().encode(JSON.stringify({ error: { code, message } }));
}
