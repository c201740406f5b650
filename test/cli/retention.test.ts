/** Recycle bins, locks, holds and quotas on the command line, against the real server. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runGranary, TestServer } from '../support/server.js';

let server: TestServer;
const DAY_MS = 86_400_000;

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.dispose());

async function json<T>(...parameters: string[]): Promise<T> {
  const result = await server.granary([...parameters, '--json']);
  expect([parameters, result.stderr, result.code]).toEqual([parameters, '', 0]);
  return JSON.parse(result.stdout) as T;
}

async function put(path: string, text: string | Uint8Array): Promise<{ version: number }> {
  const result = await server.granary(['put', path, '--json'], Buffer.from(text));
  expect([path, result.stderr]).toEqual([path, '']);
  return JSON.parse(result.stdout) as { version: number };
}

const contentOf = async (path: string) => (await server.granary(['get', path])).stdout;

/** The one line that a refused command says. */
async function refused(...parameters: string[]): Promise<string> {
  const result = await server.granary(parameters);
  expect([parameters, result.code, result.stdout]).toEqual([parameters, 1, '']);
  expect(result.stderr).toMatch(/^granary: [^\n]+\n$/);
  return result.stderr;
}

interface Row {
  readonly path: string;
  readonly version: number;
  readonly binUntil?: string;
  readonly lockMode?: string;
  readonly lockUntil?: string;
  readonly hold?: string;
}

describe('a recycle bin', () => {
  test('gives deleted and overwritten files back, after kill -9 and after a rebuild, too', async () => {
    await json('container', 'add', 'nightly', '--bin-days', '7');
    const first = await put('nightly/a', 'first');
    const second = await put('nightly/a', 'second');
    await json('rm', 'nightly/a');
    await put('nightly/b', 'other');
    await json('rm', 'nightly/b');
    await server.kill9();
    await server.restart();
    const listed = await json<Row[]>('bin', 'list', 'nightly/a');
    expect(listed.map(({ version }) => version)).toEqual([first.version, second.version]);
    const days = (Date.parse(listed[0]!.binUntil!) - Date.now()) / DAY_MS;
    expect(days).toBeGreaterThan(6.9);
    expect(days).toBeLessThanOrEqual(7);
    expect((await server.granary(['bin', 'list', 'nightly'])).stdout.split('\n')).toHaveLength(4);
    await json('bin', 'restore', 'nightly/a', '--version', String(first.version));
    expect(await contentOf('nightly/a')).toBe('first');
    expect(await json<Row>('bin', 'restore', 'nightly/a')).toMatchObject({ version: second.version });
    expect(await contentOf('nightly/a')).toBe('second');
    expect(await json('bin', 'purge', 'nightly')).toEqual({ dropped: 0 });

    expect(await server.stop()).toBe(0);
    rmSync(join(server.data, 'groups/DefaultGroup/view'), { recursive: true });
    expect((await runGranary(['rebuild', '--data', server.data])).code).toBe(0);
    await server.restart();
    const left = await json<Row[]>('bin', 'list', 'nightly');
    expect(left.map(({ path }) => path)).toEqual(['a', 'b']);
    expect(await json('verify', '--full')).toMatchObject({ files: 3, damages: [] });
    expect(await json('stats', '--container', 'nightly')).toMatchObject({
      files: 1,
      binFiles: 2,
      binBytes: 10,
    });
    expect((await server.granary(['stats'])).stdout).toMatch(/in recycle bins 2 versions, 10 B\n$/);
  });

  test('can be lengthened and not be switched off, and keeps its container', async () => {
    expect(await json('container', 'update', 'nightly', '--bin-days', '30')).toMatchObject({ binDays: 30 });
    expect(await refused('container', 'update', 'nightly', '--bin-days', '0')).toMatch(
      /cannot be switched off/,
    );
    expect(await refused('container', 'delete', 'nightly', '--files')).toMatch(/recycle bin/);
    expect(await contentOf('nightly/a')).toBe('second');
  });
});

