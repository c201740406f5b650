import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { ROTATION_CHECK_MS } from '../../src/base/limits.js';
import type { AttachParameters } from '../../src/native/binding.js';
import { FakeDisk } from '../support/fake-log.js';
import { draft, openCatalog } from '../support/open-catalog.js';

const DAY_MS = 86_400_000;

async function encrypted(encryption: 'static' | 'internal' = 'static') {
  const disk = new FakeDisk();
  const opened = await openCatalog(disk);
  const info = await opened.catalog.addGroup({ name: 'e', encryption, passphrase: 'p', rotationDays: 7 });
  await opened.catalog.addContainer('secret-box', 'e');
  return { disk, info, ...opened };
}

const settle = () => new Promise(resolve => setTimeout(resolve, 20));

test('a group that is locked says so on every access, and the others serve', async () => {
  const { catalog, disk } = await encrypted();
  await catalog.putFile('secret-box', 'f', draft(7));
  await catalog.close();
  const { catalog: locked } = await openCatalog(disk);
  const denied = { code: 'DENIED', message: expect.stringContaining("'e' is locked") };
  expect(locked.showGroup('e')).toMatchObject({ isLocked: true, encryption: 'static' });
  expect(() => locked.openGroup('e')).toThrow(expect.objectContaining(denied));
  expect(() => locked.openContainer('secret-box')).toThrow(expect.objectContaining(denied));
  await expect(locked.file('secret-box', 'f')).rejects.toMatchObject(denied);
  await expect(locked.putFile('secret-box', 'f', draft(1))).rejects.toMatchObject(denied);
  await expect(locked.addContainer('x', 'e')).rejects.toMatchObject(denied);
  await expect(locked.addContainer('secret-box')).rejects.toMatchObject({ code: 'EXISTS' });
  await locked.addContainer('other');
});

test('a wrong passphrase leaves the group locked, the right one or the recovery key opens it', async () => {
  const { catalog, disk, info } = await encrypted();
  const put = await catalog.putFile('secret-box', 'f', draft(7));
  await catalog.close();
  for (const secret of [{ passphrase: 'p' }, { recoveryKey: info.recoveryKey! }]) {
    const { catalog: locked } = await openCatalog(disk, { unlock: { passphrase: 'wrong' } });
    await expect(locked.unlockGroup('e', { passphrase: 'wrong' })).rejects.toMatchObject({ code: 'DENIED' });
    expect(locked.showGroup('e').isLocked).toBe(true);
    expect(await locked.unlockGroup('e', secret)).toMatchObject({ isLocked: false, keyEpoch: 1 });
    expect(await locked.file('secret-box', 'f')).toEqual(put);
    await locked.close();
  }
});

test('an encrypted group needs a passphrase, one that is not encrypted takes none', async () => {
  const { catalog } = await openCatalog(new FakeDisk());
  await expect(catalog.addGroup({ name: 'a', encryption: 'static' })).rejects.toMatchObject({
    code: 'INVALID',
  });
  await expect(catalog.addGroup({ name: 'a', passphrase: 'p' })).rejects.toMatchObject({ code: 'INVALID' });
  expect(catalog.listGroups()).toHaveLength(1);
});

test('no name and no digest of an encrypted group stands in the clear on disk', async () => {
  const { catalog, disk } = await encrypted();
  const name = 'payroll-2031.xlsx';
  const put = await catalog.putFile('secret-box', name, draft(7, 0xabcdef));
  const texts = [...disk.files.values()].map(content => Buffer.from(content).toString('latin1'));
  for await (const [key, value] of disk.views.get('/data/groups/e/view')!.scan({})) {
    texts.push(Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1'));
  }
  for (const text of texts) {
    for (const secret of [name, 'secret-box', Buffer.from(put.xxh3, 'hex').toString('latin1')]) {
      expect(text).not.toContain(secret);
    }
  }
});

test('internal encryption begins a new key epoch when it is due, static does not', async () => {
  for (const encryption of ['internal', 'static'] as const) {
    const { catalog, disk, clock } = await encrypted(encryption);
    await settle();
    expect(catalog.showGroup('e').keyEpoch).toBe(1);
    clock.advance(7 * DAY_MS - ROTATION_CHECK_MS);
    await settle();
    expect(catalog.showGroup('e').keyEpoch).toBe(1);
    clock.advance(ROTATION_CHECK_MS);
    await settle();
    expect(catalog.showGroup('e').keyEpoch).toBe(encryption === 'internal' ? 2 : 1);
    await catalog.close();
    await openCatalog(disk, { unlock: { passphrase: 'p' } });
    const attach = disk.parameters.findLast(({ verb }) => verb === 'attach')!.values[0] as AttachParameters;
    expect(attach.activeEpoch).toBe(encryption === 'internal' ? 2 : 1);
    expect(attach.dataKeys).toHaveLength(attach.activeEpoch);
  }
});

test('a new key is durable before it is used, and a dying rotation leaves a group that opens', async () => {
  for (let write = 0; write < 2; write += 1) {
    const { disk, clock } = await encrypted('internal');
    await settle();
    disk.calls.length = 0;
    disk.failNext('replaceFile', new StoreError('IO', 'died'), { skip: write });
    clock.advance(7 * DAY_MS);
    await settle();
    expect(disk.calls).not.toContain('setDataKeys');
    const { catalog } = await openCatalog(await disk.crashed(), { unlock: { passphrase: 'p' } });
    expect(catalog.showGroup('e').failure).toBeUndefined();
  }
});

test('a changed passphrase opens the group at the next start', async () => {
  const { catalog, disk } = await encrypted();
  await catalog.changePassphrase('e', 'p', 'q');
  await catalog.close();
  const { catalog: again } = await openCatalog(disk, { unlock: { passphrase: 'q' } });
  expect(again.showGroup('e').isLocked).toBe(false);
});
