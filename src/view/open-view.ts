/**
 * Opens a group's view, or makes it anew: a RocksDB that does not open, or that belongs to another storage
 * group, is removed and an empty one takes its place, because everything in it is derived (design invariant
 * I9). The caller holds the group's lock, so nobody else has the database open.
 */
import { asStoreError } from '../base/errors.js';
import type { KvStore } from './kv.js';
import { RocksStore } from './rocks-store.js';
import { SealedStore } from './sealed-store.js';

const STORE_ID_KEY = Buffer.from('!storeId');

export interface ViewParameters {
  readonly directory: string;
  /** 16 bytes: whose view it is. */
  readonly storeId: Uint8Array;
  /** In encrypted groups: values are sealed with it. */
  readonly viewKey?: Uint8Array;
  readonly removeDirectory: (directory: string) => Promise<void>;
  /** Tests and simulated disks open another store; production RocksDB. */
  readonly openStore?: (directory: string) => Promise<KvStore>;
}

export interface OpenedView {
  readonly store: KvStore;
  /** Why there is an empty view in the place of the one that was found; absent when nothing was wrong. */
  readonly replaced?: string;
}

export async function openView(parameters: ViewParameters): Promise<OpenedView> {
  const openStore = parameters.openStore ?? RocksStore.open;
  const found = await tryOpen(parameters, openStore);
  if (typeof found !== 'string') return { store: await sealed(found, parameters) };
  await parameters.removeDirectory(parameters.directory);
  const store = await openStore(parameters.directory);
  await store.batch([{ type: 'put', key: STORE_ID_KEY, value: parameters.storeId }]);
  return { store: await sealed(store, parameters), replaced: found };
}

/** The view has turned out to be damaged: the next openView makes it anew. */
export function condemnView(store: KvStore): Promise<void> {
  return store.batch([{ type: 'del', key: STORE_ID_KEY }]);
}

/** The store, stamped with the group's id; or why it cannot be used. */
async function tryOpen(
  parameters: ViewParameters,
  openStore: (directory: string) => Promise<KvStore>,
): Promise<KvStore | string> {
  let store: KvStore | undefined;
  try {
    store = await openStore(parameters.directory);
    const owner = await store.get(STORE_ID_KEY);
    if (owner !== undefined && Buffer.compare(owner, parameters.storeId) === 0) return store;
    if (owner === undefined && (await isEmpty(store))) {
      await store.batch([{ type: 'put', key: STORE_ID_KEY, value: parameters.storeId }]);
      return store;
    }
    await store.close();
    return owner === undefined ? 'it does not say whose it is' : 'it belongs to another storage group';
  } catch (thrown) {
    await store?.close().catch(() => undefined);
    return asStoreError(thrown).message;
  }
}

async function isEmpty(store: KvStore): Promise<boolean> {
  for await (const _pair of store.scan({ limit: 1 })) return false;
  return true;
}

function sealed(store: KvStore, parameters: ViewParameters): Promise<KvStore> {
  if (parameters.viewKey === undefined) return Promise.resolve(store);
  return SealedStore.open(store, parameters.viewKey);
}
