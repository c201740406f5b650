/**
 * A lane: Piscina's worker threads and a pool of slabs. Normal groups share one lane, each performance tier has its own,
 * so that its restores do not queue behind other groups' ingest.
 */
import type { Binding } from '../native/binding.js';
import type { SlabPool } from './slabs.js';

export interface Lane {
  readonly name: string;
  readonly slabs: SlabPool;
  /** Runs one verb of the addon on a worker thread. */
  call<V extends keyof Binding>(
    verb: V,
    ...parameters: Parameters<Binding[V]>
  ): Promise<ReturnType<Binding[V]>>;
  /** Waits for running tasks, then ends the threads. */
  close(): Promise<void>;
}
