/**
 * Who may do what. Bearer tokens are 32 random bytes in base64url; only their SHA-256 is stored. The decision
 * is made once, before a route runs, from one table of route × role; a route without a row is a bug that ends
 * the start.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { AUTH_ADDRESSES_MAX, AUTH_FAILURES_MAX } from '../base/limits.js';
import type { HttpRequestHead } from './http.js';
import { Refusal } from './refusal.js';

/** admin: everything; operator: everything but users; writer: files in and out; reader: files out. */
export const ROLES = ['admin', 'operator', 'writer', 'reader'] as const;
export type Role = (typeof ROLES)[number];

export interface User {
  readonly name: string;
  readonly role: Role;
}

/** The stored side of tokens; main wires it to the system file. */
export interface TokenStore {
  /**
   * `hash`: SHA-256 of the token's text, lower-case hex. The user carries its own hash, to be compared in
   * constant time.
   */
  find(
    hash: string,
  ): { readonly name: string; readonly role: string; readonly tokenHash: string } | undefined;
}

export type Access = readonly Role[] | 'anyone' | 'loopback or any user';

const ADMIN: Access = ['admin'];
const OPERATOR: Access = ['admin', 'operator'];
const WRITER: Access = ['admin', 'operator', 'writer'];
const READER: Access = ROLES;

/** Every route has a row: 'METHOD pattern'. */
export const ACCESS: Readonly<Record<string, Access>> = {
  'GET /healthz': 'anyone',
  'GET /metrics': 'loopback or any user',
  'GET /api/v1/openapi.json': 'anyone',
  'GET /api/v1/system': READER,
  'GET /api/v1/stats': READER,
  'POST /api/v1/verify': OPERATOR,
  'POST /api/v1/scrub': OPERATOR,
  'GET /api/v1/scrub': READER,
  'GET /api/v1/jobs/{job}': OPERATOR,
  'GET /api/v1/cleaner': READER,
  'PATCH /api/v1/cleaner': OPERATOR,
  'POST /api/v1/cleaner/run': OPERATOR,
  'POST /api/v1/cleaner/pause': OPERATOR,
  'POST /api/v1/cleaner/resume': OPERATOR,
  'GET /api/v1/groups': READER,
  'POST /api/v1/groups': OPERATOR,
  'GET /api/v1/groups/{group}': READER,
  'PATCH /api/v1/groups/{group}': OPERATOR,
  'DELETE /api/v1/groups/{group}': OPERATOR,
  'POST /api/v1/groups/{group}/unlock': OPERATOR,
  'POST /api/v1/groups/{group}/passphrase': OPERATOR,
  'POST /api/v1/groups/{group}/keys': OPERATOR,
  'GET /api/v1/containers': READER,
  'POST /api/v1/containers': OPERATOR,
  'GET /api/v1/containers/{container}': READER,
  'PATCH /api/v1/containers/{container}': OPERATOR,
  'DELETE /api/v1/containers/{container}': OPERATOR,
  'GET /api/v1/containers/{container}/bin': OPERATOR,
  'POST /api/v1/containers/{container}/bin/restore': OPERATOR,
  'POST /api/v1/containers/{container}/bin/purge': OPERATOR,
  'GET /api/v1/containers/{container}/files': READER,
  'PUT /api/v1/containers/{container}/files/{path}': WRITER,
  'GET /api/v1/containers/{container}/files/{path}': READER,
  'HEAD /api/v1/containers/{container}/files/{path}': READER,
  'PATCH /api/v1/containers/{container}/files/{path}': OPERATOR,
  'DELETE /api/v1/containers/{container}/files/{path}': WRITER,
  'GET /api/v1/uploads/{upload}': WRITER,
  'GET /api/v1/users': ADMIN,
  'POST /api/v1/users': ADMIN,
  'DELETE /api/v1/users/{user}': ADMIN,
};

const TOKEN_SIZE = 32;

/** A new token: shown once, stored as its hash only. */
export function makeToken(): { token: string; tokenHash: string } {
  const token = randomBytes(TOKEN_SIZE).toString('base64url');
  return { token, tokenHash: hashToken(token) };
}

export function hashToken(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

export class Authority {
  readonly #tokens: TokenStore;
  readonly #failures: FailureCounter;

  constructor(tokens: TokenStore, clock: Clock) {
    this.#tokens = tokens;
    this.#failures = new FailureCounter(clock);
  }

  /**
   * The user of a request to the route `id`, absent where none is needed. 401: no or a wrong token; 503 when
   * the address has brought too many wrong ones (a right one is let through all the same, so that nobody can
   * lock out a writer by sharing its address); DENIED: the role may not.
   */
  admit(id: string, head: HttpRequestHead): User | undefined {
    const access = ACCESS[id];
    if (access === 'anyone') return undefined;
    if (access === 'loopback or any user' && isLoopback(head.remoteAddress)) return undefined;
    const user = this.#user(head);
    if (Array.isArray(access) && !access.includes(user.role)) {
      throw new Refusal(403, 'DENIED', `a ${user.role} may not ${id}`);
    }
    return user;
  }

  #user(head: HttpRequestHead): User {
    const header = head.headers.get('authorization');
    if (header === undefined) throw loginRefusal('this call needs a bearer token');
    const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header)?.[1];
    const user = token === undefined ? undefined : this.#find(token);
    if (user !== undefined) return user;
    if (this.#failures.add(head.remoteAddress)) throw loginRefusal('the bearer token is not known');
    throw new Refusal(503, 'BUSY', 'too many failed log-ins from this address', { 'retry-after': '60' });
  }

  #find(token: string): User | undefined {
    const hash = hashToken(token);
    const user = this.#tokens.find(hash);
    if (user === undefined) return undefined;
    const [given, stored] = [Buffer.from(hash, 'hex'), Buffer.from(user.tokenHash, 'hex')];
    if (given.length !== stored.length || !timingSafeEqual(given, stored)) return undefined;
    // A role that this version does not know may do nothing that has a row.
    return { name: user.name, role: user.role as Role };
  }
}

function loginRefusal(message: string): Refusal {
  return new Refusal(401, 'DENIED', message, { 'www-authenticate': 'Bearer realm="granary"' });
}

export function isLoopback(address: string): boolean {
  return /^127\.\d+\.\d+\.\d+$/.test(address) || address === '::1' || /^(0000:){7}0001$/.test(address);
}

const WINDOW_MS = 60_000;

/**
 * Failed log-ins by address within the last minute; the oldest address is forgotten when there are too many.
 */
class FailureCounter {
  readonly #clock: Clock;
  readonly #windows = new Map<string, { startMs: number; count: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False: beyond the bound. */
  add(address: string): boolean {
    const now = this.#clock.monotonicMs();
    let window = this.#windows.get(address);
    if (window === undefined || now - window.startMs >= WINDOW_MS) {
      window = { startMs: now, count: 0 };
      this.#windows.delete(address);
      this.#windows.set(address, window);
    }
    window.count += 1;
    if (this.#windows.size > AUTH_ADDRESSES_MAX) this.#forgetOldest();
    return window.count <= AUTH_FAILURES_MAX;
  }

  #forgetOldest(): void {
    for (const address of this.#windows.keys()) {
      this.#windows.delete(address);
      return;
    }
  }
}
