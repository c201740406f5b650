/** Rules of an upload, over an engine in memory that checks what it is owed. */
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import {
  CHUNK_SIZE_MAX,
  OVERRUN_SIZE_MAX,
  SEGMENT_SIZE_MAX,
  STAGING_SIZE_MAX,
  STREAM_SEGMENTS_MAX,
} from '../../src/base/limits.js';
import { Upload } from '../../src/ingest/upload.js';
import type { LaneVerb } from '../../src/workers/verbs.js';
import { FakeBinding } from '../support/fake-binding.js';
import { type LocalGroup, localGroup, turns } from '../support/local-lane.js';
import { bytesOf, hexOf, uploadBytes, writeSlices } from '../support/upload-stream.js';

const MIB = 1024 * 1024;

function expectAllGivenBack(group: LocalGroup): void {
  expect(group.lane.slabs.free).toBe(group.lane.slabs.countMax);
  expect(group.lane.slabs.waiting).toBe(0);
  expect(group.fake.streams.size).toBe(0);
  expect(group.lane.running).toBe(0);
}

/** Stops calls of one verb until opened. */
function holdBack(group: LocalGroup, verb: LaneVerb): { open(): void; reached: Promise<void> } {
  let open = () => {};
  const gate = new Promise<void>(resolve => {
    open = resolve;
  });
  let arrive = () => {};
  const reached = new Promise<void>(resolve => {
    arrive = resolve;
  });
  group.lane.before = called => {
    if (called !== verb) return undefined;
    arrive();
    return gate;
  };
  return { open, reached };
}

describe('cuts', () => {
  const bytes = bytesOf(1, 9 * MIB + 12_345);

  test('cuts do not depend on how the bytes were sliced', async () => {
    const roots = new Set<string>();
    for (const sliceSize of [777_777, 65_536, 4096, 524_288, 999]) {
      const group = localGroup(8);
      const draft = await uploadBytes(group, bytes, sliceSize);
      roots.add(Buffer.from(draft.map.root).toString('hex'));
      expect(draft).toMatchObject({ size: bytes.length, chunkCount: Math.ceil(bytes.length / 10_000) });
      expectAllGivenBack(group);
    }
    expect(roots.size).toBe(1);
  });

  test('cuts do not depend on segments being submitted early under pressure', async () => {
    const calm = await uploadBytes(localGroup(8), bytes);
    const group = localGroup(2);
    const drafts = await Promise.all([1, 2, 3, 4, 5].map(() => uploadBytes(group, bytes, 50_000)));
    for (const draft of drafts) expect(draft.map.root).toEqual(calm.map.root);
  });

  test('a chunk as long as a segment is carried over segments without any cut', async () => {
    for (const chunkSize of [CHUNK_SIZE_MAX, CHUNK_SIZE_MAX - 1, 3 * MIB + 1]) {
      const group = localGroup(4);
      group.fake.chunkSize = chunkSize;
      const draft = await uploadBytes(group, bytesOf(2, 21 * MIB + 5), 300_000);
      expect(draft.chunkCount).toBe(Math.ceil((21 * MIB + 5) / chunkSize));
    }
  });

  test('a segment flushed before its first cut is wholly carried into the next one', async () => {
    const group = localGroup(1);
    group.fake.chunkSize = CHUNK_SIZE_MAX;
    const bytesLong = bytesOf(3, 10 * MIB);
    const calm = localGroup(4);
    calm.fake.chunkSize = CHUNK_SIZE_MAX;
    const { map } = await uploadBytes(calm, bytesLong);
    const drafts = await Promise.all([1, 2, 3].map(() => uploadBytes(group, bytesLong, 100_000)));
    for (const draft of drafts) expect(draft.map.root).toEqual(map.root);
  });

  test('a stream that ends where a segment ends gets its last chunk from the tail', async () => {
    for (const size of [SEGMENT_SIZE_MAX, 2 * SEGMENT_SIZE_MAX]) {
      const group = localGroup(2);
      const draft = await uploadBytes(group, bytesOf(4, size), STAGING_SIZE_MAX);
      expect(draft).toMatchObject({ size, chunkCount: Math.ceil(size / 10_000) });
      expectAllGivenBack(group);
    }
  });

  test('a stream that ends exactly at a cut needs no further segment', async () => {
    const group = localGroup(2);
    group.fake.chunkSize = 65_536;
    const draft = await uploadBytes(group, bytesOf(5, 2 * SEGMENT_SIZE_MAX));
    expect(draft.chunkCount).toBe((2 * SEGMENT_SIZE_MAX) / 65_536);
  });
});

