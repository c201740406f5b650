/**
 * What the front end is written against: one small HTTP and WebSocket server interface with two
 * implementations, uws-server.ts (plain HTTP and WebSocket) and node-server.ts (TLS listeners, platforms
 * without the uWebSockets.js binary). test/conformance/http.test.ts runs one protocol suite over both.
 *
 * Everything here is called on the event loop's thread. A connection that breaks is told once: to the body's
 * sink while the request is being read, and to a waiting drained() as CANCELLED. After that every call is
 * accepted and does nothing.
 */
import type { Clock } from '../base/clock.js';

export interface ListenOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly tls?: TlsOptions;
}

/** PEM texts. */
export interface TlsOptions {
  readonly certificate: string;
  readonly key: string;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
}

export interface HttpServer {
  /** Once. UNAVAILABLE when the address cannot be had, UNSUPPORTED when this implementation has no TLS. */
  listen(options: ListenOptions): Promise<ListenAddress>;
  /**
   * Accepts no more connections, closes idle ones, lets requests under way end for at most `graceMs`, cuts
   * the rest. Requests that come on open connections meanwhile are answered 503. Resolves when nothing is
   * open.
   */
  stop(graceMs: number): Promise<void>;
  /** Requests whose answer has not ended. */
  readonly activeCount: number;
}

/** As pino has it; main gives one. */
export interface FrontLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ServerContext {
  readonly clock: Clock;
  readonly log: FrontLog;
  /** Bounds the kernel's buffers of a listening socket (SOCKET_RECEIVE_BUFFER), which connections inherit. */
  readonly tuneListener?: (port: number) => void;
}

/** Neither may be left without an answer: what they throw ends as 500, or cuts an answer that has begun. */
export interface HttpHandlers {
  onRequest(request: HttpRequest, response: HttpResponse): void | Promise<void>;
  /** Decides about a WebSocket at once. Without it every upgrade is refused with 404. */
  onUpgrade?(head: HttpRequestHead): UpgradeAnswer;
}

export interface HttpRequestHead {
  /** Upper case, as sent. */
  readonly method: string;
  /** As sent: percent-encoded, begins with '/', visible ASCII only. */
  readonly rawPath: string;
  /** Behind the first '?', as sent; '' without. */
  readonly rawQuery: string;
  /**
   * Names in lower case. Repeated headers are joined by ', ', and refused where a second one would be an
   * attack.
   */
  readonly headers: ReadonlyMap<string, string>;
  /** The peer's IP address as text; IPv4 in its usual form even on an IPv6 socket. */
  readonly remoteAddress: string;
  readonly isTls: boolean;
  /** Absent: none announced. */
  readonly contentLength?: number;
  readonly isChunked: boolean;
}

export interface HttpRequest extends HttpRequestHead {
  readonly body: HttpBody;
}

export interface BodySink {
  /** `bytes` are the server's and valid during the call only. */
  onData(bytes: Uint8Array): void;
  /**
   * All announced bytes have come. Exactly one of onEnd and onAbort is called, once; neither once the answer
   * has ended.
   */
  onEnd(): void;
  onAbort(): void;
}

export interface HttpBody {
  /** Once. Nothing is lost before: the body waits, paused. May call the sink before it returns. */
  start(sink: BodySink): void;
  /** At most OVERRUN_SIZE_MAX bytes, already read, may still be delivered; the end may come with them. */
  pause(): void;
  /** Allowed at any time; after the end it does nothing. */
  resume(): void;
  /** Has the last byte come (delivered or not)? */
  readonly isComplete: boolean;
  readonly isStarted: boolean;
  /**
   * The client sends its body only when it is asked to: start() asks (100 Continue), a refusal does not have
   * to.
   */
  readonly isHeldBack: boolean;
}

export type HttpHeaders = Readonly<Record<string, string>>;

export interface HttpResponse {
  /**
   * Once, before anything else. With Content-Length among the headers exactly so many bytes have to follow;
   * without it the answer is chunked, or gets its length when end() brings all of it. `connection: close`
   * closes behind the answer.
   */
  head(status: number, headers: HttpHeaders): void;
  /**
   * True: taken. False: `bytes` must stay as they are, and nothing further be written, until drained()
   * resolves.
   */
  write(bytes: Uint8Array): boolean;
  /** CANCELLED when the client has gone. */
  drained(): Promise<void>;
  /** Ends the answer; `bytes` are taken, however slow the client is, so they must be few. */
  end(bytes?: Uint8Array): void;
  /** Ends an answer that has no body: to HEAD (Content-Length says what GET would send), 204, 304. */
  endHead(): void;
  /** Cuts the connection: the client sees that the answer is not complete. */
  abort(): void;
  readonly isHeadSent: boolean;
  /** 0 before the head. */
  readonly status: number;
  /** Ended, aborted, or the client has gone. */
  readonly isClosed: boolean;
}

// --- WebSocket ---

export interface WebSocketSink {
  /** One message. `bytes` are valid during the call only; a text message comes as its UTF-8. */
  onMessage(bytes: Uint8Array, isBinary: boolean): void;
  onPong?(): void;
  /** Last call. 1006: the connection broke. */
  onClose(code: number): void;
}

export interface WebSocketConnection {
  readonly remoteAddress: string;
  /**
   * Sends one binary message; nothing is ever dropped. False: wait for drained() before the next one. `bytes`
   * are free after the call. BUSY when more than WEBSOCKET_BACKLOG_MAX waits already: the caller has not
   * waited.
   */
  send(bytes: Uint8Array): boolean;
  /** CANCELLED when the connection has closed. */
  drained(): Promise<void>;
  /** Bytes given to send() and not yet to the kernel. */
  readonly bufferedAmount: number;
  ping(): void;
  /** Says goodbye and closes. */
  close(code: number, reason: string): void;
  /** Cuts the connection. */
  abort(): void;
}

export type UpgradeAnswer =
  | {
      readonly isAccepted: true;
      /** One of those the client offered, or absent. */
      readonly protocol?: string;
      open(connection: WebSocketConnection): WebSocketSink;
    }
  | { readonly isAccepted: false; readonly status: number; readonly body: Uint8Array };
