/**
 * Files of a container: in, out, list, delete. A put is visible only after the catalog's commit, whatever
 * happens to the client; a get never sends a byte that restore has not verified, and cuts the connection when
 * it cannot go on.
 */
import { isoTime } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { HTTP_RESPONSE_CHUNK } from '../base/limits.js';
import type { FileDigests, FileRecord } from '../catalog/types.js';
import type { ExpectedDigests, StrongDigest } from '../ingest/digest-expectation.js';
import type { UploadOptions } from '../ingest/upload.js';
import type { ByteConsumer } from './body-reader.js';
import type { DownloadSession, FrontContext, Streams, UploadSession } from './context.js';
import { entityTag, isUnchanged, lastModified, wantedRange } from './file-conditions.js';
import { digestsOf, fileJson, withoutUndefined } from './file-json.js';
import type { HttpRequestHead, HttpResponse } from './http.js';
import type { Traffic } from './metrics.js';
import { type NamedUploads, nameOfUpload } from './named-uploads.js';
import { type Answer, type Call, type Route, route } from './route.js';
import { containerParams, filePage, fileParams, listQuery, putAnswer } from './schema.js';

const FILE = '/api/v1/containers/{container}/files/{path}';
const STRONG: readonly StrongDigest[] = ['blake3', 'sha256', 'md5'];
const HEX_SIZES = { xxh3: 32, blake3: 64, sha256: 64 } as const;

interface FileParams {
  readonly container: string;
  readonly path: string;
}
type FileCall = Call<FileParams, undefined, undefined>;

/** Where bytes come in and go out, and who is told of it. */
export interface FileTraffic {
  readonly streams: Streams;
  readonly traffic: Traffic;
  readonly uploads: NamedUploads;
}

export function fileRoutes(context: FrontContext, parts: FileTraffic): Route[] {
  const { streams, traffic } = parts;
  const put = (call: FileCall) => putFile(context, parts, call);
  const get = (call: FileCall) => getFile(context, streams, traffic, call);
  return [
    route({
      method: 'PUT',
      pattern: FILE,
      summary: 'Streams a file in. It is visible when the answer comes, and not before.',
      params: fileParams,
      body: 'application/octet-stream',
      headers: {
        'x-granary-xxh3': 'XXH3-128 of the bytes, hex: checked before the commit.',
        'x-granary-blake3': 'BLAKE3-256, hex: checked before the commit.',
        'x-granary-sha256': 'SHA-256, hex: checked before the commit.',
        'content-md5': 'MD5, base64: checked before the commit.',
        'x-granary-upload':
          'A name for the upload while it lasts: GET /api/v1/uploads/NAME tells how it goes.',
        'x-granary-digest': 'Digests to compute and store: blake3, sha256, md5, separated by commas.',
      },
      answers: {
        200: { description: 'A new version of a file that was there', content: putAnswer },
        201: { description: 'A new file', content: putAnswer },
      },
      handle: call => put(call),
    }),
    route({
      method: 'GET',
      pattern: FILE,
      summary: 'Streams a file or one range of it out; every byte is verified first.',
      params: fileParams,
      headers: {
        range: 'One range of bytes.',
        'if-range': 'ETag.',
        'if-none-match': 'ETag.',
        'if-match': 'ETag.',
      },
      answers: {
        200: { description: 'The file', content: 'application/octet-stream' },
        206: { description: 'The range', content: 'application/octet-stream' },
        304: { description: 'Not changed' },
      },
      handle: call => get(call),
    }),
    route({
      method: 'HEAD',
      pattern: FILE,
      summary: "A file's size, version and digests.",
      params: fileParams,
      answers: { 200: { description: 'The headers of GET' }, 304: { description: 'Not changed' } },
      handle: call => headFile(context, call),
    }),
    route({
      method: 'DELETE',
      pattern: FILE,
      summary: 'Deletes a file: into the recycle bin where there is one. Space returns with the cleaner.',
      params: fileParams,
      answers: { 204: { description: 'Deleted' } },
      handle: async ({ params }) => {
        await context.catalog.deleteFile(params.container, params.path);
        return { status: 204 };
      },
    }),
    listRoute(context),
  ];
}

function listRoute({ catalog }: FrontContext): Route {
  return route({
    method: 'GET',
    pattern: '/api/v1/containers/{container}/files',
    summary: 'Lists files in byte order, page by page.',
    params: containerParams,
    query: listQuery,
    answers: { 200: { description: 'A page', content: filePage } },
    handle: async ({ params, query }) => {
      const page = await catalog.listFiles(params.container, withoutUndefined(query));
      const next = page.next === undefined ? {} : { next: page.next };
      return { status: 200, json: { files: page.files.map(fileJson), ...next } };
    },
  });
}

// --- in ---

async function putFile(
  context: FrontContext,
  { streams, traffic, uploads }: FileTraffic,
  { request, reader, params, user }: FileCall,
): Promise<Answer> {
  const { catalog, clock } = context;
  const options = uploadOptions(request);
  const name = nameOfUpload(request);
  const { group } = catalog.openContainer(params.container);
  const startMs = clock.monotonicMs();
  const admission = new Admission(catalog.admitPut(params.container, params.path, options.size));
  const upload = await streams.upload(group, options);
  const forget = uploads.add(user, name, upload);
  try {
    await reader.into(counted(upload, admission, traffic));
    const draft = await upload.finish();
    const isNew = (await admission.replaced) === undefined;
    const file = await catalog.putFile(params.container, params.path, draft);
    traffic.stored(file);
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    return { status: isNew ? 201 : 200, headers: { etag: entityTag(file) }, json: putJson(file, seconds) };
  } finally {
    forget();
    await upload.close();
  }
}

