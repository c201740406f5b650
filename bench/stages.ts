/**
 * Stage benches through the door: one for each verb on the path of the bytes, and for the copies and system
 * calls that stand between them. They run on a thread of their own (stage-thread.ts), since verbs may block.
 * What one verb does is taken apart by bench/native/stage_bench.cc.
 */
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../src/base/errors.js';
import { SEGMENT_SIZE_MAX } from '../src/base/limits.js';
import {
  binding,
  DIGEST_BLAKE3,
  DIGEST_MD5,
  DIGEST_SHA256,
  DIGEST_XXH3,
  LOG_ENTRY_HEADER_SIZE,
} from '../src/native/binding.js';
import { fillContent } from './content.js';
import { type HarnessParameters, measure, type StageBench } from './harness.js';
import type { BenchResult } from './report.js';
import { StageGroup } from './stage-group.js';
import { loopbackBench } from './stage-loopback.js';
import { viewBenches } from './stage-view.js';

export interface StageParameters {
  /** For data stores; emptied. */
  readonly directory: string;
  readonly sample: Uint8Array;
  readonly harness: HarnessParameters;
  /** Only benches whose name contains it. */
  readonly only?: string;
}

const COPY_PIECE_SIZE = 512 * 1024;
const LOG_PAYLOAD_SIZE = 200;
const LOG_ENTRY_TYPE = 1;
const IO_FILE_SIZE = 64 * 2 ** 20;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function digestOf(bytes: Uint8Array, digests: number): { xxh3: Uint8Array } {
  const addon = binding();
  const digest = addon.digestOpen(digests);
  for (let at = 0; at < bytes.length; at += SEGMENT_SIZE_MAX) {
    addon.digestUpdate(digest, bytes.subarray(at, at + SEGMENT_SIZE_MAX));
  }
  return addon.digestFinish(digest);
}

function copyBench(sample: Uint8Array): StageBench {
  const slab = new Uint8Array(new SharedArrayBuffer(SEGMENT_SIZE_MAX));
  return {
    name: 'slab-copy',
    parameters: { size: sample.length },
    bytes: sample.length,
    run: () => {
      for (let at = 0; at < sample.length; at += COPY_PIECE_SIZE) {
        slab.set(sample.subarray(at, at + COPY_PIECE_SIZE), at % SEGMENT_SIZE_MAX);
      }
    },
    hash: () => hex(digestOf(slab, DIGEST_XXH3).xxh3),
  };
}

function digestBenches(sample: Uint8Array): StageBench[] {
  const kinds = { xxh3: DIGEST_XXH3, blake3: DIGEST_BLAKE3, sha256: DIGEST_SHA256, md5: DIGEST_MD5 };
  return Object.entries(kinds).map(([kind, digests]) => {
    let last = '';
    return {
      name: 'digest',
      parameters: { size: sample.length, kind },
      bytes: sample.length,
      run: () => {
        const report = digestOf(sample, digests) as Record<string, Uint8Array>;
        last = hex(report[kind]!);
      },
      hash: () => last,
    };
  });
}

/** Cutting, naming and looking up a stream whose every chunk is stored. */
function prepareBench(group: StageGroup, sample: Uint8Array): StageBench {
  group.store(sample);
  let last = '';
  return {
    name: 'prepare-known',
    parameters: { size: sample.length },
    bytes: sample.length,
    run: () => {
      const prepared = group.prepare(sample);
      if (prepared.newCount !== 0) throw new Error(`${prepared.newCount} chunks of known data are new`);
      group.closeStream(prepared);
      last = group.hashRows(prepared);
    },
    hash: () => last,
  };
}

/** Compressing, checking, sealing and appending chunks that nobody has; each run gets others. */
function storeBench(group: StageGroup, source: Uint8Array): StageBench {
  const sample = new Uint8Array(new SharedArrayBuffer(source.length));
  sample.set(source);
  let prepared: ReturnType<StageGroup['prepare']> | undefined;
  let turn = 0;
  let stored = 0;
  return {
    name: 'store-records',
    parameters: { size: sample.length, compression: group.compression },
    bytes: sample.length,
    prepare: () => {
      if (prepared !== undefined) group.closeStream(prepared);
      turn += 1;
      group.makeUnknown(sample, turn);
      prepared = group.prepare(sample);
    },
    run: () => {
      stored = group.storePrepared(prepared!, sample);
    },
    // Random keys make the cuts, and with them the stored size, differ a little from run to run.
    hash: () => `ratio ${(sample.length / stored).toFixed(2)}`,
  };
}

function restoreBenches(group: StageGroup, sample: Uint8Array): StageBench[] {
  const map = group.store(sample);
  const slab = new Uint8Array(new SharedArrayBuffer(2 * SEGMENT_SIZE_MAX));
  const wanted = hex(digestOf(sample, DIGEST_XXH3).xxh3);
  let rowCount = 0;
  return [
    {
      name: 'read-rows',
      parameters: { size: sample.length },
      bytes: sample.length,
      run: () => {
        rowCount = group.readRows(map, sample.length);
      },
      hash: () => `rows ${rowCount > 0}`,
    },
    {
      name: 'read-records',
      parameters: { size: sample.length, compression: group.compression },
      bytes: sample.length,
      run: () => group.readStream(map, sample.length, slab, undefined),
      hash: () => {
        const found = group.digestStream(map, sample.length, slab);
        if (found !== wanted) throw new Error(`restored bytes have xxh3 ${found}, wanted ${wanted}`);
        return found;
      },
    },
  ];
}