describe('round trips', () => {
  test('a stream that fits one slab takes one', async () => {
    const group = localGroup(2);
    await uploadBytes(group, bytesOf(1, 3 * MIB));
    expect(group.lane.calls).toEqual(['ingestWhole']);
  });

  test('an empty stream takes no slab and has a root', async () => {
    const group = localGroup(1);
    const slab = group.lane.slabs.tryTake()!;
    const draft = await uploadBytes(group, Buffer.alloc(0));
    expect(draft).toMatchObject({ size: 0, chunkCount: 0 });
    slab.release();
    expectAllGivenBack(group);
  });

  test('a longer stream takes one of each verb a segment, and none to store what is known', async () => {
    const group = localGroup(4);
    const bytes = bytesOf(1, 4 * SEGMENT_SIZE_MAX + 1);
    await uploadBytes(group, bytes);
    const verbs = (verb: LaneVerb) => group.lane.calls.filter(called => called === verb).length;
    expect(verbs('prepareSegment')).toBe(5);
    expect(verbs('storeRecords')).toBe(5);
    expect(verbs('finishStream')).toBe(1);
    group.lane.calls.length = 0;
    const again = await uploadBytes(group, bytes);
    expect(again.newBytes).toBe(0);
    expect(verbs('storeRecords')).toBe(0);
  });

  test('one stream is prepared in order while earlier segments are being stored', async () => {
    const group = localGroup(8, 4);
    const stored = holdBack(group, 'storeRecords');
    const upload = Upload.begin(group);
    const written = writeSlices(upload, bytesOf(1, 3 * SEGMENT_SIZE_MAX), 65_536);
    await stored.reached;
    await turns(20);
    expect(group.lane.calls.filter(verb => verb === 'prepareSegment').length).toBeGreaterThan(1);
    expect(group.lane.overlap.get('prepareSegment')).toBe(1);
    stored.open();
    await written;
    await upload.finish();
    await upload.close();
  });
});

