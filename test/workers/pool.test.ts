/** Rules of a lane, over threads that run test functions in place of the addon. */
import { afterEach, describe, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { RESTORE_SLAB_SHARE, TASK_QUEUE_MAX } from '../../src/base/limits.js';
import { type BlockmapRoot, ROW_SIZE, type RowsReport } from '../../src/native/binding.js';
import { createLane, type Lane } from '../../src/workers/pool.js';
import { isShared, sharedBytes } from '../../src/workers/shared-bytes.js';
import { runTask } from '../../src/workers/task.js';
import { compositeVerbs, rowLength } from '../../src/workers/verbs.js';
import { FakeBinding } from '../support/fake-binding.js';
import { turns } from '../support/local-lane.js';

const TASK_FILE = new URL('../support/lane-task.mjs', import.meta.url);
const MAP: BlockmapRoot = { root: new Uint8Array(32), rootLength: 1, depth: 1 };

const lanes: Lane[] = [];

function laneOf(workerCount: number, slabCount = 4): Lane {
  const lane = createLane({ name: 'test', workerCount, slabCount, taskFile: TASK_FILE });
  lanes.push(lane);
  return lane;
}

afterEach(async () => {
  await Promise.all(lanes.splice(0).map(lane => lane.close()));
});

/** Tasks that stay on their worker until opened; `started` counts them. */
function gateOf(): { memory: Uint8Array; started(): number; open(): void } {
  const memory = sharedBytes(8);
  const words = new Int32Array(memory.buffer);
  return {
    memory,
    started: () => Atomics.load(words, 1),
    open() {
      Atomics.store(words, 0, 1);
      Atomics.notify(words, 0);
    },
  };
}

function waitAt(lane: Lane, gate: { memory: Uint8Array }): Promise<RowsReport> {
  return lane.call('readRows', 1, MAP, 0, 1, gate.memory);
}

describe('lane', () => {
  test('a failure on a worker is a StoreError with its code and message again', async () => {
    const failed = laneOf(1).call('counters', 'NO_SPACE' as unknown as number);
    await expect(failed).rejects.toBeInstanceOf(StoreError);
    await expect(failed).rejects.toMatchObject({ code: 'NO_SPACE', message: 'what the engine said' });
  });

  test('what a verb writes into shared memory is seen by the caller', async () => {
    const out = sharedBytes(16);
    await laneOf(1).call('readLog', 1, 0, out);
    expect(out[0]).toBe(7);
  });

  test('memory that a verb fills has to be shared', async () => {
    await expect(laneOf(1).call('readLog', 1, 0, new Uint8Array(16))).rejects.toThrow('shared memory');
    expect(isShared(sharedBytes(1))).toBe(true);
    expect(isShared(Buffer.alloc(1))).toBe(false);
  });

  test('of a part of a bigger array only the part crosses', async () => {
    const bytes = new Uint8Array(1_000_000).subarray(100, 108);
    expect(await laneOf(1).call('appendLog', 1, bytes)).toBe(8);
  });

  test('as many tasks run at a time as there are workers', async () => {
    const lane = laneOf(2);
    const gate = gateOf();
    const tasks = [1, 2, 3].map(() => waitAt(lane, gate));
    while (gate.started() < 2) await turns(1);
    await turns(50);
    expect(gate.started()).toBe(2);
    gate.open();
    await Promise.all(tasks);
    expect(gate.started()).toBe(3);
  });

  test('close waits for running tasks, and what comes later is CANCELLED', async () => {
    const lane = laneOf(1);
    const gate = gateOf();
    const tasks = [waitAt(lane, gate), waitAt(lane, gate)];
    while (gate.started() < 1) await turns(1);
    let isClosed = false;
    const closed = lane.close().then(() => {
      isClosed = true;
    });
    await expect(lane.call('layout')).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(isClosed).toBe(false);
    gate.open();
    await Promise.all([...tasks, closed]);
  });

  test('beyond the bound of queued tasks a call is BUSY', async () => {
    const lane = laneOf(1);
    const gate = gateOf();
    const first = waitAt(lane, gate);
    while (gate.started() < 1) await turns(1);
    const queued = Array.from({ length: TASK_QUEUE_MAX }, () => lane.call('layout'));
    await expect(lane.call('layout')).rejects.toMatchObject({ code: 'BUSY' });
    gate.open();
    await first;
    await Promise.all(queued);
  });

  test('the threads run what was built, with the addon, when the lane itself is TypeScript', async () => {
    const lane = createLane({ name: 'built', workerCount: 1, slabCount: 1 });
    lanes.push(lane);
    expect((await lane.call('layout')).rowSize).toBe(ROW_SIZE);
  });

  test('restores may hold their share of the slabs, and of few slabs at least one', () => {
    expect(laneOf(1, 8).restoreSlabs.countMax).toBe(8 * RESTORE_SLAB_SHARE);
    expect(laneOf(1, 1).restoreSlabs.countMax).toBe(1);
  });
});

describe('tasks', () => {
  const fake = new FakeBinding();
  const run = (verb: string, ...parameters: unknown[]) =>
    runTask(fake.asBinding(), compositeVerbs(fake.asBinding()), { verb, parameters });

  test('a StoreError comes back as code and message, anything else as a bug', () => {
    fake.stored.set('00'.repeat(32), new Uint8Array(1));
    fake.resident.add('00'.repeat(32));
    fake.corrupt.add('00'.repeat(32));
    expect(run('readRecords', 1, sharedBytes(ROW_SIZE), 1, sharedBytes(8), 0)).toMatchObject({
      code: 'CORRUPT',
    });
    expect(run('digestUpdate', 99, new Uint8Array(1))).toHaveProperty('bug');
    expect(run('noSuchVerb')).toHaveProperty('bug');
  });

  test('a whole stream with unknown rows is prepared only', () => {
    const addon = new FakeBinding();
    addon.isComplete = false;
    const slab = sharedBytes(20_000);
    const rows = sharedBytes(10 * ROW_SIZE);
    const report = compositeVerbs(addon.asBinding()).ingestWhole(
      1,
      addon.openStream(1, 1),
      slab,
      0,
      20_000,
      rows,
    );
    expect(report.prepared.unknownCount).toBe(2);
    expect(report.finished).toBeUndefined();
    expect(addon.stored.size).toBe(0);
  });

  test('the length of a row is read as an unsigned little-endian number', () => {
    const rows = new Uint8Array(2 * ROW_SIZE);
    new DataView(rows.buffer).setUint32(ROW_SIZE + 32, 0xfedcba98, true);
    expect(rowLength(rows, 0)).toBe(0);
    expect(rowLength(rows, 1)).toBe(0xfedcba98);
  });
});
