/**
 * The HTTP client of the command line: JSON calls, streams up and streams down over node:http(s). Failures of
 * the server become StoreErrors with the code it sent; a server that does not answer is UNAVAILABLE. One
 * connection is kept alive between calls; close() ends it.
 */
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { CODES, type Code, StoreError } from '../base/errors.js';
import { ANSWER_SIZE_MAX } from '../base/limits.js';
import type { ByteSource } from './byte-source.js';
import type { Connection } from './connection.js';

type Headers = Readonly<Record<string, string>>;

export class Client {
  readonly #connection: Connection;
  readonly #agent: Agent;

  constructor(connection: Connection) {
    this.#connection = connection;
    const ca = connection.certificateAuthority;
    this.#agent =
      connection.url.protocol === 'https:'
        ? new TlsAgent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) })
        : new Agent({ keepAlive: true });
  }

  /** One call with a JSON answer; undefined for an empty one. `path` is sent as it is. */
  async json<T>(method: string, path: string, body?: unknown, given: Headers = {}): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const type: Headers = text === undefined ? {} : { 'content-type': 'application/json' };
    const headers = { ...given, ...type, ...lengthHeader(Buffer.byteLength(text ?? '')) };
    const call = this.#open(method, path, headers);
    call.end(text);
    return readJson<T>(await this.#answer(call));
  }

  /** Streams `source` up and resolves with the server's answer. The source is closed in any case. */
  async upload<T>(path: string, source: ByteSource, headers: Headers): Promise<T> {
    const framing = source.size === undefined ? {} : lengthHeader(source.size);
    const call = this.#open('PUT', path, { ...headers, ...framing });
    const answer = this.#answer(call);
    const pumped = pump(source, call);
    try {
      // An answer that comes first is a refusal: what is left of the stream need not be sent.
      const response = await Promise.race([answer, pumped.then(() => answer)]);
      return await readJson<T>(response);
    } catch (thrown) {
      call.destroy();
      throw thrown;
    } finally {
      await source.close();
    }
  }

  /** The answer's head; its body is the caller's to read. Throws when the status is not 2xx. */
  async download(path: string, headers: Headers): Promise<IncomingMessage> {
    const call = this.#open('GET', path, headers);
    call.end();
    const response = await this.#answer(call);
    if (isRefusal(response)) await readJson(response);
    return response;
  }

  /** The headers of a HEAD request. */
  async head(path: string): Promise<IncomingMessage['headers']> {
    const call = this.#open('HEAD', path, {});
    call.end();
    const response = await this.#answer(call);
    response.resume();
    if (isRefusal(response)) throw refusal(response.statusCode!, '');
    return response.headers;
  }

  close(): void {
    this.#agent.destroy();
  }

  #open(method: string, path: string, headers: Headers): ClientRequest {
    const { url, token } = this.#connection;
    const options: RequestOptions = {
      agent: this.#agent,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port,
      method,
      path: url.pathname.replace(/\/$/, '') + path,
      headers: { authorization: `Bearer ${token}`, host: url.host, ...headers },
    };
    return (url.protocol === 'https:' ? tlsRequest : request)(options);
  }

  #answer(call: ClientRequest): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      call.on('response', resolve);
      call.on('error', cause => reject(this.#unreachable(cause)));
    });
  }

  #unreachable(cause: Error & { code?: string }): StoreError {
    if (cause instanceof StoreError) return cause;
    const origin = this.#connection.url.origin;
    const text =
      cause.code === 'ECONNREFUSED'
        ? `no server answers at ${origin} (start one: granary serve)`
        : `the connection to ${origin} broke: ${cause.message}`;
    return new StoreError('UNAVAILABLE', text, { cause });
  }
}

function lengthHeader(size: number): Headers {
  return { 'content-length': String(size) };
}

/**
 * Sends all of the source; a buffer goes back to it when the socket has taken it, which is what holds reading
 * back.
 */
async function pump(source: ByteSource, call: ClientRequest): Promise<void> {
  try {
    for (let bytes = await source.next(); bytes !== undefined; bytes = await source.next()) {
      const sent = bytes;
      call.write(sent, () => source.release(sent));
      if (call.destroyed) return;
    }
    call.end();
  } catch (thrown) {
    call.destroy(thrown as Error);
    throw thrown;
  }
}

function isRefusal(response: IncomingMessage): boolean {
  return response.statusCode === undefined || response.statusCode < 200 || response.statusCode > 299;
}

async function readJson<T>(response: IncomingMessage): Promise<T> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > ANSWER_SIZE_MAX)
      throw new StoreError('INVALID', `the server's answer is longer than ${ANSWER_SIZE_MAX}`);
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString('utf8');
  if (isRefusal(response)) throw refusal(response.statusCode ?? 0, text);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** The error of the contract's form, or the best that can be made of another one's. */
function refusal(status: number, text: string): StoreError {
  const error = parseError(text);
  if (error !== undefined) return new StoreError(error.code, error.message);
  const code = (Object.keys(CODES) as Code[]).find(name => CODES[name].http === status) ?? 'UNAVAILABLE';
  return new StoreError(code, `the server answered ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`);
}

function parseError(text: string): { code: Code; message: string } | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.code !== 'string' || !Object.hasOwn(CODES, error.code)) return undefined;
    return { code: error.code as Code, message: String(error.message) };
  } catch {
    // Not our server's form; the caller makes an error from the status.
    return undefined;
  }
}