describe('locks', () => {
  test('of compliance are shown, extended, and given up for nothing', async () => {
    await json('container', 'add', 'worm');
    await put('worm/f', 'kept');
    const locked = await json<Row>('lock', 'worm/f', '--mode', 'compliance', '--days', '2');
    expect(locked.lockMode).toBe('compliance');
    const shown = (await server.granary(['stat', 'worm/f'])).stdout;
    expect(shown).toContain(`lock     compliance, until ${locked.lockUntil}`);
    for (const attempt of [
      ['rm', 'worm/f'],
      ['lock', 'worm/f', '--mode', 'none', '--bypass-governance'],
      ['lock', 'worm/f', '--days', '1', '--bypass-governance'],
      ['container', 'delete', 'worm', '--files'],
    ]) {
      expect(await refused(...attempt)).toMatch(/compliance/);
    }
    const overwritten = await server.granary(['put', 'worm/f'], randomBytes(9_000_000));
    expect([overwritten.code, overwritten.stderr]).toEqual([1, expect.stringContaining('is locked')]);
    await server.stop();
    await server.restart();
    expect(await contentOf('worm/f')).toBe('kept');
    const until = '2999-01-01T00:00:00Z';
    expect(await refused('lock', 'worm/f', '--until', until)).toMatch(/at most 36500 days/);
    const longer = await json<Row>('lock', 'worm/f', '--until', '2099-01-01');
    expect(longer.lockUntil).toBe('2099-01-01T00:00:00.000Z');
  });

  test('of governance give way to the bypass, holds to their release', async () => {
    await json('container', 'add', 'gov', '--lock-mode', 'governance', '--lock-days', '3');
    await put('gov/f', 'kept');
    await json('lock', 'gov/f', '--hold');
    expect(await json<Row[]>('ls', 'gov')).toMatchObject([{ lockMode: 'governance', hold: 'legal' }]);
    expect(await refused('lock', 'gov/f', '--mode', 'none')).toMatch(/bypass/);
    await json('lock', 'gov/f', '--mode', 'none', '--bypass-governance');
    expect(await refused('rm', 'gov/f')).toMatch(/legal hold/);
    await json('lock', 'gov/f', '--release-hold');
    await json('rm', 'gov/f');
    await json('container', 'delete', 'gov');
  });

  test('are for operators: a writer puts and deletes, and changes nothing of what keeps files', async () => {
    const { token } = await json<{ token: string }>('user', 'add', 'agent', '--role', 'writer');
    const environment = { GRANARY_URL: server.url, GRANARY_TOKEN: token };
    for (const attempt of [
      ['lock', 'nightly/a', '--hold'],
      ['bin', 'list', 'nightly'],
      ['bin', 'restore', 'nightly/a'],
      ['bin', 'purge', 'nightly'],
      ['container', 'update', 'nightly', '--quota', '1KiB'],
    ]) {
      const result = await runGranary(attempt, environment);
      expect([attempt, result.code, result.stderr]).toEqual([
        attempt,
        1,
        expect.stringMatching(/writer may not/),
      ]);
    }
    expect((await runGranary(['rm', 'nightly/a'], environment)).code).toBe(0);
  });
});

describe('a quota', () => {
  test('of a container refuses what does not fit, and deletion makes room', async () => {
    await json('container', 'add', 'small', '--quota', '1MiB');
    await put('small/a', Buffer.alloc(900_000));
    const result = await server.granary(['put', 'small/b'], Buffer.alloc(200_000));
    expect([result.code, result.stderr]).toEqual([1, expect.stringMatching(/quota of 1.00 MiB/)]);
    expect(await json('container', 'show', 'small')).toMatchObject({
      quotaBytes: 2 ** 20,
      quotaState: 'warning',
    });
    expect((await server.granary(['container', 'show', 'small'])).stdout).toMatch(
      /quota +1.00 MiB, nearly used up/,
    );
    await json('rm', 'small/a');
    await put('small/b', Buffer.alloc(200_000));
    expect(await json('container', 'update', 'small', '--quota', '0')).toMatchObject({ quotaState: 'none' });
  });

  test('of a group is shown with what is used', async () => {
    const shown = (await server.granary(['group', 'show', 'DefaultGroup'])).stdout;
    expect(shown).toMatch(/used +\d/);
    expect(shown).toMatch(/retention clock +20\d\d-/);
  });
});

test.each([
  ['lock', 'c/f'],
  ['lock', 'c/f', '--until', 'soon'],
  ['lock', 'c/f', '--mode', 'weekly'],
  ['container', 'update', 'c'],
  ['container', 'update', 'c', '--bin-days', 'many'],
  ['bin', 'list'],
])('%s %s %s is wrong usage', async (...parameters) => {
  expect((await runGranary(parameters)).code).toBe(2);
});
