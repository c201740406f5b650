/** The command line and the real server together: start, stop, what is left behind, what is refused. */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runGranary, TestServer } from '../support/server.js';

let folder: string;
let server: TestServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-cli-server-'));
  server = await TestServer.start({ data: join(folder, 'data') });
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command that has to be done, and gives its output; with --json its document. */
async function done(...parameters: string[]): Promise<string> {
  const result = await server.granary(parameters);
  expect([parameters, result.stderr, result.code]).toEqual([parameters, '', 0]);
  return result.stdout;
}

async function json<T>(...parameters: string[]): Promise<T> {
  return JSON.parse(await done(...parameters, '--json')) as T;
}

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const latin = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('a served data directory', () => {
  test("holds the administrator's token for its owner alone", () => {
    expect(statSync(join(server.data, 'admin.token')).mode & 0o777).toBe(0o600);
    expect(statSync(server.data).mode & 0o777).toBe(0o700);
  });

  test('is enough for a command to find server and token', async () => {
    const result = await runGranary(['container', 'list', '--json'], { GRANARY_DATA: server.data });
    expect(JSON.parse(result.stdout)).toEqual([]);
  });

  test('is not served or rebuilt by a second process', async () => {
    const second = await runGranary(['serve', '--data', server.data, '--listen', '127.0.0.1:0']);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toBe(`granary: ${server.data} is already in use by pid ${server.pid}\n`);
    const rebuild = await runGranary(['rebuild', '--data', server.data]);
    expect(rebuild).toMatchObject({ code: 1, stdout: '' });
    expect(rebuild.stderr).toContain('already in use');
  });

  test('is not made where its parent is missing or foreign files lie, and stays as it is', async () => {
    const missing = await runGranary(['serve', '--data', join(folder, 'not', 'mounted')]);
    expect(missing.code).toBe(1);
    expect(existsSync(join(folder, 'not'))).toBe(false);
    mkdirSync(join(folder, 'foreign'));
    file('foreign/letter', 'dear');
    const foreign = await runGranary(['serve', '--data', join(folder, 'foreign')]);
    expect(foreign.code).toBe(1);
    expect(readdirSync(join(folder, 'foreign'))).toEqual(['letter']);
  });

  test('the S3 address is taken and answers that there is no S3', async () => {
    const answer = await fetch(`${server.s3Url}/bucket/key`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([501, 'application/xml']);
    expect(await answer.text()).toContain('<Code>NotImplemented</Code>');
  });
});

describe('files', () => {
  const bytes = randomBytes(9 * 1024 * 1024 + 13);

  test('what was put from a file or a pipe comes back, whole and in ranges', async () => {
    await done('container', 'add', 'c');
    const put = await json<{ size: number; xxh3: string }>('put', 'c/dir/a b%', file('in', bytes));
    expect(put.size).toBe(bytes.length);
    const piped = await server.granary(['put', 'c/pipe', '--json'], bytes);
    expect(JSON.parse(piped.stdout)).toMatchObject({ newBytes: 0, xxh3: put.xxh3 });
    expect(await server.stop()).toBe(0);
    await server.restart();
    expect((await server.granary(['get', 'c/pipe'])).stdout).toBe(latin(bytes));
    await done('get', 'c/dir/a b%', '-o', join(folder, 'out'));
    expect(readFileSync(join(folder, 'out')).equals(bytes)).toBe(true);
    const range = await server.granary(['get', 'c/pipe', '--offset', '1MiB', '--length', '100']);
    expect(range.stdout).toBe(latin(bytes.subarray(1024 ** 2, 1024 ** 2 + 100)));
  });

  test('an acknowledged file outlives kill -9', async () => {
    await server.granary(['put', 'c/kept'], bytes.subarray(0, 100_000));
    await server.kill9();
    await server.restart();
    expect((await server.granary(['get', 'c/kept'])).stdout).toBe(latin(bytes.subarray(0, 100_000)));
  });

  test('ls, stat, rm and stats tell of them', async () => {
    const listed = await json<{ path: string }[]>('ls', 'c');
    expect(listed.map(row => row.path)).toEqual(['dir/a b%', 'kept', 'pipe']);
    expect((await json<object[]>('ls', 'c/dir/')).length).toBe(1);
    expect(await json('stat', 'c/kept')).toMatchObject({ path: 'kept', size: 100_000, state: 'local' });
    await done('rm', 'c/kept');
    expect((await server.granary(['stat', 'c/kept'])).code).toBe(1);
    const statistics = await json<Record<string, number>>('stats', '--container', 'c');
    expect(statistics).toMatchObject({ files: 2, logicalBytes: 2 * bytes.length });
    expect(await done('stats')).toMatch(/unique, after dedup/);
  });

  test('verify finds nothing damaged', async () => {
    expect(await json('verify', '--full')).toMatchObject({ damages: [], healed: [] });
  });

  test('without its view everything is there again after a rebuild', async () => {
    expect(await server.stop()).toBe(0);
    rmSync(join(server.data, 'groups/DefaultGroup/view'), { recursive: true });
    const rebuilt = await runGranary(['rebuild', '--data', server.data, '--json']);
    expect(JSON.parse(rebuilt.stdout)).toMatchObject([{ group: 'DefaultGroup', files: 2 }]);
    await server.restart();
    expect((await server.granary(['get', 'c/pipe'])).stdout).toBe(latin(bytes));
  });

  test('inspect prints each kind of file that lies in a data directory', async () => {
    const group = join(server.data, 'groups/DefaultGroup');
    const below = (path: string) => readdirSync(join(group, path)).map(name => `${group}/${path}/${name}`);
    await done('scrub', 'run');
    await done('cleaner', 'run');
    const some = [below('log/a')[0]!, below(`data/${readdirSync(`${group}/data`)[0]}`)[0]!];
    const states = ['superblock.2', 'keyring.b', 'scrub.a', 'cleaner.a'].map(name => `${group}/${name}`);
    for (const path of [...some, ...states, `${server.data}/system.a`]) {
      const result = await runGranary(['inspect', path]);
      expect([path, result.stderr, result.code]).toEqual([path, '', 0]);
      expect(Object.keys(JSON.parse(result.stdout) as object).length).toBeGreaterThan(1);
    }
    expect((await runGranary(['inspect', `${group}/keyring.a`])).stdout).toContain('(not shown)');
    expect((await runGranary(['inspect', file('letter', 'dear')])).code).toBe(1);
  });
});

describe('groups, users and locks', () => {
  test('settings of a group can be changed, a group with containers cannot be deleted', async () => {
    await done('group', 'add', 'g', '--compression', 'best', '--chunk-size', '64KiB', '--quota', '1GiB');
    const change = ['--compression', 'none', '--quota', '2GiB'];
    expect(await json('group', 'update', 'g', ...change)).toMatchObject({ quotaBytes: 2 ** 31 });
    expect(await json('group', 'show', 'g')).toMatchObject({ compression: 'none', chunkSizeAverage: 65536 });
    await done('container', 'add', 'in-g', '--group', 'g');
    expect((await server.granary(['group', 'delete', 'g'])).code).toBe(1);
    await done('container', 'delete', 'in-g', '--files');
    await done('group', 'delete', 'g');
    expect((await json<{ name: string }[]>('group', 'list')).map(row => row.name)).toEqual(['DefaultGroup']);
  });

  test('an encrypted group is locked after a restart until its passphrase is given', async () => {
    const pass = file('pass', 'open sesame\n');
    const secret = ['--encryption', 'static', '--passphrase-file', pass];
    const made = await json<{ recoveryKey: string }>('group', 'add', 'v', ...secret);
    await done('container', 'add', 'vault', '--group', 'v');
    await server.granary(['put', 'vault/a'], Buffer.from('secret'));
    await server.stop();
    await server.restart();
    const locked = await server.granary(['get', 'vault/a']);
    expect(locked).toMatchObject({ code: 1, stdout: '' });
    expect(locked.stderr).toContain('locked');
    const wrong = await server.granary(['group', 'unlock', 'v', '--passphrase-file', file('wrong', 'x')]);
    expect(wrong.code).toBe(1);
    await done('group', 'unlock', 'v', '--recovery-key-file', file('recovery', made.recoveryKey));
    expect((await server.granary(['get', 'vault/a'])).stdout).toBe('secret');
    await server.stop();
    const opened = await TestServer.start({ data: server.data, flags: ['--unlock-file', pass] });
    expect((await opened.granary(['get', 'vault/a'])).stdout).toBe('secret');
    await opened.stop();
    const byEnvironment = { data: server.data, environment: { GRANARY_PASSPHRASE: 'open sesame' } };
    const again = await TestServer.start(byEnvironment);
    expect((await again.granary(['get', 'vault/a'])).stdout).toBe('secret');
    await again.stop();
    await server.restart();
  });

  test('a reader may read and not write, and its token ends with it', async () => {
    const { token } = await json<{ token: string }>('user', 'add', 'eve', '--role', 'reader');
    const environment = { GRANARY_URL: server.url, GRANARY_TOKEN: token };
    expect((await runGranary(['ls', 'c'], environment)).code).toBe(0);
    expect((await runGranary(['rm', 'c/pipe'], environment)).code).toBe(1);
    await done('user', 'delete', 'eve');
    expect((await runGranary(['ls', 'c'], environment)).code).toBe(1);
    const last = await server.granary(['user', 'delete', 'admin']);
    expect(last.code).toBe(1);
    expect(last.stderr).toContain('last administrator');
  });
});

describe('a stop', () => {
  /** A put whose first half the server has; resolves with what sends the rest, and the status or 'cut'. */
  function beginPut(to: TestServer): Promise<{ finish: () => void; status: Promise<number | string> }> {
    return new Promise(resolve => {
      const headers = {
        authorization: `Bearer ${to.token}`,
        expect: '100-continue',
        'content-length': '2000',
      };
      const call = request(`${to.url}/api/v1/containers/c/files/a`, { method: 'PUT', headers });
      const status = new Promise<number | string>(answered => {
        call.on('response', response => answered(response.statusCode!));
        call.on('error', () => answered('cut'));
      });
      // 100 Continue: the request is under way.
      call.on('continue', () => {
        call.write(Buffer.alloc(1000), () => resolve({ finish: () => call.end(Buffer.alloc(1000)), status }));
      });
    });
  }

  test('lets an open stream end within the grace', async () => {
    const stopping = await TestServer.start({ flags: ['--grace-seconds', '30'] });
    await stopping.granary(['container', 'add', 'c']);
    const put = await beginPut(stopping);
    const code = stopping.stop();
    put.finish();
    expect([await put.status, await code]).toEqual([201, 0]);
    await stopping.dispose();
  });

  test('cuts an open stream after the grace, and nothing of it is visible', async () => {
    const stopping = await TestServer.start({ flags: ['--grace-seconds', '0'] });
    await stopping.granary(['container', 'add', 'c']);
    const put = await beginPut(stopping);
    expect([await stopping.stop(), await put.status]).toEqual([0, 'cut']);
    await stopping.restart();
    expect((await stopping.granary(['ls', 'c', '--json'])).stdout).toBe('[]\n');
    await stopping.dispose();
  });
});
