/**
 * What we use of the npm package `rocksdb` 5.2.1 (abstract-leveldown's callback interface), which brings no
 * types. Keys and values must be Buffers: anything else is turned into a string by the package.
 */
declare module 'rocksdb' {
  export type Callback<T = void> = (error: Error | null | undefined, result: T) => void;

  export interface OpenOptions {
    readonly createIfMissing: boolean;
    readonly compression: boolean;
    readonly cacheSize: number;
    readonly writeBufferSize: number;
    readonly infoLogLevel?: 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'header';
  }

  export interface IteratorOptions {
    readonly gte?: Buffer;
    readonly lt?: Buffer;
    readonly reverse?: boolean;
    readonly limit?: number;
    readonly fillCache?: boolean;
  }

  export interface RocksIterator {
    /** Calls back with nothing at the end. */
    next(callback: (error: Error | null | undefined, key?: Buffer, value?: Buffer) => void): void;
    end(callback: Callback): void;
  }

  export type BatchOperation =
    | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
    | { readonly type: 'del'; readonly key: Buffer };

  export interface RocksDatabase {
    open(options: OpenOptions, callback: Callback): void;
    close(callback: Callback): void;
    getMany(keys: Buffer[], callback: Callback<(Buffer | undefined)[]>): void;
    batch(operations: BatchOperation[], callback: Callback): void;
    clear(range: Pick<IteratorOptions, 'gte' | 'lt'>, callback: Callback): void;
    /** Its snapshot is taken by this call. */
    iterator(options: IteratorOptions): RocksIterator;
  }

  const rocksdb: (location: string) => RocksDatabase;
  export default rocksdb;
}
