/**
 * Every error answer has one form and comes from here: {"error":{"code","message"}} with the status of the
 * table of codes. A Refusal is for the few statuses that HTTP itself asks for beside that table: 401, 405,
 * 412, 416 and the like.
 */
import { BrokenInvariant } from '../base/assert.js';
import { asStoreError, CODES, type Code, StoreError } from '../base/errors.js';
import type { HttpHeaders } from './http.js';

export class Refusal extends StoreError {
  readonly status: number;
  readonly headers: HttpHeaders;

  constructor(status: number, code: Code, message: string, headers: HttpHeaders = {}) {
    super(code, message);
    this.status = status;
    this.headers = headers;
  }
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly code: Code;
  readonly json: { readonly error: { readonly code: Code; readonly message: string } };
}

/** The answer to a failure. A broken invariant is no failure: it is thrown on, to end the process. */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  if (thrown instanceof BrokenInvariant) throw thrown;
  const error = asStoreError(thrown);
  const json = { error: { code: error.code, message: error.message } };
  if (error instanceof Refusal)
    return { status: error.status, headers: error.headers, code: error.code, json };
  const { http, isTransient } = CODES[error.code];
  return { status: http, headers: isTransient ? { 'retry-after': '1' } : {}, code: error.code, json };
}
