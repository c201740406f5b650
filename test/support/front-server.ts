/** The front end over a catalog in memory, listening, and a client that sends paths exactly as given. */
import { type IncomingHttpHeaders, request } from 'node:http';
import { type Clock, SYSTEM_CLOCK } from '../../src/base/clock.js';
import { StoreError } from '../../src/base/errors.js';
import { hashToken, ROLES, type Role } from '../../src/front/auth.js';
import type { FrontContext } from '../../src/front/context.js';
import { createFront, type Front } from '../../src/front/front.js';
import type { HttpServer } from '../../src/front/http.js';
import { NodeServer } from '../../src/front/node-server.js';
import { UwsServer } from '../../src/front/uws-server.js';
import { FakeCatalog, FakeStreams } from './fake-catalog.js';
import { FakeCleaner } from './fake-cleaner.js';

/** Waits a tenth of the time. */
const HASTY: Clock = {
  ...SYSTEM_CLOCK,
  after: (delayMs, action) => SYSTEM_CLOCK.after(delayMs / 10, action),
};

export interface FrontAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The body as JSON. */
  readonly json: Record<string, unknown> & { error?: { code: string; message: string } };
}

export interface FrontCall {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  /** By default the administrator's; null: none. */
  readonly token?: string | null;
}

export class FrontServer {
  readonly catalog = new FakeCatalog();
  readonly streams = new FakeStreams(this.catalog);
  /** One a role, whose token is the role's name. */
  readonly users = ROLES.map(role => ({
    name: `${role}-1`,
    role: role as string,
    tokenHash: hashToken(role),
  }));
  readonly logged: unknown[] = [];
  readonly front: Front;
  readonly server: HttpServer;
  port = 0;

  constructor(kind: 'uWebSockets.js' | 'node:http', change: Partial<FrontContext> = {}) {
    const log = { info() {}, warn() {}, error: (...what: unknown[]) => void this.logged.push(what) };
    this.front = createFront({
      ...{ catalog: this.catalog, clock: HASTY, log, streams: this.streams },
      tokens: { find: hash => this.users.find(user => user.tokenHash === hash) },
      users: {
        list: () => this.users,
        add: user => void this.users.push(user),
        delete: name => {
          const at = this.users.findIndex(user => user.name === name);
          if (at < 0) throw new StoreError('NOT_FOUND', `there is no user ${name}`);
          this.users.splice(at, 1);
        },
      },
      system: { version: '1.2.3', dataDirectory: '/data', pid: 42 },
      verify: async ({ full, group }) => ({ full, ...(group === undefined ? {} : { group }), damages: [] }),
      scrub: { run: async () => [], status: async () => [] },
      cleaner: new FakeCleaner(),
      ...change,
    });
    const context = { clock: SYSTEM_CLOCK, log };
    this.server =
      kind === 'node:http' ? new NodeServer(this.front, context) : new UwsServer(this.front, context);
  }

  async listen(): Promise<this> {
    this.port = (await this.server.listen({ host: '127.0.0.1', port: 0 })).port;
    return this;
  }

  call(
    method: string,
    path: string,
    { headers = {}, body, token = 'admin' }: FrontCall = {},
  ): Promise<FrontAnswer> {
    const bearer = token === null ? {} : { authorization: `Bearer ${token}` };
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = { host: '127.0.0.1', port: this.port, method, path, agent: false } as const;
    return new Promise((resolve, reject) => {
      const call = request({ ...options, headers: { ...bearer, ...length, ...headers } }, response => {
        const parts: Buffer[] = [];
        response.on('data', part => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const all = Buffer.concat(parts);
          const isJson = all.length > 0 && response.headers['content-type'] === 'application/json';
          const json = isJson ? JSON.parse(all.toString('utf8')) : {};
          resolve({ status: response.statusCode!, headers: response.headers, body: all, json });
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  json(method: string, path: string, body: unknown, token?: Role): Promise<FrontAnswer> {
    const headers = { 'content-type': 'application/json' };
    return this.call(method, path, { headers, body: JSON.stringify(body), ...(token ? { token } : {}) });
  }
}