describe('backpressure', () => {
  test('without a free slab write returns false, keeps what comes, and ready() waits for one', async () => {
    const group = localGroup(1);
    const slab = group.lane.slabs.tryTake()!;
    const upload = Upload.begin(group);
    const bytes = bytesOf(1, STAGING_SIZE_MAX + OVERRUN_SIZE_MAX);
    expect(upload.write(bytes.subarray(0, STAGING_SIZE_MAX))).toBe(true);
    expect(upload.write(bytes.subarray(STAGING_SIZE_MAX, -1000))).toBe(false);
    expect(upload.write(bytes.subarray(-1000))).toBe(false);
    let isReady = false;
    const ready = upload.ready().then(() => {
      isReady = true;
    });
    await turns(5);
    expect(isReady).toBe(false);
    slab.release();
    await ready;
    const draft = await upload.finish();
    expect(draft.xxh3).toBe((await uploadBytes(localGroup(1), bytes)).xxh3);
    await upload.close();
    expectAllGivenBack(group);
  });

  test('a caller that writes on without a slab, beyond the overrun, gets BUSY', async () => {
    const group = localGroup(1);
    const slab = group.lane.slabs.tryTake()!;
    const upload = Upload.begin(group);
    upload.write(bytesOf(1, STAGING_SIZE_MAX + OVERRUN_SIZE_MAX));
    upload.write(bytesOf(1, 1));
    expect(upload.failure).toMatchObject({ code: 'BUSY' });
    await upload.close();
    slab.release();
    expectAllGivenBack(group);
  });

  test('a stream has no more segments under way than its bound', async () => {
    const group = localGroup(16);
    const stored = holdBack(group, 'storeRecords');
    const upload = Upload.begin(group);
    const bytes = bytesOf(1, 262_144);
    while (upload.write(bytes));
    await stored.reached;
    await turns(20);
    expect(group.lane.slabs.countMax - group.lane.slabs.free).toBe(STREAM_SEGMENTS_MAX);
    stored.open();
    await upload.ready();
    await upload.finish();
    await upload.close();
  });

  test('a slow client that holds the last slab gives it up to one that waits', async () => {
    const group = localGroup(1);
    const slow = Upload.begin(group);
    const bytes = bytesOf(1, 200_000);
    slow.write(bytes.subarray(0, 100_000));
    expect(group.lane.slabs.free).toBe(0);
    await uploadBytes(group, bytesOf(2, 300_000));
    slow.write(bytes.subarray(100_000));
    const draft = await slow.finish();
    expect(draft.map.root).toEqual((await uploadBytes(localGroup(1), bytes)).map.root);
    await slow.close();
    expectAllGivenBack(group);
  });

  test('two hundred small streams at once share two slabs', async () => {
    const group = localGroup(2);
    const drafts = await Promise.all(
      Array.from({ length: 200 }, (_, at) => uploadBytes(group, bytesOf(at, 20_000 + 997 * at), 8192)),
    );
    for (const [at, draft] of drafts.entries()) {
      const alone = await uploadBytes(localGroup(1), bytesOf(at, 20_000 + 997 * at));
      expect(draft.map.root).toEqual(alone.map.root);
      expect(draft.xxh3).toBe(alone.xxh3);
    }
    expectAllGivenBack(group);
  });

  test('a stream of 20 GiB passes through four slabs', async () => {
    const group = localGroup(4);
    group.fake.isSkipping = true;
    group.fake.chunkSize = MIB;
    const slice = Buffer.alloc(MIB / 2);
    const upload = Upload.begin(group, { size: 20 * 1024 * MIB });
    for (let count = 0; count < 40 * 1024; count += 1) {
      if (!upload.write(slice)) await upload.ready();
    }
    const draft = await upload.finish();
    expect(draft).toMatchObject({ size: 20 * 1024 * MIB, chunkCount: 20 * 1024 });
    await upload.close();
    expectAllGivenBack(group);
  }, 120_000);
});

describe('announcements', () => {
  const bytes = bytesOf(7, 100_000);

  test('fewer bytes than announced are INVALID at the end', async () => {
    const group = localGroup(1);
    await expect(uploadBytes(group, bytes, 4096, { size: 100_001 })).rejects.toMatchObject({
      code: 'INVALID',
    });
    expect(group.fake.maps.size).toBe(0);
    expectAllGivenBack(group);
  });

  test('more bytes than announced are INVALID as soon as they come', async () => {
    const group = localGroup(1);
    const upload = Upload.begin(group, { size: 99_999 });
    upload.write(bytes);
    expect(upload.failure).toMatchObject({ code: 'INVALID' });
    await expect(upload.finish()).rejects.toBe(upload.failure);
    await upload.close();
    expectAllGivenBack(group);
  });

  test('a file longer than allowed is INVALID, when announced at once', async () => {
    const group = localGroup(1);
    expect(() => Upload.begin(group, { size: 11, sizeMax: 10 })).toThrow(StoreError);
    await expect(uploadBytes(group, bytes, 4096, { sizeMax: 50_000 })).rejects.toMatchObject({
      code: 'INVALID',
    });
    expectAllGivenBack(group);
  });

  test('a digest other than announced is INVALID and gives no draft', async () => {
    const group = localGroup(1);
    for (const expected of [
      { sha256: 'ab'.repeat(32) },
      { md5: '00'.repeat(16) },
      { xxh3: '11'.repeat(16) },
    ]) {
      await expect(uploadBytes(group, bytes, 4096, { expected })).rejects.toMatchObject({ code: 'INVALID' });
    }
    expectAllGivenBack(group);
  });

  test('digests that agree and those asked for are in the draft, others are not', async () => {
    const sha256 = hexOf('sha256', bytes);
    const draft = await uploadBytes(localGroup(1), bytes, 4096, {
      digests: ['md5'],
      expected: { sha256: sha256.toUpperCase() },
    });
    expect(draft).toMatchObject({ sha256, md5: hexOf('md5', bytes) });
    expect(draft.blake3).toBeUndefined();
  });
});

