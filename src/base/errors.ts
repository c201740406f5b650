/**
 * What went wrong, as one class and one small table of codes chosen by what the caller does next.
 * The same codes stand in native/base/status.h (a test compares them); HTTP status and retry follow from this
 * table and from nowhere else. Bugs are not errors: they are assertions (assert.ts).
 */
import { BrokenInvariant } from './assert.js';

export interface CodeRow {
  /** HTTP status of the answer. */
  readonly http: number;
  /** S3's own word for it. */
  readonly s3: string;
  /** May the same call succeed later without anybody changing anything? */
  readonly isTransient: boolean;
}

export const CODES = {
  INVALID: { http: 400, s3: 'InvalidRequest', isTransient: false },
  DENIED: { http: 403, s3: 'AccessDenied', isTransient: false },
  NOT_FOUND: { http: 404, s3: 'NoSuchKey', isTransient: false },
  EXISTS: { http: 409, s3: 'OperationAborted', isTransient: false },
  LOCKED: { http: 409, s3: 'AccessDenied', isTransient: false },
  BUSY: { http: 503, s3: 'SlowDown', isTransient: true },
  NO_SPACE: { http: 507, s3: 'ServiceUnavailable', isTransient: false },
  CORRUPT: { http: 500, s3: 'InternalError', isTransient: false },
  IO: { http: 500, s3: 'InternalError', isTransient: false },
  UNAVAILABLE: { http: 503, s3: 'ServiceUnavailable', isTransient: true },
  UNSUPPORTED: { http: 501, s3: 'NotImplemented', isTransient: false },
  CANCELLED: { http: 499, s3: 'RequestTimeout', isTransient: false },
} as const satisfies Record<string, CodeRow>;

export type Code = keyof typeof CODES;

/**
 * A failure. `message` says what was being done, to what, what was found and what was wanted; nobody matches
 * its text. The addon throws this very class (it is handed over at load), with `code` set from its own
 * Status.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The failure as a StoreError: itself, or an IO error that keeps what was thrown as its cause. A bug stays a
 * bug.
 */
export function asStoreError(thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown;
  if (thrown instanceof BrokenInvariant) throw thrown;
  const code = (thrown as { code?: unknown } | null)?.code;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  // Across a worker's message port a StoreError arrives as a plain Error with its code.
  if (typeof code === 'string' && Object.hasOwn(CODES, code)) {
    return new StoreError(code as Code, message, { cause: thrown });
  }
  return new StoreError('IO', message, { cause: thrown });
}

/** Does the caller get this code? Keeps call sites free of instanceof chains. */
export function hasCode(thrown: unknown, code: Code): boolean {
  return thrown instanceof StoreError && thrown.code === code;
}
