import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { KEY_EPOCHS_MAX } from '../../src/base/limits.js';
import { createKeyring, type KeyringParameters, LockedKeyring } from '../../src/keys/keyring.js';
import { formatRecoveryKey, parseRecoveryKey } from '../../src/keys/recovery-key.js';
import { FakeDisk } from '../support/fake-log.js';
import { CHEAP, StillClock } from '../support/open-catalog.js';

const DAY_MS = 86_400_000;

function setUp(disk = new FakeDisk()) {
  const clock = new StillClock();
  const parameters: KeyringParameters = {
    lane: disk.lane(),
    disk: 0,
    directory: '/g',
    storeId: new Uint8Array(16).fill(1),
    clock,
    passphraseCost: CHEAP,
  };
  return { disk, clock, parameters };
}

const read = (parameters: KeyringParameters) => LockedKeyring.read(parameters);

test('passphrase, key file and recovery key each open the same ring', async () => {
  const { parameters } = setUp();
  const keyFile = new Uint8Array(64).fill(5);
  const { keyring, recoveryKey } = await createKeyring(parameters, [
    { passphrase: 'open sesame' },
    { keyFile },
  ]);
  for (const secret of [{ passphrase: 'open sesame' }, { keyFile }, { recoveryKey: recoveryKey! }]) {
    expect((await (await read(parameters)).open(secret)).ring).toEqual(keyring.ring);
  }
});

test('a wrong secret is DENIED and changes nothing on disk', async () => {
  const { parameters, disk } = setUp();
  await createKeyring(parameters, [{ passphrase: 'right' }]);
  const before = disk.files.get('/g/keyring.a');
  const locked = await read(parameters);
  for (const secret of [
    { passphrase: 'wrong' },
    { keyFile: new Uint8Array(32) },
    { recoveryKey: formatRecoveryKey(new Uint8Array(32)) },
    undefined,
  ]) {
    await expect(locked.open(secret)).rejects.toMatchObject({ code: 'DENIED' });
  }
  expect(disk.files.get('/g/keyring.a')).toEqual(before);
});

test('a passphrase has 1 to 255 bytes', async () => {
  const { parameters } = setUp();
  for (const passphrase of ['', 'x'.repeat(256), 'ü'.repeat(128)]) {
    await expect(createKeyring(parameters, [{ passphrase }])).rejects.toMatchObject({ code: 'INVALID' });
  }
  await createKeyring(parameters, [{ passphrase: 'x'.repeat(255) }]);
});

test('a group that is not encrypted opens without a secret and has no data keys', async () => {
  const { parameters } = setUp();
  await createKeyring(parameters, []);
  const locked = await read(parameters);
  expect(locked.isEncrypted).toBe(false);
  const keyring = await locked.open();
  expect([keyring.activeEpoch, keyring.dataKeys]).toEqual([0, []]);
});

test('nothing secret stands in the files of an encrypted group', async () => {
  const { parameters, disk } = setUp();
  const { keyring } = await createKeyring(parameters, [{ passphrase: 'p4ssphrase' }]);
  const text = Buffer.from(disk.files.get('/g/keyring.a')!).toString();
  const keys = [keyring.ring.logKey, keyring.ring.fingerprintKey, keyring.ring.dataKeys[0]!.key];
  for (const key of keys) expect(text).not.toContain(Buffer.from(key).toString('base64'));
  expect(text).not.toContain('p4ssphrase');
});

test('an epoch that was added is there after a restart, and the older ones still are', async () => {
  const { parameters, clock } = setUp();
  const { keyring } = await createKeyring(parameters, [{ passphrase: 'p' }]);
  clock.now += 30 * DAY_MS - 1;
  expect(keyring.needsRotation(30)).toBe(false);
  clock.now += 1;
  expect(keyring.needsRotation(30)).toBe(true);
  expect(await keyring.addEpoch()).toBe(2);
  expect(keyring.needsRotation(30)).toBe(false);
  const again = await (await read(parameters)).open({ passphrase: 'p' });
  expect(again.dataKeys).toEqual(keyring.dataKeys);
  expect(again.dataKeys.map(key => key.epoch)).toEqual([1, 2]);
});

test('there are at most KEY_EPOCHS_MAX epochs, and no rotation beyond', async () => {
  const { parameters, clock } = setUp();
  const { keyring } = await createKeyring(parameters, [{ passphrase: 'p' }]);
  while (keyring.activeEpoch < KEY_EPOCHS_MAX) await keyring.addEpoch();
  await expect(keyring.addEpoch()).rejects.toMatchObject({ code: 'INVALID' });
  clock.now += 10_000 * DAY_MS;
  expect(keyring.needsRotation(7)).toBe(false);
});

test('a changed passphrase opens, the old one does not any more, other slots stay', async () => {
  const { parameters } = setUp();
  const { keyring, recoveryKey } = await createKeyring(parameters, [{ passphrase: 'old' }]);
  await expect(keyring.changePassphrase('not it', 'new')).rejects.toMatchObject({ code: 'DENIED' });
  await keyring.changePassphrase('old', 'new');
  const locked = await read(parameters);
  await locked.open({ passphrase: 'new' });
  await locked.open({ recoveryKey: recoveryKey! });
  await expect(locked.open({ passphrase: 'old' })).rejects.toMatchObject({ code: 'DENIED' });
});

