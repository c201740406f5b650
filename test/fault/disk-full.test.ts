/**
 * The data volume fills up: 507, deletes go on, nothing acknowledged is lost, and freeing space brings the
 * service back without a restart.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentOf, Ledger, seededBytes } from '../support/ledger.js';
import { serverProblems } from '../support/load.js';
import { TestServer } from '../support/server.js';
import { SmallVolume } from '../support/small-volume.js';

const MIB = 1024 * 1024;
const VOLUME_SIZE = 160 * MIB;
const BALLAST_SIZE = 48 * MIB;
/** Longer than any try should take. */
const TRIES_MAX = 200;

let volume: SmallVolume;
let mount: string;
let server: TestServer;
const ledger = new Ledger();

beforeAll(async () => {
  volume = new SmallVolume(VOLUME_SIZE);
  mount = volume.mount;
  // What goes when space has to return: the cleaner is not what is tested here.
  writeFileSync(join(mount, 'ballast'), Buffer.alloc(BALLAST_SIZE, 1));
  server = await TestServer.start({ data: join(mount, 'data') });
  await call('POST', '/api/v1/containers', JSON.stringify({ name: 'c' }));
});
afterAll(async () => {
  try {
    await server?.dispose();
  } finally {
    volume?.close();
  }
});

async function call(method: string, path: string, body?: string | Buffer): Promise<Response> {
  const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  return server.fetch(path, { method, headers, ...(body === undefined ? {} : { body }) });
}

async function put(path: string, bytes: Buffer): Promise<number> {
  ledger.send(`c/${path}`, contentOf(bytes));
  const answer = await call('PUT', `/api/v1/containers/c/files/${path}`, bytes);
  const { error } = (await answer.json()) as { error?: { code: string } };
  if (answer.status === 507) expect(error?.code).toBe('NO_SPACE');
  if (answer.ok) ledger.acknowledge(`c/${path}`);
  else ledger.refuse(`c/${path}`);
  return answer.status;
}

/** Has to be done, however full the volume is. */
async function remove(path: string): Promise<void> {
  ledger.send(`c/${path}`, undefined);
  const answer = await call('DELETE', `/api/v1/containers/c/files/${path}`);
  if (answer.status !== 204) throw new Error(`DELETE ${path}: ${answer.status} ${await answer.text()}`);
  ledger.acknowledge(`c/${path}`);
}

test('while backups fill it: 507 and nothing half there, until space returns', async () => {
  let status = 0;
  let count = 0;
  for (; status !== 507 && count < TRIES_MAX; count += 1) {
    status = await put(`f${count}`, seededBytes(count, 6 * MIB));
    expect([201, 507]).toContain(status);
  }
  expect(status).toBe(507);
  await remove('f0');
  await remove('f1');
  expect(await serverProblems(server, ledger, ['c'])).toEqual([]);
});

test('while others have the last block, deletes and restores go on and puts are refused', async () => {
  volume.fill('foreign');
  let status = 201;
  // A data store may have space that it has reserved before.
  for (let at = 0; at < 20 && status === 201; at += 1)
    status = await put(`g${at}`, seededBytes(500 + at, MIB));
  expect(status).toBe(507);
  for (let at = 2; at < 6; at += 1) await remove(`f${at}`);
  expect(await serverProblems(server, ledger, ['c'])).toEqual([]);
});

test('freed space brings the service back without a restart', async () => {
  rmSync(join(mount, 'foreign'));
  rmSync(join(mount, 'ballast'));
  let status = 507;
  for (let tries = 0; status === 507 && tries < TRIES_MAX; tries += 1) {
    status = await put('back', seededBytes(77, 100_000));
    if (status === 507) await new Promise(resolve => setTimeout(resolve, 100));
  }
  expect(status).toBe(201);
  expect(await serverProblems(server, ledger, ['c'])).toEqual([]);
});

test('a full volume is no damage: a restart finds all of it', async () => {
  volume.fill('foreign');
  await remove('back');
  await server.kill9();
  rmSync(join(mount, 'foreign'));
  await server.restart();
  expect(await serverProblems(server, ledger, ['c'])).toEqual([]);
  const report = await (await call('POST', '/api/v1/verify', JSON.stringify({ full: true }))).json();
  expect(report).toMatchObject({ damages: [] });
});
