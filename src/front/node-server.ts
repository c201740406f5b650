/**
 * HttpServer over node:http(s) and ws: TLS listeners, and platforms without the uWebSockets.js binary.
 *
 * Node's requestTimeout is off, since it ends every upload that takes longer than five minutes; our own rule
 * cuts a body that brings too little while we wait for it, and a reader that takes nothing. 100 Continue is
 * sent when the body is first wanted, so that a refusal costs the client no upload.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { assert, BrokenInvariant } from '../base/assert.js';
import type { Timer } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import {
  BODY_STALL_TIMEOUT_MS,
  BODY_WINDOW_BYTES_MIN,
  CONNECTIONS_MAX,
  HEADER_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  REQUEST_HEADER_SIZE_MAX,
  SEND_STALL_TIMEOUT_MS,
} from '../base/limits.js';
import type { HttpHandlers, HttpServer, ListenAddress, ListenOptions, ServerContext } from './http.js';
import { NodeExchange } from './node-exchange.js';
import { NodeWebSockets } from './node-websocket.js';
import { addressText, isRefusal, type RawHead, readHead, refusalBody } from './request-head.js';

/** For tests: the bounds of time, which are limits.ts's otherwise. */
export interface NodeServerBounds {
  readonly headerTimeoutMs: number;
  readonly bodyStallTimeoutMs: number;
  readonly sendStallTimeoutMs: number;
}

const BOUNDS: NodeServerBounds = {
  headerTimeoutMs: HEADER_TIMEOUT_MS,
  bodyStallTimeoutMs: BODY_STALL_TIMEOUT_MS,
  sendStallTimeoutMs: SEND_STALL_TIMEOUT_MS,
};

const PARSER_REFUSALS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the headers came too slowly'],
};

export class NodeServer implements HttpServer {
  readonly #handlers: HttpHandlers;
  readonly #context: ServerContext;
  readonly #bounds: NodeServerBounds;
  readonly #active = new Set<NodeExchange>();
  readonly #sockets = new Set<Socket>();
  readonly #webSockets: NodeWebSockets;
  #server: Server | undefined;
  #isStopping = false;
  #onQuiet: (() => void) | undefined;
  #stallTimer: Timer | undefined;

  constructor(handlers: HttpHandlers, context: ServerContext, bounds: NodeServerBounds = BOUNDS) {
    this.#handlers = handlers;
    this.#context = context;
    this.#bounds = bounds;
    this.#webSockets = new NodeWebSockets(context);
  }

  get activeCount(): number {
    return this.#active.size;
  }

