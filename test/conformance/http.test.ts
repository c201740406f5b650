/**
 * One protocol suite over every HttpServer: uWebSockets.js, node:http and node:https. Where the
 * uWebSockets.js build that npm has differs and cannot be changed, its row says what it really does; no row
 * may hang or end the process.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { REQUEST_HEADER_COUNT_MAX, REQUEST_HEADER_SIZE_MAX } from '../../src/base/limits.js';
import { NodeServer } from '../../src/front/node-server.js';
import { CONTEXT, KINDS, type Running, start, until } from '../support/http-servers.js';
import { md5, pattern, protocolApp } from '../support/protocol-app.js';
import { RawClient } from '../support/raw-client.js';
import { TEST_CERTIFICATE, TEST_KEY } from '../support/tls-certificate.js';

/** A small generator with a seed: the split points of a failing run can be had again. */
function* sizes(seed: number): Generator<number> {
  let state = seed >>> 0;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield 1 + ((state >>> 8) % 200);
  }
}

describe.each(KINDS)('$name', kind => {
  let running: Running;
  const clients: RawClient[] = [];
  const open = async () => {
    const client = await RawClient.open(running.port, kind.isTls);
    clients.push(client);
    return client;
  };
  const ask = async (text: string) => {
    const client = await open();
    await client.send(text);
    return client;
  };

  beforeAll(async () => {
    running = await start(kind);
  });
  beforeEach(() => {
    running.log.requests.length = 0;
    running.log.aborted = 0;
    running.log.bytesWritten = 0;
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  afterAll(() => running.server.stop(0));

  const put = (path: string, size: number) =>
    `PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`;

  // --- heads ---

  test('path and query come through as they were sent, headers in lower case', async () => {
    const client = await ask(
      'GET /a%2Fb/../%ff//c?x=1&y=%20+ HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n',
    );
    expect((await client.answer())?.status).toBe(200);
    const [request] = running.log.requests;
    expect(request).toMatchObject({ method: 'GET', rawPath: '/a%2Fb/../%ff//c', rawQuery: 'x=1&y=%20+' });
    expect(request?.headers.get('x-one')).toBe('1, 2');
  });

  test('a request head in pieces is answered, or refused by the build that cannot read it', async () => {
    const body = pattern(3000);
    const padding = `x-padding: ${'p'.repeat(700)}\r\n`;
    const target = `/echo/${'k'.repeat(400)}`;
    const request = Buffer.concat([
      Buffer.from(`PUT ${target} HTTP/1.1\r\nHost: a\r\n${padding}Content-Length: 3000\r\n\r\n`),
      body,
    ]);
    const statuses: number[] = [];
    for (let seed = 1; seed <= 40; seed += 1) {
      const client = await open();
      await client.sendPieces(request, sizes(seed));
      const answer = await client.answer();
      statuses.push(answer?.status ?? 0);
      if (answer?.status === 200)
        expect(JSON.parse(answer.body.toString())).toEqual({ size: 3000, md5: md5(body) });
      client.destroy();
    }
    if (kind.isUws) expect(statuses.every(status => status === 200 || status === 505)).toBe(true);
    else expect(statuses.every(status => status === 200)).toBe(true);
    const again = await ask(put('/echo', 0));
    expect((await again.answer())?.status).toBe(200);
  });

  test('each split of a head in two is answered, or refused by the build that cannot read it', async () => {
    const text = 'GET /echo/abc HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n';
    const refused: number[] = [];
    for (let at = 1; at < text.length; at += 1) {
      const client = await open();
      await client.send(text.slice(0, at));
      await new Promise(resolve => setTimeout(resolve, 2));
      await client.send(text.slice(at));
      const answer = await client.answer();
      expect([200, 505]).toContain(answer?.status);
      if (answer?.status === 505) refused.push(at);
      client.destroy();
    }
    const version = text.indexOf(' HTTP/1.1');
    if (kind.isUws) {
      expect(refused.every(at => at === 4 || (at > version && at <= version + 10))).toBe(true);
    } else {
      expect(refused).toEqual([]);
    }
  });

  const refusals: [string, string][] = [
    ['Content-Length and Transfer-Encoding', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'],
    ['two Content-Lengths that differ', 'Content-Length: 3\r\nContent-Length: 4\r\n'],
    ['two Content-Lengths that agree', 'Content-Length: 3\r\nContent-Length: 3\r\n'],
    ['a list as Content-Length', 'Content-Length: 3, 3\r\n'],
    ['a negative Content-Length', 'Content-Length: -3\r\n'],
    ['a Content-Length beyond 2^53', 'Content-Length: 9007199254740993\r\n'],
    ['a Content-Length that is no number', 'Content-Length: 3x\r\n'],
    ['an unknown Transfer-Encoding', 'Transfer-Encoding: gzip\r\n'],
    ['an unknown Transfer-Encoding before chunked', 'Transfer-Encoding: gzip, chunked\r\n'],
    ['two Host headers', 'Host: b\r\n'],
    ['two Authorization headers', 'Authorization: Bearer a\r\nAuthorization: Bearer b\r\n'],
  ];
  test.each(refusals)('%s is refused with 400 and the connection closed', async (_what, lines) => {
    const client = await ask(`PUT /echo HTTP/1.1\r\nHost: a\r\n${lines}\r\nabc`);
    expect((await client.answer())?.status).toBe(400);
    await client.closed();
    expect(running.log.requests).toEqual([]);
  });

  const malformed: [string, string][] = [
    ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n'],
    ['a bare CR in a header', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n'],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n'],
    ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n'],
    ['no Host', 'GET / HTTP/1.1\r\nX-A: b\r\n\r\n'],
    ['an absolute target', 'GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['binary rubbish', '\x16\x03\x01\x00\x05\x01\x02\x03\r\n\r\n'],
  ];

  test('too many and too large headers are refused with 431 and the connection closes', async () => {
    const many = 'X-A: b\r\n'.repeat(REQUEST_HEADER_COUNT_MAX);
    const large = `X-A: ${'b'.repeat(REQUEST_HEADER_SIZE_MAX)}\r\n`;
    for (const lines of [many, large, large.repeat(20), 'X-A: b\r\n'.repeat(100_000)]) {
      const client = await ask(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
      const answer = await client.answer();
      // A flood may meet the reset before it has read the answer.
      if (lines.length < 2 * REQUEST_HEADER_SIZE_MAX) expect(answer?.status).toBe(431);
      await client.closed();
    }
    expect(running.log.requests).toEqual([]);
  });

  test('a request head of nearly the maximum is taken', async () => {
    const client = await ask(`GET /echo HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(15_000)}\r\n\r\n`);
    expect((await client.answer())?.status).toBe(200);
  });

  // --- bodies ---

  test('a body arrives byte for byte, whatever the pauses of its reader', async () => {
    const body = pattern(5_000_000);
    for (const path of ['/echo', '/pausing', '/late']) {
      const client = await ask(put(path, body.length));
      await client.send(body);
      const answer = await client.answer();
      expect(JSON.parse(answer!.body.toString())).toEqual({ size: body.length, md5: md5(body) });
    }
  });

  test('a chunked body arrives byte for byte', async () => {
    const client = await ask('PUT /pausing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const all: Buffer[] = [];
    for (let size = 1; size < 300_000; size = size * 3 + 1) {
      all.push(pattern(size, size));
      await client.send(`${size.toString(16)}\r\n`);
      await client.send(all.at(-1)!);
      await client.send('\r\n');
    }
    await client.send('0\r\n\r\n');
    const body = Buffer.concat(all);
    const answer = await client.answer();
    expect(JSON.parse(answer!.body.toString())).toEqual({ size: body.length, md5: md5(body) });
  });

  test('a reader that pauses holds the client back', async () => {
    const client = await ask(put('/hold', 100_000_000));
    let sent = 0;
    const block = Buffer.alloc(1 << 20);
    const pump = () => {
      while (sent < 100 && client.socket.write(block)) sent += 1;
    };
    client.socket.on('drain', () => {
      sent += 1;
      pump();
    });
    pump();
    await until(() => running.log.requests.length === 1);
    await new Promise(resolve => setTimeout(resolve, 300));
    // Socket buffers of both sides hold a few MiB; the rest is the client's.
    expect(sent).toBeLessThan(50);
    running.log.release();
    client.destroy();
    await until(() => running.server.activeCount === 0);
  });

  test('a client that goes in its request is told to the reader once, and the server goes on', async () => {
    const request = Buffer.concat([Buffer.from(put('/echo', 100_000)), pattern(100_000)]);
    for (const cut of [10, 40, 60, 70, 5000, 99_000]) {
      const client = await open();
      await client.send(request.subarray(0, cut));
      await new Promise(resolve => setTimeout(resolve, 10));
      client.destroy();
    }
    await until(() => running.server.activeCount === 0);
    expect(running.log.aborted).toBe(running.log.requests.length);
    const again = await ask(put('/echo', 0));
    expect((await again.answer())?.status).toBe(200);
  });

  test('an answer without reading a short body keeps the connection for the next request', async () => {
    const client = await ask(put('/refuse', 300_000));
    await client.send(pattern(300_000));
    expect((await client.answer())?.status).toBe(403);
    await client.send('GET /echo HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.answer())?.status).toBe(200);
  });

  test('Expect: 100-continue is answered and the body taken', async () => {
    const client = await ask(
      'PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
    );
    expect((await client.answer())?.status).toBe(100);
    await client.send('abc');
    expect(JSON.parse((await client.answer())!.body.toString())).toEqual({
      size: 3,
      md5: md5(Buffer.from('abc')),
    });
  });

  test('a refusal comes in front of 100 Continue, where the server lets us decide', async () => {
    const client = await ask(
      'PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
    );
    expect((await client.answer())?.status).toBe(kind.isUws ? 100 : 403);
    if (!kind.isUws) await client.closed();
  });

  // --- answers ---

  test('an answer arrives byte for byte, with its length and chunked, from one buffer', async () => {
    for (const path of ['/bytes', '/chunked']) {
      for (const size of [0, 1, 16_384, 262_144, 262_145, 3_000_000, 20_000_000]) {
        const client = await ask(`GET ${path}?${size} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const answer = await client.answer();
        if (path === '/bytes') expect(answer?.headers.get('content-length')).toBe(String(size));
        expect(md5(answer!.body)).toBe(md5(size <= 1 << 20 ? pattern(size) : wholeBlocks(size)));
        client.destroy();
      }
    }
  });

  test('a reader that takes nothing holds the sender back', async () => {
    const client = await open();
    client.socket.pause();
    await client.send('GET /bytes?1000000000 HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => running.log.bytesWritten > 0);
    let before = -1;
    while (before !== running.log.bytesWritten) {
      before = running.log.bytesWritten;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    expect(before).toBeLessThan(20_000_000);
    client.destroy();
    await until(() => running.server.activeCount === 0);
    expect(running.log.aborted).toBe(1);
  });

  test('HEAD has the length of GET and no body, and the connection stays in step', async () => {
    const client = await ask(
      'HEAD /bytes?5497558138880 HTTP/1.1\r\nHost: a\r\n\r\nGET /bytes?3 HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect((await client.answer(true))?.headers.get('content-length')).toBe('5497558138880');
    expect((await client.answer())?.body).toEqual(pattern(3));
  });

  test('an answer that ends short of its length cuts the connection', async () => {
    const client = await ask('GET /short HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.closed();
    expect(await client.answer()).toBeUndefined();
  });

  test('a handler that throws costs its own request only', async () => {
    const client = await ask('GET /throw HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.closed();
    const again = await ask('GET /bytes?3 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await again.answer())?.status).toBe(200);
  });

  test('one connection serves many requests one after the other', async () => {
    const client = await open();
    for (let i = 0; i < 50; i += 1) {
      await client.send(`PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${i}\r\n\r\n`);
      await client.send(pattern(i));
      expect(JSON.parse((await client.answer())!.body.toString())).toEqual({ size: i, md5: md5(pattern(i)) });
    }
  });

  test('pipelined requests are answered in their order', async () => {
    const client = await ask(
      [1, 2, 3].map(size => `GET /bytes?${size} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''),
    );
    for (const size of [1, 2, 3]) expect((await client.answer())?.body).toEqual(pattern(size));
  });

  test('a thousand idle connections take nothing from the requests of others', async () => {
    // A server of its own: the other's bounds of time are short.
    const patient = await start(kind.isUws ? kind : { ...kind, make: h => new NodeServer(h, CONTEXT) });
    const connect = () => RawClient.open(patient.port, kind.isTls);
    const idle = await Promise.all(Array.from({ length: 1000 }, connect));
    const asked = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const client = await connect();
        await client.send('GET /bytes?100000 HTTP/1.1\r\nHost: a\r\n\r\n');
        return client;
      }),
    );
    for (const client of asked) expect((await client.answer())?.body.length).toBe(100_000);
    await Promise.all(idle.map(client => client.send('GET /bytes?1 HTTP/1.1\r\nHost: a\r\n\r\n')));
    for (const client of idle) expect((await client.answer())?.status).toBe(200);
    for (const client of [...idle, ...asked]) client.destroy();
    await patient.server.stop(0);
  });

  test('an answer in front of a long body arrives whole, and the connection is not used again', async () => {
    const client = await ask(put('/early', 500_000_000));
    const block = Buffer.alloc(1 << 20);
    const pump = () => {
      while (!client.isClosed && client.socket.write(block));
    };
    client.socket.on('drain', pump);
    pump();
    const answer = await client.answer();
    expect(answer?.status).toBe(403);
    expect(answer?.headers.get('connection')).toBe('close');
    expect(answer?.body.toString()).toBe('early');
    client.destroy();
    await until(() => running.server.activeCount === 0);
  });

  // --- what is slow or never answered: at once and on servers of their own, since uWebSockets.js waits 10 s
  // for each ---

  const alone = async (act: (other: Running, open: () => Promise<RawClient>) => Promise<void>) => {
    const other = await start(kind);
    await act(other, () => RawClient.open(other.port, kind.isTls));
    await other.server.stop(0);
  };

  test.concurrent('what is not HTTP/1.1 never reaches a handler and its connection closes', () =>
    alone(async (other, connectRaw) => {
      const answers = await Promise.all(
        malformed.map(async ([what, text]) => {
          const client = await connectRaw();
          await client.send(text);
          const answer = await client.answer();
          await client.closed();
          return [what, answer?.status ?? 0] as const;
        }),
      );
      const allowed = kind.isUws ? [0, 400, 505] : [400];
      for (const [what, status] of answers) expect(allowed, what).toContain(status);
      expect(other.log.requests).toEqual([]);
    }));

  test.concurrent('headers that come too slowly are cut', () =>
    alone(async (other, connectRaw) => {
      const client = await connectRaw();
      await client.send('GET / HTTP/1.1\r\nHost: a\r\nX-A: ');
      await client.closed();
      expect(other.log.requests).toEqual([]);
    }));

  test.concurrent('a body that brings nothing is cut', () =>
    alone(async (other, connectRaw) => {
      const client = await connectRaw();
      await client.send(put('/echo', 1_000_000));
      await client.closed();
      await until(() => other.log.aborted === 1);
    }));

  test.concurrent('a body that drips for longer than the library allows is taken', () =>
    alone(async (_, connectRaw) => {
      const client = await connectRaw();
      await client.send(put('/echo', 70));
      for (let count = 0; count < 70; count += 1) {
        await client.send('x');
        await new Promise(resolve => setTimeout(resolve, 200));
      }
      expect((await client.answer())?.status).toBe(200);
    }));

  // --- stop ---

  test('a stop lets an answer under way end and refuses new connections', async () => {
    const other = await start(kind);
    const [idle, busy] = [
      await RawClient.open(other.port, kind.isTls),
      await RawClient.open(other.port, kind.isTls),
    ];
    await idle.send('GET /bytes?1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.answer();
    await busy.send('GET /hold HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => other.server.activeCount === 1);
    const stopped = other.server.stop(30_000);
    await expect(RawClient.open(other.port, kind.isTls)).rejects.toThrow();
    if (!kind.isUws) await idle.closed();
    other.log.release();
    expect((await busy.answer())?.body.toString()).toBe('held');
    await stopped;
    await Promise.all([busy.closed(), idle.closed()]);
  });

  test('a stop cuts what is still open when the grace is over', async () => {
    const other = await start(kind);
    const client = await RawClient.open(other.port, kind.isTls);
    await client.send(put('/echo', 1000));
    await until(() => other.server.activeCount === 1);
    await other.server.stop(50);
    await client.closed();
    expect(await client.answer()).toBeUndefined();
    expect(other.log.aborted).toBe(1);
  });

  test('an address that is taken is UNAVAILABLE', async () => {
    const second = kind.make(protocolApp().handlers);
    const tls = kind.isTls ? { tls: { certificate: TEST_CERTIFICATE, key: TEST_KEY } } : {};
    await expect(second.listen({ host: '127.0.0.1', port: running.port, ...tls })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  test('bulk goes both ways at once', async () => {
    const body = pattern(30_000_000);
    const [up, down] = [
      await ask(put('/echo', body.length)),
      await ask('GET /bytes?30000000 HTTP/1.1\r\nHost: a\r\n\r\n'),
    ];
    void up.send(body);
    const [sent, got] = await Promise.all([up.answer(), down.answer()]);
    expect(JSON.parse(sent!.body.toString())).toEqual({ size: body.length, md5: md5(body) });
    expect(md5(got!.body)).toBe(md5(wholeBlocks(30_000_000)));
  });
});

/** What /bytes sends when it is longer than one block. */
function wholeBlocks(size: number): Buffer {
  const block = pattern(1 << 20);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += block.length) block.copy(bytes, at);
  return bytes;
}