test('a key file is added only by who has a secret of the group, and then opens it', async () => {
  const { parameters } = setUp();
  const { keyring } = await createKeyring(parameters, [{ passphrase: 'p' }]);
  const keyFile = new Uint8Array(Buffer.from('0123456789abcdef0123456789abcdef'));
  await expect(keyring.addSecret({ passphrase: 'q' }, { keyFile })).rejects.toMatchObject({ code: 'DENIED' });
  await expect((await read(parameters)).open({ keyFile })).rejects.toMatchObject({ code: 'DENIED' });
  await keyring.addSecret({ passphrase: 'p' }, { keyFile });
  await (await read(parameters)).open({ keyFile });
});

test('a change of passphrase that dies at any write leaves a ring that one of both opens', async () => {
  for (let write = 0; write < 4; write += 1) {
    for (const isAfter of [false, true]) {
      const { parameters, disk } = setUp();
      const { keyring } = await createKeyring(parameters, [{ passphrase: 'old' }]);
      disk.failNext('replaceFile', new StoreError('IO', 'power'), { skip: write, isAfter });
      await expect(keyring.changePassphrase('old', 'new')).rejects.toMatchObject({ code: 'IO' });
      const { parameters: after } = setUp(await disk.crashed());
      const locked = await read(after);
      const opened = await Promise.allSettled([
        locked.open({ passphrase: 'old' }),
        locked.open({ passphrase: 'new' }),
      ]);
      expect(opened.some(result => result.status === 'fulfilled')).toBe(true);
    }
  }
});

test('a keyring in one copy only is taken at its newest, and the other copy is repaired', async () => {
  const { parameters, disk } = setUp();
  const { keyring } = await createKeyring(parameters, [{ passphrase: 'p' }]);
  disk.failNext('replaceFile', new StoreError('IO', 'power'), { skip: 1 });
  await expect(keyring.addEpoch()).rejects.toMatchObject({ code: 'IO' });
  expect((await (await read(parameters)).open({ passphrase: 'p' })).activeEpoch).toBe(2);
  expect(disk.files.get('/g/keyring.b')).toEqual(disk.files.get('/g/keyring.a'));
});

test('a damaged byte in one copy anywhere is repaired from the other; in both it is CORRUPT', async () => {
  const { parameters, disk } = setUp();
  await createKeyring(parameters, [{ passphrase: 'p' }]);
  const good = disk.files.get('/g/keyring.a')!;
  for (let offset = 0; offset < good.length; offset += 7) {
    const bad = good.slice();
    bad[offset]! ^= 1;
    disk.files.set('/g/keyring.a', bad);
    await read(parameters);
    expect(disk.files.get('/g/keyring.a')).toEqual(good);
    disk.files.set('/g/keyring.a', bad);
    disk.files.set('/g/keyring.b', bad);
    await expect(read(parameters)).rejects.toMatchObject({ code: 'CORRUPT' });
    disk.files.set('/g/keyring.b', good);
  }
});

test('the keyring of another group is refused', async () => {
  const { parameters } = setUp();
  await createKeyring(parameters, []);
  await expect(read({ ...parameters, storeId: new Uint8Array(16) })).rejects.toMatchObject({
    code: 'CORRUPT',
  });
});

test('parameters that take all memory, or make guessing cheap, are refused unused', async () => {
  const { parameters, disk } = setUp();
  await createKeyring(parameters, [{ passphrase: 'p' }]);
  const { createHash } = await import('node:crypto');
  const [line] = Buffer.from(disk.files.get('/g/keyring.a')!).toString().split('\n');
  for (const cost of ['"cost":1024', '"cost":4294967296']) {
    const forged = line!.replace('"cost":16384', cost);
    const bytes = Buffer.from(`${forged}\n${createHash('sha256').update(forged).digest('hex')}\n`);
    disk.files.set('/g/keyring.a', bytes);
    disk.files.set('/g/keyring.b', bytes);
    await expect(read(parameters)).rejects.toMatchObject({ code: 'CORRUPT' });
  }
});

test('a keyring of a newer version is UNSUPPORTED and is not overwritten', async () => {
  const { parameters, disk } = setUp();
  await createKeyring(parameters, []);
  const { createHash } = await import('node:crypto');
  const [line] = Buffer.from(disk.files.get('/g/keyring.a')!).toString().split('\n');
  const newer = line!.replace('"version":1', '"version":2');
  const bytes = Buffer.from(`${newer}\n${createHash('sha256').update(newer).digest('hex')}\n`);
  disk.files.set('/g/keyring.a', bytes);
  await expect(read(parameters)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  expect(disk.files.get('/g/keyring.a')).toEqual(bytes);
});

test('a recovery key reads back through case, blanks and look-alikes; a typo is INVALID', () => {
  const key = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
  const text = formatRecoveryKey(key);
  expect(text).toMatch(/^([0-9A-Z]{7}-){7}[0-9A-Z]{7}$/);
  expect(parseRecoveryKey(text)).toEqual(key);
  expect(parseRecoveryKey(` ${text.toLowerCase().replace(/-/g, ' ').replace(/0/g, 'o')} `)).toEqual(key);
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '-') continue;
    const typo = text.slice(0, index) + (text[index] === 'X' ? 'Y' : 'X') + text.slice(index + 1);
    expect(() => parseRecoveryKey(typo)).toThrow(expect.objectContaining({ code: 'INVALID' }));
  }
});
