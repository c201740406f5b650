/**
 * The view's key-value store: ordered by key bytes, batches atomic. RocksDB behind it in production, a map
 * in tests; one conformance suite runs over both. Everything in it is derived and may be deleted at any
 * time (design invariant I9).
 */

export type KvOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export interface KvRange {
  /** Inclusive; absent: from the start. */
  readonly from?: Uint8Array;
  /** Exclusive; absent: to the end. */
  readonly to?: Uint8Array;
  readonly isReverse?: boolean;
  readonly limit?: number;
}

export interface KvStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** One answer a key, in order, from one snapshot. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /**
   * All or nothing. Not synced by itself: the log is the truth, and appliedSequence in the same batch says
   * how far it got.
   */
  batch(operations: readonly KvOperation[]): Promise<void>;
  /** A snapshot's pairs in key order. */
  scan(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  /** Deletes what lies in the range, without looking at values; not atomic. */
  clear(range: Pick<KvRange, 'from' | 'to'>): Promise<void>;
  close(): Promise<void>;
}
