/** Retention over HTTP: who may do what to a file that is kept, over the catalog itself. */
import { afterEach, describe, expect, test } from 'vitest';
import { DAY_MS } from '../../src/base/clock.js';
import { ROLES, type Role } from '../../src/front/auth.js';
import { FakeDisk } from '../support/fake-log.js';
import { type FrontAnswer, FrontServer } from '../support/front-server.js';
import { JumpingClock, openCatalog } from '../support/open-catalog.js';

const FILES = '/api/v1/containers/c/files/dir/f';
const YEAR_MS = 365 * DAY_MS;
let front: FrontServer | undefined;

afterEach(async () => {
  await front?.server.stop(0);
  front = undefined;
});

async function served(settings: object = {}) {
  const disk = new FakeDisk();
  const clock = new JumpingClock();
  const { catalog } = await openCatalog(disk, { clock });
  front = await new FrontServer('uWebSockets.js', { catalog }).listen();
  const made = await front.json('POST', '/api/v1/containers', { name: 'c', ...settings });
  expect(made.status).toBe(201);
  return { front, catalog, clock };
}

const put = (server: FrontServer, body: string, token: Role = 'writer') =>
  server.call('PUT', FILES, { body, token });

type Attack = (server: FrontServer, role: Role) => Promise<FrontAnswer>;
const patch =
  (body: object): Attack =>
  (server, role) =>
    server.json('PATCH', FILES, body, role);

/** Everything by which a caller may try to be rid of a file. */
const ATTACKS: Record<string, Attack> = {
  delete: (server, role) => server.call('DELETE', FILES, { token: role }),
  overwrite: (server, role) => put(server, 'other', role),
  'overwrite with nothing': (server, role) => put(server, '', role),
  'no lock': patch({ mode: 'none' }),
  'no lock, bypassed': patch({ mode: 'none', bypassGovernance: true }),
  'a shorter lock': patch({ days: 1, bypassGovernance: true }),
  'a weaker lock': patch({ mode: 'governance', days: 1, bypassGovernance: true }),
  'another version from the bin': (server, role) =>
    server.json('POST', '/api/v1/containers/c/bin/restore', { path: 'dir/f' }, role),
  'purge of the bin': (server, role) =>
    server.call('POST', '/api/v1/containers/c/bin/purge', { token: role }),
  'no lock for new files': (server, role) =>
    server.json('PATCH', '/api/v1/containers/c', { lockMode: 'none' }, role),
  'container with its files': (server, role) =>
    server.call('DELETE', '/api/v1/containers/c?files=1', { token: role }),
  group: (server, role) => server.call('DELETE', '/api/v1/groups/DefaultGroup', { token: role }),
};
/** What a governance lock gives way to, for who may bypass it. */
const BYPASSES = new Set(['no lock, bypassed', 'a shorter lock', 'a weaker lock']);

describe('role x path x mode', () => {
  for (const mode of ['compliance', 'governance', 'hold'] as const) {
    for (const jump of [0, 10 * YEAR_MS, -10 * YEAR_MS]) {
      test(`a file under ${mode} stays as it is (wall clock ${jump / YEAR_MS} years)`, async () => {
        for (const [name, attack] of Object.entries(ATTACKS)) {
          for (const role of ROLES) {
            const { front: server, clock } = await served({ binDays: 7 });
            for (const body of ['older', 'kept']) await put(server, body);
            const body = mode === 'hold' ? { hold: true } : { mode, days: 30 };
            const kept = await server.json('PATCH', FILES, body, 'operator');
            expect(kept.status).toBe(200);
            clock.advance(5 * DAY_MS);
            clock.jump(jump);
            const answer = await attack(server, role);
            const now = await server.call('GET', FILES, { token: 'reader' });
            const what = [name, role, mode, answer.status];
            expect([...what, now.body.toString()]).toEqual([...what, 'kept']);
            expect([...what, now.headers['x-granary-version']]).toEqual([...what, String(kept.json.version)]);
            const isPrivileged = role === 'admin' || role === 'operator';
            const mayWeaken = mode === 'governance' && isPrivileged && BYPASSES.has(name);
            if (!mayWeaken && mode !== 'hold') {
              const until = now.headers['x-granary-lock-until'];
              expect([...what, until]).toEqual([...what, kept.json.lockUntil]);
              expect([...what, now.headers['x-granary-lock-mode']]).toEqual([...what, mode]);
            }
            if (mode === 'hold') expect(now.headers['x-granary-hold']).toBe('legal');
            await server.server.stop(0);
          }
        }
        front = undefined;
      });
    }
  }
});

