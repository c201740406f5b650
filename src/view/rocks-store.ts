/**
 * The view on RocksDB (npm rocksdb 5.2.1), which works on libuv's pool, off the event loop. The package
 * does not tell a failing device from a damaged file, so every failure is CORRUPT here: the cure of both is
 * to make the view anew from the log, and that fails with IO when the device is gone.
 */
import rocksdb, { type BatchOperation, type RocksDatabase, type RocksIterator } from 'rocksdb';
import { StoreError } from '../base/errors.js';
import { VIEW_CACHE_BYTES, VIEW_WRITE_BUFFER_BYTES } from '../base/limits.js';
import type { KvOperation, KvRange, KvStore } from './kv.js';

/** The same bytes as a Buffer, not copied. */
function buffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function promised<T>(what: string, run: (callback: (error: unknown, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(new StoreError('CORRUPT', `view: ${what}: ${String(error)}`, { cause: error }));
    });
  });
}

export class RocksStore implements KvStore {
  readonly #database: RocksDatabase;

  private constructor(database: RocksDatabase) {
    this.#database = database;
  }

  /** Opens the database in `directory`, or makes it. One opener a directory in the whole process. */
  static async open(directory: string): Promise<RocksStore> {
    const database = rocksdb(directory);
    const options = {
      createIfMissing: true,
      compression: true,
      cacheSize: VIEW_CACHE_BYTES,
      writeBufferSize: VIEW_WRITE_BUFFER_BYTES,
      infoLogLevel: 'error',
    } as const;
    await promised<void>(`open ${directory}`, callback => database.open(options, callback));
    return new RocksStore(database);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0];
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return Promise.resolve([]);
    return promised('get', callback => this.#database.getMany(keys.map(buffer), callback));
  }

  async batch(operations: readonly KvOperation[]): Promise<void> {
    if (operations.length === 0) return;
    const packed = operations.map((operation): BatchOperation => {
      if (operation.type === 'del') return { type: 'del', key: buffer(operation.key) };
      return { type: 'put', key: buffer(operation.key), value: buffer(operation.value) };
    });
    await promised<void>('batch', callback => this.#database.batch(packed, callback));
  }

  scan(range: KvRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const iterator = this.#database.iterator({
      ...bounds(range),
      ...(range.limit === undefined ? {} : { limit: range.limit }),
      reverse: range.isReverse === true,
    });
    return { [Symbol.asyncIterator]: () => pairs(iterator) };
  }

  async clear(range: Pick<KvRange, 'from' | 'to'>): Promise<void> {
    await promised<void>('clear', callback => this.#database.clear(bounds(range), callback));
  }

  async close(): Promise<void> {
    await promised<void>('close', callback => this.#database.close(callback));
  }
}

function bounds(range: Pick<KvRange, 'from' | 'to'>): { gte?: Buffer; lt?: Buffer } {
  return {
    ...(range.from === undefined ? {} : { gte: buffer(range.from) }),
    ...(range.to === undefined ? {} : { lt: buffer(range.to) }),
  };
}

async function* pairs(iterator: RocksIterator): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  try {
    for (;;) {
      const pair = await promised<readonly [Uint8Array, Uint8Array] | undefined>('scan', callback =>
        iterator.next((error, key, value) =>
          callback(error, key === undefined || value === undefined ? undefined : [key, value]),
        ),
      );
      if (pair === undefined) return;
      yield pair;
    }
  } finally {
    await promised<void>('end of scan', callback => iterator.end(callback));
  }
}
