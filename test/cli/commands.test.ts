/**
 * The command line as a process against a stub server: exit codes, output, what is sent, what is left behind.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jobLine } from '../../src/cli/job-watch.js';
import { type CommandResult, runGranary } from '../support/server.js';
import { answerJson, type Responder, StubServer } from '../support/stub-server.js';

let folder: string;
let stub: StubServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-cli-'));
});
afterEach(() => {
  stub?.stop();
  stub = undefined;
  rmSync(folder, { recursive: true });
});

async function run(
  respond: Responder,
  parameters: readonly string[],
  input?: Uint8Array,
): Promise<CommandResult> {
  stub = await StubServer.start(respond);
  return runGranary(parameters, stub.environment, input);
}

const stored: Responder = (asked, response) =>
  answerJson(response, 201, {
    path: 'a',
    version: 7,
    size: asked.body.length,
    newBytes: 10,
    storedBytes: 5,
    seconds: 0.5,
    xxh3: '00',
  });

describe('exit codes', () => {
  test('wrong usage is 2 with one line on standard error and nothing on standard output', async () => {
    const wrong = [
      ['nonsense'],
      ['put', 'no-slash'],
      ['put', 'c/a', 'f', 'g'],
      ['ls'],
      ['ls', 'c', '--limit'],
    ];
    for (const parameters of [...wrong, ['group', 'add', 'g', '--quota', 'much'], ['get', 'c/a', '--json']]) {
      const result = await runGranary(parameters);
      expect([parameters, result.code, result.stdout]).toEqual([parameters, 2, '']);
      expect(result.stderr).toMatch(/^granary: [^\n]+\n$/);
    }
  });

  test('help is 0 and every command shows an example or its flags', async () => {
    const commands = [
      'serve',
      'put',
      'get',
      'ls',
      'stat',
      'rm',
      'stats',
      'verify',
      'rebuild',
      'inspect',
      'scrub',
    ];
    for (const command of commands) {
      const result = await runGranary([command, '--help']);
      expect([command, result.code]).toEqual([command, 0]);
      expect(result.stdout).toContain(`$ granary ${command}`);
    }
  });

  test("a refusal of the server is 1 with the server's own words", async () => {
    const refuse: Responder = (_asked, response) =>
      answerJson(response, 404, { error: { code: 'NOT_FOUND', message: 'there is no container c' } });
    const result = await run(refuse, ['ls', 'c']);
    expect(result).toEqual({ code: 1, stdout: '', stderr: 'granary: there is no container c\n' });
  });

  test('a server that is not there is 1 and says how to start one', async () => {
    const environment = { GRANARY_URL: 'http://127.0.0.1:9', GRANARY_TOKEN: 'x' };
    const result = await runGranary(['stats'], environment);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^granary: no server answers at .*granary serve.*\n$/);
  });

  test('a token for a foreign host is never taken from this machine', async () => {
    const result = await runGranary(['stats', '--url', 'http://192.0.2.1:9440']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain('a token is needed');
  });

  test('verify is 1 when something is damaged, and names it', async () => {
    const damages = [{ group: 'g', what: 'data store ab', reason: 'seal' }];
    const report = { files: 1, chunks: 2, dataStores: 3, bytes: 4, damages, healed: [] };
    const result = await run((_asked, response) => answerJson(response, 200, report), ['verify', '--full']);
    expect(result.code).toBe(1);
    expect(result.stdout).toContain('damaged: g: data store ab: seal');
    expect(JSON.parse(stub!.asked[0]!.body.toString())).toEqual({ full: true });
  });
});

describe('scrub', () => {
  const counts = {
    ...{ group: 'g', bytesRead: 4096, filesRead: 2, quarantinedChunks: 8, healedChunks: 0 },
    ...{ repairedChunks: 1, lostChunks: 7, damagedFiles: 2, names: ['c/a', 'c/b\u0007'] },
  };

  test('run is 1 when files are damaged, and names them', async () => {
    const result = await run(
      (_asked, response) => answerJson(response, 200, [counts]),
      [...['scrub', 'run', '--group', 'g']],
    );
    expect(result.code).toBe(1);
    expect(result.stdout).toBe(
      'damaged: g: c/a\ndamaged: g: c/b\\u0007\n' +
        'g: 2 files are damaged (4.00 KiB and 2 whole files read, ' +
        '8 chunks put into quarantine, 1 repaired)\n',
    );
    expect(stub!.asked[0]).toMatchObject({ method: 'POST', url: '/api/v1/scrub' });
    expect(JSON.parse(stub!.asked[0]!.body.toString())).toEqual({ group: 'g' });
    // Not a terminal: nobody asks how far it is.
    expect(stub!.asked).toHaveLength(1);
  });

  test('status is one JSON document with --json, and a field a line without', async () => {
    const status = {
      ...{ ...counts, roundPercent: 40, roundStarted: '2026-01-01T00:00:00.000Z', unreadDataStores: 3 },
      ...{ checkedVersion: 7, lastVersion: 9 },
    };
    const answer: Responder = (_asked, response) => answerJson(response, 200, [status]);
    const asJson = await run(answer, ['scrub', 'status', '--json']);
    expect(JSON.parse(asJson.stdout)).toEqual([status]);
    stub!.stop();
    const asText = await run(answer, ['scrub', 'status']);
    expect(asText.stdout).toMatch(/^records +40 % since 2026-.*never$/m);
    expect(asText.stdout).toMatch(/^whole files +read up to version 7 of 9$/m);
    expect(asText.code).toBe(0);
  });

  test('a line of progress has share, amount and rate, in bytes where bytes are read', () => {
    const line = (stage: string, rate?: number) =>
      jobLine('verify', { group: 'g', stage, done: 1024 ** 2, total: 4 * 1024 ** 2 }, rate);
    expect(line('data stores', 2048)).toBe(
      'verify  g  data stores  25.0 %  1.00 MiB of 4.00 MiB  2.00 KiB/s',
    );
    expect(line('files')).toBe('verify  g  files  25.0 %  1048576 of 4194304');
  });
});

describe('put', () => {
  test('a file is sent with its length, a pipe is sent chunked, and both arrive whole', async () => {
    const bytes = Buffer.alloc(3 * 1024 * 1024 + 7, 'granary');
    writeFileSync(join(folder, 'f'), bytes);
    const fromFile = await run(stored, ['put', 'c/x/../y z%', join(folder, 'f'), '--digest', 'sha256']);
    expect(fromFile.code).toBe(0);
    const [asked] = stub!.asked;
    expect(asked).toMatchObject({ method: 'PUT', url: '/api/v1/containers/c/files/x/../y%20z%25' });
    expect(asked!.headers).toMatchObject({
      'content-length': String(bytes.length),
      authorization: 'Bearer secret',
      'x-granary-digest': 'sha256',
    });
    expect(asked!.body.equals(bytes)).toBe(true);
    const fromPipe = await runGranary(['put', 'c/x'], stub!.environment, bytes);
    expect(fromPipe.code).toBe(0);
    expect(stub!.asked[1]!.headers['transfer-encoding']).toBe('chunked');
    expect(stub!.asked[1]!.body.equals(bytes)).toBe(true);
  });

  test('--json prints the answer as one document', async () => {
    const result = await run(stored, ['put', 'c/a', '--json'], Buffer.from('hello'));
    expect(JSON.parse(result.stdout)).toMatchObject({
      path: 'a',
      version: 7,
      size: 5,
      xxh3: '00',
      seconds: expect.any(Number),
    });
    expect(result.stderr).toBe('');
  });

  test('a file that cannot be read is 1 and nothing is sent', async () => {
    const result = await run(stored, ['put', 'c/a', join(folder, 'missing')]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^granary: .*missing cannot be read.*\n$/);
    expect(stub!.asked).toEqual([]);
  });

  test('an answer that comes before the end of the stream ends the command', async () => {
    stub = await StubServer.startImpatient((_asked, response) =>
      answerJson(response, 507, { error: { code: 'NO_SPACE', message: 'the volume is full' } }),
    );
    writeFileSync(join(folder, 'f'), Buffer.alloc(64 * 1024 * 1024));
    const result = await runGranary(['put', 'c/a', join(folder, 'f')], stub.environment);
    expect(result).toEqual({ code: 1, stdout: '', stderr: 'granary: the volume is full\n' });
  });
});

describe('get', () => {
  const bytes = Buffer.alloc(5 * 1024 * 1024 + 1, 'bytes of a restore');
  const whole: Responder = (_asked, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.end(bytes);
  };
  const hash = (data: Buffer | Uint8Array) => createHash('sha256').update(data).digest('hex');

  test('a restored file appears under its name, and nothing beside it', async () => {
    const result = await run(whole, ['get', 'c/a', '-o', join(folder, 'out'), '--json']);
    expect(JSON.parse(result.stdout)).toMatchObject({ path: 'a', bytes: bytes.length });
    expect(hash(readFileSync(join(folder, 'out')))).toBe(hash(bytes));
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('standard output gets the bytes and nothing else', async () => {
    const result = await run(whole, ['get', 'c/a']);
    expect(hash(Buffer.from(result.stdout, 'latin1'))).toBe(hash(bytes));
    expect(result.stderr).toBe('');
  });

  test('a restore that breaks off leaves the old file as it was', async () => {
    writeFileSync(join(folder, 'out'), 'old');
    const cut: Responder = (_asked, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 3_000_000), () => response.destroy());
    };
    const result = await run(cut, ['get', 'c/a', '-o', join(folder, 'out')]);
    expect(result.code).toBe(1);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('bytes that are not what the server announced by XXH3 are refused', async () => {
    const lying: Responder = (_asked, response) => {
      response.writeHead(200, { 'content-length': bytes.length, 'x-granary-xxh3': '0'.repeat(32) });
      response.end(bytes);
    };
    const result = await run(lying, ['get', 'c/a', '-o', join(folder, 'out')]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('xxh3');
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  test('a range is asked for as one', async () => {
    const part: Responder = (_asked, response) => {
      response.writeHead(206, { 'content-length': 3 });
      response.end('abc');
    };
    const result = await run(part, [
      'get',
      'c/a',
      '--offset',
      '1KiB',
      '--length',
      '3',
      '-o',
      join(folder, 'out'),
    ]);
    expect(result.code).toBe(0);
    expect(stub!.asked[0]!.headers.range).toBe('bytes=1024-1026');
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('abc');
  });

  test('a device is written to and not replaced', async () => {
    const result = await run(whole, ['get', 'c/a', '-o', '/dev/null']);
    expect(result.code).toBe(0);
    expect(existsSync('/dev/null.part')).toBe(false);
  });
});

describe('listings', () => {
  const file = (path: string) => ({
    path,
    version: 1,
    size: 2048,
    state: 'local',
    created: '2026-01-02T03:04:05.000Z',
    newBytes: 1024,
    storedBytes: 512,
    chunkCount: 1,
    xxh3: 'ab',
  });
  const twoPages: Responder = (asked, response) => {
    const after = new URL(asked.url, 'http://x').searchParams.get('after');
    const page = after === null ? { files: [file('a'), file('b')], next: 'b' } : { files: [file('c\n')] };
    answerJson(response, 200, page);
  };

  test('ls goes through all pages and prints one array', async () => {
    const result = await run(twoPages, ['ls', 'c', '--json']);
    expect((JSON.parse(result.stdout) as { path: string }[]).map(row => row.path)).toEqual(['a', 'b', 'c\n']);
    expect(stub!.asked[1]!.url).toContain('after=b');
  });

  test('an empty listing is an empty array', async () => {
    const result = await run(
      (_asked, response) => answerJson(response, 200, { files: [] }),
      ['ls', 'c', '--json'],
    );
    expect(JSON.parse(result.stdout)).toEqual([]);
  });

  test('control characters of names do not reach the terminal', async () => {
    const result = await run(twoPages, ['ls', 'c']);
    expect(result.stdout).toContain('c\\n\n');
    expect(result.stdout.split('\n').length).toBe(4);
  });

  test('stat of a name that is only the beginning of another is not found', async () => {
    const result = await run(twoPages, ['stat', 'c/aa']);
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain('there is no file aa in container c');
  });
});

describe('secrets', () => {
  test('a passphrase travels from its file to the body, never through the arguments', async () => {
    writeFileSync(join(folder, 'pass'), 'correct horse\nsecond line');
    const made: Responder = (_asked, response) =>
      answerJson(response, 201, { name: 'v', chunkSizeAverage: 16384, quotaBytes: 0, encryption: 'static' });
    const flags = ['--encryption', 'static', '--passphrase-file', join(folder, 'pass'), '--quota', '1GiB'];
    const result = await run(made, ['group', 'add', 'v', ...flags]);
    expect(result.code).toBe(0);
    expect(JSON.parse(stub!.asked[0]!.body.toString())).toEqual({
      name: 'v',
      encryption: 'static',
      quotaBytes: 2 ** 30,
      passphrase: 'correct horse',
    });
  });

  test('an encrypted group without a passphrase from anywhere is refused', async () => {
    const result = await run(stored, ['group', 'add', 'v', '--encryption', 'static']);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('--passphrase-file');
    expect(stub!.asked).toEqual([]);
  });
});
