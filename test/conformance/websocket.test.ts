/** The WebSocket part of the HttpServer interface, over every implementation. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { KINDS, type Running, start, until } from '../support/http-servers.js';
import { md5, pattern } from '../support/protocol-app.js';

describe.each(KINDS)('$name', kind => {
  let running: Running;

  beforeAll(async () => {
    running = await start(kind);
  });
  beforeEach(() => {
    running.log.closeCodes.length = 0;
    running.log.connections.length = 0;
  });
  afterAll(() => running.server.stop(0));

  const connect = async (path = '/ws', protocols: string[] = []) => {
    const url = `${kind.isTls ? 'wss' : 'ws'}://127.0.0.1:${running.port}${path}`;
    const socket = new WebSocket(url, protocols, { rejectUnauthorized: false, maxPayload: 1 << 30 });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return socket;
  };

  test('WebSocket messages of any size come back as they went, in order', async () => {
    const socket = await connect();
    const sent = [0, 1, 125, 126, 65_535, 65_536, 4_000_000].map(size => pattern(size, size));
    const got: Buffer[] = [];
    socket.on('message', data => got.push(data as Buffer));
    for (const bytes of sent) socket.send(bytes);
    await until(() => got.length === sent.length);
    expect(got.map(md5)).toEqual(sent.map(md5));
    socket.terminate();
  });

  test('WebSocket bulk echo loses nothing, however slowly the client reads', async () => {
    const socket = await connect();
    const bytes = pattern(1 << 20);
    let got = 0;
    socket.on('message', data => {
      expect((data as Buffer).length).toBe(bytes.length);
      got += 1;
    });
    for (let i = 0; i < 24; i += 1) socket.send(bytes);
    socket.pause();
    await new Promise(resolve => setTimeout(resolve, 200));
    socket.resume();
    await until(() => got === 24);
    socket.terminate();
  });

  test('a WebSocket sender is told to wait, can wait, and is refused when it does not', async () => {
    running.log.connections.length = 0;
    const socket = await connect();
    const [connection] = running.log.connections;
    socket.pause();
    const bytes = new Uint8Array(1 << 20);
    let isFree = true;
    while (isFree) isFree = connection!.send(bytes);
    expect(connection!.bufferedAmount).toBeGreaterThan(0);
    const drained = connection!.drained();
    socket.resume();
    await drained;
    socket.pause();
    expect(() => {
      for (let i = 0; i < 200; i += 1) connection!.send(bytes);
    }).toThrow(expect.objectContaining({ code: 'BUSY' }));
    const cancelled = connection!.drained();
    socket.terminate();
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('the handler refuses a WebSocket or names its protocol; pings and close codes pass', async () => {
    await expect(connect('/other')).rejects.toThrow('403');
    const socket = await connect('/ws', ['granary']);
    expect(socket.protocol).toBe('granary');
    const pong = new Promise(resolve => socket.once('pong', resolve));
    socket.ping();
    await pong;
    running.log.closeCodes.length = 0;
    socket.close(4001, 'enough');
    await until(() => running.log.closeCodes.length === 1);
    expect(running.log.closeCodes).toEqual([4001]);
  });

  test('a sink that throws, a message beyond the maximum, a cut cost their connection only', async () => {
    running.log.closeCodes.length = 0;
    const [throwing, large, cut] = [await connect(), await connect(), await connect()];
    for (const socket of [throwing, large]) socket.on('error', () => undefined);
    throwing.send('throw');
    large.send(Buffer.alloc(9 << 20));
    cut.terminate();
    await until(() => running.log.closeCodes.length === 3);
    const again = await connect();
    again.terminate();
  });

  test('a stop says goodbye to WebSockets', async () => {
    const other = await start(kind);
    const socket = new WebSocket(`${kind.isTls ? 'wss' : 'ws'}://127.0.0.1:${other.port}/ws`, {
      rejectUnauthorized: false,
    });
    await new Promise(resolve => socket.once('open', resolve));
    const code = new Promise(resolve => socket.once('close', resolve));
    await other.server.stop(5000);
    expect(await code).toBe(1001);
  });
});
