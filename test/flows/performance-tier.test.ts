/** A performance tier: every file of the group lies below its path, and nowhere else does anything change. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentOf, seededBytes } from '../support/ledger.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
let folder: string;
let tier: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-tier-'));
  tier = join(folder, 'volume', 'granary');
  mkdirSync(join(folder, 'volume'));
  server = await TestServer.start({ data: join(folder, 'data') });
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true });
});

/** Path to size and digest of each file, but for RocksDB's own logs and what the server says of itself. */
function filesBelow(path: string): Map<string, string> {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter(name => statSync(join(path, name)).isFile());
  return new Map(files.map(name => [name, digestOf(join(path, name))]));
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('it is refused without a path of its own', async () => {
  const result = await server.granary(['group', 'add', 'fast', '--performance-tier']);
  expect([result.code, result.stderr]).toEqual([1, expect.stringContaining('path')]);
});

test('its volume is measured, and the measure is shown and kept', async () => {
  const flags = ['--performance-tier', '--path', tier, '--accept-slow', '--json'];
  const made = await server.granary(['group', 'add', 'fast', ...flags]);
  expect([made.stderr, made.code]).toEqual(['', 0]);
  const { admission } = JSON.parse(made.stdout) as { admission: Record<string, number> };
  expect(admission.sequentialIops).toBeGreaterThan(0);
  expect(admission.randomIops).toBeGreaterThan(0);
  await server.stop();
  await server.restart();
  const shown = JSON.parse((await server.granary(['group', 'show', 'fast', '--json'])).stdout);
  expect(shown).toMatchObject({ admission, isPerformanceTier: true, path: tier });
  // What the measurement has written is gone.
  expect(readdirSync(join(folder, 'volume'))).toEqual(['granary']);
});

test('its files are written below its path and nowhere else, and come back from there', async () => {
  await server.granary(['container', 'add', 'c', '--group', 'fast']);
  await server.stop();
  await server.restart();
  const before = filesBelow(server.data);
  const contents = [1, 2, 3].map(seed => seededBytes(seed, 3_000_000));
  for (const [at, bytes] of contents.entries()) await server.granary(['put', `c/f${at}`], bytes);
  await server.granary(['rm', 'c/f2']);
  const after = filesBelow(server.data);
  // The server is the same, so even its lock and address file are.
  const changed = [...after].filter(([name, digest]) => before.get(name) !== digest).map(([name]) => name);
  expect(changed).toEqual([]);
  expect([...before.keys()].filter(name => !after.has(name))).toEqual([]);
  const kinds = new Set(readdirSync(tier));
  for (const kind of ['data', 'log', 'view', 'superblock.0', 'keyring.a', 'lock'])
    expect(kinds).toContain(kind);
  const stored = [...filesBelow(tier).keys()].filter(name => name.endsWith('.gds'));
  expect(stored.length).toBeGreaterThan(0);
  for (const at of [0, 1]) {
    const answer = await server.fetch(`/api/v1/containers/c/files/f${at}`);
    expect(contentOf(Buffer.from(await answer.arrayBuffer()))).toEqual(contentOf(contents[at]!));
  }
});

test('while its volume is missing it says so, others serve, nothing is made in its place', async () => {
  await server.granary(['container', 'add', 'd']);
  await server.granary(['put', 'd/x'], Buffer.from('elsewhere'));
  await server.stop();
  const away = join(folder, 'away');
  const { renameSync } = await import('node:fs');
  renameSync(join(folder, 'volume'), away);
  await server.restart();
  expect((await server.granary(['get', 'd/x'])).stdout).toBe('elsewhere');
  const missing = await server.granary(['get', 'c/f0']);
  expect(missing.code).toBe(1);
  expect(readdirSync(folder).sort()).toEqual(['away', 'data']);
  const { failure } = JSON.parse((await server.granary(['group', 'show', 'fast', '--json'])).stdout) as {
    failure: string;
  };
  expect(failure).toContain(tier);
  await server.stop();
  renameSync(away, join(folder, 'volume'));
  await server.restart();
  expect((await server.granary(['get', 'c/f0'])).stdout.length).toBe(3_000_000);
});
