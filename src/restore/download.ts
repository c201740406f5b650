/** Surface of a restore. */
import { StoreError } from '../base/errors.js';
import type { FileRecord, OpenGroup } from '../catalog/types.js';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export class Download {
  static begin(_group: OpenGroup, _file: FileRecord, _range?: ByteRange): Download {
    throw new StoreError('UNSUPPORTED', 'restore');
  }
  /** The next verified bytes, or undefined at the end. They are valid until the next call of next() or close(). */
  next(): Promise<Uint8Array | undefined> {
    return Promise.resolve(undefined);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}
