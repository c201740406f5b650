/** Surface of an ingest session. */

import { StoreError } from '../base/errors.js';
import type { FileDraft, OpenGroup } from '../catalog/types.js';
import type { ExpectedDigests, StrongDigest } from './digest-expectation.js';

export interface UploadOptions {
  /** Digests to take beside XXH3; those that are expected are taken anyway. */
  readonly digests?: readonly StrongDigest[];
  /** Hex, as the client has announced them: checked before the commit. */
  readonly expected?: ExpectedDigests;
  /** Announced size (Content-Length): another is INVALID. */
  readonly size?: number;
  /** The longest file that is taken; a longer one is INVALID. */
  readonly sizeMax?: number;
}

export interface UploadProgress {
  readonly received: number;
  readonly newBytes: number;
  readonly storedBytes: number;
}

export class Upload {
  static begin(_group: OpenGroup, _options: UploadOptions = {}): Upload {
    throw new StoreError('UNSUPPORTED', 'ingest');
  }
  /** Copies the bytes before it returns. false: the caller must stop reading the socket until ready() resolves. */
  write(_bytes: Uint8Array): boolean {
    return true;
  }
  ready(): Promise<void> {
    return Promise.resolve();
  }
  finish(): Promise<FileDraft> {
    return Promise.reject(new StoreError('UNSUPPORTED', 'ingest'));
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  get failure(): StoreError | undefined {
    return undefined;
  }
  get progress(): UploadProgress {
    return { received: 0, newBytes: 0, storedBytes: 0 };
  }
}
