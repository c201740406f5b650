/**
 * Finds the route of a request, admits its user, checks what it brings, runs it and answers: the one place
 * where results and failures become HTTP answers.
 */
import { z } from 'zod';
import { assert } from '../base/assert.js';
import type { Clock } from '../base/clock.js';
import { CODES, StoreError } from '../base/errors.js';
import { DRAIN_KEEP_ALIVE_MAX, JSON_BODY_SIZE_MAX } from '../base/limits.js';
import { ACCESS, type Authority } from './auth.js';
import { BodyReader } from './body-reader.js';
import type { FrontLog, HttpHeaders, HttpRequest, HttpResponse } from './http.js';
import { errorAnswer, Refusal } from './refusal.js';
import { type Answer, type Route, routeId } from './route.js';
import { decodeFileName, decodePercent, parseQuery } from './target.js';

/** Told of each request when its answer has ended: `id` is the route, or 'none'. */
export type Observer = (id: string, status: number, seconds: number) => void;

export interface RouterParts {
  readonly routes: readonly Route[];
  readonly authority: Authority;
  readonly clock: Clock;
  readonly log: FrontLog;
  readonly observe: Observer;
}

interface Match {
  readonly route: Route;
  readonly rawParams: Readonly<Record<string, string>>;
}

const REST = '{path}';

export class Router {
  readonly #parts: RouterParts;
  /** Split patterns, longest first: a literal segment wins over what a parameter would swallow. */
  readonly #patterns: readonly { readonly segments: readonly string[]; readonly route: Route }[];

  constructor(parts: RouterParts) {
    for (const described of parts.routes) {
      assert(ACCESS[routeId(described)] !== undefined, `route ${routeId(described)} has no row in ACCESS`);
    }
    this.#parts = parts;
    this.#patterns = parts.routes.map(described => ({
      segments: described.pattern.split('/'),
      route: described,
    }));
  }

  async handle(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { clock, observe } = this.#parts;
    const reader = new BodyReader(request.body);
    const startMs = clock.monotonicMs();
    const call = { id: 'none' };
    try {
      const answer = await this.#run(request, response, reader, call);
      if (answer !== undefined) await this.#send(request, response, reader, answer);
    } catch (thrown) {
      await this.#sendFailure(request, response, reader, thrown, call);
    }
    observe(call.id, response.status || CODES.CANCELLED.http, (clock.monotonicMs() - startMs) / 1000);
  }

  async #run(
    request: HttpRequest,
    response: HttpResponse,
    reader: BodyReader,
    call: { id: string },
  ): Promise<Answer | undefined> {
    const { route, rawParams } = this.#find(request);
    call.id = routeId(route);
    const user = this.#parts.authority.admit(call.id, request);
    const params = check('path', route.params, decodeParams(rawParams));
    const query = check('query', route.query, parseQuery(request.rawQuery));
    const body = await readBody(route, reader);
    return await route.handle({ request, response, reader, params, query, body, user } as never);
  }

  #find(request: HttpRequest): Match {
    const segments = request.rawPath.split('/');
    const matches = this.#patterns.flatMap(({ segments: pattern, route }) => {
      const rawParams = matchSegments(pattern, segments);
      return rawParams === undefined ? [] : [{ route, rawParams }];
    });
    const found = matches.find(match => match.route.method === request.method);
    if (found !== undefined) return found;
    if (matches.length === 0) throw new StoreError('NOT_FOUND', 'there is no such address');
    const allow = matches.map(match => match.route.method).join(', ');
    throw new Refusal(405, 'INVALID', `this address takes ${allow}`, { allow });
  }

  async #sendFailure(
    request: HttpRequest,
    response: HttpResponse,
    reader: BodyReader,
    thrown: unknown,
    call: { id: string },
  ): Promise<void> {
    const answer = errorAnswer(thrown);
    if (answer.status >= 500 && answer.status !== 503 && answer.status !== 507) {
      this.#parts.log.error({ err: thrown, route: call.id, code: answer.code }, 'a request failed');
    }
    // Bytes are out already, or nobody listens: a cut connection is the only honest end.
    if (response.isHeadSent || answer.code === 'CANCELLED') {
      response.abort();
      return;
    }
    await this.#send(request, response, reader, answer);
  }

  async #send(
    request: HttpRequest,
    response: HttpResponse,
    reader: BodyReader,
    answer: Answer,
  ): Promise<void> {
    if (response.isClosed) return;
    const text = answer.text ?? (answer.json === undefined ? '' : JSON.stringify(answer.json));
    const bytes = Buffer.from(text, 'utf8');
    const type: HttpHeaders = answer.json === undefined ? {} : { 'content-type': 'application/json' };
    const headers: HttpHeaders = { ...type, 'cache-control': 'no-store', ...answer.headers };
    if (request.method === 'HEAD' || answer.status === 204 || answer.status === 304) {
      response.head(answer.status, headers);
      response.endHead();
    } else if (mayKeepConnection(request, reader)) {
      response.head(answer.status, { ...headers, 'content-length': String(bytes.length) });
      response.end(bytes);
    } else {
      await this.#sendEarly(response, reader, answer.status, headers, bytes);
    }
  }

  /**
   * An answer in front of a body that nobody will read. Closing at once would reset the connection and could
   * take the answer with it: the client gets it all but its end, has a while to notice, then the connection
   * closes.
   */
  async #sendEarly(
    response: HttpResponse,
    reader: BodyReader,
    status: number,
    headers: HttpHeaders,
    bytes: Uint8Array,
  ): Promise<void> {
    response.head(status, { ...headers, connection: 'close' });
    if (!response.write(bytes)) await response.drained().catch(ignoreGone);
    if (!reader.isHeldBack) await reader.drop(this.#parts.clock);
    response.end();
  }
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof StoreError)) throw error;
}

/** Is the body read, absent, or so short that it can be dropped? */
function mayKeepConnection(request: HttpRequest, reader: BodyReader): boolean {
  if (reader.isComplete) return true;
  return !reader.isHeldBack && !request.isChunked && (request.contentLength ?? 0) <= DRAIN_KEEP_ALIVE_MAX;
}

/** The raw parameters when the pattern fits. */
function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const hasRest = pattern.at(-1) === REST;
  if (hasRest ? segments.length < pattern.length : segments.length !== pattern.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (part === REST) params.path = segments.slice(index).join('/');
    else if (part.startsWith('{')) params[part.slice(1, -1)] = segments[index]!;
    else if (part !== segments[index]) return undefined;
  }
  return params;
}

function decodeParams(raw: Readonly<Record<string, string>>): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [name, value] of Object.entries(raw)) {
    params[name] = name === 'path' ? decodeFileName(value) : decodePercent(value, `the ${name}`);
  }
  return params;
}

async function readBody(route: Route, reader: BodyReader): Promise<unknown> {
  if (route.body === undefined || typeof route.body === 'string') return undefined;
  const bytes = await reader.bytes(JSON_BODY_SIZE_MAX);
  return check('body', route.body, parseJson(bytes));
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new StoreError('INVALID', `the body is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** What the schema makes of the value; INVALID with every reason otherwise. */
function check(what: string, schema: z.ZodType | undefined, value: unknown): unknown {
  const result = (schema ?? NOTHING).safeParse(value);
  if (result.success) return result.data;
  const reasons = result.error.issues.map(issue => `${issue.path.join('.') || what}: ${issue.message}`);
  throw new StoreError('INVALID', `the ${what} is not as it must be: ${reasons.join('; ')}`);
}

const NOTHING = z.strictObject({});
