/**
 * A data directory over its life: restarts, views that are lost or rolled back, directories that are not
 * ours, and two processes that want the same one. (Streams open at a stop: test/cli/server.test.ts.)
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentOf, seededBytes } from '../support/ledger.js';
import { runGranary, TestServer } from '../support/server.js';

let server: TestServer;
let folder: string;
let passphraseFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-restart-'));
  passphraseFile = join(folder, 'pass');
  writeFileSync(passphraseFile, 'p\n');
  server = await TestServer.start({
    data: join(folder, 'data'),
    flags: ['--unlock-file', passphraseFile],
  });
  const group = { name: 'sealed', encryption: 'static', passphrase: 'p' };
  expect((await post('/api/v1/groups', group)).status).toBe(201);
  await post('/api/v1/containers', { name: 'clear' });
  await post('/api/v1/containers', { name: 'vault', group: 'sealed' });
  for (const container of ['clear', 'vault']) {
    for (let at = 0; at < 12; at += 1) await put(container, `f${at}`, seededBytes(at, at * 40_000));
    await put(container, 'f3', seededBytes(333, 90_000));
    await remove(container, 'f4');
  }
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true });
});

const VIEWS = ['groups/DefaultGroup/view', 'groups/sealed/view'];

function post(path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return server.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function put(container: string, path: string, body: Buffer): Promise<void> {
  const answer = await server.fetch(`/api/v1/containers/${container}/files/${path}`, { method: 'PUT', body });
  expect([container, path, answer.ok]).toEqual([container, path, true]);
}

async function remove(container: string, path: string): Promise<void> {
  const answer = await server.fetch(`/api/v1/containers/${container}/files/${path}`, { method: 'DELETE' });
  expect(answer.status).toBe(204);
}

/** All that a client can see: lists with all fields, contents, statistics. */
async function everything(): Promise<object> {
  const seen: Record<string, unknown> = {};
  for (const container of ['clear', 'vault']) {
    const url = `/api/v1/containers/${container}/files`;
    const { files } = (await (await server.fetch(url)).json()) as { files: { path: string }[] };
    seen[container] = files;
    for (const { path } of files) {
      const bytes = Buffer.from(await (await server.fetch(`${url}/${path}`)).arrayBuffer());
      seen[`${container}/${path}`] = contentOf(bytes);
    }
    const statistics = await (await server.fetch(`/api/v1/stats?container=${container}`)).json();
    seen[`${container} statistics`] = statistics;
  }
  return seen;
}

async function verified(): Promise<{ damages: object[]; healed: { what: string }[] }> {
  const answer = await post('/api/v1/verify', { full: true });
  return (await answer.json()) as { damages: object[]; healed: { what: string }[] };
}

test('a rebuild after the loss of every RocksDB directory gives the same lists and bytes', async () => {
  const before = await everything();
  expect(await server.stop()).toBe(0);
  for (const view of VIEWS) rmSync(join(server.data, view), { recursive: true });
  const flags = ['--data', server.data, '--unlock-file', passphraseFile, '--json'];
  const rebuilt = await runGranary(['rebuild', ...flags]);
  expect([rebuilt.code, JSON.parse(rebuilt.stdout)]).toMatchObject([
    0,
    [
      { group: 'DefaultGroup', files: 11 },
      { group: 'sealed', files: 11 },
    ],
  ]);
  await server.restart();
  expect(await everything()).toEqual(before);
  expect(await verified()).toMatchObject({ damages: [], healed: [] });
});

test('views that are rolled back to an older copy are brought up to date', async () => {
  expect(await server.stop()).toBe(0);
  for (const view of VIEWS) cpSync(join(server.data, view), join(folder, 'old', view), { recursive: true });
  await server.restart();
  for (const container of ['clear', 'vault']) {
    await remove(container, 'f5');
    await put(container, 'f6', seededBytes(666, 10));
    await put(container, 'new', seededBytes(7, 70_000));
  }
  const before = await everything();
  expect(await server.stop()).toBe(0);
  for (const view of VIEWS) {
    rmSync(join(server.data, view), { recursive: true });
    cpSync(join(folder, 'old', view), join(server.data, view), { recursive: true });
  }
  await server.restart();
  expect(await everything()).toEqual(before);
  expect(await verified()).toMatchObject({ damages: [] });
});

