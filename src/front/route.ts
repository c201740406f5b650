/**
 * A route, described once: the router finds it, auth.ts says who may, its schemas check what comes,
 * openapi.ts prints it.
 */
import type { z } from 'zod';
import type { User } from './auth.js';
import type { BodyReader } from './body-reader.js';
import type { HttpHeaders, HttpRequest, HttpResponse } from './http.js';

export type Method = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export interface RouteAnswer {
  readonly description: string;
  /** JSON of this form; a text is a media type of bytes; absent: no body. */
  readonly content?: z.ZodType | string;
}

/** What is answered with a status and one small body. */
export interface Answer {
  readonly status: number;
  readonly headers?: HttpHeaders;
  readonly json?: unknown;
  /** Instead of json, with its content-type among the headers. */
  readonly text?: string;
}

export interface Call<P, Q, B> {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly reader: BodyReader;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly user: User | undefined;
}

export interface RouteDescription<P, Q, B> {
  readonly method: Method;
  /** '/a/{name}/…': a parameter is one segment; {path} at the end is all that is left, slashes included. */
  readonly pattern: string;
  readonly summary: string;
  readonly params?: z.ZodType<P>;
  readonly query?: z.ZodType<Q>;
  /** A JSON body; a text: the route reads a body of this media type itself. */
  readonly body?: z.ZodType<B> | string;
  /** Request headers worth telling: name → meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<number, RouteAnswer>>;
  /** Answers by its result, or by itself and with undefined. */
  handle(call: Call<P, Q, B>): Promise<Answer | undefined>;
}

/** Any route, its types forgotten: the router gives it what its own schemas let through. */
export type Route = RouteDescription<never, never, never>;

export function route<P = undefined, Q = undefined, B = undefined>(
  description: RouteDescription<P, Q, B>,
): Route {
  return description as unknown as Route;
}

/** The key of a route in the table of roles, and its name in metrics. */
export function routeId(described: { readonly method: Method; readonly pattern: string }): string {
  return `${described.method} ${described.pattern}`;
}
