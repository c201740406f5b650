/**
 * HttpServer over uWebSockets.js (npm alias of uws-pack 20.0.8): plain HTTP and WebSocket, no TLS (writing
 * while bulk data arrives resets TLS connections in this build).
 *
 * Rules this build forces, each one reproduced: onAborted is attached before anything else and nothing may be
 * thrown out of a callback, or the whole process ends; data is valid inside onData only; resume() after the
 * end throws; an answer to HEAD is written as a Content-Length header and endWithoutBody(). What it does by
 * itself and cannot be changed: idle connections and bodies below 16 KB/s are closed after about 10 s, so are
 * readers that take nothing for so long; 100 Continue is sent before we are asked; a request without Host or
 * with a folded header is never answered and closed by that timer; a request line that is split in front of
 * or inside ' HTTP/1.1' is answered 505; single idle connections cannot be closed, so a stop closes them with
 * the last stream.
 */
import type * as Uws from 'uWebSockets.js';
import { assert, BrokenInvariant } from '../base/assert.js';
import type { Clock, Timer } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import {
  BODY_NUDGE_BYTES_MIN,
  BODY_NUDGE_INTERVAL_MS,
  BODY_NUDGE_PAUSE_MS,
  BODY_STALL_TIMEOUT_MS,
  CONNECTIONS_MAX,
  REQUEST_HEADER_SIZE_MAX,
} from '../base/limits.js';
import type {
  HttpHandlers,
  HttpRequest,
  HttpRequestHead,
  HttpServer,
  ListenAddress,
  ListenOptions,
  ServerContext,
  UpgradeAnswer,
} from './http.js';
import { deliverTo, RequestBody } from './request-body.js';
import { addressText, type HeadRefusal, isRefusal, readHead, refusalBody } from './request-head.js';
import { statusLine, UwsResponse } from './uws-response.js';
import { type UwsSocketData, webSocketBehaviour } from './uws-websocket.js';

type UwsModule = typeof Uws;
type RawRequest = Uws.HttpRequest;
type RawResponse = Uws.HttpResponse;

let loading: Promise<UwsModule> | undefined;

/** The binary, loaded once per process. UNAVAILABLE where there is none for this platform. */
export function loadUws(): Promise<UwsModule> {
  // Read by the binary when it is loaded; 4 KiB otherwise.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(REQUEST_HEADER_SIZE_MAX);
  loading ??= import('uWebSockets.js').then(
    module => {
      // Leaves the server's name out of answers.
      (module as unknown as { _cfg?: (key: string) => void })._cfg?.('999999990007');
      return module;
    },
    cause => {
      throw new StoreError('UNAVAILABLE', 'there is no uWebSockets.js binary for this platform', { cause });
    },
  );
  return loading;
}

export class UwsServer implements HttpServer {
  readonly #handlers: HttpHandlers;
  readonly #context: ServerContext;
  readonly #bodyStallTimeoutMs: number;
  readonly #active = new Set<UwsResponse>();
  readonly #sockets = new Set<UwsSocketData>();
  #uws: UwsModule | undefined;
  #app: Uws.TemplatedApp | undefined;
  #listenSocket: Uws.us_listen_socket | undefined;
  #isStopping = false;
  #onQuiet: (() => void) | undefined;

  constructor(handlers: HttpHandlers, context: ServerContext, bodyStallTimeoutMs = BODY_STALL_TIMEOUT_MS) {
    this.#handlers = handlers;
    this.#context = context;
    this.#bodyStallTimeoutMs = bodyStallTimeoutMs;
  }

  get activeCount(): number {
    return this.#active.size;
  }

