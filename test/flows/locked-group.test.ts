/**
 * An encrypted storage group from the lock to its opening: what every access says, and every way to open it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentOf, seededBytes } from '../support/ledger.js';
import { TestServer } from '../support/server.js';

const CANARY = 'in the clear nowhere: payroll of the board';
let server: TestServer;
let folder: string;
let passphraseFile: string;
let recoveryKey: string;
const content = Buffer.concat([Buffer.from(CANARY), seededBytes(1, 700_000)]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-locked-'));
  passphraseFile = file('pass', 'open sesame\n');
  server = await TestServer.start({ data: join(folder, 'data') });
  const group = { name: 'g', encryption: 'internal', passphrase: 'open sesame' };
  ({ recoveryKey } = (await (await post('/api/v1/groups', group)).json()) as { recoveryKey: string });
  await post('/api/v1/containers', { name: 'board', group: 'g' });
  await post('/api/v1/containers', { name: 'open' });
  const put = (path: string, body: Buffer | string) =>
    server.fetch(`/api/v1/containers/${path}`, { method: 'PUT', body });
  await put('board/files/payroll-2026', content);
  await put('open/files/a', 'readable');
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function restart(flags: readonly string[] = []): Promise<void> {
  expect(await server.stop()).toBe(0);
  server = await TestServer.start({ data: server.data, flags });
}

function post(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return server.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function bytesOf(path: string): Promise<Buffer> {
  return Buffer.from(await (await server.fetch(`/api/v1/containers/${path}`)).arrayBuffer());
}

test('a start with a wrong secret serves, and every access to the group answers 403', async () => {
  await restart(['--unlock-file', file('wrong', 'open barley')]);
  const url = '/api/v1/containers/board';
  const accesses: [string, string][] = [
    ['PUT', `${url}/files/x`],
    ['GET', `${url}/files/payroll-2026`],
    ['HEAD', `${url}/files/payroll-2026`],
    ['DELETE', `${url}/files/payroll-2026`],
    ['GET', `${url}/files`],
    ['GET', url],
    ['DELETE', `${url}?files=1`],
    ['GET', '/api/v1/stats?container=board'],
    ['GET', '/api/v1/stats?group=g'],
    ['DELETE', '/api/v1/groups/g'],
  ];
  for (const [method, path] of accesses) {
    const answer = await server.fetch(path, { method, ...(method === 'PUT' ? { body: 'x' } : {}) });
    expect([method, path, answer.status]).toEqual([method, path, 403]);
    if (method === 'HEAD') continue;
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect([method, path, error.code]).toEqual([method, path, 'DENIED']);
    expect(error.message).toContain('locked');
  }
  expect((await post('/api/v1/containers', { name: 'more', group: 'g' })).status).toBe(403);
  const shown = await server.granary(['get', 'board/payroll-2026']);
  expect(shown).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('locked') });
});

test('a locked group hides nothing else, and its containers keep their names', async () => {
  expect(await bytesOf('open/files/a')).toEqual(Buffer.from('readable'));
  const shown = await server.fetch('/api/v1/groups/g');
  expect(await shown.json()).toMatchObject({ isLocked: true, encryption: 'internal' });
  expect((await server.fetch('/metrics')).status).toBe(200);
  expect((await post('/api/v1/containers', { name: 'board' })).status).toBe(409);
});

test('verify names a locked group instead of passing over it', async () => {
  const report = (await (await post('/api/v1/verify', { full: false })).json()) as { damages: object[] };
  expect(report.damages).toEqual([
    { group: 'g', what: 'storage group', reason: expect.stringContaining('locked') },
  ]);
});

test('a wrong secret opens nothing and changes nothing', async () => {
  const before = readFileSync(join(server.data, 'groups/g/keyring.a'));
  const otherLetter = recoveryKey.startsWith('0') ? '1' : '0';
  for (const secret of [
    { passphrase: 'open barley' },
    { passphrase: '' },
    { recoveryKey: otherLetter + recoveryKey.slice(1) },
    { keyFile: Buffer.from('not a key file').toString('base64') },
    {},
  ]) {
    const answer = await post('/api/v1/groups/g/unlock', secret);
    expect([secret, [400, 403].includes(answer.status)]).toEqual([secret, true]);
  }
  const result = await server.granary(['group', 'unlock', 'g', '--passphrase-file', join(folder, 'wrong')]);
  expect([result.code, result.stderr.trim().split('\n').length]).toEqual([1, 1]);
  expect(readFileSync(join(server.data, 'groups/g/keyring.a'))).toEqual(before);
  expect((await server.fetch('/api/v1/containers/board/files/payroll-2026')).status).toBe(403);
});

test('the API unlocks it with the passphrase, and the bytes are there', async () => {
  const unlock = await post('/api/v1/groups/g/unlock', { passphrase: 'open sesame' });
  expect([unlock.status, await unlock.json()]).toMatchObject([200, { isLocked: false }]);
  expect(contentOf(await bytesOf('board/files/payroll-2026'))).toEqual(contentOf(content));
});

test('--unlock-file opens it at the start, and it takes files again', async () => {
  await restart(['--unlock-file', passphraseFile]);
  expect(contentOf(await bytesOf('board/files/payroll-2026'))).toEqual(contentOf(content));
  const url = '/api/v1/containers/board/files/payroll-2027';
  expect((await server.fetch(url, { method: 'PUT', body: 'more' })).status).toBe(201);
});

test('neither content nor names of files or containers lie in the group in the clear', async () => {
  expect(await server.stop()).toBe(0);
  const searched: string[] = [];
  for (const path of filesBelow(join(server.data, 'groups/g'))) {
    const bytes = readFileSync(path);
    for (const text of [CANARY, 'payroll-2026', 'board', 'open sesame', recoveryKey])
      if (bytes.includes(text)) searched.push(`${path}: ${text}`);
  }
  expect(searched).toEqual([]);
});

function filesBelow(folderPath: string): string[] {
  return readdirSync(folderPath, { recursive: true, encoding: 'utf8' })
    .map(name => join(folderPath, name))
    .filter(path => statSync(path).isFile());
}
