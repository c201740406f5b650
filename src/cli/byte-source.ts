/**
 * Where the bytes of a put come from: a file, read ahead into a few buffers that are used again and again, or
 * a pipe. Back pressure: next() waits until a buffer was released.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { StoreError } from '../base/errors.js';
import { TRANSFER_BUFFER_SIZE, TRANSFER_BUFFERS_MAX } from '../base/limits.js';

export interface ByteSource {
  /** Absent: not known before the end. */
  readonly size?: number;
  /** The next bytes, or undefined at the end. They stay as they are until released. */
  next(): Promise<Buffer | undefined>;
  release(bytes: Buffer): void;
  close(): Promise<void>;
}

/** Opens a file: a regular one is sent with its length, anything else (a FIFO, a device) until it ends. */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new StoreError('NOT_FOUND', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const status = await file.stat();
  if (status.isDirectory()) {
    await file.close();
    throw new StoreError(
      'INVALID',
      `${path} is a directory (send it as a stream: tar c ${path} | granary put …)`,
    );
  }
  // Files of /proc and the like say 0 and have more.
  return new FileSource(file, path, status.isFile() && status.size > 0 ? status.size : undefined);
}

class FileSource implements ByteSource {
  readonly size?: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #free: Buffer[] = [];
  #made = 0;
  #position = 0;
  #waiting: ((buffer: Buffer) => void) | undefined;

  constructor(file: FileHandle, path: string, size: number | undefined) {
    this.#file = file;
    this.#path = path;
    if (size !== undefined) this.size = size;
  }

  async next(): Promise<Buffer | undefined> {
    const wanted = Math.min(TRANSFER_BUFFER_SIZE, (this.size ?? Number.POSITIVE_INFINITY) - this.#position);
    if (wanted === 0) return undefined;
    const buffer = await this.#take();
    // A position of null reads on from where the last read ended: pipes and devices have no other way.
    const position = this.size === undefined ? null : this.#position;
    const { bytesRead } = await this.#file.read(buffer, 0, wanted, position);
    if (bytesRead === 0) return this.#atEnd();
    this.#position += bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  #atEnd(): undefined {
    if (this.size !== undefined) {
      throw new StoreError('INVALID', `${this.#path} became shorter while it was read; nothing was stored`);
    }
  }

  #take(): Promise<Buffer> | Buffer {
    const buffer = this.#free.pop();
    if (buffer !== undefined) return buffer;
    if (this.#made < TRANSFER_BUFFERS_MAX) {
      this.#made += 1;
      return Buffer.allocUnsafeSlow(TRANSFER_BUFFER_SIZE);
    }
    return new Promise(resolve => {
      this.#waiting = resolve;
    });
  }

  release(bytes: Buffer): void {
    const buffer = Buffer.from(bytes.buffer, 0, TRANSFER_BUFFER_SIZE);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#free.push(buffer);
    else waiting(buffer);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Standard input, or another stream of a length that is not known. */
export function streamSource(stream: Readable): ByteSource {
  const parts = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let unsent = 0;
  let wake: (() => void) | undefined;
  return {
    async next() {
      if (unsent >= TRANSFER_BUFFER_SIZE * TRANSFER_BUFFERS_MAX) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
      const part = await parts.next();
      if (part.done === true) return undefined;
      unsent += part.value.length;
      return part.value;
    },
    release(bytes) {
      unsent -= bytes.length;
      const woken = wake;
      wake = undefined;
      woken?.();
    },
    async close() {
      // Not the iterator's return(): it waits for a read that may never end.
      stream.destroy();
    },
  };
}