  async listen(options: ListenOptions): Promise<ListenAddress> {
    assert(this.#app === undefined, 'a server listens once');
    if (options.tls !== undefined) throw new StoreError('UNSUPPORTED', 'this server has no TLS');
    this.#uws = await loadUws();
    const app = this.#uws.App();
    this.#app = app;
    app.ws<UwsSocketData>('/*', {
      ...webSocketBehaviour(this.#sockets, this.#context.log),
      upgrade: (response, request, context) => this.#onUpgrade(response, request, context),
    });
    app.any('/*', (response, request) => this.#onRequest(response, request));
    this.#listenSocket = await openListener(this.#uws, app, options);
    const port = this.#uws.us_socket_local_port(this.#listenSocket);
    this.#context.tuneListener?.(port);
    return { host: options.host, port, isTls: false };
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#app === undefined || this.#isStopping) return;
    this.#isStopping = true;
    if (this.#listenSocket !== undefined) this.#uws!.us_listen_socket_close(this.#listenSocket);
    for (const data of [...this.#sockets]) data.connection?.close(1001, 'the server stops');
    await this.#quiet(graceMs);
    this.#app.close();
  }

  /** Resolves when no request is under way, or after `graceMs`. */
  #quiet(graceMs: number): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer: Timer = this.#context.clock.after(graceMs, resolve);
      this.#onQuiet = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #onRequest(raw: RawResponse, request: RawRequest): void {
    let response: UwsResponse | undefined;
    try {
      let exchange: Exchange | undefined;
      raw.onAborted(() => exchange?.onAborted());
      const head = readHead(rawHead(raw, request));
      if (isRefusal(head)) {
        refuse(raw, head);
        return;
      }
      if (this.#isStopping || this.#active.size >= CONNECTIONS_MAX) {
        refuse(raw, { status: 503, message: 'the server takes no further requests' });
        return;
      }
      exchange = new Exchange(raw, this.#context.clock, this.#bodyStallTimeoutMs, ended =>
        this.#onEnded(ended),
      );
      response = exchange.response;
      this.#active.add(response);
      void this.#handle(exchange.request(head), response);
    } catch (error) {
      this.#context.log.error({ err: error }, 'a request could not be begun');
      response?.abort();
    }
  }

  async #handle(request: HttpRequest, response: UwsResponse): Promise<void> {
    try {
      await this.#handlers.onRequest(request, response);
      if (!response.isHeadSent) throw new StoreError('IO', 'a request was left without an answer');
    } catch (error) {
      this.#context.log.error({ err: error, path: request.rawPath }, 'a request handler failed');
      response.abort();
      if (error instanceof BrokenInvariant) throw error;
    }
  }

  #onEnded(response: UwsResponse): void {
    this.#active.delete(response);
    if (this.#active.size === 0) this.#onQuiet?.();
  }

  #onUpgrade(raw: RawResponse, request: RawRequest, context: Uws.us_socket_context_t): void {
    try {
      raw.onAborted(() => {});
      const head = readHead(rawHead(raw, request));
      if (isRefusal(head)) {
        refuse(raw, head);
        return;
      }
      const answer = this.#decide(head);
      if (!answer.isAccepted) {
        raw.cork(() => raw.writeStatus(statusLine(answer.status)).end(answer.body, true));
        return;
      }
      const key = head.headers.get('sec-websocket-key') ?? '';
      const data: UwsSocketData = { answer, remoteAddress: head.remoteAddress };
      raw.cork(() => raw.upgrade(data, key, answer.protocol ?? '', '', context));
    } catch (error) {
      this.#context.log.error({ err: error }, 'an upgrade failed');
      raw.close();
    }
  }

  #decide(head: HttpRequestHead): UpgradeAnswer {
    const refused = { isAccepted: false, status: 404, body: refusalBody(404, 'no WebSocket here') } as const;
    return this.#isStopping ? { ...refused, status: 503 } : (this.#handlers.onUpgrade?.(head) ?? refused);
  }
}

/** One request and its answer: keeps the body from touching the raw response once that has ended. */
class Exchange {
  readonly response: UwsResponse;
  readonly #body: RequestBody;

  constructor(
    raw: RawResponse,
    clock: Clock,
    stallTimeoutMs: number,
    onEnded: (response: UwsResponse) => void,
  ) {
    this.#body = new RequestBody({
      pause: () => raw.pause(),
      resume: () => raw.resume(),
    });
    const patience = new Patience(this.#body, raw, clock, stallTimeoutMs, () => this.#cut());
    this.response = new UwsResponse(raw, {
      onEnding: () => this.#body.release(),
      onClosed: response => {
        patience.end();
        onEnded(response);
      },
    });
    raw.onData((bytes, isLast) => this.#onData(new Uint8Array(bytes), isLast));
  }

  request(head: HttpRequestHead): HttpRequest {
    return { ...head, body: this.#body };
  }

  onAborted(): void {
    // The body first: its owner must not write to the raw response, which is dead.
    this.#body.abort();
    this.response.onAborted();
  }

  #onData(bytes: Uint8Array, isLast: boolean): void {
    if (!deliverTo(this.#body, bytes, isLast)) this.#cut();
  }

  #cut(): void {
    this.#body.abort();
    this.response.abort();
  }
}

/**
 * Keeps a slow body alive: the library cuts one that brings less than 16 KB/s for ten seconds, and has no
 * setting for it, but a dump that waits for a lock is no attack. A short pause starts its clock anew (not in
 * one turn with the resume: then it does nothing). Our own rule is BODY_STALL_TIMEOUT_MS.
 */
class Patience {
  readonly #body: RequestBody;
  readonly #raw: RawResponse;
  readonly #clock: Clock;
  readonly #stallTimeoutMs: number;
  readonly #giveUp: () => void;
  #idleSinceMs: number;
  #timer: Timer;

  constructor(body: RequestBody, raw: RawResponse, clock: Clock, stallTimeoutMs: number, giveUp: () => void) {
    this.#body = body;
    this.#raw = raw;
    this.#clock = clock;
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#giveUp = giveUp;
    this.#idleSinceMs = clock.monotonicMs();
    this.#timer = this.#later();
  }

  end(): void {
    this.#timer.cancel();
  }

  #later(): Timer {
    return this.#clock.after(BODY_NUDGE_INTERVAL_MS, () => this.#look());
  }

  #look(): void {
    const now = this.#clock.monotonicMs();
    const isSlow = this.#body.isAwaited && this.#body.windowBytes < BODY_NUDGE_BYTES_MIN;
    if (!this.#body.isAwaited || this.#body.windowBytes > 0) this.#idleSinceMs = now;
    this.#body.windowBytes = 0;
    if (now - this.#idleSinceMs > this.#stallTimeoutMs) {
      this.#giveUp();
      return;
    }
    if (!isSlow) {
      this.#timer = this.#later();
      return;
    }
    this.#raw.pause();
    this.#timer = this.#clock.after(BODY_NUDGE_PAUSE_MS, () => {
      if (this.#body.isAwaited) this.#raw.resume();
      this.#timer = this.#later();
    });
  }
}

type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  opened: (socket: Uws.us_listen_socket | false) => void,
) => void;

