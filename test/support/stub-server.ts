/**
 * An HTTP server that answers as a test says and remembers what it was asked; for tests of the command line's
 * client.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Responder = (asked: Asked, response: ServerResponse) => void;

export class StubServer {
  readonly asked: Asked[] = [];
  readonly #server: Server;

  private constructor(respond: Responder, early?: Responder) {
    this.#server = createServer((request, response) => {
      const head = { method: request.method!, url: request.url!, headers: request.headers };
      if (early !== undefined) {
        early({ ...head, body: Buffer.alloc(0) }, response);
        return;
      }
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const asked = { ...head, body: Buffer.concat(parts) };
        this.asked.push(asked);
        respond(asked, response);
      });
    });
  }

  static start(respond: Responder): Promise<StubServer> {
    return new StubServer(respond).#listen();
  }

  /** Answers before it has read the body, and reads none of it. */
  static startImpatient(respond: Responder): Promise<StubServer> {
    return new StubServer(respond, respond).#listen();
  }

  async #listen(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get environment(): Record<string, string> {
    return { GRANARY_URL: this.url, GRANARY_TOKEN: 'secret' };
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
