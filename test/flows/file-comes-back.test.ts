/** The main job over the real server: what is put comes back bit for bit, in versions, lists and ranges. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentOf, seededBytes } from '../support/ledger.js';
import { TestServer } from '../support/server.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FILES = '/api/v1/containers/c/files';

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-flow-'));
  server = await TestServer.start();
  expect((await server.granary(['container', 'add', 'c'])).code).toBe(0);
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true });
});

async function put(path: string, body: Uint8Array, headers: Record<string, string> = {}) {
  const answer = await server.fetch(`${FILES}/${path}`, { method: 'PUT', body: Buffer.from(body), headers });
  const json = (await answer.json()) as Record<string, unknown> & { error?: { code: string } };
  return { status: answer.status, json };
}

async function bytesOf(path: string, headers: Record<string, string> = {}): Promise<Buffer> {
  const answer = await server.fetch(`${FILES}/${path}`, { headers });
  expect([path, answer.status]).toEqual([path, headers.range === undefined ? 200 : 206]);
  return Buffer.from(await answer.arrayBuffer());
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}

describe('a file comes back as it went in', () => {
  // Smallest, average and longest chunk of the default group, region, staging buffer, slab; each and its
  // neighbours.
  const edges = [4, 16, 64, 128, 4096].map(kib => kib * KIB).flatMap(edge => [edge - 1, edge, edge + 1]);
  test.each([0, 1, 2, 511, ...edges, 5 * MIB])('of %i bytes', async size => {
    const bytes = seededBytes(size, size);
    const { status, json } = await put(`size-${size}`, bytes);
    expect([status, json.size]).toEqual([201, size]);
    expect(contentOf(await bytesOf(`size-${size}`))).toEqual(contentOf(bytes));
    // Bytes of one value: no cut is found, every chunk has the longest length.
    const same = Buffer.alloc(size, 0xa5);
    await put(`same-${size}`, same);
    expect((await bytesOf(`same-${size}`)).equals(same)).toBe(true);
  });

  test('200 MiB through a pipe, and the second time nothing is stored', async () => {
    const bytes = Buffer.concat([seededBytes(1, 150 * MIB), seededBytes(1, 50 * MIB)]);
    const first = await server.granary(['put', 'c/big', '--json', '--digest', 'sha256'], bytes);
    const answer = JSON.parse(first.stdout) as { size: number; newBytes: number; sha256: string };
    expect([answer.size, answer.sha256]).toEqual([bytes.length, contentOf(bytes).sha256]);
    // The last quarter is known but for what lies around the seam.
    expect(answer.newBytes).toBeLessThan(151 * MIB);
    const again = await server.granary(['put', 'c/big-again', '--json'], bytes);
    expect(JSON.parse(again.stdout)).toMatchObject({ newBytes: 0 });
    const restored = join(folder, 'big');
    expect((await server.granary(['get', 'c/big', '-o', restored])).stderr).toBe('');
    expect(await fileDigest(restored)).toBe(answer.sha256);
  });
});

describe('versions', () => {
  test('an overwrite makes a new version, and a delete takes it away for good', async () => {
    const versions: number[] = [];
    for (const seed of [1, 2, 3]) {
      const { status, json } = await put('v', seededBytes(seed, 300_000));
      expect(status).toBe(seed === 1 ? 201 : 200);
      versions.push(json.version as number);
      expect((await bytesOf('v')).equals(seededBytes(seed, 300_000))).toBe(true);
    }
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).toBe(3);
    expect((await server.fetch(`${FILES}/v`, { method: 'DELETE' })).status).toBe(204);
    expect((await server.fetch(`${FILES}/v`)).status).toBe(404);
    expect((await server.fetch(`${FILES}/v`, { method: 'DELETE' })).status).toBe(404);
  });

  test('statistics of a container follow puts, overwrites and deletes', async () => {
    await server.granary(['container', 'add', 's']);
    const url = (name: string) => `/api/v1/containers/s/files/${name}`;
    const sized = (size: number) => ({ method: 'PUT', body: seededBytes(77, size) });
    await server.fetch(url('a'), sized(100_000));
    await server.fetch(url('b'), sized(50_000));
    await server.fetch(url('a'), sized(70_000));
    await server.fetch(url('b'), { method: 'DELETE' });
    const statistics = await (await server.fetch('/api/v1/stats?container=s')).json();
    expect(statistics).toMatchObject({ files: 1, logicalBytes: 70_000 });
  });

  test('statistics of the system are the sum of its groups, and no bytes are counted twice', async () => {
    type Sums = Record<string, number>;
    const read = async (query: string) =>
      (await (await server.fetch(`/api/v1/stats${query}`)).json()) as Sums;
    const [system, group] = [await read(''), await read('?group=DefaultGroup')];
    expect(system).toEqual(group);
    const { logicalBytes, uniqueBytes, dedupSavedBytes } = system;
    expect(uniqueBytes! + dedupSavedBytes!).toBe(logicalBytes);
    expect(uniqueBytes).toBeLessThan(logicalBytes!);
  });
});

describe('a list', () => {
  test('is in the order of the bytes and complete over pages of any size', async () => {
    await server.granary(['container', 'add', 'l']);
    // In UTF-16 the last two would stand the other way round.
    const names = ['a', 'a/', 'a/b', 'a0', 'aa', 'b', 'é', '\u{ffee}', '\u{1f600}'];
    for (const name of [...names].reverse()) {
      const path = `/api/v1/containers/l/files/${encodeURIComponent(name)}`;
      expect((await server.fetch(path, { method: 'PUT', body: name })).status).toBe(201);
    }
    for (const limit of [1, 2, 4, 1000]) {
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const query = new URLSearchParams({
          limit: String(limit),
          ...(after === undefined ? {} : { after }),
        });
        const answer = await server.fetch(`/api/v1/containers/l/files?${query}`);
        const page = (await answer.json()) as { files: { path: string }[]; next?: string };
        seen.push(...page.files.map(file => file.path));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(names);
    }
    const listed = await server.granary(['ls', 'l/a/', '--json']);
    expect((JSON.parse(listed.stdout) as { path: string }[]).map(file => file.path)).toEqual(['a/', 'a/b']);
  });
});

describe('ranges', () => {
  test('each range is the part of the file that it names', async () => {
    const size = 9 * MIB + 321;
    const bytes = seededBytes(9, size);
    await put('r', bytes);
    const edges = [0, 1, 65_535, 131_072, 4 * MIB - 1, 4 * MIB, 8 * MIB + 7, size - 1];
    for (const first of edges) {
      for (const last of [first, first + 1, first + 200_000, size - 1]) {
        if (last >= size || last < first) continue;
        const part = await bytesOf('r', { range: `bytes=${first}-${last}` });
        expect([first, last, part.equals(bytes.subarray(first, last + 1))]).toEqual([first, last, true]);
      }
    }
    expect((await bytesOf('r', { range: 'bytes=-100' })).equals(bytes.subarray(size - 100))).toBe(true);
    expect((await server.fetch(`${FILES}/r`, { headers: { range: `bytes=${size}-` } })).status).toBe(416);
  });
});

describe('digests', () => {
  const bytes = seededBytes(5, 100_001);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const md5 = createHash('md5').update(bytes).digest('base64');

  test('those asked for are answered, kept, and shown on restore', async () => {
    const { json } = await put('d', bytes, { 'x-granary-digest': 'sha256,md5,blake3' });
    expect(json).toMatchObject({ sha256, md5: Buffer.from(md5, 'base64').toString('hex') });
    const head = await server.fetch(`${FILES}/d`, { method: 'HEAD' });
    expect(head.headers.get('x-granary-sha256')).toBe(sha256);
    expect(head.headers.get('x-granary-blake3')).toBe(json.blake3);
    expect(head.headers.get('x-granary-xxh3')).toBe(json.xxh3);
  });

  test('those expected let the file in when they fit, and nothing of it when they do not', async () => {
    const right = { 'x-granary-sha256': sha256, 'content-md5': md5 };
    expect((await put('d-right', bytes, right)).status).toBe(201);
    const wrong = { 'x-granary-sha256': '0'.repeat(64) };
    const refused = await put('d-wrong', bytes, wrong);
    expect([refused.status, refused.json.error?.code]).toEqual([400, 'INVALID']);
    expect((await server.fetch(`${FILES}/d-wrong`)).status).toBe(404);
    // An overwrite that fails leaves the version that was there.
    expect((await put('d-right', seededBytes(6, 10), wrong)).status).toBe(400);
    expect((await bytesOf('d-right')).equals(bytes)).toBe(true);
  });

  test('put --digest takes them through a file, too', async () => {
    writeFileSync(join(folder, 'in'), bytes);
    const done = await server.granary(['put', 'c/d-cli', join(folder, 'in'), '--digest', 'sha256', '--json']);
    expect(JSON.parse(done.stdout)).toMatchObject({ sha256, size: bytes.length });
  });
});

test('after all of it nothing is damaged', async () => {
  const result = await server.granary(['verify', '--full', '--json']);
  expect([result.code, JSON.parse(result.stdout)]).toMatchObject([0, { damages: [], healed: [] }]);
});
