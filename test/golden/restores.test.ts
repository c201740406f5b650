/**
 * What format version 1 has written restores. GRANARY_GOLDEN_OUT=DIR keeps a system that today's program
 * writes, for the day on which there is another version.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { DirectLane } from '../support/direct-lane.js';
import { GOLDEN_PASSPHRASE, type GoldenFile, listGolden, writeGolden } from '../support/golden-system.js';
import { contentOf } from '../support/ledger.js';
import { TestServer } from '../support/server.js';
import { WholeSystem } from '../support/whole-system.js';

const V1 = join(dirname(fileURLToPath(import.meta.url)), 'v1');
const MANIFEST = JSON.parse(readFileSync(join(V1, 'manifest.json'), 'utf8')) as GoldenFile[];
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  folders.push(mkdtempSync(join(tmpdir(), 'granary-golden-')));
  return folders.at(-1)!;
}

function copyOfV1(): string {
  const data = join(folder(), 'data');
  cpSync(join(V1, 'data'), data, { recursive: true });
  return data;
}

test('version 1 restores through a server, and takes files again', async () => {
  const data = copyOfV1();
  const unlock = join(data, '../unlock');
  writeFileSync(unlock, `${GOLDEN_PASSPHRASE}\n`);
  const server = await TestServer.start({ data, flags: ['--unlock-file', unlock] });
  for (const { name, version, ...content } of MANIFEST) {
    const [container, ...path] = name.split('/');
    const url = `/api/v1/containers/${container}/files/${encodeURIComponent(path.join('/'))}`;
    const answer = await server.fetch(url);
    expect(contentOf(Buffer.from(await answer.arrayBuffer()))).toEqual(content);
    expect(answer.headers.get('x-granary-version')).toBe(String(version));
  }
  const verified = await server.granary(['verify', '--full', '--json']);
  expect([verified.code, JSON.parse(verified.stdout)]).toMatchObject([0, { damages: [] }]);
  const put = await server.granary(['put', 'vault/more', '--json'], Buffer.alloc(100_000, 'more'));
  expect(JSON.parse(put.stdout)).toMatchObject({ size: 100_000 });
  await server.dispose();
});

test('version 1 holds its files and nothing else, and a second start finds the same', async () => {
  const directory = copyOfV1();
  const lane = new DirectLane();
  for (let start = 0; start < 2; start += 1) {
    const system = await WholeSystem.open({ lane, directory, unlock: { passphrase: GOLDEN_PASSPHRASE } });
    expect(await listGolden(system)).toEqual(MANIFEST);
    await system.close();
  }
});

test('what is in version 1 is what its writer says', async () => {
  const out = process.env.GRANARY_GOLDEN_OUT ?? folder();
  mkdirSync(out, { recursive: true });
  const files = await writeGolden(join(out, 'data'));
  writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(files, null, 2)}\n`);
  // Today's log has a record more in front: the versions are later ones.
  const content = (golden: readonly GoldenFile[]) => golden.map(({ version: _later, ...file }) => file);
  expect(content(files)).toEqual(content(MANIFEST));
});
