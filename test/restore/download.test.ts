/** Rules of a restore, over an engine in memory. */
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { READ_AHEAD_SEGMENTS, SEGMENT_SIZE_MAX } from '../../src/base/limits.js';
import type { FileRecord } from '../../src/catalog/types.js';
import { type ByteRange, Download } from '../../src/restore/download.js';
import type { LaneVerb } from '../../src/workers/verbs.js';
import { FakeBinding } from '../support/fake-binding.js';
import { type LocalGroup, localGroup, turns } from '../support/local-lane.js';
import { bytesOf, recordOf, uploadBytes } from '../support/upload-stream.js';

const MIB = 1024 * 1024;

async function stored(
  group: LocalGroup,
  bytes: Uint8Array,
  digests: ('blake3' | 'sha256' | 'md5')[] = [],
): Promise<FileRecord> {
  const file = recordOf(await uploadBytes(group, bytes, 65_536, { digests }));
  group.lane.calls.length = 0;
  return file;
}

async function readAll(group: LocalGroup, file: FileRecord, range?: ByteRange): Promise<Buffer> {
  const download = Download.begin(group, file, range);
  const parts: Buffer[] = [];
  try {
    for (let part = await download.next(); part !== undefined; part = await download.next()) {
      parts.push(Buffer.from(part));
      await turns(parts.length % 2);
    }
  } finally {
    await download.close();
  }
  return Buffer.concat(parts);
}

function expectAllGivenBack(group: LocalGroup): void {
  expect(group.lane.slabs.free).toBe(group.lane.slabs.countMax);
  expect(group.lane.restoreSlabs.waiting).toBe(0);
  expect(group.fake.digests.size).toBe(0);
  expect(group.lane.running).toBe(0);
}

/** Forgets where everything is; the view knows, but for what `isLost` names. */
function forget(group: LocalGroup, file: FileRecord, isLost: (at: number) => boolean = () => false): void {
  const root = Buffer.from(file.map.root).toString('hex');
  const names = [...group.fake.resident].filter((_, at) => !isLost(at));
  for (const [at, name] of names.entries()) group.fake.view.set(name, FakeBinding.placeId(1 + (at % 3)));
  group.fake.resident.clear();
  group.fake.maps.set(`hidden ${root}`, group.fake.maps.get(root)!);
  group.fake.maps.delete(root);
  group.fake.view.set(root, FakeBinding.placeId(9));
}

