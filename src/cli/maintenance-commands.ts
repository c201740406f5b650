/** granary verify, rebuild and inspect: is everything that is stored readable, and what do its files say? */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { PROGRESS_INTERVAL_MS } from '../base/limits.js';
import { formatSize } from '../base/units.js';
import { callServer, print, type ServerFlags, withExamples, withJson, withServer } from './command.js';
import { dataDirectory } from './connection.js';
import { type JobProgress, jobLine, watchedJob } from './job-watch.js';
import { givenPassphrase, passphraseOfFile } from './passphrase.js';
import { printable } from './table.js';

interface Damage {
  readonly group: string;
  readonly what: string;
  readonly reason: string;
}

/** The server's answer to a verification. */
interface VerifyAnswer {
  readonly files: number;
  readonly chunks: number;
  readonly dataStores: number;
  /** Of data stores that were read. */
  readonly bytes: number;
  readonly damages: readonly Damage[];
  /** Survived by a copy, or repaired. */
  readonly healed: readonly Damage[];
}

export interface RebuildFlags {
  readonly data?: string;
  readonly group?: string;
  readonly unlockFile?: string;
  readonly json?: boolean;
}

/** What main.ts makes of `granary rebuild`; progress lines go to `report`. */
export interface RebuildRequest {
  readonly dataDirectory: string;
  readonly group?: string;
  readonly passphrase?: string;
  readonly report: (line: string) => void;
  /** How far it is; `stage`: log, data stores. */
  readonly progress: (progress: JobProgress) => void;
}

/** What became of one storage group. */
export interface RebuildReport {
  readonly group: string;
  readonly files: number;
  readonly dataStores: number;
  readonly failure?: string;
}

export type Rebuild = (request: RebuildRequest) => Promise<readonly RebuildReport[]>;

export function registerMaintenance(program: Command, rebuild: Rebuild): void {
  registerVerify(program);
  registerRebuild(program, rebuild);
  registerInspect(program);
}

function registerVerify(program: Command): void {
  const command = program
    .command('verify')
    .description('check what is stored; exit code 1 when something is damaged')
    .option('--full', 'read every record: seals, fingerprints')
    .option('--group <name>', 'one storage group; all of them without it');
  withExamples(withServer(command), 'verify', 'verify --full', 'verify --group vault');
  command.action(async (flags: ServerFlags & { full?: boolean; group?: string }) => {
    const group = flags.group === undefined ? {} : { group: flags.group };
    const body = { full: flags.full === true, ...group };
    const answer = await callServer(flags, client =>
      watchedJob({ client, label: 'verify', clock: SYSTEM_CLOCK, stream: process.stderr }, headers =>
        client.json<VerifyAnswer>('POST', '/api/v1/verify', body, headers),
      ),
    );
    print(flags, answer, verifyText(answer));
    if (answer.damages.length > 0) process.exitCode = 1;
  });
}

/** Without a group: of the system. */
function damageText({ group, what, reason }: Damage): string {
  return [group, what, reason].filter(part => part !== '').join(': ');
}

function verifyText(answer: VerifyAnswer): string {
  const lines = (word: string, rows: readonly Damage[]) =>
    rows.map(row => `${word}: ${printable(damageText(row))}\n`).join('');
  const verdict = answer.damages.length === 0 ? 'nothing is damaged' : `${answer.damages.length} damaged`;
  const read = answer.bytes === 0 ? '' : `, ${formatSize(answer.bytes)} read`;
  const counts = `${answer.files} files, ${answer.chunks} chunks, ${answer.dataStores} data stores${read}`;
  return `${lines('damaged', answer.damages)}${lines('healed', answer.healed)}${verdict} (${counts})\n`;
}

function registerRebuild(program: Command, rebuild: Rebuild): void {
  const command = program
    .command('rebuild')
    .description('make the view (RocksDB) anew from data stores and log; no server may run')
    .option('--data <dir>', "the server's data directory ($GRANARY_DATA)")
    .option('--group <name>', 'one storage group; all of them without it')
    .option('--unlock-file <file>', 'first line: the passphrase of encrypted groups ($GRANARY_PASSPHRASE)');
  withExamples(withJson(command), 'rebuild --data /srv/granary', 'rebuild --data /srv/granary --group vault');
  command.action(async (flags: RebuildFlags) => {
    const passphrase = givenPassphrase(flags.unlockFile);
    const reports = await rebuild({
      dataDirectory: dataDirectory(flags.data, process.env),
      ...(flags.group === undefined ? {} : { group: flags.group }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...rebuildWatch(process.stderr),
    });
    print(flags, reports, reports.map(rebuildText).join(''));
    if (reports.some(report => report.failure !== undefined)) process.exitCode = 1;
  });
}

/** Progress on one line of a terminal, between the lines that stay. */
function rebuildWatch(stream: NodeJS.WriteStream): Pick<RebuildRequest, 'report' | 'progress'> {
  const cleared = stream.isTTY ? '\r\u001b[2K' : '';
  let drawnMs = Number.NEGATIVE_INFINITY;
  return {
    report: line => stream.write(`${cleared}${line}\n`),
    progress: progress => {
      const nowMs = SYSTEM_CLOCK.monotonicMs();
      if (!stream.isTTY || nowMs - drawnMs < PROGRESS_INTERVAL_MS) return;
      drawnMs = nowMs;
      stream.write(cleared + jobLine('rebuild', progress, undefined));
    },
  };
}

function rebuildText({ group, files, dataStores, failure }: RebuildReport): string {
  if (failure !== undefined) return `${group}: not rebuilt: ${failure}\n`;
  return `${group}: view made anew (${files} files, ${dataStores} data stores)\n`;
}

function registerInspect(program: Command): void {
  const command = program
    .command('inspect <file>')
    .description('print any file we write, field by field')
    .option('--unlock-file <file>', 'first line: the passphrase, to open what is sealed');
  withExamples(withJson(command), 'inspect granary-data/groups/DefaultGroup/superblock.0');
  command.action(async (file: string, flags: { unlockFile?: string }) => {
    const { inspectText } = await import('./inspect.js');
    const passphrase = flags.unlockFile === undefined ? undefined : passphraseOfFile(flags.unlockFile);
    process.stdout.write(await inspectText(file, passphrase));
  });
}

/** Reads a file of this machine; NOT_FOUND with the system's words. */
export function readLocalFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new StoreError('NOT_FOUND', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
