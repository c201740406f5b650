/** Rules of the slab pool: counting, order, pressure, shares. */
import { describe, expect, test } from 'vitest';
import { CHUNK_SIZE_MAX, SEGMENT_SIZE_MAX, SLABS_IN_WORK_MIN } from '../../src/base/limits.js';
import { CountedSlabPool, type Slab, type SlabHolder } from '../../src/workers/slabs.js';

function takeAll(pool: CountedSlabPool): Slab[] {
  return Array.from({ length: pool.countMax }, () => pool.tryTake()!);
}

/** A holder that gives its slab back at once when asked. */
function holderOf(pool: CountedSlabPool, slab: Slab, log: string[], name: string): SlabHolder {
  const holder: SlabHolder = {
    isActive: false,
    yieldSlab() {
      log.push(name);
      pool.unhold(holder);
      slab.release();
    },
  };
  return holder;
}

describe('slab pool', () => {
  test('no more slabs are lent than the pool counts', () => {
    const pool = new CountedSlabPool(3);
    takeAll(pool);
    expect(pool.tryTake()).toBeUndefined();
    expect(pool.free).toBe(0);
  });

  test('a slab has room for the longest tail and a segment, and is shared with the workers', () => {
    const slab = new CountedSlabPool(1).tryTake()!;
    expect(slab.bytes.length).toBe(CHUNK_SIZE_MAX + SEGMENT_SIZE_MAX);
    expect(slab.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(slab.rows.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test('the slab released last is lent first, so that few slabs are touched', () => {
    const pool = new CountedSlabPool(8);
    const first = pool.tryTake()!;
    const second = pool.tryTake()!;
    first.release();
    second.release();
    expect(pool.tryTake()!.bytes).toBe(second.bytes);
    expect(pool.tryTake()!.bytes).toBe(first.bytes);
  });

  test('waiters are served in order of asking', async () => {
    const pool = new CountedSlabPool(1);
    const slab = pool.tryTake()!;
    const order: number[] = [];
    const waits = [1, 2, 3].map(async number => {
      const granted = await pool.take();
      order.push(number);
      granted.release();
    });
    expect(pool.waiting).toBe(3);
    slab.release();
    await Promise.all(waits);
    expect(order).toEqual([1, 2, 3]);
    expect(pool.free).toBe(1);
  });

  test('a waiter that gives up loses its turn and no slab', async () => {
    const pool = new CountedSlabPool(1);
    const slab = pool.tryTake()!;
    const abort = new AbortController();
    const abandoned = pool.take(abort.signal);
    const next = pool.take();
    abort.abort();
    await expect(abandoned).rejects.toMatchObject({ code: 'CANCELLED' });
    slab.release();
    (await next).release();
    expect(pool.free).toBe(1);
  });

  test('a slab cannot be released twice', () => {
    const slab = new CountedSlabPool(1).tryTake()!;
    slab.release();
    expect(() => slab.release()).toThrow('released once');
  });
});

describe('pressure', () => {
  test('when others wait and nothing is in work, the holder not written to lately is asked', async () => {
    const pool = new CountedSlabPool(3);
    const log: string[] = [];
    const holders = takeAll(pool).map((slab, at) => holderOf(pool, slab, log, `holder ${at}`));
    for (const holder of holders) pool.hold(holder);
    holders[0]!.isActive = true;
    holders[2]!.isActive = true;
    await pool.take();
    expect(log).toEqual(['holder 1']);
  });

  test('when all holders are active, one is asked nevertheless', async () => {
    const pool = new CountedSlabPool(2);
    const log: string[] = [];
    for (const slab of takeAll(pool)) {
      const holder = holderOf(pool, slab, log, 'a holder');
      holder.isActive = true;
      pool.hold(holder);
    }
    await pool.take();
    expect(log).toEqual(['a holder']);
  });

  test('nobody is asked while slabs in work will come back', () => {
    const pool = new CountedSlabPool(SLABS_IN_WORK_MIN + 1);
    const log: string[] = [];
    const [slab] = takeAll(pool);
    pool.hold(holderOf(pool, slab!, log, 'a holder'));
    for (let count = 0; count < 20; count += 1) void pool.take();
    expect(log).toEqual([]);
  });

  test('slabs of restores do not count as in work: their clients may never read', async () => {
    const pool = new CountedSlabPool(4);
    const share = pool.share(3);
    for (let count = 0; count < 3; count += 1) share.tryTake();
    const log: string[] = [];
    pool.hold(holderOf(pool, pool.tryTake()!, log, 'the holder'));
    await pool.take();
    expect(log).toEqual(['the holder']);
  });
});

describe('a share of the pool', () => {
  test('never holds more than its count', () => {
    const pool = new CountedSlabPool(8);
    const share = pool.share(2);
    expect(share.tryTake()).toBeDefined();
    expect(share.tryTake()).toBeDefined();
    expect(share.tryTake()).toBeUndefined();
    expect(pool.free).toBe(6);
  });

  test('its waiters are served in order when its own slabs come back', async () => {
    const pool = new CountedSlabPool(8);
    const share = pool.share(1);
    const slab = share.tryTake()!;
    const order: number[] = [];
    const waits = [1, 2].map(async number => {
      const granted = await share.take();
      order.push(number);
      granted.release();
    });
    slab.release();
    await Promise.all(waits);
    expect(order).toEqual([1, 2]);
    expect(pool.free).toBe(8);
  });

  test('a waiter of the share that gave up leaves its turn to the next', async () => {
    const pool = new CountedSlabPool(1);
    const share = pool.share(1);
    const outside = pool.tryTake()!;
    const abort = new AbortController();
    const abandoned = share.take(abort.signal);
    const next = share.take();
    abort.abort();
    await expect(abandoned).rejects.toMatchObject({ code: 'CANCELLED' });
    outside.release();
    (await next).release();
    expect(pool.free).toBe(1);
  });
});
