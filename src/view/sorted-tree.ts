/**
 * An ordered map in memory (npm sorted-btree). The package is CommonJS behind an ES module flag: Node wraps
 * its default export once more, bundlers and test runners do not. This is the one place that knows.
 */
import wrapped from 'sorted-btree';

type Tree = typeof wrapped.default;

export const SortedTree: Tree = wrapped.default ?? (wrapped as unknown as Tree);
export type SortedTree<K, V> = InstanceType<typeof wrapped.default<K, V>>;
