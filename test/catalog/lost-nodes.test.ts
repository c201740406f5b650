// Lost nodes of blockmaps: found at any level, and what is no node is not read past its end.
import { expect, test } from 'vitest';
import { BLOCKMAP_NODE_ROWS_MAX } from '../../src/base/limits.js';
import { childrenOf, lostNodes } from '../../src/catalog/lost-nodes.js';
import type { Lane } from '../../src/workers/pool.js';

function fingerprintOf(seed: number): Uint8Array {
  return new Uint8Array(32).fill(seed);
}

/** An inner node with these children, each of 100 + seed bytes. */
function nodeOf(...seeds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16 + 44 * seeds.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, seeds.length, true);
  for (const [index, seed] of seeds.entries()) {
    bytes.set(fingerprintOf(seed), 16 + 44 * index);
    view.setUint32(16 + 44 * index + 32, 100 + seed, true);
  }
  return bytes;
}

test('nodes that cannot be read are found below those that can, with their lengths', async () => {
  const nodes = new Map([
    [1, nodeOf(2, 3)],
    [2, nodeOf(4, 5)],
    [4, new Uint8Array(104)],
  ]);
  const call = async (verb: string, ...values: unknown[]) => {
    if (verb === 'rescueChunks') return 0;
    const [, rows, , slab] = values as [number, Uint8Array, number, Uint8Array];
    const found = nodes.get(rows[0]!);
    if (found === undefined) return { bytes: 0, unresolvedCount: 1 };
    slab.set(found);
    return { bytes: found.length, unresolvedCount: 0 };
  };
  const onTrashRead = () => undefined;
  const group = { engine: 1, lane: { call } as unknown as Lane, onTrashRead };
  const file = { root: fingerprintOf(1), rootLength: nodeOf(2, 3).length, depth: 3 };
  // Lengths of children say what is read: those of this tree are as long as they are.
  nodes.set(
    2,
    Uint8Array.from({ length: 102 }, (_, at) => nodeOf(4, 5)[at] ?? 0),
  );
  const lost = [];
  for await (const node of lostNodes(group, file, work => work()))
    lost.push([node.fingerprint[0], node.length]);
  expect(lost.sort()).toEqual([[3, 103]]);
  nodes.set(3, nodeOf(6).subarray(0, 60));
  nodes.delete(4);
  const more = [];
  for await (const node of lostNodes(group, file, work => work()))
    more.push([node.fingerprint[0], node.length]);
  expect(more.sort()).toEqual([
    [4, 104],
    [6, 106],
  ]);
});

test('a count beyond the bytes or the bound is cut', () => {
  expect(childrenOf(new Uint8Array(3))).toEqual([]);
  const short = nodeOf(1, 2);
  new DataView(short.buffer).setUint32(8, 1000, true);
  expect(childrenOf(short)).toHaveLength(2);
  const long = new Uint8Array(16 + 44 * (BLOCKMAP_NODE_ROWS_MAX + 1));
  new DataView(long.buffer).setUint32(8, BLOCKMAP_NODE_ROWS_MAX + 1, true);
  expect(childrenOf(long)).toHaveLength(BLOCKMAP_NODE_ROWS_MAX);
});
