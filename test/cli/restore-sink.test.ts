/** The file that a get writes: when it gets its name, and what is on the disk by then. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openFileSink } from '../../src/cli/restore-sink.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-sink-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** What all open files inherit from. */
async function fileHandlePrototype(): Promise<FileHandle> {
  const handle = await open(folder, 'r');
  await handle.close();
  return Object.getPrototypeOf(handle) as FileHandle;
}

test('all bytes are synced to the disk before the file gets its name', async () => {
  const target = join(folder, 'restored');
  const bytes = Buffer.alloc(5 << 20, 'granary');
  const prototype = await fileHandlePrototype();
  const sync = prototype.sync;
  const found: unknown[] = [];
  vi.spyOn(prototype, 'sync').mockImplementation(function (this: FileHandle) {
    found.push([readFileSync(`${target}.part`).equals(bytes), existsSync(target)]);
    return sync.call(this);
  });
  const sink = await openFileSink(target);
  for (let at = 0; at < bytes.length; at += 1 << 20) await sink.write(bytes.subarray(at, at + (1 << 20)));
  await sink.finish();
  expect(found).toEqual([[true, false]]);
  expect(readFileSync(target).equals(bytes)).toBe(true);
});

test('a sync that fails leaves no file of that name', async () => {
  const target = join(folder, 'restored');
  vi.spyOn(await fileHandlePrototype(), 'sync').mockRejectedValue(new Error('the disk is gone'));
  const sink = await openFileSink(target);
  await sink.write(Buffer.from('abc'));
  await expect(sink.finish()).rejects.toThrow('the disk is gone');
  await sink.abandon();
  expect([existsSync(target), existsSync(`${target}.part`)]).toEqual([false, false]);
});
