/** granary lock and granary bin: how files are kept, and what was deleted and is still there. */
import { type Command, Option } from 'commander';
import { isoTime } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { LIST_LIMIT_MAX } from '../base/limits.js';
import { formatSize } from '../base/units.js';
import type { Client } from './client.js';
import {
  callServer,
  countArgument,
  parsedBy,
  print,
  printArray,
  type ServerFlags,
  withExamples,
  withServer,
} from './command.js';
import { type FileAnswer, fileFields, prefixArgument } from './file-commands.js';
import { containerUrl, type FilePath, fileUrl } from './file-path.js';
import { printable } from './table.js';
import { filePathArgument } from './transfer-commands.js';

interface LockFlags extends ServerFlags {
  readonly mode?: string;
  readonly until?: string;
  readonly days?: number;
  readonly hold?: boolean;
  readonly releaseHold?: boolean;
  readonly bypassGovernance?: boolean;
  readonly version?: number;
}

interface BinPageAnswer {
  readonly files: readonly FileAnswer[];
  readonly next?: number;
}

const FILE = 'its name in the store';

/** `2027-01-31` is its first moment, UTC. */
const timeArgument = parsedBy((text: string): string => {
  const ms = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(ms)) return isoTime(ms);
  throw new StoreError('INVALID', `not a time: '${text}' (wanted 2027-01-31 or 2027-01-31T20:00:00Z)`);
});

export function registerRetention(program: Command): void {
  registerLock(program);
  const bin = program.command('bin').description('recycle bins: what was deleted or overwritten');
  registerBinList(bin);
  registerBinRestore(bin);
  registerBinPurge(bin);
}

function registerLock(program: Command): void {
  const lock = program
    .command('lock')
    .description('keep a file from being deleted or overwritten')
    .argument('<container/path>', FILE, filePathArgument)
    .addOption(
      new Option(
        '--mode <mode>',
        'governance: may be bypassed; compliance: by nobody; none: no lock',
      ).choices(['none', 'governance', 'compliance']),
    )
    .option('--until <time>', 'end of the lock, by the retention clock', timeArgument)
    .option('--days <days>', 'end of the lock, from now', countArgument)
    .option('--hold', 'a legal hold, which has no end')
    .option('--release-hold', 'no legal hold any more')
    .option('--bypass-governance', 'shorten or take off a governance lock')
    .option('--version <version>', 'of a version in the recycle bin', countArgument);
  withExamples(
    withServer(lock),
    'lock nightly/2026.tar --mode compliance --days 365',
    'lock nightly/2026.tar --until 2030-01-01',
    'lock nightly/2026.tar --hold',
    'lock nightly/2026.tar --mode none --bypass-governance',
  );
  lock.action(async (name: FilePath, flags: LockFlags) => {
    const body = lockBody(flags);
    if (Object.keys(body).every(key => key === 'version' || key === 'bypassGovernance')) {
      lock.error('nothing to change was given', { exitCode: 2 });
    }
    const file = await callServer(flags, client => client.json<FileAnswer>('PATCH', fileUrl(name), body));
    print(flags, file, fileFields(file));
  });
}

function lockBody(flags: LockFlags): Record<string, unknown> {
  const { mode, until, days, hold, releaseHold, bypassGovernance, version } = flags;
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(until === undefined ? {} : { until }),
    ...(days === undefined ? {} : { days }),
    ...(hold === true ? { hold: true } : {}),
    ...(releaseHold === true ? { hold: false } : {}),
    ...(bypassGovernance === true ? { bypassGovernance: true } : {}),
    ...(version === undefined ? {} : { version }),
  };
}

function binUrl(container: string, rest = ''): string {
  return `${containerUrl(container)}/bin${rest}`;
}

async function* binPages(client: Client, { container, path }: FilePath): AsyncGenerator<BinPageAnswer> {
  let after: number | undefined;
  do {
    const query = new URLSearchParams({ limit: String(LIST_LIMIT_MAX) });
    if (path !== '') query.set('prefix', path);
    if (after !== undefined) query.set('after', String(after));
    const page = await client.json<BinPageAnswer>('GET', binUrl(container, `?${query}`));
    yield page;
    after = page.next;
  } while (after !== undefined);
}

function registerBinList(bin: Command): void {
  const list = bin
    .command('list')
    .description('list a recycle bin, by version: size, until when it is kept, version, name')
    .argument('<container[/prefix]>', 'what their names begin with', prefixArgument);
  withExamples(withServer(list), 'bin list nightly', 'bin list nightly/2026- --json');
  list.action(async (name: FilePath, flags: ServerFlags) => {
    await callServer(flags, async client => {
      if (flags.json === true) return printArray(filesOf(binPages(client, name)));
      for await (const file of filesOf(binPages(client, name))) process.stdout.write(binLine(file));
    });
  });
}

async function* filesOf(pages: AsyncIterable<BinPageAnswer>): AsyncGenerator<FileAnswer> {
  for await (const { files } of pages) yield* files;
}

function binLine({ size, binUntil, version, path }: FileAnswer): string {
  const columns = [
    formatSize(size).padStart(12),
    binUntil ?? '',
    String(version).padStart(8),
    printable(path),
  ];
  return `${columns.join('  ')}\n`;
}

function registerBinRestore(bin: Command): void {
  const restore = bin
    .command('restore')
    .description('give a version its name back; what is there goes to the recycle bin')
    .argument('<container/path>', FILE, filePathArgument)
    .option('--version <version>', 'by default the newest of that name', countArgument);
  withExamples(
    withServer(restore),
    'bin restore nightly/etc.tar',
    'bin restore nightly/etc.tar --version 42',
  );
  restore.action(async ({ container, path }: FilePath, flags: ServerFlags & { version?: number }) => {
    const body = { path, ...(flags.version === undefined ? {} : { version: flags.version }) };
    const file = await callServer(flags, client =>
      client.json<FileAnswer>('POST', binUrl(container, '/restore'), body),
    );
    print(flags, file, fileFields(file));
  });
}

function registerBinPurge(bin: Command): void {
  const purge = bin
    .command('purge <container>')
    .description('drop now what may go; it goes by itself, too, and nothing goes before its time');
  withExamples(withServer(purge), 'bin purge nightly');
  purge.action(async (container: string, flags: ServerFlags) => {
    const answer = await callServer(flags, client =>
      client.json<{ dropped: number }>('POST', binUrl(container, '/purge')),
    );
    print(flags, answer, `${answer.dropped} versions have left the recycle bin for good\n`);
  });
}