test("a view that belongs to another group is replaced by one of the group's own", async () => {
  const before = await everything();
  expect(await server.stop()).toBe(0);
  const [clear, sealed] = VIEWS.map(view => join(server.data, view));
  rmSync(clear!, { recursive: true });
  cpSync(sealed!, clear!, { recursive: true });
  await server.restart();
  expect(await everything()).toEqual(before);
});

test('a second process on the same data directory is refused, and the first serves on', async () => {
  for (const command of [['serve', '--listen', '127.0.0.1:0', '--s3-listen', '127.0.0.1:0'], ['rebuild']]) {
    const second = await runGranary([...command, '--data', server.data]);
    expect([command[0], second.code, second.stdout]).toEqual([command[0], 1, '']);
    expect(second.stderr).toContain(`already in use by pid ${server.pid}`);
  }
  await put('clear', 'still', seededBytes(1, 1));
});

test('a group whose directory is empty is not made anew', async () => {
  expect(await server.stop()).toBe(0);
  const path = join(server.data, 'groups/sealed');
  cpSync(path, join(folder, 'kept'), { recursive: true });
  rmSync(path, { recursive: true });
  mkdirSync(path);
  await server.restart();
  expect(readdirSync(path)).toEqual([]);
  const answer = await server.fetch('/api/v1/containers/vault/files/f1');
  expect(answer.status).toBeGreaterThanOrEqual(400);
  const { failure } = (await (await server.fetch('/api/v1/groups/sealed')).json()) as { failure?: string };
  expect(failure).toContain(path);
  expect((await server.fetch('/api/v1/containers/clear/files/f1')).status).toBe(200);
  expect(await server.stop()).toBe(0);
  rmSync(path, { recursive: true });
  cpSync(join(folder, 'kept'), path, { recursive: true });
  await server.restart();
  expect((await server.fetch('/api/v1/containers/vault/files/f1')).status).toBe(200);
});

test('a group of a newer format is refused with its version, and not a byte of it is changed', async () => {
  expect(await server.stop()).toBe(0);
  const path = join(server.data, 'groups/DefaultGroup');
  const { createHash } = await import('node:crypto');
  for (const copy of [0, 1, 2, 3]) {
    const block = readFileSync(join(path, `superblock.${copy}`));
    block.writeUInt32LE(2, 8);
    createHash('sha256').update(block.subarray(0, 4064)).digest().copy(block, 4064);
    writeFileSync(join(path, `superblock.${copy}`), block);
  }
  const before = readFileSync(join(path, 'superblock.1'));
  await server.restart();
  const answer = await server.fetch('/api/v1/containers/clear/files/f1');
  const { failure } = (await (await server.fetch('/api/v1/groups/DefaultGroup')).json()) as {
    failure: string;
  };
  expect(failure).toMatch(/newer|version/);
  expect([answer.status, readFileSync(join(path, 'superblock.1'))]).toEqual([501, before]);
  expect((await server.fetch('/api/v1/containers/vault/files/f1')).status).toBe(200);
});

test('a system file of a newer format is refused, and nothing is written', async () => {
  await server.kill9();
  const data = join(folder, 'newer');
  mkdirSync(data);
  const { createHash } = await import('node:crypto');
  const line = JSON.stringify({ format: 'granary system', version: 2, generation: 7, later: true });
  const text = `${line}\n${createHash('sha256').update(line).digest('hex')}\n`;
  for (const copy of ['a', 'b']) writeFileSync(join(data, `system.${copy}`), text);
  const ports = ['--listen', '127.0.0.1:0', '--s3-listen', '127.0.0.1:0'];
  const refused = await runGranary(['serve', '--data', data, ...ports]);
  expect([refused.code, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toMatch(/newer|version 2/);
  expect(readFileSync(join(data, 'system.a'), 'utf8')).toBe(text);
  expect(existsSync(join(data, 'groups'))).toBe(false);
});
