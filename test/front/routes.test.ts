/** Administration routes, who may call them, and what is said about them. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { AUTH_FAILURES_MAX } from '../../src/base/limits.js';
import { ACCESS, hashToken, makeToken, ROLES } from '../../src/front/auth.js';
import { routeId } from '../../src/front/route.js';
import { FrontServer } from '../support/front-server.js';

let front: FrontServer;

beforeAll(async () => {
  front = await new FrontServer('uWebSockets.js').listen();
});
afterAll(() => front.server.stop(0));

/** An address of the route with every parameter filled in. */
function addressOf(pattern: string): string {
  return pattern
    .replace('{path}', 'f')
    .replace('{container}', 'none')
    .replace(/\{\w+\}/, 'none');
}

describe('roles', () => {
  test('every route has a row in the table of roles, and every row a route', () => {
    expect(front.front.routes.map(routeId).sort()).toEqual(Object.keys(ACCESS).sort());
  });

  test('each role is let through to exactly the routes of its rows', async () => {
    for (const described of front.front.routes) {
      const access = ACCESS[routeId(described)]!;
      for (const role of ROLES) {
        const isAllowed = typeof access === 'string' || access.includes(role);
        const answer = await front.call(described.method, addressOf(described.pattern), { token: role });
        expect([routeId(described), role, answer.status !== 403]).toEqual([
          routeId(described),
          role,
          isAllowed,
        ]);
      }
    }
  });

  test('without a token everything but health, metrics on loopback and the description is 401', async () => {
    for (const described of front.front.routes) {
      const answer = await front.call(described.method, addressOf(described.pattern), { token: null });
      const isOpen = typeof ACCESS[routeId(described)] === 'string';
      expect([routeId(described), answer.status]).toEqual([routeId(described), isOpen ? 200 : 401]);
      if (!isOpen) expect(answer.headers['www-authenticate']).toContain('Bearer');
    }
  });

  test('tokens are long, random, and found by their hash only', () => {
    const [one, two] = [makeToken(), makeToken()];
    expect(one.token).toMatch(/^[\w-]{43}$/);
    expect(one.token).not.toBe(two.token);
    expect(one.tokenHash).toBe(hashToken(one.token));
  });

  test('after too many failed log-ins an address has to wait, a right token has not', async () => {
    const other = await new FrontServer('node:http').listen();
    const statuses: number[] = [];
    for (let i = 0; i <= AUTH_FAILURES_MAX; i += 1) {
      statuses.push((await other.call('GET', '/api/v1/groups', { token: `guess-${i}` })).status);
    }
    expect(statuses.slice(0, -1).every(status => status === 401)).toBe(true);
    expect(statuses.at(-1)).toBe(503);
    expect((await other.call('GET', '/api/v1/groups')).status).toBe(200);
    await other.server.stop(0);
  });

  test.each(['Basic YTpi', 'Bearer', 'Bearer a b', 'bearer writer2'])('%s is 401', async authorization => {
    expect(
      (await front.call('GET', '/api/v1/groups', { token: null, headers: { authorization } })).status,
    ).toBe(401);
  });
});