describe('rows that the resident index does not know', () => {
  const bytes = bytesOf(8, 2 * SEGMENT_SIZE_MAX + 777);

  /** Everything stored before is in the view only. */
  function forget(group: LocalGroup): void {
    for (const name of group.fake.resident) group.fake.view.set(name, FakeBinding.placeId(7));
    group.fake.resident.clear();
    group.fake.isComplete = false;
  }

  test('what the view knows is not stored again, what it does not know is', async () => {
    for (const size of [50_000, bytes.length]) {
      const group = localGroup(4);
      const first = await uploadBytes(group, bytes.subarray(0, size));
      forget(group);
      const again = await uploadBytes(group, bytes.subarray(0, size));
      expect(again).toMatchObject({ newBytes: 0, map: first.map });
      const other = await uploadBytes(group, bytesOf(9, size));
      expect(other.newBytes).toBe(size);
      expectAllGivenBack(group);
    }
  });

  test('rows are settled before the next segment is prepared', async () => {
    const group = localGroup(4);
    group.fake.isComplete = false;
    await uploadBytes(group, bytes);
    const order = group.lane.calls.filter(verb => verb === 'prepareSegment' || verb === 'admitRows');
    expect(order.slice(0, 4)).toEqual(['prepareSegment', 'admitRows', 'prepareSegment', 'admitRows']);
  });
});

describe('failures', () => {
  const bytes = bytesOf(10, 3 * SEGMENT_SIZE_MAX);
  const verbs: LaneVerb[] = ['prepareSegment', 'storeRecords', 'admitRows', 'finishStream'];

  for (const verb of verbs) {
    test(`when ${verb} fails, finish throws that failure and there is no draft`, async () => {
      const group = localGroup(4);
      group.fake.isComplete = verb !== 'admitRows';
      group.lane.before = called => {
        if (called === verb) throw new StoreError('IO', 'a failing device');
      };
      await expect(uploadBytes(group, bytes)).rejects.toMatchObject({ code: 'IO' });
      expect(group.fake.maps.size).toBe(0);
      expectAllGivenBack(group);
    });
  }

  test('when the one task of a small stream fails, finish throws that failure', async () => {
    const group = localGroup(1);
    group.lane.before = () => {
      throw new StoreError('NO_SPACE', 'full');
    };
    await expect(uploadBytes(group, bytesOf(1, 1000))).rejects.toMatchObject({ code: 'NO_SPACE' });
    expectAllGivenBack(group);
  });

  test('a failed stream says so while it is being sent, and drops what still comes', async () => {
    const group = localGroup(4);
    group.lane.before = () => {
      throw new StoreError('NO_SPACE', 'full');
    };
    const upload = Upload.begin(group);
    await writeSlices(upload, bytes, 262_144);
    await turns(20);
    expect(upload.failure).toMatchObject({ code: 'NO_SPACE' });
    expect(upload.write(bytes)).toBe(true);
    await upload.close();
    expectAllGivenBack(group);
  });

  test('a group that stops taking data stops streams under way', async () => {
    const group = localGroup(4);
    const upload = Upload.begin(group);
    await writeSlices(upload, bytesOf(1, SEGMENT_SIZE_MAX + 1), 262_144);
    group.refusal = new StoreError('NO_SPACE', 'the volume is at its floor');
    await writeSlices(upload, bytesOf(2, SEGMENT_SIZE_MAX), 262_144);
    await expect(upload.finish()).rejects.toMatchObject({ code: 'NO_SPACE' });
    await upload.close();
    expect(() => Upload.begin(group)).toThrow('floor');
    expectAllGivenBack(group);
  });
});

