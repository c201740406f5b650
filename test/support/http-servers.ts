/** The HttpServers that protocol suites run over, with short bounds of time where they can be had. */
import { SYSTEM_CLOCK } from '../../src/base/clock.js';
import type { HttpHandlers, HttpServer, ServerContext } from '../../src/front/http.js';
import { NodeServer } from '../../src/front/node-server.js';
import { UwsServer } from '../../src/front/uws-server.js';
import { type ProtocolLog, protocolApp } from './protocol-app.js';
import { TEST_CERTIFICATE, TEST_KEY } from './tls-certificate.js';

export const QUIET = { info() {}, warn() {}, error() {} };
export const CONTEXT: ServerContext = { clock: SYSTEM_CLOCK, log: QUIET };
const FAST = { headerTimeoutMs: 600, bodyStallTimeoutMs: 600, sendStallTimeoutMs: 1500 };

export interface Kind {
  readonly name: string;
  readonly isUws: boolean;
  readonly isTls: boolean;
  make(handlers: HttpHandlers): HttpServer;
}

export const KINDS: readonly Kind[] = [
  {
    name: 'uWebSockets.js',
    isUws: true,
    isTls: false,
    make: handlers => new UwsServer(handlers, CONTEXT, FAST.bodyStallTimeoutMs),
  },
  {
    name: 'node:http',
    isUws: false,
    isTls: false,
    make: handlers => new NodeServer(handlers, CONTEXT, FAST),
  },
  {
    name: 'node:https',
    isUws: false,
    isTls: true,
    make: handlers => new NodeServer(handlers, CONTEXT, FAST),
  },
];

export interface Running {
  readonly server: HttpServer;
  readonly port: number;
  readonly log: ProtocolLog;
}

export async function start(kind: Kind): Promise<Running> {
  const { handlers, log } = protocolApp();
  const server = kind.make(handlers);
  const tls = kind.isTls ? { tls: { certificate: TEST_CERTIFICATE, key: TEST_KEY } } : {};
  const { port } = await server.listen({ host: '127.0.0.1', port: 0, ...tls });
  return { server, port, log };
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5));
}
