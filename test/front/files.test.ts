/** Files in and out over HTTP, on both servers: framing, digests, ranges, names, failures at each step. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { fakeXxh3 } from '../support/fake-catalog.js';
import { FrontServer } from '../support/front-server.js';
import { until } from '../support/http-servers.js';
import { pattern } from '../support/protocol-app.js';
import { RawClient } from '../support/raw-client.js';

const FILES = '/api/v1/containers/c/files';
const hex = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex');

describe.each(['uWebSockets.js', 'node:http'] as const)('%s', kind => {
  let front: FrontServer;

  beforeAll(async () => {
    front = await new FrontServer(kind).listen();
  });
  afterAll(() => front.server.stop(0));
  beforeEach(() => {
    front.catalog.files.get('c')!.clear();
    front.catalog.admission = undefined;
    front.catalog.commitFailure = undefined;
    front.streams.starveEvery = Number.POSITIVE_INFINITY;
    front.streams.failUploadAt = Number.POSITIVE_INFINITY;
    front.streams.damageAt = Number.POSITIVE_INFINITY;
  });

  const raw = async (text: string) => {
    const client = await RawClient.open(front.port);
    await client.send(text);
    return client;
  };
  const head = (method: string, path: string, lines = '') =>
    `${method} ${FILES}/${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer writer\r\n${lines}\r\n`;
  const refusal = (code: string) => ({ error: { code, message: expect.any(String) } });

  // --- in and out ---

  test('what was put is what get answers, and the first put is 201, the next 200', async () => {
    front.streams.starveEvery = 100_000;
    for (const size of [0, 1, 70_000, 3_000_000]) {
      const body = pattern(size);
      const put = await front.call('PUT', `${FILES}/f${size}`, { body, token: 'writer' });
      expect(put.status).toBe(201);
      const expected = {
        path: `f${size}`,
        size,
        newBytes: size,
        storedBytes: size >> 1,
        xxh3: fakeXxh3(body),
      };
      expect(put.json).toMatchObject({
        ...expected,
        version: expect.any(Number),
        seconds: expect.any(Number),
      });
      const get = await front.call('GET', `${FILES}/f${size}`, { token: 'reader' });
      expect([get.status, get.headers['content-length']]).toEqual([200, String(size)]);
      expect(get.body.equals(body)).toBe(true);
      expect((await front.call('PUT', `${FILES}/f${size}`, { body })).status).toBe(200);
    }
    expect([front.streams.uploadsOpen, front.streams.downloadsOpen]).toEqual([0, 0]);
  });

  test('a chunked upload needs no length', async () => {
    const client = await raw(head('PUT', 'chunked', 'Transfer-Encoding: chunked\r\n'));
    await client.send('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n');
    expect((await client.answer())?.status).toBe(201);
    expect((await front.call('GET', `${FILES}/chunked`)).body.toString()).toBe('hello world');
  });

  test('HEAD has the headers of GET, digests and version included, and no body', async () => {
    const body = pattern(1000);
    await front.call('PUT', `${FILES}/h`, { body, headers: { 'x-granary-digest': 'sha256, md5' } });
    const [get, only] = [await front.call('GET', `${FILES}/h`), await front.call('HEAD', `${FILES}/h`)];
    expect(only.headers).toMatchObject({
      'content-length': '1000',
      etag: get.headers.etag,
      'last-modified': 'Tue, 14 Nov 2023 22:13:20 GMT',
      'accept-ranges': 'bytes',
      'x-granary-xxh3': fakeXxh3(body),
      'x-granary-sha256': hex('sha256', body),
      'x-granary-md5': hex('md5', body),
    });
    expect(only.headers['x-granary-blake3']).toBeUndefined();
    expect(only.body.length).toBe(0);
  });

  // --- digests and lengths ---

  const content = pattern(5000);
  const right: [string, string][] = [
    ['x-granary-sha256', hex('sha256', content)],
    ['x-granary-sha256', hex('sha256', content).toUpperCase()],
    ['x-granary-blake3', hex('sha3-256', content)],
    ['x-granary-xxh3', fakeXxh3(content)],
    ['content-md5', createHash('md5').update(content).digest('base64')],
  ];
  test.each(right)('%s that fits is accepted', async (name, value) => {
    expect(
      (await front.call('PUT', `${FILES}/d`, { body: content, headers: { [name]: value } })).status,
    ).toBe(201);
  });

  const wrong: [string, string][] = [
    ['x-granary-sha256', hex('sha256', pattern(1))],
    ['x-granary-blake3', hex('sha256', pattern(1))],
    ['x-granary-xxh3', fakeXxh3(pattern(1))],
    ['content-md5', createHash('md5').update('x').digest('base64')],
    ['x-granary-sha256', 'abc'],
    ['x-granary-xxh3', 'zz'.repeat(16)],
    ['content-md5', 'not base64'],
    ['x-granary-digest', 'sha256,crc32'],
  ];
  test.each(wrong)('%s: %s is refused with 400 and nothing is visible', async (name, value) => {
    const put = await front.call('PUT', `${FILES}/d`, { body: content, headers: { [name]: value } });
    expect([put.status, put.json]).toEqual([400, refusal('INVALID')]);
    expect((await front.call('GET', `${FILES}/d`)).status).toBe(404);
    expect(front.streams.uploadsOpen).toBe(0);
  });

  test('a client that goes in mid-upload leaves nothing visible and its session closed', async () => {
    for (const sent of [0, 1, 500_000, 999_999]) {
      const client = await raw(head('PUT', 'gone', 'Content-Length: 1000000\r\n'));
      await client.send(pattern(sent));
      await until(() => front.streams.uploadsOpen === 1);
      client.destroy();
      await until(() => front.streams.uploadsOpen === 0);
    }
    expect((await front.call('GET', `${FILES}/gone`)).status).toBe(404);
    expect(front.server.activeCount).toBe(0);
  });

  test('bytes beyond Content-Length are no part of the file', async () => {
    const client = await raw(`${head('PUT', 'more', 'Content-Length: 3\r\n')}abcdef`);
    expect((await client.answer())?.status).toBe(201);
    expect((await front.call('GET', `${FILES}/more`)).body.toString()).toBe('abc');
    client.destroy();
  });

  // --- an upload's progress ---

  test('a named upload tells its own user how it goes until it ends, and nobody else', async () => {
    const named = (name: string, length = 1_000_000) =>
      head('PUT', 'named', `Content-Length: ${length}\r\nx-granary-upload: ${name}\r\n`);
    const ask = async (token: string) =>
      (await front.call('GET', '/api/v1/uploads/Tape_7-a', { token })).status;
    const asked = async () => (await front.call('GET', '/api/v1/uploads/Tape_7-a', { token: 'writer' })).json;
    for (const isCompleted of [true, false]) {
      const client = await raw(named('Tape_7-a'));
      await client.send(pattern(600_000));
      let going = await asked();
      while (going.received !== 600_000) going = await asked();
      const halves = { settledBytes: 600_000, newBytes: 600_000, storedBytes: 300_000 };
      expect(going).toEqual({ received: 600_000, ...halves });
      expect([await ask('operator'), await ask('reader')]).toEqual([404, 403]);
      if (isCompleted) await client.send(pattern(400_000));
      if (isCompleted) expect((await client.answer())?.status).toBe(201);
      client.destroy();
      await until(() => front.streams.uploadsOpen === 0);
      expect(await ask('writer')).toBe(404);
    }
  });

  test.each(['a b', 'a/b', 'x'.repeat(65), 'ü'])('an upload named %j is refused', async name => {
    const headers = { 'x-granary-upload': Buffer.from(name).toString('latin1') };
    const put = await front.call('PUT', `${FILES}/d`, { body: 'x', headers });
    expect([put.status, put.json]).toEqual([400, refusal('INVALID')]);
    expect((await front.call('GET', `${FILES}/d`)).status).toBe(404);
  });

  // --- refusals in front of the body ---

  test('an unknown container is 404 before the body is read, and the connection lives on', async () => {
    const client = await raw(
      head('PUT', 'f', 'Content-Length: 500000\r\n').replace('containers/c', 'containers/no'),
    );
    await client.send(pattern(500_000));
    expect((await client.answer())?.status).toBe(404);
    await client.send(head('GET', 'none'));
    expect((await client.answer())?.status).toBe(404);
    client.destroy();
  });

  test.each([
    ['NO_SPACE', 507],
    ['BUSY', 503],
    ['IO', 500],
  ] as const)('a group that answers %s refuses a long upload early with %i', async (code, status) => {
    front.catalog.admission = new StoreError(code, 'not now');
    const client = await raw(head('PUT', 'f', 'Content-Length: 900000000\r\n'));
    const answer = await client.answer();
    expect(answer?.status).toBe(status);
    expect(JSON.parse(answer!.body.toString())).toEqual(refusal(code));
    expect(answer?.headers.get('connection')).toBe('close');
    client.destroy();
  });

  test('an upload that fails in the middle is answered at once', async () => {
    front.streams.failUploadAt = 1_000_000;
    const client = await raw(head('PUT', 'f', 'Content-Length: 900000000\r\n'));
    await client.send(pattern(2_000_000));
    expect((await client.answer())?.status).toBe(507);
    client.destroy();
    await until(() => front.streams.uploadsOpen === 0);
  });

  test('a commit that fails is no success', async () => {
    front.catalog.commitFailure = new StoreError('IO', 'the log cannot be written');
    const put = await front.call('PUT', `${FILES}/f`, { body: 'abc' });
    expect([put.status, put.json]).toEqual([500, refusal('IO')]);
    expect(front.streams.uploadsOpen).toBe(0);
  });

  test('a locked group says so on every access', async () => {
    await front.catalog.updateGroup('DefaultGroup', { isLocked: true });
    for (const method of ['PUT', 'GET', 'HEAD', 'DELETE']) {
      expect((await front.call(method, `${FILES}/f`, method === 'PUT' ? { body: 'x' } : {})).status).toBe(
        403,
      );
    }
    await front.catalog.updateGroup('DefaultGroup', { isLocked: false });
  });

  // --- ranges and conditions ---

  const ranges: [string, number, string | undefined][] = [
    ['bytes=0-0', 206, 'bytes 0-0/1000'],
    ['bytes=10-19', 206, 'bytes 10-19/1000'],
    ['bytes=990-', 206, 'bytes 990-999/1000'],
    ['bytes=-10', 206, 'bytes 990-999/1000'],
    ['bytes=-5000', 206, 'bytes 0-999/1000'],
    ['bytes=0-99999', 206, 'bytes 0-999/1000'],
    ['bytes=1000-', 416, 'bytes */1000'],
    ['bytes=-0', 416, 'bytes */1000'],
    ['bytes=5-4', 200, undefined],
    ['bytes=0-1,5-6', 200, undefined],
    ['lines=1-2', 200, undefined],
    ['bytes=-', 200, undefined],
  ];
  test.each(ranges)('Range %s is answered %i', async (range, status, contentRange) => {
    const body = pattern(1000);
    await front.call('PUT', `${FILES}/r`, { body });
    const get = await front.call('GET', `${FILES}/r`, { headers: { range } });
    expect([get.status, get.headers['content-range']]).toEqual([status, contentRange]);
    const [first, last] = (contentRange ?? '').match(/\d+/g)?.map(Number) ?? [0, 999];
    if (status === 206) expect(get.body.equals(body.subarray(first, last! + 1))).toBe(true);
    if (status === 200) expect(get.body.equals(body)).toBe(true);
  });

  test('conditions compare the version: 304 and 412, and If-Range falls back to all of it', async () => {
    const put = await front.call('PUT', `${FILES}/v`, { body: 'first' });
    const old = put.headers.etag!;
    const get = (headers: Record<string, string>) => front.call('GET', `${FILES}/v`, { headers });
    expect((await get({ 'if-none-match': old })).status).toBe(304);
    expect((await get({ 'if-none-match': '"other", *' })).status).toBe(200);
    expect((await get({ 'if-match': old })).status).toBe(200);
    expect((await get({ 'if-modified-since': 'Tue, 14 Nov 2023 22:13:20 GMT' })).status).toBe(304);
    expect((await get({ 'if-unmodified-since': 'Tue, 14 Nov 2023 22:13:19 GMT' })).status).toBe(412);
    await front.call('PUT', `${FILES}/v`, { body: 'first' });
    expect((await get({ 'if-match': old })).status).toBe(412);
    expect((await get({ range: 'bytes=0-0', 'if-range': old })).status).toBe(200);
    expect((await front.call('HEAD', `${FILES}/v`, { headers: { 'if-none-match': '*' } })).status).toBe(304);
  });

  // --- a get that goes wrong ---

  test('damage in front of the first byte is an error, later it cuts the connection', async () => {
    const size = 3 << 20;
    await front.call('PUT', `${FILES}/damaged`, { body: pattern(size) });
    front.streams.damageAt = 10;
    const early = await front.call('GET', `${FILES}/damaged`);
    expect([early.status, early.json]).toEqual([500, refusal('CORRUPT')]);
    front.streams.damageAt = 2 << 20;
    const client = await raw(head('GET', 'damaged'));
    await client.closed();
    expect(await client.answer()).toBeUndefined();
    const body = client.received.subarray(client.received.indexOf('\r\n\r\n') + 4);
    expect(body.length).toBeLessThanOrEqual(2 << 20);
    expect(body.equals(pattern(size).subarray(0, body.length))).toBe(true);
    expect(front.streams.downloadsOpen).toBe(0);
  });

  test('a client that does not read holds the restore back, and one that goes ends it', async () => {
    await front.call('PUT', `${FILES}/large`, { body: Buffer.alloc(40 << 20) });
    front.streams.bytesRead = 0;
    const client = await RawClient.open(front.port);
    client.socket.pause();
    await client.send(head('GET', 'large'));
    let before = -1;
    while (before !== front.streams.bytesRead || before === 0) {
      before = front.streams.bytesRead;
      await new Promise(resolve => setTimeout(resolve, 150));
    }
    expect(before).toBeLessThan(20 << 20);
    client.destroy();
    await until(() => front.streams.downloadsOpen === 0);
  });

  // --- names ---

  const names: [string, string][] = [
    ['a/b/c', 'a/b/c'],
    ['a%2Fb%2fc', 'a/b/c'],
    ['..', '..'],
    ['../../etc/passwd', '../../etc/passwd'],
    ['%2e%2e/%2e', '../.'],
    ['/', '/'],
    ['a//b/', 'a//b/'],
    ['%252F', '%2F'],
    ['new%0Aline%0d%00x'.replace('%00', ''), 'new\nline\rx'],
    ['a+b%20c', 'a+b c'],
    ['%F0%9F%98%80', '😀'],
    ['%EF%BB%BFbom', '\ufeffbom'],
    ['%E2%80%AErtl', '\u202ertl'],
    ['CON', 'CON'],
    ['x'.repeat(1024), 'x'.repeat(1024)],
    ['%22quote%22%5C', '"quote"\\'],
  ];
  test('names are bytes: each of the odd ones is kept apart and listed as it is', async () => {
    for (const [path, name] of names) {
      const put = await front.call('PUT', `${FILES}/${path}`, { body: name });
      expect([put.status < 300, put.json.path]).toEqual([true, name]);
      expect((await front.call('GET', `${FILES}/${path}`)).body.toString()).toBe(name);
    }
    const distinct = new Set(names.map(([, name]) => name));
    const list = await front.call('GET', FILES);
    const listed = (list.json.files as { path: string }[]).map(file => file.path);
    expect(new Set(listed)).toEqual(distinct);
    expect(listed.length).toBe(distinct.size);
  });

  const badNames: [string, string][] = [
    ['', 'empty'],
    ['a%00b', 'NUL'],
    ['a%ff', 'UTF-8'],
    ['%C0%AF', 'UTF-8'],
    ['%ED%A0%80', 'UTF-8'],
    ['a%2', 'hex'],
    ['a%zz', 'hex'],
    ['x'.repeat(1025), '1024'],
    ['%F0%9F%98%80'.repeat(257), '1024'],
  ];
  test.each(badNames)('the name %j is refused with INVALID that says why', async (path, why) => {
    for (const method of ['PUT', 'GET', 'DELETE']) {
      const answer = await front.call(method, `${FILES}/${path}`, method === 'PUT' ? { body: 'x' } : {});
      expect([answer.status, answer.json.error?.code]).toEqual([400, 'INVALID']);
      expect(answer.json.error?.message).toContain(why);
    }
  });

  // --- list and delete ---

  test('a list goes in byte order, page by page, below a prefix', async () => {
    for (const path of ['b/2', 'b/1', 'a', 'b/%F0%9F%98%80', 'b/%EF%BF%BD', 'c']) {
      await front.call('PUT', `${FILES}/${path}`, { body: 'x' });
    }
    const pages: string[][] = [];
    let after: string | undefined;
    do {
      const query = new URLSearchParams({
        prefix: 'b/',
        limit: '3',
        ...(after === undefined ? {} : { after }),
      });
      const { json } = await front.call('GET', `${FILES}?${query}`);
      pages.push((json.files as { path: string }[]).map(file => file.path));
      after = json.next as string | undefined;
    } while (after !== undefined);
    expect(pages).toEqual([['b/1', 'b/2', 'b/\ufffd'], ['b/😀']]);
  });

  test.each(['limit=0', 'limit=1001', 'limit=x', 'what=1', 'limit=1&limit=2', 'prefix=%ff'])(
    'a list with %s is refused',
    async query => {
      expect((await front.call('GET', `${FILES}?${query}`)).json).toEqual(refusal('INVALID'));
    },
  );

  test('a deleted file is gone, and deleting it again is 404', async () => {
    await front.call('PUT', `${FILES}/x`, { body: 'x' });
    expect((await front.call('DELETE', `${FILES}/x`)).status).toBe(204);
    expect((await front.call('DELETE', `${FILES}/x`)).status).toBe(404);
  });
});
