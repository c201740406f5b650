/**
 * Which nodes of a file's blockmap cannot be read: what repair has to ask for when a walk has ended with
 * CORRUPT. The nodes that can be read are taken apart here to go on below them (native/FORMAT.md,
 * "Blockmap"); their fingerprints have been checked by the read. Depth first: memory for a node a level.
 */
import { BLOCKMAP_NODE_ROWS_MAX } from '../base/limits.js';
import { FINGERPRINT_SIZE } from '../native/binding.js';
import { LocalCopies } from './local-copies.js';
import type { OpenedGroup } from './opened-group.js';
import type { FileRow } from './record.js';
import type { WantedChunk } from './repair-source.js';

const HEADER_SIZE = 16;
const ROW_COUNT_OFFSET = 8;
/** Of an inner node: fingerprint, bytes of the child, bytes of the file below it. */
const INNER_ROW_SIZE = 44;

/** `unit`: runs each read. A node below a lost one is not known, and comes when that one is there again. */
export async function* lostNodes(
  group: Pick<OpenedGroup, 'engine' | 'lane' | 'onTrashRead'>,
  { root, rootLength, depth }: Pick<FileRow, 'root' | 'rootLength' | 'depth'>,
  unit: <T>(work: () => Promise<T>) => Promise<T>,
): AsyncGenerator<WantedChunk> {
  const copies = new LocalCopies(group);
  const first: WantedChunk = { fingerprint: root, length: rootLength };
  const stack = [{ node: first, level: depth - 1 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, level } = next;
    const [bytes] = await unit(() => copies.fetch([node]));
    if (bytes === undefined) yield node;
    else if (level > 0) stack.push(...childrenOf(bytes).map(child => ({ node: child, level: level - 1 })));
  }
}

/** Of an inner node, as far as it goes. */
export function childrenOf(bytes: Uint8Array): WantedChunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_SIZE) return [];
  const room = Math.floor((bytes.length - HEADER_SIZE) / INNER_ROW_SIZE);
  const count = Math.min(view.getUint32(ROW_COUNT_OFFSET, true), room, BLOCKMAP_NODE_ROWS_MAX);
  return Array.from({ length: count }, (_, index) => {
    const at = HEADER_SIZE + index * INNER_ROW_SIZE;
    const length = view.getUint32(at + FINGERPRINT_SIZE, true);
    return { fingerprint: bytes.slice(at, at + FINGERPRINT_SIZE), length };
  });
}
