/**
 * Uploads that break off, lie, or name something hostile, over the real front end, catalog and addon in one
 * process: what is left is nothing visible, no open stream and every slab.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Upload } from '../../src/ingest/upload.js';
import { binding } from '../../src/native/binding.js';
import { Download } from '../../src/restore/download.js';
import { DirectLane } from '../support/direct-lane.js';
import { FrontServer } from '../support/front-server.js';
import { until } from '../support/http-servers.js';
import { contentOf, seededBytes } from '../support/ledger.js';
import { RawClient } from '../support/raw-client.js';
import { WholeSystem } from '../support/whole-system.js';

const SLABS = 6;
const lane = new DirectLane(SLABS);
let folder: string;
let system: WholeSystem;
let server: FrontServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-bad-'));
  system = await WholeSystem.open({ lane, directory: join(folder, 'data') });
  await system.catalog.addContainer('c');
  const { catalog } = system;
  server = await new FrontServer('uWebSockets.js', {
    catalog,
    streams: {
      upload: (group, options) => Upload.begin(group, options),
      download: (group, file, range) => Download.begin(group, file, range),
    },
  }).listen();
});
afterAll(async () => {
  await server.server.stop(0);
  await system.close();
  rmSync(folder, { recursive: true });
});

function counters() {
  return binding().counters(system.catalog.openedGroup('DefaultGroup').engine);
}

async function expectNothingHeld(): Promise<void> {
  await until(() => counters().streamsOpen === 0 && lane.slabs.free === SLABS);
  expect([counters().streamsOpen, lane.slabs.free, lane.slabs.waiting]).toEqual([0, SLABS, 0]);
}

function head(path: string, length: number | 'chunked'): string {
  const framing = length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  const lines = [`PUT /api/v1/containers/c/files/${path} HTTP/1.1`, 'Host: x', 'Authorization: Bearer admin'];
  return [...lines, framing, '', ''].join('\r\n');
}

describe('a client that is gone', () => {
  const SIZE = 6_000_000;
  const CUTS = [0, 1, 999, 66_000, 1_000_000, 5_500_000];

  test.each(['reset', 'closed'])('in the middle of its upload (%s) leaves nothing', async how => {
    const bytes = seededBytes(1, SIZE);
    for (const framing of [SIZE, 'chunked'] as const) {
      const clients = await Promise.all(
        // More of them than there are slabs.
        [...CUTS, ...CUTS].map(async (cut, index) => {
          const client = await RawClient.open(server.port);
          await client.send(head(`gone-${index}`, framing));
          if (framing === 'chunked' && cut > 0) await client.send(`${cut.toString(16)}\r\n`);
          client.socket.write(bytes.subarray(0, cut));
          return client;
        }),
      );
      await until(() => counters().streamsOpen > 0);
      for (const { socket } of clients) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
      await expectNothingHeld();
      expect(await system.list('c')).toEqual([]);
    }
  });

  test('and one that comes behind them gets all of it', async () => {
    const bytes = seededBytes(1, SIZE);
    const answer = await server.call('PUT', '/api/v1/containers/c/files/after', { body: bytes });
    expect(answer.status).toBe(201);
    expect(contentOf(await system.get('c', 'after'))).toEqual(contentOf(bytes));
    await expectNothingHeld();
  });
});

describe('a body that is not what was announced', () => {
  test('fewer bytes than announced are no file', async () => {
    const client = await RawClient.open(server.port);
    await client.send(head('short', 1000));
    client.socket.end(Buffer.alloc(999));
    await client.closed();
    await expectNothingHeld();
    expect(await system.list('c')).not.toContain('short');
  });

  test('bytes behind the announced ones are not part of the file', async () => {
    const client = await RawClient.open(server.port);
    await client.send(head('long', 1000));
    await client.send(Buffer.alloc(1500, 'x'));
    expect((await client.answer())?.status).toBe(201);
    client.destroy();
    await expectNothingHeld();
    expect((await system.get('c', 'long')).equals(Buffer.alloc(1000, 'x'))).toBe(true);
  });

  const bytes = seededBytes(2, 70_000);
  const digest = (name: string, encoding: 'hex' | 'base64', of: Uint8Array = bytes) =>
    createHash(name).update(of).digest(encoding);
  const other = seededBytes(3, 10);
  test.each([
    ['x-granary-sha256', digest('sha256', 'hex', other)],
    ['x-granary-sha256', 'beef'],
    ['x-granary-sha256', `${digest('sha256', 'hex')} `.repeat(2)],
    ['x-granary-blake3', digest('sha256', 'hex')],
    ['x-granary-xxh3', '0'.repeat(32)],
    ['content-md5', digest('md5', 'base64', other)],
    ['content-md5', digest('md5', 'hex')],
    ['x-granary-digest', 'crc32'],
  ])('%s: %s is 400 and nothing is visible', async (name, value) => {
    const call = { body: bytes, headers: { [name]: value } };
    const answer = await server.call('PUT', '/api/v1/containers/c/files/wrong', call);
    expect([answer.status, answer.json.error?.code]).toEqual([400, 'INVALID']);
    expect(answer.json.error?.message).toMatch(/digest|sha256|blake3|xxh3|md5/i);
    expect(await system.list('c')).not.toContain('wrong');
    await expectNothingHeld();
  });

  test('an unknown container or group is 404 before the body', async () => {
    const put = await server.call('PUT', '/api/v1/containers/nobody/files/a', { body: 'x' });
    const add = await server.json('POST', '/api/v1/containers', { name: 'd', group: 'nobody' });
    expect([put.status, add.status]).toEqual([404, 404]);
  });
});

describe('hostile names', () => {
  const LEGAL: readonly (readonly [raw: string, name: string])[] = [
    ['..', '..'],
    ['../../../../etc/passwd', '../../../../etc/passwd'],
    ['%2e%2e%2f%2e%2e%2fetc', '../../etc'],
    ['a%2Fb', 'a/b'],
    ['a//b', 'a//b'],
    ['%2Fabsolute', '/absolute'],
    ['new%0Aline', 'new\nline'],
    ['tab%09%1b%5b2J', 'tab\t\u001b[2J'],
    ['C%3A%5Ccon', 'C:\\con'],
    ['%E2%80%AEcod.exe', '\u202ecod.exe'],
    ['%F0%9F%98%80', '\u{1f600}'],
    ['e%CC%81', 'e\u0301'],
    ['%C3%A9', 'é'],
    ['Case', 'Case'],
    ['case', 'case'],
    ['%25%32%65', '%2e'],
    ['x'.repeat(1024), 'x'.repeat(1024)],
  ];
  const ILLEGAL = ['a%00b', '%FF', '%C0%AF', '%ED%A0%80', 'x'.repeat(1025), '%E2%82', '%', '%zz', ''];

  test('legal ones are kept as bytes, each a file of its own, and never become paths', async () => {
    await system.catalog.addContainer('names');
    for (const [raw, name] of LEGAL) {
      const url = `/api/v1/containers/names/files/${raw}`;
      const put = await server.call('PUT', url, { body: `of ${name}` });
      expect([raw, put.status]).toEqual([raw, 201]);
      expect((await server.call('GET', url)).body.toString()).toBe(`of ${name}`);
    }
    const wanted = LEGAL.map(([, name]) => Buffer.from(name)).sort(Buffer.compare);
    expect(await system.list('names')).toEqual(wanted.map(String));
    const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(paths.filter(path => /etc|passwd|con|exe|line|xxx/.test(path))).toEqual([]);
    expect(readdirSync(folder)).toEqual(['data']);
  });

  test.each(ILLEGAL)('%j is refused', async raw => {
    const answer = await server.call('PUT', `/api/v1/containers/names/files/${raw}`, { body: 'x' });
    expect([400, 404, 405]).toContain(answer.status);
    expect(await system.list('names')).toHaveLength(LEGAL.length);
  });

  test.each(['', '.', '..', 'a/b', 'a b', 'ä', 'x'.repeat(65), 'a\n'])(
    'a container or group named %j is refused',
    async name => {
      const container = await server.json('POST', '/api/v1/containers', { name });
      const group = await server.json('POST', '/api/v1/groups', { name });
      expect([container.status, group.status]).toEqual([400, 400]);
    },
  );
});

test('after all of it nothing is damaged', async () => {
  expect((await system.verify()).damages).toEqual([]);
});