/** Exclusively: by default the library shares a port with any process that listens on it in the same way. */
function openListener(
  uws: UwsModule,
  app: Uws.TemplatedApp,
  { host, port }: ListenOptions,
): Promise<Uws.us_listen_socket> {
  const exclusive = (uws as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }).LIBUS_LISTEN_EXCLUSIVE_PORT;
  return new Promise((resolve, reject) => {
    (app.listen as unknown as ListenExclusively).call(app, host, port, exclusive, socket => {
      if (socket) resolve(socket);
      else reject(new StoreError('UNAVAILABLE', `cannot listen on ${host}:${port}`));
    });
  });
}

function rawHead(raw: RawResponse, request: RawRequest) {
  const headers: [string, string][] = [];
  request.forEach((name, value) => {
    headers.push([name, value]);
  });
  return {
    method: request.getCaseSensitiveMethod(),
    path: request.getUrl(),
    query: request.getQuery() ?? '',
    headers,
    remoteAddress: addressText(Buffer.from(raw.getRemoteAddressAsText()).toString('latin1')),
    isTls: false,
  };
}

/** Answers a request that is not to be read and closes the connection. */
function refuse(raw: RawResponse, { status, message }: HeadRefusal): void {
  raw.cork(() => {
    raw.writeStatus(statusLine(status)).writeHeader('content-type', 'application/json');
    raw.end(refusalBody(status, message), true);
  });
}