describe('what comes out', () => {
  test('a file comes out as it went in, in order, whatever its size', async () => {
    for (const size of [1, 9_999, 10_000, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MAX + 1, 23 * MIB + 77]) {
      const group = localGroup(16);
      const bytes = bytesOf(size, size);
      const file = await stored(group, bytes);
      expect((await readAll(group, file)).equals(bytes)).toBe(true);
      expectAllGivenBack(group);
    }
  });

  test('an empty file and an empty range have no bytes and take no slab', async () => {
    const group = localGroup(1);
    const empty = await stored(group, Buffer.alloc(0));
    const file = await stored(group, bytesOf(1, 1000));
    const slab = group.lane.slabs.tryTake()!;
    expect(await readAll(group, empty)).toHaveLength(0);
    expect(await readAll(group, file, { offset: 500, length: 0 })).toHaveLength(0);
    expect(await readAll(group, file, { offset: 1000, length: 0 })).toHaveLength(0);
    slab.release();
    expectAllGivenBack(group);
  });

  test('a range is exactly its bytes, from and to the middle of chunks', async () => {
    const group = localGroup(16);
    const bytes = bytesOf(3, 14 * MIB);
    const file = await stored(group, bytes);
    const ranges = [
      [0, 1],
      [9_999, 2],
      [10_000, 10_000],
      [123_456, SEGMENT_SIZE_MAX],
      [5, 14 * MIB - 5],
      [14 * MIB - 1, 1],
    ];
    for (const [offset, length] of ranges as [number, number][]) {
      const part = await readAll(group, file, { offset, length });
      expect(part.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
    expectAllGivenBack(group);
  });

  test('a range from the middle of chunks as long as a segment', async () => {
    const group = localGroup(8);
    group.fake.chunkSize = SEGMENT_SIZE_MAX;
    const bytes = bytesOf(3, 14 * MIB);
    const file = await stored(group, bytes);
    const part = await readAll(group, file, { offset: 3 * MIB, length: 9 * MIB });
    expect(part.equals(bytes.subarray(3 * MIB, 12 * MIB))).toBe(true);
  });

  test('a range that is not inside the file is INVALID', async () => {
    const group = localGroup(1);
    const file = await stored(group, bytesOf(1, 1000));
    for (const [offset, length] of [
      [0, 1001],
      [1001, 0],
      [-1, 5],
      [5, -1],
      [0.5, 1],
      [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ] as [number, number][]) {
      expect(() => Download.begin(group, file, { offset, length })).toThrow(
        expect.objectContaining({ code: 'INVALID' }),
      );
    }
  });
});

describe('round trips', () => {
  test('a range that fits a segment takes one', async () => {
    const group = localGroup(2);
    const file = await stored(group, bytesOf(1, MIB));
    await readAll(group, file);
    expect(group.lane.calls).toEqual(['readWhole']);
  });

  test('a longer file takes one a segment, and one for many segments of rows', async () => {
    const group = localGroup(16);
    const file = await stored(group, bytesOf(1, 5 * SEGMENT_SIZE_MAX));
    await readAll(group, file);
    expect(group.lane.calls.filter(verb => verb === 'readRows')).toHaveLength(1);
    expect(group.lane.calls.filter(verb => verb === 'readRecords')).toHaveLength(6);
    expect(group.lane.calls).toHaveLength(7);
  });

  test('rows beyond one batch are read when the batch has been given out', async () => {
    const group = localGroup(16);
    group.fake.chunkSize = 1024;
    const bytes = bytesOf(1, 20 * MIB);
    const file = await stored(group, bytes);
    expect((await readAll(group, file)).equals(bytes)).toBe(true);
    expect(group.lane.calls.filter(verb => verb === 'readRows')).toHaveLength(3);
    expectAllGivenBack(group);
  });
});

describe('read-ahead', () => {
  test('segments are read beside each other, and no more ahead than the bound', async () => {
    const group = localGroup(32, 4);
    const file = await stored(group, bytesOf(1, 12 * SEGMENT_SIZE_MAX));
    const download = Download.begin(group, file);
    await download.next();
    await turns(30);
    expect(group.lane.overlap.get('readRecords')).toBeGreaterThan(1);
    expect(32 - group.lane.slabs.free).toBeLessThanOrEqual(READ_AHEAD_SEGMENTS + 1);
    await download.close();
    expectAllGivenBack(group);
  });

  test('many restores at once, each longer than all slabs, all come to their end', async () => {
    const group = localGroup(4);
    const bytes = bytesOf(1, 5 * SEGMENT_SIZE_MAX);
    const file = await stored(group, bytes);
    const results = await Promise.all(Array.from({ length: 20 }, () => readAll(group, file)));
    for (const result of results) expect(result.equals(bytes)).toBe(true);
    expectAllGivenBack(group);
  });

  test('restores whose clients do not read leave slabs to ingest', async () => {
    const group = localGroup(4);
    const file = await stored(group, bytesOf(1, 5 * SEGMENT_SIZE_MAX));
    const downloads = Array.from({ length: 6 }, () => Download.begin(group, file));
    const stuck = downloads.map(download => download.next().catch(() => undefined));
    await turns(30);
    await uploadBytes(group, bytesOf(2, 9 * MIB));
    await Promise.all(downloads.map(download => download.close()));
    await Promise.all(stuck);
    expectAllGivenBack(group);
  });
});

describe('places that are not resident', () => {
  test('the view is asked about blockmap and chunks, and the file comes out', async () => {
    for (const size of [50_000, 9 * MIB]) {
      const group = localGroup(8);
      const bytes = bytesOf(4, size);
      const file = await stored(group, bytes);
      forget(group, file);
      expect((await readAll(group, file)).equals(bytes)).toBe(true);
      expect(group.fake.hinted).toBeGreaterThan(1);
      expectAllGivenBack(group);
    }
  });

  test('a chunk that the view does not know either is CORRUPT, by name', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytesOf(4, 9 * MIB));
    const lost = [...group.fake.resident][500]!;
    forget(group, file, at => at === 500);
    await expect(readAll(group, file)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(lost) as string,
    });
    expectAllGivenBack(group);
  });

  test('a chunk that is not found where the view has it is CORRUPT, not asked for again', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytesOf(4, 50_000));
    forget(group, file);
    const hintPlaces = group.fake.hintPlaces.bind(group.fake);
    group.fake.hintPlaces = (engine, ids) => {
      hintPlaces(engine, ids);
      group.fake.resident.clear();
    };
    await expect(readAll(group, file)).rejects.toMatchObject({ code: 'CORRUPT' });
    expectAllGivenBack(group);
  });

  test('what only the trash holds is read from there, and nothing else is asked of it', async () => {
    for (const isInView of [false, true]) {
      const group = localGroup(8);
      const bytes = bytesOf(4, 9 * MIB);
      const file = await stored(group, bytes);
      const all = [...group.fake.resident, Buffer.from(file.map.root).toString('hex')];
      const wanted = [all[100]!, all[500]!, all.at(-1)!];
      forget(group, file, at => !isInView && (at === 100 || at === 500));
      for (const name of wanted) group.fake.trash.add(name);
      const hintPlaces = group.fake.hintPlaces.bind(group.fake);
      group.fake.hintPlaces = (engine, ids) => {
        hintPlaces(engine, ids);
        for (const name of wanted) if (group.fake.trash.has(name)) group.fake.resident.delete(name);
      };
      expect((await readAll(group, file)).equals(bytes)).toBe(true);
      expect(group.fake.rescued).toBeGreaterThanOrEqual(2);
      expect(group.reported).toEqual([]);
      expectAllGivenBack(group);
    }
  });

  test('a blockmap node that is in no data store is CORRUPT', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytesOf(4, 50_000));
    const root = Buffer.from(file.map.root).toString('hex');
    forget(group, file);
    group.fake.maps.delete(`hidden ${root}`);
    await expect(readAll(group, file)).rejects.toMatchObject({ code: 'CORRUPT' });
    group.fake.view.delete(root);
    await expect(readAll(group, file)).rejects.toMatchObject({ code: 'CORRUPT' });
    expectAllGivenBack(group);
  });
});