describe('a client that goes away', () => {
  test('before the first byte, and in the staging buffer', async () => {
    const group = localGroup(1);
    for (const size of [0, 1000]) {
      const upload = Upload.begin(group);
      upload.write(bytesOf(1, size));
      await upload.close();
      expectAllGivenBack(group);
    }
  });

  test('while its slab is being filled', async () => {
    const group = localGroup(1);
    const upload = Upload.begin(group);
    upload.write(bytesOf(1, 500_000));
    expect(group.lane.slabs.free).toBe(0);
    await upload.close();
    expectAllGivenBack(group);
  });

  test('while it waits for a slab: the next one gets it', async () => {
    const group = localGroup(1);
    const slab = group.lane.slabs.tryTake()!;
    const upload = Upload.begin(group);
    upload.write(bytesOf(1, 500_000));
    const next = uploadBytes(group, bytesOf(2, 500_000));
    const ready = upload.ready();
    await upload.close();
    await ready;
    slab.release();
    await next;
    expectAllGivenBack(group);
  });

  test('in the moment that a slab was granted: it is given back', async () => {
    const group = localGroup(1);
    const slab = group.lane.slabs.tryTake()!;
    const upload = Upload.begin(group);
    upload.write(bytesOf(1, 500_000));
    slab.release();
    await upload.close();
    expectAllGivenBack(group);
  });

  for (const verb of ['prepareSegment', 'storeRecords', 'admitRows'] as LaneVerb[]) {
    test(`while ${verb} runs: its slab comes back when it has ended, nothing more is called`, async () => {
      const group = localGroup(4);
      group.fake.isComplete = verb !== 'admitRows';
      const gate = holdBack(group, verb);
      const upload = Upload.begin(group);
      const written = writeSlices(upload, bytesOf(1, 3 * SEGMENT_SIZE_MAX), 262_144);
      await gate.reached;
      const called = group.lane.calls.length;
      const closed = upload.close();
      await turns(10);
      expect(group.lane.slabs.free).toBeLessThan(4);
      expect(group.fake.streams.size).toBe(1);
      gate.open();
      await closed;
      await written;
      expect(group.lane.calls).toHaveLength(called);
      expectAllGivenBack(group);
    });
  }

  for (const verb of ['ingestWhole', 'finishStream'] as LaneVerb[]) {
    test(`while ${verb} runs for finish(): finish throws, close waits`, async () => {
      const group = localGroup(4);
      const gate = holdBack(group, verb);
      const upload = Upload.begin(group);
      await writeSlices(upload, bytesOf(1, verb === 'ingestWhole' ? 1000 : SEGMENT_SIZE_MAX + 1), 262_144);
      const finished = upload.finish();
      const refused = expect(finished).rejects.toMatchObject({ code: 'CANCELLED' });
      await gate.reached;
      const closed = upload.close();
      await turns(5);
      expect(group.fake.streams.size).toBe(1);
      gate.open();
      await closed;
      await refused;
      expectAllGivenBack(group);
    });
  }

  test('closing twice is closing once', async () => {
    const group = localGroup(1);
    const upload = Upload.begin(group);
    await Promise.all([upload.close(), upload.close()]);
    await upload.close();
    expectAllGivenBack(group);
  });
});

test('progress tells of stored bytes as soon as they are stored, and of how many it speaks', async () => {
  const group = localGroup(8);
  const gate = holdBack(group, 'storeRecords');
  const upload = Upload.begin(group);
  const received = 5 * MIB;
  upload.write(bytesOf(9, received));
  await gate.reached;
  expect(upload.progress).toEqual({ received, settledBytes: 0, newBytes: 0, storedBytes: 0 });
  gate.open();
  while (upload.progress.settledBytes === 0) await turns(1);
  const { settledBytes, newBytes } = upload.progress;
  expect([newBytes, settledBytes < received]).toEqual([settledBytes, true]);
  await upload.finish();
  expect(upload.progress).toMatchObject({ received, settledBytes: received, newBytes: received });
  await upload.close();
});
