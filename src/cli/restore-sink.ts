/**
 * Where the bytes of a get go: a file, which appears under its name only when all of it was received and
 * checked, or standard output. Bytes are gathered into large writes; write() says when the sender has to
 * wait.
 */
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { StoreError } from '../base/errors.js';
import { RESTORE_BACKLOG_MAX, RESTORE_WRITE_SIZE } from '../base/limits.js';

export interface RestoreSink {
  /** Takes the bytes, which stay as they are. A promise: wait for it before the next write. */
  write(bytes: Buffer): Promise<void> | undefined;
  /** Everything has come and is right: the file gets its name. */
  finish(): Promise<void>;
  /** Something was wrong: nothing is left behind. */
  abandon(): Promise<void>;
}

/** The restored bytes are written beside the target and renamed; a device or FIFO is written to as it is. */
export async function openFileSink(path: string): Promise<RestoreSink> {
  const target = await realpath(path).catch(() => path);
  const status = await stat(target).catch(() => undefined);
  if (status?.isDirectory()) throw new StoreError('INVALID', `${path} is a directory`);
  const isPlain = status === undefined || status.isFile();
  const written = isPlain ? `${target}.part` : target;
  try {
    return new FileSink(await open(written, 'w'), written, isPlain ? target : undefined);
  } catch (cause) {
    throw new StoreError('IO', `${written} cannot be written: ${(cause as Error).message}`, { cause });
  }
}

class FileSink implements RestoreSink {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #target: string | undefined;
  #gathered: Buffer[] = [];
  #gatheredSize = 0;
  #backlog = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(file: FileHandle, path: string, target: string | undefined) {
    this.#file = file;
    this.#path = path;
    this.#target = target;
  }

  write(bytes: Buffer): Promise<void> | undefined {
    this.#gathered.push(bytes);
    this.#gatheredSize += bytes.length;
    if (this.#gatheredSize < RESTORE_WRITE_SIZE) return undefined;
    this.#flush();
    return this.#backlog > RESTORE_BACKLOG_MAX ? this.#last : undefined;
  }

  #flush(): void {
    const parts = this.#gathered;
    const size = this.#gatheredSize;
    this.#gathered = [];
    this.#gatheredSize = 0;
    this.#backlog += size;
    this.#last = this.#last.then(() => this.#append(parts, size));
    // Whoever awaits #last next gets the failure; until then it is not an unhandled one.
    this.#last.catch(() => undefined);
  }

  async #append(parts: Buffer[], size: number): Promise<void> {
    const { bytesWritten } = await this.#file.writev(parts);
    if (bytesWritten !== size) {
      // A device or a full disk took a part of it; write the rest, or get the reason.
      const rest = Buffer.concat(parts).subarray(bytesWritten);
      for (let at = 0; at < rest.length; ) at += (await this.#file.write(rest, at)).bytesWritten;
    }
    this.#backlog -= size;
  }

  async finish(): Promise<void> {
    this.#flush();
    await this.#last;
    // Or a crash behind the rename could leave the name on a file without its bytes.
    if (this.#target !== undefined) await this.#file.sync();
    await this.#file.close();
    if (this.#target !== undefined) await rename(this.#path, this.#target);
  }

  async abandon(): Promise<void> {
    await this.#last.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    if (this.#target !== undefined) await rm(this.#path, { force: true });
  }
}

/** Standard output: what has been written cannot be taken back, the exit code says that it was not all. */
export function streamSink(stream: Writable): RestoreSink {
  return {
    write(bytes) {
      if (stream.write(bytes)) return undefined;
      return new Promise((resolve, reject) => {
        const onDrain = () => {
          stream.off('error', onError);
          resolve();
        };
        const onError = (error: Error) => {
          stream.off('drain', onDrain);
          reject(error);
        };
        stream.once('drain', onDrain);
        stream.once('error', onError);
      });
    },
    finish: () => new Promise(resolve => stream.write('', () => resolve())),
    abandon: () => Promise.resolve(),
  };
}