describe('damage', () => {
  const bytes = bytesOf(5, 11 * MIB);

  test('nothing of a segment with a damaged chunk leaves, and everything before it does', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytes);
    group.fake.corrupt.add([...group.fake.resident][600]!);
    const download = Download.begin(group, file);
    const first = await download.next();
    expect(Buffer.from(first!).equals(bytes.subarray(0, first!.length))).toBe(true);
    await expect(download.next()).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(download.next()).rejects.toMatchObject({ code: 'CORRUPT' });
    await download.close();
    expectAllGivenBack(group);
  });

  test('a damaged chunk is among those that are reported, of a short file as of a long one', async () => {
    for (const size of [50_000, 9 * MIB]) {
      const group = localGroup(8);
      const file = await stored(group, bytesOf(5, size));
      const damaged = [...group.fake.resident][3]!;
      group.fake.corrupt.add(damaged);
      await expect(readAll(group, file)).rejects.toMatchObject({ code: 'CORRUPT' });
      expect(group.reported.map(packed => Buffer.from(packed).toString('hex')).join()).toContain(damaged);
      expectAllGivenBack(group);
    }
  });

  test('the last bytes of a file are held back when any stored digest does not agree', async () => {
    for (const name of ['xxh3', 'blake3', 'sha256', 'md5'] as const) {
      const group = localGroup(8);
      const file = await stored(group, bytes, name === 'xxh3' ? [] : [name]);
      const wrong = { ...file, [name]: file[name]!.replace(/^./, digit => (digit === '0' ? '1' : '0')) };
      const download = Download.begin(group, wrong);
      let received = 0;
      const drain = async () => {
        for (let part = await download.next(); part !== undefined; part = await download.next()) {
          received += part.length;
        }
      };
      await expect(drain()).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(name),
      });
      expect(received).toBeLessThan(bytes.length);
      await download.close();
      expectAllGivenBack(group);
    }
  });

  test('digests that agree, strong ones included, let the whole file out', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytes, ['blake3', 'sha256', 'md5']);
    expect((await readAll(group, file)).equals(bytes)).toBe(true);
    expect(group.lane.overlap.get('digestUpdate')).toBe(1);
    expectAllGivenBack(group);
  });

  test('a blockmap shorter than the file is CORRUPT', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytes);
    await expect(readAll(group, { ...file, size: file.size + 1 })).rejects.toMatchObject({ code: 'CORRUPT' });
    expectAllGivenBack(group);
  });
});

describe('a client that goes away', () => {
  const bytes = bytesOf(6, 21 * MIB);

  test('in the middle: all slabs come back after their tasks have ended', async () => {
    const group = localGroup(16);
    const file = await stored(group, bytes, ['sha256']);
    const download = Download.begin(group, file);
    await download.next();
    await download.next();
    expect(group.lane.slabs.free).toBeLessThan(15);
    await download.close();
    expectAllGivenBack(group);
  });

  for (const verb of ['readRows', 'readRecords', 'digestUpdate', 'readWhole'] as LaneVerb[]) {
    test(`while ${verb} runs: next() is CANCELLED, close waits`, async () => {
      const group = localGroup(16);
      const file = await stored(group, verb === 'readWhole' ? bytes.subarray(0, 1000) : bytes, ['sha256']);
      let open = () => {};
      const gate = new Promise<void>(resolve => {
        open = resolve;
      });
      group.lane.before = called => (called === verb ? gate : undefined);
      const download = Download.begin(group, file);
      const refused = expect(download.next()).rejects.toMatchObject({ code: 'CANCELLED' });
      await turns(10);
      const closed = download.close();
      await turns(5);
      expect(group.lane.slabs.free).toBeLessThan(16);
      open();
      await closed;
      await refused;
      expectAllGivenBack(group);
    });
  }

  test('while it waits for its first slab', async () => {
    const group = localGroup(1);
    const file = await stored(group, bytes);
    const slab = group.lane.slabs.tryTake()!;
    const download = Download.begin(group, file);
    const refused = expect(download.next()).rejects.toMatchObject({ code: 'CANCELLED' });
    await download.close();
    await refused;
    slab.release();
    expectAllGivenBack(group);
  });

  test('a failing worker fails the restore with its code', async () => {
    const group = localGroup(8);
    const file = await stored(group, bytes);
    group.lane.before = verb => {
      if (verb === 'readRecords') throw new StoreError('IO', 'a failing device');
    };
    await expect(readAll(group, file)).rejects.toMatchObject({ code: 'IO' });
    expectAllGivenBack(group);
  });
});