function packEntries(count: number): Uint8Array {
  const entries = Buffer.alloc(count * (LOG_ENTRY_HEADER_SIZE + LOG_PAYLOAD_SIZE));
  for (let i = 0; i < count; i += 1) {
    const at = i * (LOG_ENTRY_HEADER_SIZE + LOG_PAYLOAD_SIZE);
    entries.writeUInt8(LOG_ENTRY_TYPE, at);
    entries.writeUInt32LE(LOG_PAYLOAD_SIZE, at + 4);
    fillContent(
      'source',
      i,
      entries.subarray(at + LOG_ENTRY_HEADER_SIZE, at + LOG_ENTRY_HEADER_SIZE + LOG_PAYLOAD_SIZE),
    );
  }
  return entries;
}

/**
 * A commit: data stores made durable, then the log records. A little data is appended before, so that there
 * is something.
 */
function commitBench(group: StageGroup, count: number, source: Uint8Array): StageBench {
  const entries = packEntries(count);
  const sample = new Uint8Array(new SharedArrayBuffer(64 * 1024));
  sample.set(source.subarray(0, sample.length));
  let turn = 0;
  return {
    name: 'sync-append-log',
    parameters: { entries: count },
    bytes: entries.length,
    operations: count,
    prepare: () => {
      turn += 1;
      group.makeUnknown(sample, count * 1_000_000 + turn);
      group.store(sample);
    },
    run: () => {
      binding().sync(group.engine);
      binding().appendLog(group.engine, entries);
    },
    hash: () => '',
  };
}

const BLOCK = 4096;
const ALLOCATION_STEP = 16;

/**
 * The bytes in memory that begins where direct writes want it. JavaScript does not know an address: the
 * places that an allocation can leave are tried with one block.
 */
function alignedCopy(path: string, bytes: Uint8Array): Uint8Array {
  const memory = new Uint8Array(bytes.length + BLOCK);
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT);
  try {
    for (let offset = 0; offset < BLOCK; offset += ALLOCATION_STEP) {
      if (!takesBlock(file, memory.subarray(offset, offset + BLOCK))) continue;
      const aligned = memory.subarray(offset, offset + bytes.length);
      aligned.set(bytes);
      return aligned;
    }
  } finally {
    closeSync(file);
  }
  throw new StoreError('UNSUPPORTED', `no memory is aligned for direct writes to ${path}`);
}

function takesBlock(file: number, block: Uint8Array): boolean {
  try {
    return writeSync(file, block, 0, block.length, 0) === block.length;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw thrown;
  }
}

/**
 * System calls below the path: direct writes of whole segments into a file of full size, and reads from the
 * page cache.
 */
function ioBenches(directory: string, sample: Uint8Array): StageBench[] {
  const path = join(directory, 'io-bench');
  const size = Math.min(IO_FILE_SIZE, sample.length - (sample.length % SEGMENT_SIZE_MAX));
  const sweep = (flags: number, step: (file: number, piece: Uint8Array, at: number) => number) => () => {
    const file = openSync(path, flags | constants.O_CREAT);
    for (let at = 0; at < size; at += SEGMENT_SIZE_MAX)
      step(file, sample.subarray(at, at + SEGMENT_SIZE_MAX), at);
    closeSync(file);
  };
  const write = (file: number, piece: Uint8Array, at: number) => writeSync(file, piece, 0, piece.length, at);
  const room = new Uint8Array(SEGMENT_SIZE_MAX);
  const aligned = alignedCopy(path, sample.subarray(0, SEGMENT_SIZE_MAX));
  const writeAligned = (file: number, _piece: Uint8Array, at: number) =>
    writeSync(file, aligned, 0, aligned.length, at);
  const read = (file: number, _piece: Uint8Array, at: number) => readSync(file, room, 0, room.length, at);
  sweep(constants.O_RDWR, write)();
  const bench = (name: string, run: () => void): StageBench => ({
    name,
    parameters: { size },
    bytes: size,
    run,
    hash: () => '',
  });
  return [
    bench('file-read-cached', sweep(constants.O_RDONLY, read)),
    bench('file-write-direct', sweep(constants.O_RDWR | constants.O_DIRECT, writeAligned)),
  ];
}

function* groupBenches(parameters: StageParameters): Generator<StageBench> {
  const { sample } = parameters;
  for (const compression of ['fast', 'best'] as const) {
    const group = new StageGroup(join(parameters.directory, `group-${compression}`), compression);
    if (compression === 'fast') {
      yield prepareBench(group, sample);
      yield commitBench(group, 1, sample);
      yield commitBench(group, 256, sample);
    }
    yield storeBench(group, sample);
    yield* restoreBenches(group, sample);
    group.close();
  }
}

/** Runs all stage benches one after the other; `report` is told of each result as it comes. */
export async function runStages(
  parameters: StageParameters,
  report: (result: BenchResult) => void,
): Promise<void> {
  const isWanted = (bench: StageBench) =>
    parameters.only === undefined || bench.name.includes(parameters.only);
  const run = async (bench: StageBench) => {
    if (isWanted(bench)) report(await measure(bench, parameters.harness));
  };
  for (const bench of [copyBench(parameters.sample), ...digestBenches(parameters.sample)]) await run(bench);
  for (const bench of ioBenches(parameters.directory, parameters.sample)) await run(bench);
  rmSync(join(parameters.directory, 'io-bench'), { force: true });
  const loopback = await loopbackBench(parameters.sample);
  await run(loopback.bench);
  await loopback.close();
  for (const bench of groupBenches(parameters)) await run(bench);
  const view = await viewBenches(join(parameters.directory, 'view-bench'), parameters.sample.length);
  for (const bench of view.benches) await run(bench);
  await view.close();
}
