/**
 * A file, or a range of one, from the server into a sink: length checked always, the whole file's XXH3 when
 * all of it is restored and the addon is there to compute it. What fails leaves nothing under the file's
 * name.
 */
import type { IncomingMessage } from 'node:http';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { type Binding, binding, DIGEST_XXH3 } from '../native/binding.js';
import type { Client } from './client.js';
import { type FilePath, fileUrl } from './file-path.js';
import { type Progress, startProgress } from './progress.js';
import type { RestoreSink } from './restore-sink.js';
import { printable } from './table.js';

export interface RestoreRange {
  readonly offset: number;
  /** Absent: to the end. */
  readonly length?: number;
}

export interface RestoredFile {
  readonly bytes: number;
  readonly seconds: number;
  readonly isDigestChecked: boolean;
}

export async function restoreFile(
  client: Client,
  name: FilePath,
  range: RestoreRange | undefined,
  openSink: () => Promise<RestoreSink>,
): Promise<RestoredFile> {
  const started = SYSTEM_CLOCK.monotonicMs();
  // A range of no bytes cannot be asked for in HTTP.
  if (range?.length === 0) {
    await client.head(fileUrl(name));
    const sink = await openSink();
    await sink.finish();
    return { bytes: 0, seconds: 0, isDigestChecked: false };
  }
  const response = await client.download(
    fileUrl(name),
    range === undefined ? {} : { range: rangeHeader(range) },
  );
  const sink = await openSink().catch((thrown: unknown) => {
    response.destroy();
    throw thrown;
  });
  const stop = removeOnSignal(sink);
  try {
    const result = await receive(response, sink, name);
    await sink.finish();
    return { ...result, seconds: (SYSTEM_CLOCK.monotonicMs() - started) / 1000 };
  } catch (thrown) {
    response.destroy();
    await sink.abandon();
    throw thrown;
  } finally {
    stop();
  }
}

function rangeHeader({ offset, length }: RestoreRange): string {
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`;
}

/** Ends the command on Ctrl-C with nothing left behind. Returns what ends the watch. */
function removeOnSignal(sink: RestoreSink): () => void {
  const onSignal = () => {
    void sink.abandon().then(() => process.exit(1));
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  return () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
}

async function receive(
  response: IncomingMessage,
  sink: RestoreSink,
  name: FilePath,
): Promise<Omit<RestoredFile, 'seconds'>> {
  const announced = response.headers['content-length'];
  const size = announced === undefined ? undefined : Number(announced);
  const digest = openDigest(response);
  const progress = startProgress({
    label: printable(name.path),
    ...(size === undefined ? {} : { size }),
    clock: SYSTEM_CLOCK,
    stream: process.stderr,
  });
  try {
    const bytes = await copy(response, sink, digest, progress);
    if (size !== undefined && bytes !== size) {
      throw new StoreError('UNAVAILABLE', `the restore ended after ${bytes} of ${size} bytes`);
    }
    return { bytes, isDigestChecked: digest?.check() ?? false };
  } finally {
    progress.stop();
    digest?.drop();
  }
}

function copy(
  response: IncomingMessage,
  sink: RestoreSink,
  digest: WholeDigest | undefined,
  progress: Progress,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    response.on('data', (part: Buffer) => {
      bytes += part.length;
      digest?.update(part);
      progress.add(part.length);
      const wait = sink.write(part);
      if (wait === undefined) return;
      response.pause();
      wait.then(() => response.resume(), reject);
    });
    response.on('end', () => resolve(bytes));
    response.on('error', cause => {
      reject(
        new StoreError('UNAVAILABLE', `the restore broke off after ${bytes} bytes: ${cause.message}`, {
          cause,
        }),
      );
    });
  });
}

interface WholeDigest {
  update(bytes: Buffer): void;
  /** True when it was compared; CORRUPT when it differs. */
  check(): boolean;
  drop(): void;
}

/**
 * Of a whole file whose XXH3 the server has told; undefined for ranges, and where the addon cannot be loaded.
 */
function openDigest(response: IncomingMessage): WholeDigest | undefined {
  const wanted = response.headers['x-granary-xxh3'];
  const addon = response.statusCode === 206 || typeof wanted !== 'string' ? undefined : tryBinding();
  if (addon === undefined) return undefined;
  let handle: number | undefined = addon.digestOpen(DIGEST_XXH3);
  const take = (): number => {
    const taken = handle!;
    handle = undefined;
    return taken;
  };
  return {
    update: bytes => addon.digestUpdate(handle!, bytes),
    check() {
      const found = Buffer.from(addon.digestFinish(take()).xxh3).toString('hex');
      if (found === wanted) return true;
      throw new StoreError('CORRUPT', `the restored bytes have xxh3 ${found}, the file has ${wanted}`);
    },
    drop() {
      if (handle !== undefined) addon.digestDrop(take());
    },
  };
}

function tryBinding(): Binding | undefined {
  try {
    return binding();
  } catch {
    // A machine with the command line only: TCP's checksums and the length have to do.
    return undefined;
  }
}
