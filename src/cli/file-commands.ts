/** granary ls, stat and rm: the files of a container. */
import type { Command } from 'commander';
import { StoreError } from '../base/errors.js';
import { LIST_LIMIT_MAX } from '../base/limits.js';
import { formatSize, savingsPercent } from '../base/units.js';
import type { Client } from './client.js';
import {
  callServer,
  parsedBy,
  print,
  printArray,
  type ServerFlags,
  withExamples,
  withServer,
} from './command.js';
import { containerUrl, type FilePath, fileUrl, parseFilePath } from './file-path.js';
import { formatFields, printable } from './table.js';
import { filePathArgument } from './transfer-commands.js';

/** A file as the server lists it. */
export interface FileAnswer {
  readonly path: string;
  readonly version: number;
  readonly size: number;
  readonly state: string;
  readonly created: string;
  readonly newBytes: number;
  readonly storedBytes: number;
  readonly chunkCount: number;
  readonly xxh3: string;
  readonly blake3?: string;
  readonly sha256?: string;
  readonly md5?: string;
  readonly lockMode?: string;
  readonly lockUntil?: string;
  readonly hold?: string;
  /** Of a version in the recycle bin. */
  readonly binUntil?: string;
}

interface PageAnswer {
  readonly files: readonly FileAnswer[];
  readonly next?: string;
}

export const prefixArgument = parsedBy((text: string) => parseFilePath(text, true));

export function registerFiles(program: Command): void {
  const list = program
    .command('ls')
    .description('list files, in the order of their bytes')
    .argument('<container[/prefix]>', 'what their names begin with', prefixArgument);
  withExamples(withServer(list), 'ls nightly', 'ls nightly/2026-11-', 'ls nightly --json');
  list.action(async (name: FilePath, flags: ServerFlags) => {
    await callServer(flags, client =>
      flags.json === true ? printArray(filesOf(pages(client, name, LIST_LIMIT_MAX))) : listText(client, name),
    );
  });
  const stat = program
    .command('stat')
    .description('show a file: version, size, digests, and what storing it took')
    .argument('<container/path>', 'its name in the store', filePathArgument);
  withExamples(withServer(stat), 'stat nightly/etc.tar', 'stat nightly/etc.tar --json');
  stat.action(async (name: FilePath, flags: ServerFlags) => {
    const file = await callServer(flags, client => findFile(client, name));
    print(flags, file, fileFields(file));
  });
  const remove = program
    .command('rm')
    .description('delete a file: into the recycle bin where there is one; the cleaner frees its bytes')
    .argument('<container/path>', 'its name in the store', filePathArgument);
  withExamples(withServer(remove), 'rm nightly/etc.tar');
  remove.action(async (name: FilePath, flags: ServerFlags) => {
    await callServer(flags, client => client.json('DELETE', fileUrl(name)));
    print(flags, { deleted: `${name.container}/${name.path}` }, '');
  });
}

async function* pages(
  client: Client,
  { container, path }: FilePath,
  limit: number,
): AsyncGenerator<PageAnswer> {
  let after: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(limit) });
    if (path !== '') query.set('prefix', path);
    if (after !== undefined) query.set('after', after);
    const page = await client.json<PageAnswer>('GET', `${containerUrl(container)}/files?${query}`);
    yield page;
    after = page.next;
  } while (after !== undefined);
}

async function* filesOf(pagesOfFiles: AsyncIterable<PageAnswer>): AsyncGenerator<FileAnswer> {
  for await (const { files } of pagesOfFiles) yield* files;
}

async function listText(client: Client, name: FilePath): Promise<void> {
  for await (const page of pages(client, name, LIST_LIMIT_MAX)) {
    const lines = page.files.map(
      file => `${formatSize(file.size).padStart(12)}  ${file.created}  ${printable(file.path)}\n`,
    );
    process.stdout.write(lines.join(''));
  }
}

/** The name itself is the first of all that begin with it. */
async function findFile(client: Client, name: FilePath): Promise<FileAnswer> {
  for await (const page of pages(client, name, 1)) {
    const [file] = page.files;
    if (file?.path === name.path) return file;
    break;
  }
  throw new StoreError('NOT_FOUND', `there is no file ${name.path} in container ${name.container}`);
}

export function fileFields(file: FileAnswer): string {
  const { storedBytes: stored, newBytes: fresh } = file;
  const digests = (['xxh3', 'blake3', 'sha256', 'md5'] as const).flatMap(name => {
    const value = file[name];
    return value === undefined ? [] : ([[name, value]] as const);
  });
  return formatFields([
    ['path', file.path],
    ['version', file.version],
    ['state', file.state],
    ['made', file.created],
    ['logical', `${formatSize(file.size)} (${file.size} bytes)`],
    [
      'unique',
      `${formatSize(fresh)} brought by this file, dedup saved ${savingsPercent(file.size, fresh)} %`,
    ],
    ['stored', `${formatSize(stored)}, compression saved ${savingsPercent(fresh, stored)} %`],
    ['chunks', file.chunkCount],
    ...keepingFields(file),
    ...digests,
  ]);
}

function keepingFields({ lockMode, lockUntil, hold, binUntil }: FileAnswer): (readonly [string, string])[] {
  return [
    ...(lockMode === undefined ? [] : [['lock', `${lockMode}, until ${lockUntil}`] as const]),
    ...(hold === undefined ? [] : [['hold', hold] as const]),
    ...(binUntil === undefined ? [] : [['recycle bin', `until ${binUntil}`] as const]),
  ];
}
