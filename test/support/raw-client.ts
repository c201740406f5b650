/** A TCP client that sends exactly the bytes it is told to and keeps what comes back, for protocol tests. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Map<string, string>;
  readonly body: Buffer;
}

export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  /** Room that #received grows into: copying all of it for each piece would make the client the slow one. */
  #room = Buffer.alloc(1 << 16);
  #size = 0;
  #isClosed = false;
  #waiters: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', bytes => {
      this.#append(bytes);
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static async open(port: number, isTls = false): Promise<RawClient> {
    const socket = isTls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' });
    socket.setNoDelay(true);
    await new Promise<void>((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', () => resolve());
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get received(): Buffer {
    return this.#received;
  }

  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise(resolve => {
      if (this.socket.destroyed) resolve();
      else
        this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve());
    });
  }

  /** Sends in the given pieces, each in a segment of its own as far as loopback goes. */
  async sendPieces(bytes: Buffer, sizes: Iterable<number>): Promise<void> {
    let at = 0;
    for (const size of sizes) {
      if (at >= bytes.length) return;
      await this.send(bytes.subarray(at, at + size));
      await new Promise(resolve => setImmediate(resolve));
      at += size;
    }
    await this.send(bytes.subarray(at));
  }

  /** The next answer, taken out of what was received; undefined when the connection closes first. */
  async answer(isHead = false): Promise<RawAnswer | undefined> {
    for (;;) {
      const parsed = parseAnswer(this.#received, isHead, this.#isClosed);
      if (parsed !== undefined) {
        const rest = this.#received.subarray(parsed.size);
        this.#room = Buffer.alloc(1 << 16);
        this.#size = 0;
        this.#append(rest);
        return parsed.answer;
      }
      if (this.#isClosed) return undefined;
      await this.#change();
    }
  }

  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#change();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #append(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#room.length) {
      const room = Buffer.allocUnsafe(2 * (this.#size + bytes.length));
      this.#room.copy(room, 0, 0, this.#size);
      this.#room = room;
    }
    this.#room.set(bytes, this.#size);
    this.#size += bytes.length;
    this.#received = this.#room.subarray(0, this.#size);
  }

  #change(): Promise<void> {
    return new Promise(resolve => this.#waiters.push(resolve));
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

function parseAnswer(
  bytes: Buffer,
  isHead: boolean,
  isClosed: boolean,
): { answer: RawAnswer; size: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [statusLine, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers = new Map(
    lines.map(line => {
      const at = line.indexOf(':');
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()] as const;
    }),
  );
  const status = Number(statusLine!.split(' ')[1]);
  const rest = bytes.subarray(end + 4);
  const made = (body: Buffer, size: number) => ({ answer: { status, headers, body }, size: end + 4 + size });
  if (isHead || status === 100 || status === 101 || status === 204 || status === 304)
    return made(Buffer.alloc(0), 0);
  if (headers.get('transfer-encoding') === 'chunked') {
    const chunked = parseChunked(rest);
    return chunked === undefined ? undefined : made(chunked.body, chunked.size);
  }
  const length = headers.get('content-length');
  if (length === undefined) return isClosed ? made(rest, rest.length) : undefined;
  return rest.length < Number(length) ? undefined : made(rest.subarray(0, Number(length)), Number(length));
}

function parseChunked(bytes: Buffer): { body: Buffer; size: number } | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return { body: Buffer.concat(parts), size: next };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}