describe('answers', () => {
  test('a put onto a locked file is refused while its body comes, with 409 and until when', async () => {
    const { front: server } = await served();
    await put(server, 'kept');
    await server.json('PATCH', FILES, { mode: 'compliance', days: 3 });
    const answer = await server.call('PUT', FILES, { body: Buffer.alloc(8 << 20) });
    expect(answer.status).toBe(409);
    expect(answer.json.error).toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(/'dir\/f' .* locked \(compliance\) until \d{4}-/),
    });
    expect(server.streams.uploadsOpen).toBe(0);
  });

  test('a put that the quota does not let in is 507, by its announced size already', async () => {
    const { front: server } = await served({ quotaBytes: 10 });
    const answer = await server.call('PUT', FILES, { body: Buffer.alloc(8 << 20) });
    expect([answer.status, answer.json.error?.code]).toEqual([507, 'NO_SPACE']);
    expect((await put(server, '12345')).status).toBe(201);
    expect((await put(server, '12345678901')).status).toBe(507);
    const shown = await server.call('GET', '/api/v1/containers/c');
    expect(shown.json).toMatchObject({ quotaBytes: 10, quotaState: 'ok', logicalBytes: 5 });
  });

  test('the bin is listed and given back as files, with until when', async () => {
    const { front: server, clock } = await served({ binDays: 10 });
    await put(server, 'one');
    await put(server, 'two');
    await server.call('DELETE', FILES, { token: 'writer' });
    const binUntil = new Date(clock.nowMs() + 10 * DAY_MS).toISOString();
    const page = await server.call('GET', '/api/v1/containers/c/bin?limit=1');
    const [first] = page.json.files as { version: number }[];
    expect(page.json).toMatchObject({ files: [{ path: 'dir/f', size: 3, binUntil }], next: first!.version });
    const request = { path: 'dir/f', version: first!.version };
    const restored = await server.json('POST', '/api/v1/containers/c/bin/restore', request);
    expect(restored.json).toMatchObject({ path: 'dir/f', version: first!.version });
    expect(restored.json).not.toHaveProperty('binUntil');
    expect((await server.call('GET', FILES)).body.toString()).toBe('one');
    const purged = await server.call('POST', '/api/v1/containers/c/bin/purge');
    expect(purged.json).toEqual({ dropped: 0 });
  });

  test('a lock until a time ends then by the retention clock', async () => {
    const { front: server, clock } = await served();
    await put(server, 'kept');
    const until = new Date(clock.nowMs() + DAY_MS).toISOString();
    const locked = await server.json('PATCH', FILES, { mode: 'governance', until });
    expect(locked.json).toMatchObject({ lockMode: 'governance', lockUntil: until });
    const listed = await server.call('GET', '/api/v1/containers/c/files');
    expect(listed.json.files).toMatchObject([{ lockMode: 'governance', lockUntil: until }]);
    clock.advance(DAY_MS - 1);
    expect((await server.call('DELETE', FILES)).status).toBe(409);
    clock.advance(1);
    expect((await server.call('DELETE', FILES)).status).toBe(204);
  });

  test.each([
    {},
    { mode: 'eternal' },
    { mode: 'compliance', days: 0 },
    { mode: 'compliance', until: 'tomorrow' },
    { mode: 'compliance', until: '2001-01-01T00:00:00Z' },
    { hold: 'yes' },
    { forget: true },
  ])('the lock %j is 400', async body => {
    const { front: server } = await served();
    await put(server, 'f');
    expect((await server.json('PATCH', FILES, body)).status).toBe(400);
  });

  test.each([{ binDays: 3 }, { binDays: 31 }, { lockMode: 'compliance' }, { quotaBytes: -1 }, { days: 1 }])(
    'the policy %j is 400',
    async body => {
      const { front: server } = await served();
      expect((await server.json('PATCH', '/api/v1/containers/c', body)).status).toBe(400);
    },
  );
});
