/**
 * Backup programs under one interface, Granary among them, so that all get the same generations in the same
 * run and are measured alike: wall and CPU time, peak memory, bytes on disk. Each keeps everything below a
 * directory of its own.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JobFile } from './client.js';
import { FLOW_STREAMS, runFlow } from './flows.js';
import { diskUsage, findProgram, type RunOptions, runTimed } from './process.js';
import type { Server } from './server.js';

/** A directory of files without subdirectories. */
export interface Generation {
  readonly name: string;
  readonly directory: string;
  readonly size: number;
}

export interface ProgramRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

export interface BackupProgram {
  readonly name: string;
  /** What it was told, as the table's note has it. */
  readonly settings: string;
  backup(generation: Generation): Promise<ProgramRun>;
  /** Writes the generation's files into `target`, which is there and empty, and says where they are. */
  restore(generation: Generation, target: string): Promise<ProgramRun & { readonly directory: string }>;
  /** Bytes on disk, by du. */
  storedBytes(): Promise<number>;
}

const PASSWORD = 'bench';

/** Files of a generation, the longest first, so that parallel streams end together. */
export function jobFiles(generation: Generation): JobFile[] {
  return readdirSync(generation.directory)
    .map(name => ({ name, size: diskUsage(join(generation.directory, name), 'length') }))
    .sort((a, b) => b.size - a.size)
    .map(({ name }) => ({ name: `${generation.name}/${name}`, path: join(generation.directory, name) }));
}

/** A group of a running server; files come back over HTTP and are written to disk, as the others do. */
export function granaryProgram(
  server: Server,
  group: 'fast' | 'best',
  groupDirectory: string,
): BackupProgram {
  const run = async (
    mode: 'put' | 'get',
    generation: Generation,
    targetDirectory?: string,
  ): Promise<ProgramRun> => {
    const target = targetDirectory === undefined ? {} : { targetDirectory };
    const job = { mode, container: group, streams: FLOW_STREAMS, files: jobFiles(generation), ...target };
    const flow = await runFlow(server, job);
    return {
      seconds: flow.seconds,
      cpuSeconds: flow.cpuSeconds + flow.serverCpuSeconds,
      peakBytes: flow.serverPeakBytes,
    };
  };
  return {
    name: `granary ${group}`,
    settings: `encryption static, compression ${group}, ${FLOW_STREAMS} HTTP streams, CPU with the client`,
    backup: generation => run('put', generation),
    restore: async (generation, target) => ({
      ...(await run('get', generation, target)),
      directory: join(target, generation.name),
    }),
    storedBytes: async () => {
      const stats = await server.command(['stats', '--group', group, '--json']);
      return Math.max(
        (JSON.parse(stats.stdout) as { storedBytes: number }).storedBytes,
        diskUsage(groupDirectory),
      );
    },
  };
}

/** What all command-line programs have in common: a repository, a way in and a way out. */
function commandProgram(
  name: string,
  settings: string,
  repository: string,
  commands: {
    readonly options: RunOptions;
    readonly backup: (generation: Generation) => readonly string[];
    readonly restore: (generation: Generation) => readonly string[];
    /** Where the files are, below the target. */
    readonly restored: (generation: Generation) => string;
  },
): BackupProgram {
  const run = (command: readonly string[], cwd: string) =>
    runTimed(command[0]!, command.slice(1), { ...commands.options, cwd });
  return {
    name,
    settings,
    backup: generation => run(commands.backup(generation), generation.directory),
    restore: async (generation, target) => ({
      ...(await run(commands.restore(generation), target)),
      directory: join(target, commands.restored(generation)),
    }),
    storedBytes: async () => diskUsage(repository),
  };
}

export async function resticProgram(directory: string): Promise<BackupProgram | undefined> {
  const program = findProgram('restic');
  if (program === undefined) return undefined;
  const repository = join(directory, 'repository');
  const environment = {
    RESTIC_PASSWORD: PASSWORD,
    RESTIC_REPOSITORY: repository,
    RESTIC_CACHE_DIR: join(directory, 'cache'),
  };
  await runTimed(program, ['init', '--repository-version', '2'], { environment });
  return commandProgram('restic', 'repository version 2, compression auto (zstd)', repository, {
    options: { environment },
    backup: generation => [program, 'backup', '--quiet', generation.directory],
    restore: () => [program, 'restore', '--quiet', 'latest', '--target', '.'],
    restored: generation => generation.directory,
  });
}

export async function borgProgram(
  directory: string,
  chunks: 'default' | '64 KiB',
): Promise<BackupProgram | undefined> {
  const program = findProgram('borg');
  if (program === undefined) return undefined;
  const repository = join(directory, 'repository');
  const environment = { BORG_PASSPHRASE: PASSWORD, BORG_BASE_DIR: directory, BORG_REPO: repository };
  await runTimed(program, ['init', '--encryption', 'repokey-blake2'], { environment });
  const chunker = chunks === 'default' ? [] : ['--chunker-params', 'buzhash,12,20,16,4095'];
  return commandProgram(`borg ${chunks}`, `repokey-blake2, lz4, chunks ${chunks}`, repository, {
    options: { environment },
    backup: generation => [
      program,
      'create',
      '--compression',
      'lz4',
      ...chunker,
      `::${generation.name}`,
      '.',
    ],
    restore: generation => [program, 'extract', `::${generation.name}`],
    restored: () => '.',
  });
}

export async function bupProgram(directory: string): Promise<BackupProgram | undefined> {
  const program = findProgram('bup');
  if (program === undefined) return undefined;
  const environment = { BUP_DIR: join(directory, 'repository') };
  await runTimed(program, ['init'], { environment });
  const save = 'bup index -u "$1" && bup save -1 -q -n bench --strip "$1"';
  return commandProgram('bup', 'zlib -1, no encryption, 8 KiB chunks', environment.BUP_DIR, {
    options: { environment },
    backup: generation => ['sh', '-c', save, 'bup', generation.directory],
    restore: () => [program, 'restore', '-q', '--outdir', '.', 'bench/latest/.'],
    restored: () => '.',
  });
}

/** Only the newest generation is kept, so that the disk suffices; what five would take is added up. */
export function cpProgram(directory: string): BackupProgram {
  const copy = join(directory, 'copy');
  let stored = 0;
  return {
    name: 'cp',
    settings: 'no dedup, no compression, no encryption',
    backup: async generation => {
      rmSync(copy, { recursive: true, force: true });
      mkdirSync(directory, { recursive: true });
      const run = await runTimed('cp', ['-r', generation.directory, copy]);
      stored += diskUsage(copy);
      return run;
    },
    restore: async (_generation, target) => {
      const directoryBack = join(target, 'copy');
      return { ...(await runTimed('cp', ['-r', copy, directoryBack])), directory: directoryBack };
    },
    storedBytes: async () => stored,
  };
}

/** Fails with the names when a restored directory differs from the generation. */
export async function compareDirectories(wanted: string, found: string): Promise<void> {
  const run = await runTimed('diff', ['--recursive', '--brief', wanted, found], { mayFail: true });
  if (run.status !== 0) throw new Error(`restored files differ:\n${run.stdout}${run.stderr}`);
}
