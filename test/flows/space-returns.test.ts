/** The cleaner of the real server, asked by its command line: deleted files, two runs, space. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededBytes } from '../support/ledger.js';
import { TestServer } from '../support/server.js';

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.dispose());

interface Answer {
  readonly isPaused: boolean;
  readonly holdHours: number;
  readonly windows: readonly object[];
  readonly groups: readonly {
    readonly group: string;
    readonly state: string;
    readonly last?: { readonly outcome: string; readonly freedBytes: number; readonly copiedBytes: number };
  }[];
}

async function cleaner(...parameters: string[]): Promise<Answer> {
  const result = await server.granary(['cleaner', ...parameters, '--json']);
  expect([parameters, result.stderr, result.code]).toEqual([parameters, '', 0]);
  return JSON.parse(result.stdout) as Answer;
}

const MIB = 2 ** 20;
const KEPT = seededBytes(1, 6 * MIB);
const GONE = seededBytes(2, 24 * MIB);

function bytesOnDisk(): number {
  const group = join(server.data, 'groups/DefaultGroup');
  const sizes = ['data', 'trash'].flatMap(folder =>
    readdirSync(join(group, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => statSync(join(entry.parentPath, entry.name)).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

test('two runs of a serving cleaner return the space of a deleted file, and the rest is whole', async () => {
  expect((await server.granary(['container', 'add', 'c'])).code).toBe(0);
  expect((await server.granary(['put', 'c/kept'], KEPT)).code).toBe(0);
  expect((await server.granary(['put', 'c/gone'], GONE)).code).toBe(0);
  expect((await server.granary(['rm', 'c/gone'])).code).toBe(0);
  const [first] = (await cleaner('run')).groups;
  expect(first).toMatchObject({ group: 'DefaultGroup', state: 'idle', last: { outcome: 'done' } });
  const [second] = (await cleaner('run', '--group', 'DefaultGroup')).groups;
  expect(second!.last!.freedBytes).toBeGreaterThan(0.9 * GONE.length);
  expect((await server.granary(['get', 'c/kept'])).stdout === KEPT.toString('latin1')).toBe(true);
  expect((await server.granary(['verify', '--full'])).code).toBe(0);
  await server.stop();
  expect(bytesOnDisk()).toBeLessThan(1.2 * KEPT.length);
  await server.restart();
  expect((await server.granary(['get', 'c/kept'])).stdout === KEPT.toString('latin1')).toBe(true);
});

test('pause, windows and hold are there after a restart, and a paused cleaner refuses to run', async () => {
  await cleaner('pause');
  await cleaner('set', '--window', 'sat 22:00-06:00', '--hold-hours', '24');
  await server.stop();
  await server.restart();
  const window = { day: 5, fromMinute: 1320, minutes: 480 };
  expect(await cleaner('status')).toMatchObject({ isPaused: true, holdHours: 24, windows: [window] });
  const refused = await server.granary(['cleaner', 'run']);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/paused/);
  expect(await cleaner('resume')).toMatchObject({ isPaused: false });
  expect(await cleaner('set', '--any-time', '--hold-hours', '0')).toMatchObject({
    windows: [],
    holdHours: 0,
  });
});

test('a group that is not there is refused, and people are told in words', async () => {
  expect((await server.granary(['cleaner', 'run', '--group', 'other'])).code).toBe(1);
  const { stdout } = await server.granary(['cleaner', 'status']);
  expect(stdout).toMatch(/^works by itself when a group is idle\nDefaultGroup: idle\n/);
  expect(stdout).toMatch(/last cycle, .*: done; freed .*, copied .*, condemned /);
});