describe('addresses and bodies', () => {
  test('an unknown address is 404, a wrong method 405 with what is allowed', async () => {
    expect((await front.call('GET', '/api/v2/groups')).json.error?.code).toBe('NOT_FOUND');
    const answer = await front.call('PUT', '/api/v1/groups/x', { body: 'x' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, PATCH, DELETE']);
  });

  test('a body that is not JSON, not of the schema, or too long is refused', async () => {
    const post = (body: string) => front.call('POST', '/api/v1/groups', { body });
    expect((await post('{')).json.error?.message).toContain('not JSON');
    expect((await post('{"name":"a b"}')).json.error?.message).toContain('name');
    expect((await post('{"name":"a","colour":"red"}')).json.error?.message).toContain('colour');
    expect((await post('{"name":"a","chunkSizeAverage":1}')).status).toBe(400);
    expect((await post('{"name":".."}')).status).toBe(400);
    expect((await post(`"${'x'.repeat(2 << 20)}"`)).status).toBe(413);
  });
});

describe('groups, containers, users', () => {
  test('a group is made, shown, changed, unlocked and deleted', async () => {
    const request = { name: 'g', compression: 'best', passphrase: 'p', keyFile: 'AQI=' };
    expect((await front.json('POST', '/api/v1/groups', request)).status).toBe(201);
    expect(front.catalog.calls.at(-1)).toEqual([
      'addGroup',
      { name: 'g', compression: 'best', passphrase: 'p', keyFile: Buffer.from([1, 2]) },
    ]);
    expect((await front.json('POST', '/api/v1/groups', { name: 'g' })).status).toBe(409);
    expect((await front.json('PATCH', '/api/v1/groups/g', { quotaBytes: 5 })).json.quotaBytes).toBe(5);
    expect((await front.json('POST', '/api/v1/groups/g/unlock', { passphrase: 'wrong' })).status).toBe(403);
    expect((await front.json('POST', '/api/v1/groups/g/unlock', {})).status).toBe(400);
    expect((await front.json('POST', '/api/v1/groups/g/unlock', { recoveryKey: 'r' })).status).toBe(200);
    const names = ((await front.call('GET', '/api/v1/groups')).json as unknown as { name: string }[]).map(
      g => g.name,
    );
    expect(names).toEqual(['DefaultGroup', 'g']);
    expect((await front.call('DELETE', '/api/v1/groups/g')).status).toBe(204);
    expect((await front.call('GET', '/api/v1/groups/g')).status).toBe(404);
  });

  test('a passphrase is changed and a key file added only by who gives all that it takes', async () => {
    const url = '/api/v1/groups/DefaultGroup';
    const change = { passphrase: 'old', newPassphrase: 'new' };
    expect((await front.json('POST', `${url}/passphrase`, change)).json.name).toBe('DefaultGroup');
    expect(front.catalog.calls.at(-1)).toEqual(['changePassphrase', 'DefaultGroup', 'old', 'new']);
    const key = { passphrase: 'old', keyFile: 'AQI=' };
    expect((await front.json('POST', `${url}/keys`, key)).status).toBe(200);
    const secret = { keyFile: Buffer.from([1, 2]) };
    expect(front.catalog.calls.at(-1)).toEqual(['addSecret', 'DefaultGroup', { passphrase: 'old' }, secret]);
    const wrong = { ...change, passphrase: 'wrong' };
    expect((await front.json('POST', `${url}/passphrase`, wrong)).status).toBe(403);
    for (const [path, body] of [
      ['passphrase', { passphrase: 'old' }],
      ['passphrase', { newPassphrase: 'new' }],
      ['keys', { keyFile: 'AQI=' }],
      ['keys', { passphrase: 'old' }],
      ['keys', { passphrase: 'old', keyFile: 'not base64!' }],
    ] as const)
      expect([path, (await front.json('POST', `${url}/${path}`, body)).status]).toEqual([path, 400]);
  });

  test('a container is made, listed, shown, and deleted with its files only on demand', async () => {
    const made = await front.json('POST', '/api/v1/containers', { name: 'box' });
    expect([made.status, made.json.created]).toEqual([201, '2023-11-14T22:13:20.000Z']);
    expect((await front.call('GET', '/api/v1/containers')).json).toHaveLength(2);
    expect((await front.call('GET', '/api/v1/containers/box')).json).toMatchObject({ name: 'box', files: 0 });
    await front.call('PUT', '/api/v1/containers/box/files/f', { body: 'x' });
    expect((await front.call('DELETE', '/api/v1/containers/box')).status).toBe(409);
    expect((await front.call('DELETE', '/api/v1/containers/box?files=1')).status).toBe(204);
    expect((await front.call('GET', '/api/v1/containers/box')).status).toBe(404);
  });

  test('a token is valid from the making of its user to the end, and is not stored', async () => {
    const made = await front.json('POST', '/api/v1/users', { name: 'dma', role: 'writer' });
    const token = made.json.token as unknown as string;
    expect(JSON.stringify(front.users)).not.toContain(token);
    expect((await front.call('GET', '/api/v1/groups', { token })).status).toBe(200);
    expect(JSON.stringify((await front.call('GET', '/api/v1/users')).json)).not.toContain('ash');
    expect((await front.call('DELETE', '/api/v1/users/dma')).status).toBe(204);
    expect((await front.call('GET', '/api/v1/groups', { token })).status).toBe(401);
  });

  test('the last administrator stays', async () => {
    expect((await front.call('DELETE', '/api/v1/users/admin-1')).status).toBe(403);
  });
});

describe('reports', () => {
  test('statistics are of the system, a group, or a container, and not of two', async () => {
    for (const [query, scope] of [
      ['', undefined],
      ['?group=g', { group: 'g' }],
      ['?container=c', { container: 'c' }],
    ]) {
      expect((await front.call('GET', `/api/v1/stats${query}`)).status).toBe(200);
      expect(front.catalog.calls.at(-1)).toEqual(['statistics', scope]);
    }
    expect((await front.call('GET', '/api/v1/stats?group=g&container=c')).status).toBe(400);
  });

  test('verify answers its report', async () => {
    expect((await front.json('POST', '/api/v1/verify', { full: true })).json).toEqual({
      full: true,
      damages: [],
    });
  });

  test('how far a named check is can be asked by its own user, while it runs', async () => {
    let end = (): void => {};
    const isEnded = new Promise<void>(resolve => {
      end = resolve;
    });
    const step = { group: 'g', stage: 'files', done: 1, total: 3 };
    const other = await new FrontServer('uWebSockets.js', {
      async verify({ onProgress }) {
        onProgress?.(step);
        await isEnded;
        return {};
      },
    }).listen();
    const headers = { 'x-granary-job': 'j', 'content-type': 'application/json' };
    const verifying = other.call('POST', '/api/v1/verify', { headers, body: '{}' });
    let asked = await other.call('GET', '/api/v1/jobs/j');
    while (asked.status === 404) asked = await other.call('GET', '/api/v1/jobs/j');
    expect(asked.json).toEqual(step);
    expect((await other.call('GET', '/api/v1/jobs/j', { token: 'operator' })).status).toBe(404);
    end();
    expect((await verifying).status).toBe(200);
    expect((await other.call('GET', '/api/v1/jobs/j')).status).toBe(404);
    await other.server.stop(0);
  });

  test.each(['uWebSockets.js', 'node:http'] as const)(
    'a check whose client has gone is given up (%s)',
    async kind => {
      const given: AbortSignal[] = [];
      const wait = async ({ signal }: { signal?: AbortSignal | undefined }) => {
        given.push(signal!);
        await new Promise(resolve => signal!.addEventListener('abort', resolve));
        throw new StoreError('CANCELLED', 'given up');
      };
      const scrub = { run: wait, status: async () => [] };
      const other = await new FrontServer(kind, { verify: wait, scrub }).listen();
      for (const path of ['/api/v1/verify', '/api/v1/scrub']) {
        const call = request({
          port: other.port,
          method: 'POST',
          path,
          headers: { authorization: 'Bearer admin' },
        });
        call.on('error', () => undefined);
        call.end();
        const before = given.length;
        while (given.length === before) await new Promise(resolve => setTimeout(resolve, 5));
        call.destroy();
        while (!given.at(-1)!.aborted) await new Promise(resolve => setTimeout(resolve, 5));
      }
      expect(given.map(({ aborted }) => aborted)).toEqual([true, true]);
      await other.server.stop(0);
    },
  );

  test('metrics tell what scrub has read and found, by group', async () => {
    const figures = {
      ...{
        group: 'g',
        bytesRead: 5,
        filesRead: 6,
        roundPercent: 7,
        unreadDataStores: 0,
        quarantinedChunks: 8,
      },
      ...{ healedChunks: 1, repairedChunks: 2, lostChunks: 3, damagedFiles: 4 },
    };
    const scrub = { run: async () => [], status: async () => [figures] };
    const other = await new FrontServer('node:http', { scrub }).listen();
    const text = (await other.call('GET', '/metrics')).body.toString();
    expect(text).toContain('granary_scrub_quarantined_chunks{group="g"} 8');
    expect(text).toContain('granary_scrub_damaged_files{group="g"} 4');
    await other.server.stop(0);
  });

  test('the system tells what it is', async () => {
    const { json } = await front.call('GET', '/api/v1/system');
    expect(json).toMatchObject({ version: '1.2.3', dataDirectory: '/data', pid: 42, isStopping: false });
  });

  test('metrics count requests, bytes and groups, and are open to loopback only', async () => {
    await front.call('PUT', '/api/v1/containers/c/files/m', { body: 'x'.repeat(1000) });
    await front.call('GET', '/api/v1/containers/c/files/m');
    const text = (await front.call('GET', '/metrics', { token: null })).body.toString();
    expect(text).toMatch(/granary_front_received_bytes_total \d{4}/);
    expect(text).toMatch(/granary_front_sent_bytes_total \d{4}/);
    expect(text).toMatch(/granary_ingest_new_bytes_total \d{4}/);
    expect(text).toContain('granary_group_usable{group="DefaultGroup"} 1');
    expect(text).toContain('granary_group_stored_bytes{group="DefaultGroup"} 0');
    expect(text).toContain('route="PUT /api/v1/containers/{container}/files/{path}",status="201"');
  });

  test('the OpenAPI document describes every route with what the checks use', async () => {
    const { json } = await front.call('GET', '/api/v1/openapi.json', { token: null });
    const document = json as unknown as { openapi: string; paths: Record<string, Record<string, unknown>> };
    expect(document.openapi).toBe('3.1.0');
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(front.front.routes.map(routeId).sort());
    expect(JSON.stringify(document)).toContain(
      '"chunkSizeAverage":{"type":"integer","minimum":4096,"maximum":1048576}',
    );
  });
});
