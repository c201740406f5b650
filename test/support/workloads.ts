/**
 * The canonical workloads: what clients and the system itself do, each small enough that every one of its
 * operations on the disk can be the one at which the power goes. A group 'g' with a container 'c' and a file
 * 'f0' is there.
 */
import type { CrashRun, Workload } from './crash-run.js';
import { seededBytes } from './ledger.js';

const DAY_MS = 86_400_000;

async function all(tasks: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(tasks);
  const failed = settled.find(result => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** An upload that is given up after some bytes. */
async function abandon(it: CrashRun, seed: number, size: number): Promise<void> {
  const { Upload } = await import('../../src/ingest/upload.js');
  const { group } = it.system.catalog.openContainer('c');
  const upload = Upload.begin(group, {});
  upload.write(seededBytes(seed, size));
  await upload.close();
}

/** An upload whose client has announced another digest. */
async function lie(it: CrashRun, seed: number, size: number): Promise<void> {
  const { Upload } = await import('../../src/ingest/upload.js');
  const { group } = it.system.catalog.openContainer('c');
  const upload = Upload.begin(group, { expected: { sha256: '00'.repeat(32) } });
  upload.write(seededBytes(seed, size));
  await upload.finish().then(
    () => Promise.reject(new Error('a wrong digest was accepted')),
    () => undefined,
  );
  await upload.close();
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'small files, overwrites and deletes',
    run: async it => {
      for (const [at, size] of [700, 12_000, 0, 70_000].entries()) await it.put(`f${at}`, at, size);
      await it.put('f1', 11, 40_000);
      await it.remove('f0');
      await it.remove('f3');
      await it.put('f0', 20, 5000);
    },
  },
  {
    name: 'many files at once',
    isEncrypted: true,
    run: it => all([...[1, 2, 3, 4, 5, 6].map(at => it.put(`f${at}`, at, at * 9000)), it.remove('f0')]),
  },
  {
    name: 'a file over several data stores, and again with a change',
    run: async it => {
      await it.put('big', 3, 300_000);
      await it.put('big', 3, 320_000);
      await it.remove('big');
    },
  },
  {
    name: 'restart and checkpoint between puts',
    isEncrypted: true,
    run: async it => {
      await it.put('f1', 1, 50_000);
      await it.checkpoint();
      await it.restart();
      await it.put('f2', 2, 50_000);
      await it.remove('f1');
      await it.checkpoint();
      await it.put('f3', 3, 3000);
      await it.checkpoint();
    },
  },
  {
    name: 'groups and containers are made and deleted',
    run: async it => {
      const { catalog } = it.system;
      await catalog.addContainer('d', 'g');
      await catalog.addGroup({ name: 'h' });
      await catalog.addContainer('e', 'h');
      await it.put('f1', 1, 20_000);
      await catalog.deleteContainer('e', true);
      await catalog.deleteGroup('h');
      await catalog.deleteContainer('d', true);
    },
  },
  {
    name: 'files of no, one and few bytes',
    run: async it => {
      for (const size of [0, 1, 2, 4095, 4096, 4097]) await it.put(`s${size}`, 5, size);
      await it.put('s0', 5, 1);
      await it.put('s1', 5, 0);
      await it.remove('s2');
    },
  },
  {
    name: 'the same bytes under many names',
    isEncrypted: true,
    run: async it => {
      for (let at = 0; at < 6; at += 1) await it.put(`same${at}`, 0, 30_000);
      for (let at = 0; at < 5; at += 1) await it.remove(`same${at}`);
    },
  },
  {
    name: 'what was deleted is put again',
    run: async it => {
      await it.remove('f0');
      await it.put('again', 0, 30_000);
      await it.restart();
      await it.remove('again');
      await it.put('f0', 0, 30_000);
    },
  },
  {
    name: 'one file is overwritten many times',
    isEncrypted: true,
    run: async it => {
      for (let at = 1; at < 8; at += 1) await it.put('f0', at % 3, 10_000 + at);
    },
  },
  {
    name: 'a container is deleted with its files',
    run: async it => {
      await it.system.catalog.addContainer('d', 'g');
      for (let at = 0; at < 5; at += 1) await it.put(`f${at}`, at, 8000, 'd');
      await it.removeContainer('d');
      await it.put('f1', 1, 8000);
    },
  },
  {
    name: 'a container is deleted while another is written to',
    run: async it => {
      await it.system.catalog.addContainer('d', 'g');
      for (let at = 0; at < 3; at += 1) await it.put(`f${at}`, at, 8000, 'd');
      await all([it.removeContainer('d'), it.put('f1', 1, 20_000), it.put('f2', 2, 30_000)]);
    },
  },
  {
    name: 'a new key epoch begins between puts',
    isEncrypted: true,
    run: async it => {
      await it.put('f1', 1, 20_000);
      await it.pass(8 * DAY_MS);
      await it.put('f2', 2, 20_000);
      await it.pass(8 * DAY_MS);
      await it.restart();
      await it.put('f1', 3, 20_000);
    },
  },
  {
    name: 'a passphrase is exchanged and a key file added',
    isEncrypted: true,
    run: async it => {
      await it.system.catalog.changePassphrase('g', 'p', 'q');
      await it.system.catalog.addSecret('g', { passphrase: 'q' }, { keyFile: Buffer.alloc(32, 'another') });
      await it.put('f1', 1, 5000);
      await it.restart();
    },
  },
  {
    name: 'a checkpoint beside puts and deletes',
    run: async it => {
      await it.put('f1', 1, 9000);
      await all([it.checkpoint(), it.put('f2', 2, 9000), it.remove('f1'), it.put('f0', 3, 9000)]);
      await it.checkpoint();
    },
  },
  {
    name: 'starts without a view',
    isEncrypted: true,
    run: async it => {
      await it.put('f1', 1, 20_000);
      await it.restartWithoutView();
      await it.put('f2', 1, 21_000);
      await it.checkpoint();
      await it.restartWithoutView();
      await it.remove('f1');
    },
  },
  {
    name: 'uploads are given up beside others',
    run: async it => {
      await all([abandon(it, 7, 40_000), it.put('f1', 7, 30_000), abandon(it, 8, 10_000)]);
      await it.put('f2', 8, 20_000);
    },
  },
  {
    name: 'uploads lie about their digest',
    run: async it => {
      await lie(it, 7, 40_000);
      await all([lie(it, 9, 10_000), it.put('f1', 9, 10_000)]);
      await it.remove('f0');
    },
  },
  {
    name: 'settings change between puts',
    run: async it => {
      const { catalog } = it.system;
      await catalog.updateGroup('g', { compression: 'none' });
      await it.put('f1', 1, 20_000);
      await catalog.updateGroup('g', { compression: 'best', quotaBytes: 2 ** 30 });
      await it.put('f2', 2, 20_000);
      await it.restart();
      await it.put('f3', 2, 25_000);
    },
  },
  {
    name: 'places are entered into the view, and a checkpoint is due',
    run: async it => {
      for (let at = 0; at < 4; at += 1) await it.put(`f${at}`, at, 50_000);
      await it.pass(60_000);
      await it.pass(60_000);
      await it.put('f5', 2, 60_000);
    },
  },
  {
    name: 'a dozen tiny files at once',
    isEncrypted: true,
    run: it => all(Array.from({ length: 12 }, (_, at) => it.put(`tiny${at}`, at, 40 + at))),
  },
  {
    name: 'data stores fill and close beside each other',
    run: async it => {
      await all([1, 2, 3].map(at => it.put(`f${at}`, at, 100_000)));
      await it.put('f4', 4, 100_000);
    },
  },
  {
    name: 'three starts in a row',
    run: async it => {
      await it.put('f1', 1, 9000);
      await it.restart();
      await it.restart();
      await it.restart();
      await it.remove('f1');
    },
  },
  {
    name: 'long names, and names that differ in little',
    isEncrypted: true,
    run: async it => {
      const names = ['n'.repeat(1024), 'dir/../x', '\u{1f600}', '\u{ffee}', 'a', 'a/', 'A'];
      for (const [at, name] of names.entries()) await it.put(name, at, 900 * at);
      for (const name of names.slice(0, 4)) await it.remove(name);
    },
  },
  {
    name: 'a file grows by a little each time',
    run: async it => {
      for (let at = 1; at < 6; at += 1) await it.put('log', 6, 12_000 * at);
      await it.remove('log');
    },
  },
  {
    name: 'a second container shares what the first one holds',
    run: async it => {
      await it.system.catalog.addContainer('d', 'g');
      await it.put('f0', 0, 30_000, 'd');
      await it.remove('f0');
      await it.put('f1', 0, 30_000, 'd');
      await it.removeContainer('d');
      await it.put('f0', 0, 31_000);
    },
  },
  {
    name: 'deletes and cycles of the cleaner',
    run: async it => {
      await it.put('big', 3, 200_000);
      await it.put('half', 3, 100_000);
      await it.put('f1', 1, 60_000);
      await it.remove('big');
      await it.restart();
      await it.clean();
      // In part it comes again, while it is condemned.
      await it.put('big', 3, 150_000);
      await it.clean();
      await it.checkpoint();
      await it.remove('f1');
      await it.restart();
      await it.clean();
      await it.clean();
    },
  },
  {
    name: 'a cycle of the cleaner beside puts, deletes and a checkpoint',
    isEncrypted: true,
    run: async it => {
      for (let at = 1; at < 5; at += 1) await it.put(`f${at}`, at, 60_000);
      await it.remove('f1');
      await it.remove('f2');
      await it.restart();
      await all([it.clean(), it.put('f5', 1, 60_000), it.remove('f3'), it.checkpoint()]);
      await all([it.clean(), it.put('f6', 2, 40_000), it.put('f7', 3, 60_000)]);
      await it.clean();
    },
  },
  {
    name: 'data is sealed anew behind a rotation, and keys retire',
    isEncrypted: true,
    run: async it => {
      await it.put('f1', 1, 60_000);
      await it.pass(8 * DAY_MS);
      await it.restart();
      await it.clean();
      await it.clean();
      await it.clean();
    },
  },
  {
    name: 'a recycle bin fills, gives back and is emptied by time',
    run: async it => {
      const { catalog } = it.system;
      await catalog.updateContainer('c', { binDays: 7 });
      await it.put('f1', 1, 20_000);
      await it.remove('f1');
      await it.put('f0', 2, 20_000);
      await it.restoreFromBin('f1', 1, 20_000);
      await it.remove('f1');
      await it.pass(8 * DAY_MS);
      await catalog.purgeBin('c');
      await it.restart();
      await it.clean();
    },
  },
  {
    name: 'files are locked and held, and what they keep stays',
    run: async it => {
      const { catalog } = it.system;
      await it.put('f1', 1, 20_000);
      await catalog.lockFile('c', 'f1', { mode: 'governance', days: 30 });
      await catalog.lockFile('c', 'f0', { hold: true });
      await it.isKept('f1');
      await it.isKept('f0');
      await it.checkpoint();
      await it.restartWithoutView();
      await it.isKept('f1');
      await it.system.catalog.lockFile('c', 'f0', { hold: false });
      await it.remove('f0');
      await it.restart();
      await it.clean();
      await it.clean();
    },
  },
  {
    name: 'everything is scrubbed beside puts and a cycle of the cleaner',
    run: async it => {
      for (let at = 1; at < 4; at += 1) await it.put(`f${at}`, at, 40_000);
      await it.remove('f2');
      await it.restart();
      await all([it.scrub(), it.put('f4', 2, 40_000), it.clean()]);
      await all([it.scrub(), it.clean()]);
    },
  },
];
