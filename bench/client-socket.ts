/**
 * HTTP/1.1 over a bare socket, as little of it as a load generator needs: the client of the flow benches
 * shares two cores with the server, so that every cycle it takes is one that the flow is short of.
 */
import { connect, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

export interface TextAnswer extends Answer {
  readonly body: string;
}

/** Takes an answer's bytes as they come; hands the body on without keeping it. */
export class AnswerReader {
  private head = Buffer.alloc(0);
  private answer: Answer | undefined;
  private left = 0;

  constructor(
    private readonly onBody: (bytes: Uint8Array) => void,
    private readonly onEnd: (answer: Answer) => void,
  ) {}

  take(bytes: Uint8Array): void {
    if (this.answer !== undefined) this.takeBody(bytes);
    else this.takeHead(bytes);
  }

  private takeHead(bytes: Uint8Array): void {
    this.head = Buffer.concat([this.head, bytes]);
    const end = this.head.indexOf(HEAD_END);
    if (end < 0) return;
    const answer = parseHead(this.head.subarray(0, end).toString('latin1'));
    const rest = this.head.subarray(end + HEAD_END.length);
    this.head = Buffer.alloc(0);
    // An interim answer (100 Continue) has no body, and the real one follows.
    if (answer.status < 200) {
      this.takeHead(rest);
      return;
    }
    const length = answer.headers.get('content-length');
    if (length === undefined && answer.status !== 204)
      throw new Error(`answer ${answer.status} without content-length`);
    this.answer = answer;
    this.left = Number(length ?? 0);
    this.takeBody(rest);
  }

  private takeBody(bytes: Uint8Array): void {
    if (bytes.length > this.left) throw new Error(`answer with ${bytes.length - this.left} bytes too many`);
    this.left -= bytes.length;
    if (bytes.length > 0) this.onBody(bytes);
    if (this.left > 0) return;
    const answer = this.answer!;
    this.answer = undefined;
    this.onEnd(answer);
  }
}

function parseHead(text: string): Answer {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(' ')[1]), headers };
}

interface Waiting {
  readonly onBody: (bytes: Uint8Array) => void;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection; one request at a time. */
export class ClientSocket {
  private waiting: Waiting | undefined;
  private failure: Error | undefined;
  private readonly reader = new AnswerReader(
    bytes => this.waiting?.onBody(bytes),
    answer => this.waiting?.resolve(answer),
  );

  private constructor(private readonly socket: Socket) {}

  /**
   * `receiveBuffer` is where the kernel's bytes land; callbacks see parts of it and must be done with them on
   * return.
   */
  static open(url: URL, receiveBuffer: Uint8Array): Promise<ClientSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: url.hostname,
        port: Number(url.port),
        onread: {
          buffer: receiveBuffer,
          callback: (size, buffer) => {
            opened.take(buffer.subarray(0, size));
            return true;
          },
        },
      });
      const opened = new ClientSocket(socket);
      socket.setNoDelay(true);
      socket.once('connect', () => resolve(opened));
      socket.on('error', error => {
        reject(error);
        opened.fail(error);
      });
      socket.on('close', () => opened.fail(new Error('the server closed the connection')));
    });
  }

  /** Resolves once the kernel has the bytes, and the caller may use their memory again. */
  write(bytes: Uint8Array | string): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, error => (error === null || error === undefined ? resolve() : reject(error)));
    });
  }

  /** The next answer. To be called before its request is written, since it may come at any time. */
  answer(onBody: (bytes: Uint8Array) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting = { onBody, resolve, reject };
      if (this.failure !== undefined) reject(this.failure);
    });
  }

  /** An answer with a short body, such as JSON. */
  async textAnswer(): Promise<TextAnswer> {
    const parts: Buffer[] = [];
    const answer = await this.answer(bytes => parts.push(Buffer.from(bytes)));
    return { ...answer, body: Buffer.concat(parts).toString('utf8') };
  }

  close(): void {
    this.socket.destroy();
  }

  private take(bytes: Uint8Array): void {
    try {
      this.reader.take(bytes);
    } catch (thrown) {
      this.fail(thrown as Error);
      this.socket.destroy();
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(this.failure);
  }
}
