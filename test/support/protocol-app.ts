/**
 * Small handlers over the HttpServer interface that protocol tests drive: echo of digests, streams of a known
 * pattern.
 */
import { createHash } from 'node:crypto';
import type {
  BodySink,
  HttpHandlers,
  HttpRequest,
  HttpResponse,
  WebSocketConnection,
} from '../../src/front/http.js';

export interface ProtocolLog {
  readonly requests: {
    method: string;
    rawPath: string;
    rawQuery: string;
    headers: ReadonlyMap<string, string>;
  }[];
  aborted: number;
  /** Most bytes that were written and not yet taken. */
  bytesWritten: number;
  release: () => void;
  connections: WebSocketConnection[];
  closeCodes: number[];
}

/** Byte i of every stream is i * 31 + (i >> 8), so that a lost, doubled or shifted piece shows. */
export function pattern(size: number, from = 0): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 255;
  return bytes;
}

export function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

const PIECE = 256 * 1024;
const BLOCK = pattern(1 << 20);

export function protocolApp(): { handlers: HttpHandlers; log: ProtocolLog } {
  const log: ProtocolLog = {
    requests: [],
    aborted: 0,
    bytesWritten: 0,
    release: () => undefined,
    connections: [],
    closeCodes: [],
  };
  const handlers: HttpHandlers = {
    async onRequest(request, response) {
      const { method, rawPath, rawQuery, headers } = request;
      log.requests.push({ method, rawPath, rawQuery, headers });
      const size = Number(rawQuery);
      if (rawPath === '/throw') throw new Error('a handler that throws');
      if (rawPath === '/refuse') return answer(response, 403, 'no');
      if (rawPath === '/never-read') return answer(response, 200, 'unread');
      if (rawPath === '/early') {
        response.head(403, { connection: 'close' });
        response.write(Buffer.from('early'));
        await response.drained();
        await new Promise(resolve => setTimeout(resolve, 50));
        response.end();
        return;
      }
      if (rawPath === '/hold') {
        await new Promise<void>(resolve => {
          log.release = resolve;
        });
        return answer(response, 200, 'held');
      }
      if (rawPath === '/bytes') return sendBytes(log, response, method, size, true);
      if (rawPath === '/chunked') return sendBytes(log, response, method, size, false);
      if (rawPath === '/late') await new Promise(resolve => setTimeout(resolve, 30));
      if (rawPath === '/short') {
        response.head(200, { 'content-length': '1000' });
        response.write(pattern(10));
        response.end();
        return;
      }
      const digest = await readBody(log, request, rawPath === '/pausing');
      if (digest !== undefined) answer(response, 200, JSON.stringify(digest));
    },
    onUpgrade(head) {
      if (head.rawPath !== '/ws') {
        return { isAccepted: false, status: 403, body: Buffer.from('no') };
      }
      return {
        isAccepted: true,
        ...(head.headers.get('sec-websocket-protocol') === 'granary' ? { protocol: 'granary' } : {}),
        open: connection => {
          log.connections.push(connection);
          return {
            onMessage: bytes => {
              if (Buffer.from(bytes).toString() === 'throw') throw new Error('a sink that throws');
              connection.send(bytes);
            },
            onClose: code => log.closeCodes.push(code),
          };
        },
      };
    },
  };
  return { handlers, log };
}

function answer(response: HttpResponse, status: number, text: string): void {
  if (response.isClosed) return;
  response.head(status, { 'content-type': 'text/plain' });
  response.end(Buffer.from(text));
}

async function sendBytes(
  log: ProtocolLog,
  response: HttpResponse,
  method: string,
  size: number,
  hasLength: boolean,
): Promise<void> {
  response.head(200, hasLength ? { 'content-length': String(size) } : {});
  if (method === 'HEAD') return response.endHead();
  // One buffer for all writes: a server that still needs the one before would send wrong bytes.
  const buffer = Buffer.alloc(PIECE);
  try {
    for (let at = 0; at < size; at += PIECE) {
      const part = buffer.subarray(0, Math.min(PIECE, size - at));
      const shift = at % BLOCK.length;
      BLOCK.copy(part, 0, shift, shift + part.length);
      if (!response.write(part)) await response.drained();
      log.bytesWritten += part.length;
    }
    response.end();
  } catch {
    log.aborted += 1;
  }
}

/** Size and MD5 of the body; undefined when the client went. */
function readBody(
  log: ProtocolLog,
  request: HttpRequest,
  isPausing: boolean,
): Promise<{ size: number; md5: string } | undefined> {
  return new Promise(resolve => {
    const hash = createHash('md5');
    let size = 0;
    const sink: BodySink = {
      onData(bytes) {
        hash.update(bytes);
        size += bytes.length;
        if (!isPausing) return;
        request.body.pause();
        setTimeout(() => request.body.resume(), 1);
      },
      onEnd: () => resolve({ size, md5: hash.digest('hex') }),
      onAbort() {
        log.aborted += 1;
        resolve(undefined);
      },
    };
    request.body.start(sink);
  });
}