  async listen(options: ListenOptions): Promise<ListenAddress> {
    assert(this.#server === undefined, 'a server listens once');
    const isTls = options.tls !== undefined;
    const server = this.#create(options);
    this.#server = server;
    server.maxConnections = CONNECTIONS_MAX;
    // Node would drop headers beyond its count without a word; our own count refuses.
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#onRequest(request, response, isTls, false));
    server.on('checkContinue', (request, response) => this.#onRequest(request, response, isTls, true));
    server.on('checkExpectation', (_request, response) =>
      refuse(response, 417, 'an expectation other than 100-continue'),
    );
    server.on('upgrade', (request, socket, rest) => this.#onUpgrade(request, socket as Socket, rest, isTls));
    server.on('clientError', (error, socket) => this.#onClientError(error, socket as Socket));
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
    if (isTls) server.on('secureConnection', (socket: Socket) => this.#onConnection(socket));
    await open(server, options);
    this.#watchStalls();
    return { host: options.host, port: (server.address() as AddressInfo).port, isTls };
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#server === undefined || this.#isStopping) return;
    this.#isStopping = true;
    const server = this.#server;
    const closed = new Promise<void>(resolve => server.close(() => resolve()));
    server.closeIdleConnections();
    this.#webSockets.closeAll(1001, 'the server stops');
    await this.#quiet(graceMs);
    this.#stallTimer?.cancel();
    this.#webSockets.abortAll();
    for (const exchange of [...this.#active]) exchange.cut();
    for (const socket of [...this.#sockets]) socket.destroy();
    await closed;
  }

  #create(options: ListenOptions): Server {
    const http = {
      maxHeaderSize: REQUEST_HEADER_SIZE_MAX,
      requestTimeout: 0,
      headersTimeout: this.#bounds.headerTimeoutMs,
      connectionsCheckingInterval: Math.max(50, this.#bounds.headerTimeoutMs / 10),
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      insecureHTTPParser: false,
      requireHostHeader: true,
    };
    if (options.tls === undefined) return createServer(http);
    const tls = { cert: options.tls.certificate, key: options.tls.key, minVersion: 'TLSv1.2' as const };
    return createTlsServer({
      ...http,
      ...tls,
      handshakeTimeout: this.#bounds.headerTimeoutMs,
    }) as unknown as Server;
  }

  #quiet(graceMs: number): Promise<void> {
    if (this.#active.size === 0 && this.#webSockets.count === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = this.#context.clock.after(graceMs, resolve);
      this.#onQuiet = () => {
        if (this.#active.size > 0 || this.#webSockets.count > 0) return;
        timer.cancel();
        resolve();
      };
      this.#webSockets.onClosed = this.#onQuiet;
    });
  }

  #onConnection(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, isTls: boolean, isExpecting: boolean): void {
    const head = readHead(rawHead(request, isTls));
    if (isRefusal(head)) {
      refuse(response, head.status, head.message);
      return;
    }
    if (this.#isStopping) {
      refuse(response, 503, 'the server takes no further requests');
      return;
    }
    const exchange = new NodeExchange(request, response, isExpecting, ended => this.#onEnded(ended));
    exchange.startWindow(this.#context.clock.monotonicMs());
    this.#active.add(exchange);
    void this.#handle(exchange, { ...head, body: exchange.body });
  }

  async #handle(exchange: NodeExchange, request: Parameters<HttpHandlers['onRequest']>[0]): Promise<void> {
    try {
      await this.#handlers.onRequest(request, exchange);
      if (!exchange.isHeadSent) throw new StoreError('IO', 'a request was left without an answer');
    } catch (error) {
      this.#context.log.error({ err: error, path: request.rawPath }, 'a request handler failed');
      exchange.abort();
      if (error instanceof BrokenInvariant) throw error;
    }
  }

  #onEnded(exchange: NodeExchange): void {
    this.#active.delete(exchange);
    if (this.#isStopping) exchange.endConnection();
    this.#onQuiet?.();
  }

  #onUpgrade(request: IncomingMessage, socket: Socket, rest: Buffer, isTls: boolean): void {
    socket.on('error', () => socket.destroy());
    try {
      const head = readHead(rawHead(request, isTls));
      if (isRefusal(head)) {
        endSocket(socket, head.status, refusalBody(head.status, head.message));
        return;
      }
      const answer = this.#isStopping ? undefined : this.#handlers.onUpgrade?.(head);
      if (answer === undefined) {
        endSocket(socket, 404, refusalBody(404, 'no WebSocket here'));
        return;
      }
      if (!answer.isAccepted) {
        endSocket(socket, answer.status, answer.body);
        return;
      }
      this.#webSockets.accept(request, socket, rest, answer, head.remoteAddress);
    } catch (error) {
      this.#context.log.error({ err: error }, 'an upgrade failed');
      socket.destroy();
    }
  }

  /**
   * The parser's own refusals. An answer that is under way on the connection must not get another one mixed
   * in.
   */
  #onClientError(error: Error & { code?: string }, socket: Socket): void {
    const busy = [...this.#active].filter(exchange => exchange.socket === socket);
    if (busy.length > 0) {
      for (const exchange of busy) exchange.endConnection();
    } else if (!socket.writable || socket.bytesRead === 0) {
      socket.destroy();
    } else {
      const [status, message] = PARSER_REFUSALS[error.code ?? ''] ?? [400, 'this is not HTTP/1.1'];
      endSocket(socket, status, refusalBody(status, message));
    }
  }

  /** Cuts those that bring or take too little. Looks four times in a window. */
  #watchStalls(): void {
    const { bodyStallTimeoutMs, sendStallTimeoutMs } = this.#bounds;
    this.#stallTimer = this.#context.clock.after(Math.min(bodyStallTimeoutMs, sendStallTimeoutMs) / 4, () => {
      const now = this.#context.clock.monotonicMs();
      for (const exchange of [...this.#active]) {
        const isStalled =
          exchange.isBodyStalled(now, bodyStallTimeoutMs, BODY_WINDOW_BYTES_MIN) ||
          exchange.isSendStalled(now, sendStallTimeoutMs);
        if (isStalled) exchange.cut();
      }
      this.#watchStalls();
    });
  }
}

function open(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) =>
      reject(
        new StoreError('UNAVAILABLE', `cannot listen on ${options.host}:${options.port}: ${cause.message}`, {
          cause,
        }),
      );
    server.once('error', onError);
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function rawHead(request: IncomingMessage, isTls: boolean): RawHead {
  const target = request.url ?? '';
  const at = target.indexOf('?');
  const headers: [string, string][] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    headers.push([request.rawHeaders[i]!, asUtf8(request.rawHeaders[i + 1]!)]);
  }
  return {
    method: request.method ?? '',
    path: at < 0 ? target : target.slice(0, at),
    query: at < 0 ? '' : target.slice(at + 1),
    headers,
    remoteAddress: addressText(request.socket.remoteAddress ?? ''),
    isTls,
  };
}

/** Node reads header bytes as Latin-1; both servers hand out UTF-8. */
function asUtf8(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
  return /^[\u0000-\u007f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(refusalBody(status, message));
}

function endSocket(socket: Socket, status: number, body: Uint8Array): void {
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${body.length}`,
  ];
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  socket.end(Buffer.concat([Buffer.from(head), body]));
  socket.once('finish', () => socket.destroy());
}