/** May the file be put? It is asked while the body comes. */
class Admission {
  /** The file that will be replaced. */
  readonly replaced: Promise<FileRecord | undefined>;
  refusal: unknown;

  constructor(replaced: Promise<FileRecord | undefined>) {
    this.replaced = replaced;
    replaced.catch(refusal => {
      this.refusal = refusal;
    });
  }
}

/**
 * The upload, its bytes counted; a failure is told at once, and not when the client has sent all the rest.
 */
function counted(upload: UploadSession, admission: Admission, traffic: Traffic): ByteConsumer {
  const check = () => {
    const failure = upload.failure ?? admission.refusal;
    if (failure !== undefined) throw failure;
  };
  return {
    write: bytes => {
      traffic.received(bytes.length);
      const isFree = upload.write(bytes);
      check();
      return isFree;
    },
    ready: () => upload.ready().then(check),
  };
}

function uploadOptions({ headers, contentLength }: HttpRequestHead): UploadOptions {
  const expected = expectedDigests(headers);
  const digests = wantedDigests(headers.get('x-granary-digest'));
  return { digests, expected, ...(contentLength === undefined ? {} : { size: contentLength }) };
}

function wantedDigests(header: string | undefined): StrongDigest[] {
  const names = (header ?? '').split(',').map(name => name.trim().toLowerCase());
  return names.filter((name): name is StrongDigest => {
    if (name === '' || name === 'xxh3') return false;
    if (STRONG.includes(name as StrongDigest)) return true;
    throw new StoreError('INVALID', `x-granary-digest: '${name}' is none of xxh3, ${STRONG.join(', ')}`);
  });
}

function expectedDigests(headers: HttpRequestHead['headers']): ExpectedDigests {
  const expected: { -readonly [K in keyof FileDigests]?: string } = {};
  for (const [name, size] of Object.entries(HEX_SIZES) as [keyof typeof HEX_SIZES, number][]) {
    const value = headers.get(`x-granary-${name}`)?.trim().toLowerCase();
    if (value === undefined) continue;
    if (value.length !== size || !/^[0-9a-f]+$/.test(value)) {
      throw new StoreError('INVALID', `x-granary-${name} is not ${size} hex digits`);
    }
    expected[name] = value;
  }
  const md5 = headers.get('content-md5')?.trim();
  if (md5 !== undefined) expected.md5 = md5Hex(md5);
  return expected;
}

function md5Hex(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== base64) {
    throw new StoreError('INVALID', 'Content-MD5 is not 16 bytes in base64');
  }
  return bytes.toString('hex');
}

// --- out ---

async function getFile(
  { catalog }: FrontContext,
  streams: Streams,
  traffic: Traffic,
  { request, response, params }: FileCall,
): Promise<Answer | undefined> {
  const { group } = catalog.openContainer(params.container);
  const file = await catalog.file(params.container, params.path);
  const headers = fileHeaders(file);
  if (isUnchanged(request.headers, file)) return { status: 304, headers };
  const range = wantedRange(request.headers, file);
  const download = await streams.download(group, file, range);
  try {
    // What fails before the first byte can still be told as an error.
    const first = await download.next();
    response.head(range === undefined ? 200 : 206, {
      ...headers,
      ...(range === undefined ? {} : { 'content-range': contentRange(range, file) }),
      'content-type': 'application/octet-stream',
      'content-length': String(range?.length ?? file.size),
    });
    await sendAll(download, first, response, traffic);
    response.end();
  } finally {
    await download.close();
  }
  return undefined;
}

/** The next bytes are asked for only when the client has taken these. */
async function sendAll(
  download: DownloadSession,
  first: Uint8Array | undefined,
  response: HttpResponse,
  traffic: Traffic,
): Promise<void> {
  for (let bytes = first; bytes !== undefined; bytes = await download.next()) {
    for (let at = 0; at < bytes.length; at += HTTP_RESPONSE_CHUNK) {
      const part = bytes.subarray(at, at + HTTP_RESPONSE_CHUNK);
      if (!response.write(part)) await response.drained();
      traffic.sent(part.length);
    }
  }
}

async function headFile({ catalog }: FrontContext, call: FileCall): Promise<Answer | undefined> {
  const { request, response, params } = call;
  catalog.openContainer(params.container);
  const file = await catalog.file(params.container, params.path);
  const headers = fileHeaders(file);
  if (isUnchanged(request.headers, file)) return { status: 304, headers };
  response.head(200, {
    ...headers,
    'content-type': 'application/octet-stream',
    'content-length': String(file.size),
  });
  response.endHead();
  return undefined;
}

function contentRange(range: { offset: number; length: number }, file: FileRecord): string {
  return `bytes ${range.offset}-${range.offset + range.length - 1}/${file.size}`;
}

function fileHeaders(file: FileRecord): Record<string, string> {
  const headers: Record<string, string> = {
    etag: entityTag(file),
    'last-modified': lastModified(file),
    'accept-ranges': 'bytes',
    'x-granary-xxh3': file.xxh3,
    'x-granary-version': String(file.version),
  };
  const { lockMode, lockUntilMs, hold } = file;
  if (lockMode !== undefined && lockUntilMs !== undefined) {
    headers['x-granary-lock-mode'] = lockMode;
    headers['x-granary-lock-until'] = isoTime(lockUntilMs);
  }
  if (hold !== undefined) headers['x-granary-hold'] = hold;
  for (const name of STRONG) {
    const digest = file[name];
    if (digest !== undefined) headers[`x-granary-${name}`] = digest;
  }
  return headers;
}

function putJson(file: FileRecord, seconds: number): object {
  const { path, version, size, newBytes, storedBytes } = file;
  return { path, version, size, newBytes, storedBytes, seconds, ...digestsOf(file) };
}
