/** What opens an encrypted group, changed while it is served: by command line, over restarts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CommandResult, TestServer } from '../support/server.js';

const CONTENT = 'kept under whichever passphrase';
let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-keys-'));
  file('old', 'open sesame\n');
  file('new', 'open barley\n');
  file('wrong', 'open rye\n');
  file('key', 'sixty-four bytes that nobody guesses, kept on a stick, not here.');
  server = await TestServer.start({ data: join(folder, 'data') });
  const made = await group('add', '--encryption', 'static', '--passphrase-file', at('old'), '--json');
  file('recovery', (JSON.parse(made.stdout) as { recoveryKey: string }).recoveryKey);
  await server.granary(['container', 'add', 'c', '--group', 'g']);
  await server.granary(['put', 'c/f'], Buffer.from(CONTENT));
});
afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);
const file = (name: string, text: string) => writeFileSync(at(name), text);

function group(verb: string, ...flags: readonly string[]): Promise<CommandResult> {
  return server.granary(['group', verb, 'g', ...flags]);
}

async function restart(...flags: readonly string[]): Promise<void> {
  expect(await server.stop()).toBe(0);
  server = await TestServer.start({ data: server.data, flags });
}

const isOpen = async () => (await server.granary(['get', 'c/f'])).stdout === CONTENT;
const keyrings = () => ['a', 'b'].map(copy => readFileSync(join(server.data, `groups/g/keyring.${copy}`)));

test('a wrong passphrase changes nothing and adds nothing', async () => {
  const before = keyrings();
  const wrong = ['--passphrase-file', at('wrong')];
  const results = [
    await group('passphrase', ...wrong, '--new-passphrase-file', at('new')),
    await group('add-key', ...wrong, '--key-file', at('key')),
  ];
  for (const result of results) {
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(/^granary: [^\n]*not opened by this passphrase\n$/);
  }
  expect(keyrings()).toEqual(before);
  const body = JSON.stringify({ passphrase: 'open rye', newPassphrase: 'open barley' });
  const answer = await server.fetch('/api/v1/groups/g/passphrase', { method: 'POST', body });
  expect([answer.status, await answer.json()]).toMatchObject([403, { error: { code: 'DENIED' } }]);
});

test('a new passphrase is asked for by file or prompt, and is not taken from the environment', async () => {
  const result = await group('passphrase', '--passphrase-file', at('old'));
  expect([result.code, result.stderr]).toEqual([1, expect.stringContaining('--new-passphrase-file')]);
});

test('after a change the new passphrase opens the group at the start, and the old one does not', async () => {
  const flags = ['--passphrase-file', at('old'), '--new-passphrase-file', at('new')];
  expect((await group('passphrase', ...flags)).code).toBe(0);
  expect(await isOpen()).toBe(true);
  await restart('--unlock-file', at('old'));
  expect(await isOpen()).toBe(false);
  expect(await group('unlock', '--passphrase-file', at('old'))).toMatchObject({ code: 1 });
  await restart('--unlock-file', at('new'));
  expect(await isOpen()).toBe(true);
});

test('an added key file and the recovery key open it, also behind a change of the passphrase', async () => {
  const added = await group('add-key', '--passphrase-file', at('new'), '--key-file', at('key'));
  expect(added).toMatchObject({ code: 0, stderr: '' });
  const flags = ['--passphrase-file', at('new'), '--new-passphrase-file', at('old')];
  expect((await group('passphrase', ...flags)).code).toBe(0);
  for (const [flag, name] of [
    ['--key-file', 'key'],
    ['--recovery-key-file', 'recovery'],
  ] as const) {
    await restart();
    expect(await isOpen()).toBe(false);
    expect((await group('unlock', flag, at('wrong'))).code).toBe(1);
    expect((await group('unlock', flag, at(name))).code).toBe(0);
    expect(await isOpen()).toBe(true);
  }
});

test('a locked group takes no new passphrase and no new key file', async () => {
  await restart();
  const secret = ['--passphrase-file', at('old')];
  for (const flags of [
    ['passphrase', ...secret, '--new-passphrase-file', at('new')],
    ['add-key', ...secret, '--key-file', at('key')],
  ] as const) {
    const result = await group(flags[0]!, ...flags.slice(1));
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining('locked')]);
  }
});
