/**
 * A sparse stream over HTTP into the real server, longer than its disk when told so: some data, far apart,
 * and zeros between. GRANARY_STREAM_BYTES and GRANARY_SEED change how long and which data.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runCount, runSeed, seededBytes } from '../support/ledger.js';
import { RawClient } from '../support/raw-client.js';
import { TestServer } from '../support/server.js';

const MIB = 2 ** 20;
const SIZE = runCount('GRANARY_STREAM_BYTES', 32 * 2 ** 30);
const SEED = runSeed('sparse stream');
const PEAK_BYTES_MAX = 400 * MIB;
const STORED_BYTES_MAX = 64 * MIB;
const HOURS_6_MS = 6 * 3_600_000;
const ZEROS = Buffer.alloc(MIB);
const PATH = '/api/v1/containers/c/files/sparse';

interface Island {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** At the begin, at the end, and about the powers of two between at which a smaller number would end. */
function islands(): Island[] {
  const size = 3 * MIB + 7;
  const powers = [31, 32, 40, 42].map(power => 2 ** power - MIB - 3);
  const offsets = [0, ...powers.filter(offset => offset < SIZE - 2 * size), SIZE - size];
  return offsets.map((offset, at) => ({ offset, bytes: Buffer.from(seededBytes(SEED + at, size)) }));
}

async function sendZeros(client: RawClient, count: number): Promise<void> {
  for (let left = count; left > 0 && !client.isClosed; left -= ZEROS.length)
    await client.send(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
}

async function put(server: TestServer, content: readonly Island[]): Promise<unknown> {
  const client = await RawClient.open(Number(new URL(server.url).port));
  const head = [`PUT ${PATH} HTTP/1.1`, 'Host: granary', `Authorization: Bearer ${server.token}`];
  await client.send([...head, `Content-Length: ${SIZE}`, '', ''].join('\r\n'));
  let sent = 0;
  for (const { offset, bytes } of content) {
    await sendZeros(client, offset - sent);
    await client.send(bytes);
    sent = offset + bytes.length;
  }
  const answer = await client.answer();
  client.destroy();
  expect(answer?.status, answer?.body.toString()).toBe(201);
  return JSON.parse(answer!.body.toString());
}

async function range(server: TestServer, offset: number, length: number): Promise<Buffer> {
  const answer = await server.fetch(PATH, {
    headers: { range: `bytes=${offset}-${offset + length - 1}` },
  });
  expect(answer.status).toBe(206);
  return Buffer.from(await answer.arrayBuffer());
}

/** The island with zeros on both sides of it, as far as the file goes. */
async function expectIsland(server: TestServer, { offset, bytes }: Island): Promise<void> {
  const before = Math.min(offset, MIB);
  const behind = Math.min(SIZE - offset - bytes.length, MIB);
  const found = await range(server, offset - before, before + bytes.length + behind);
  const wanted = Buffer.concat([ZEROS.subarray(0, before), bytes, ZEROS.subarray(0, behind)]);
  expect(found.equals(wanted), `at ${offset}`).toBe(true);
}

function peakBytes(pid: number): number {
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

test(
  'a sparse stream longer than the disk takes bounded memory and little space, and is found at every offset',
  async () => {
    const server = await TestServer.start();
    try {
      await server.granary(['container', 'add', 'c']);
      const content = islands();
      const begin = performance.now();
      const report = await put(server, content);
      const seconds = (performance.now() - begin) / 1e3;
      console.log(JSON.stringify(report), `${seconds.toFixed(0)} s, peak ${peakBytes(server.pid)} bytes`);
      expect(report).toMatchObject({ size: SIZE });
      expect((report as { storedBytes: number }).storedBytes).toBeLessThan(STORED_BYTES_MAX);
      expect(peakBytes(server.pid)).toBeLessThan(PEAK_BYTES_MAX);
      for (let start = 0; start < 2; start += 1) {
        for (const island of content) await expectIsland(server, island);
        expect((await range(server, SIZE - 1, 1)).equals(content.at(-1)!.bytes.subarray(-1))).toBe(true);
        const behind = await server.fetch(PATH, { headers: { range: `bytes=${SIZE}-` } });
        expect(behind.status).toBe(416);
        if (start === 0) {
          await server.stop();
          await server.restart();
        }
      }
      expect((await server.fetch(PATH, { method: 'DELETE' })).status).toBe(204);
    } finally {
      await server.dispose();
    }
  },
  HOURS_6_MS,
);
