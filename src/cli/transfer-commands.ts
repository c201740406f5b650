/** granary put and get: streams in and out, from files and pipes, checked end to end. */
import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { formatSize, savingsPercent } from '../base/units.js';
import { type ByteSource, openFileSource, streamSource } from './byte-source.js';
import type { Client } from './client.js';
import {
  callServer,
  countArgument,
  parsedBy,
  print,
  type ServerFlags,
  sizeArgument,
  withExamples,
  withServer,
} from './command.js';
import { type FilePath, fileUrl, parseFilePath } from './file-path.js';
import { type Progress, startProgress } from './progress.js';
import { type RestoredFile, restoreFile } from './restore.js';
import { openFileSink, streamSink } from './restore-sink.js';
import { watchSaving } from './saving-watch.js';
import { printable } from './table.js';

const DIGESTS = ['blake3', 'sha256', 'md5'];

interface PutFlags extends ServerFlags {
  readonly digest?: string;
}

interface GetFlags extends ServerFlags {
  readonly output?: string;
  readonly offset?: number;
  readonly length?: number;
}

/** The server's answer to a put. */
interface PutAnswer {
  readonly path: string;
  readonly version: number;
  readonly size: number;
  readonly newBytes: number;
  readonly storedBytes: number;
}

export const filePathArgument = parsedBy((text: string) => parseFilePath(text));

export function registerTransfers(program: Command): void {
  const put = program
    .command('put')
    .description('store a file, or what comes from a pipe')
    .argument('<container/path>', 'its name in the store', filePathArgument)
    .argument('[file]', 'what to read; standard input without it')
    .option('--digest <list>', 'digests to take and keep: blake3,sha256,md5', digestArgument);
  withExamples(
    withServer(put),
    'put nightly/etc.tar etc.tar',
    'put nightly/db.sql --digest sha256 < dump.sql',
    'put nightly/usr.tar   (behind a pipe: tar c /usr | granary put nightly/usr.tar)',
  );
  put.action(async (name: FilePath, file: string | undefined, flags: PutFlags) => putFile(name, file, flags));
  const get = program
    .command('get')
    .description('restore a file, or a range of one')
    .argument('<container/path>', 'its name in the store', filePathArgument)
    .option('-o, --output <file>', 'written beside and renamed when all is there; standard output without it')
    .option('--offset <bytes>', 'first byte', countOrSize)
    .option('--length <bytes>', 'how many', countOrSize);
  withExamples(
    withServer(get),
    'get nightly/etc.tar -o etc.tar',
    'get nightly/usr.tar | tar x -C /mnt/restore',
    'get nightly/disk.img --offset 1GiB --length 64KiB -o piece',
  );
  get.action(async (name: FilePath, flags: GetFlags) => getFile(get, name, flags));
}

function countOrSize(text: string): number {
  return /^\d+$/.test(text) ? countArgument(text) : sizeArgument(text);
}

function digestArgument(text: string): string {
  const unknown = text.split(',').find(name => !DIGESTS.includes(name));
  if (unknown === undefined) return text;
  throw new InvalidArgumentError(`unknown digest '${unknown}' (known: ${DIGESTS.join(', ')})`);
}

async function putFile(name: FilePath, file: string | undefined, flags: PutFlags): Promise<void> {
  const isStandardInput = file === undefined || file === '-';
  if (isStandardInput && process.stdin.isTTY) {
    throw new StoreError('INVALID', 'nothing to store: give a FILE, or pipe the bytes in');
  }
  const answer = await callServer(flags, async client => {
    const source = isStandardInput ? streamSource(process.stdin) : await openFileSource(file);
    const progress = startProgress({
      label: printable(name.path),
      ...(source.size === undefined ? {} : { size: source.size }),
      clock: SYSTEM_CLOCK,
      stream: process.stderr,
    });
    const started = SYSTEM_CLOCK.monotonicMs();
    const digests = flags.digest === undefined ? {} : { 'x-granary-digest': flags.digest };
    const saving = followSaving(client, progress);
    try {
      const headers = { ...digests, ...saving.headers };
      const sent = await client.upload<PutAnswer>(fileUrl(name), counted(source, progress), headers);
      return { ...sent, seconds: (SYSTEM_CLOCK.monotonicMs() - started) / 1000 };
    } finally {
      saving.stop();
      progress.stop();
    }
  });
  print(flags, answer, putText(answer));
}

/** Where a bar is shown, the upload gets a name, and the server is asked what it saves. */
function followSaving(
  client: Client,
  progress: Progress,
): { readonly headers: Readonly<Record<string, string>>; stop(): void } {
  if (!progress.isShown) return { headers: {}, stop: () => undefined };
  const upload = randomBytes(UPLOAD_NAME_SIZE).toString('base64url');
  const onSaving = (percent: number) => progress.saving(percent);
  const watch = watchSaving({ client, upload, clock: SYSTEM_CLOCK, onSaving });
  return { headers: { 'x-granary-upload': upload }, stop: () => watch.stop() };
}

/** Of random bytes: nobody meets another's name by chance. */
const UPLOAD_NAME_SIZE = 12;

/** The source, with its bytes counted when the socket has taken them. */
function counted(source: ByteSource, progress: Progress): ByteSource {
  return {
    ...(source.size === undefined ? {} : { size: source.size }),
    next: () => source.next(),
    release(bytes) {
      progress.add(bytes.length);
      source.release(bytes);
    },
    close: () => source.close(),
  };
}

function putText(answer: PutAnswer & { seconds: number }): string {
  const rate = formatSize(Math.round(answer.size / Math.max(answer.seconds, 0.001)));
  const saved = savingsPercent(answer.size, answer.storedBytes);
  return (
    `${printable(answer.path)}: ${formatSize(answer.size)} in ${answer.seconds.toFixed(2)} s (${rate}/s), ` +
    `new ${formatSize(answer.newBytes)}, stored ${formatSize(answer.storedBytes)}, ` +
    `saved ${saved.toFixed(2)} %\n`
  );
}

async function getFile(command: Command, name: FilePath, flags: GetFlags): Promise<void> {
  const isStandardOutput = flags.output === undefined || flags.output === '-';
  if (isStandardOutput && flags.json === true)
    command.error('--json needs -o FILE: the bytes go to standard output', USAGE);
  if (flags.length !== undefined && flags.offset === undefined)
    command.error('--length needs --offset', USAGE);
  if (isStandardOutput && process.stdout.isTTY) {
    throw new StoreError('INVALID', 'not writing a backup to a terminal: give -o FILE, or a pipe');
  }
  const restored = await callServer(flags, async client => {
    const range =
      flags.offset === undefined
        ? undefined
        : { offset: flags.offset, ...(flags.length === undefined ? {} : { length: flags.length }) };
    const openSink = () =>
      isStandardOutput ? Promise.resolve(streamSink(process.stdout)) : openFileSink(flags.output!);
    return restoreFile(client, name, range, openSink);
  });
  if (!isStandardOutput) print(flags, { path: name.path, ...restored }, getText(name, restored));
}

const USAGE = { exitCode: 2 };

function getText(name: FilePath, restored: RestoredFile): string {
  const rate = formatSize(Math.round(restored.bytes / Math.max(restored.seconds, 0.001)));
  const checked = restored.isDigestChecked ? ', digest checked' : '';
  const seconds = restored.seconds.toFixed(2);
  return `${printable(name.path)}: ${formatSize(restored.bytes)} in ${seconds} s (${rate}/s)${checked}\n`;
}
