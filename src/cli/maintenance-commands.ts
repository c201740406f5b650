/** granary verify, rebuild and inspect: is everything that is stored readable, and what do its files say? */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { StoreError } from '../base/errors.js';
import { formatSize } from '../base/units.js';
import { callServer, print, type ServerFlags, withExamples, withJson, withServer } from './command.js';
import { dataDirectory } from './connection.js';
import { passphraseOfFile } from './passphrase.js';

/** The server's answer to a verification. */
interface VerifyAnswer {
  readonly damages: readonly { readonly group?: string; readonly what: string; readonly reason: string }[];
  readonly [figure: string]: unknown;
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
}

export type Rebuild = (request: RebuildRequest) => Promise<readonly object[]>;

export function registerMaintenance(program: Command, rebuild: Rebuild): void {
  registerVerify(program);
  registerRebuild(program, rebuild);
  registerInspect(program);
}

function registerVerify(program: Command): void {
  const command = program
    .command('verify')
    .description('check what is stored; exit code 1 when something is damaged')
    .option('--full', 'read every record: seal, fingerprints, digests of whole files');
  withExamples(withServer(command), 'verify', 'verify --full');
  command.action(async (flags: ServerFlags & { full?: boolean }) => {
    const body = { full: flags.full === true };
    const answer = await callServer(flags, client =>
      client.json<VerifyAnswer>('POST', '/api/v1/verify', body),
    );
    print(flags, answer, verifyText(answer));
    if (answer.damages.length > 0) process.exitCode = 1;
  });
}

function verifyText(answer: VerifyAnswer): string {
  const figures = Object.entries(answer)
    .filter(([, value]) => typeof value === 'number')
    .map(([name, value]) => (name === 'bytes' ? formatSize(value as number) : `${value} ${wordsOf(name)}`));
  const lines = answer.damages.map(
    damage =>
      `damaged: ${damage.group === undefined ? '' : `${damage.group}: `}${damage.what}: ${damage.reason}\n`,
  );
  const verdict = answer.damages.length === 0 ? 'nothing is damaged' : `${answer.damages.length} damages`;
  return `${lines.join('')}${verdict}${figures.length === 0 ? '' : ` (${figures.join(', ')})`}\n`;
}

/** `recordCount` → `records`. */
function wordsOf(name: string): string {
  return name.replace(/Count$/, 's').replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`);
}

function registerRebuild(program: Command, rebuild: Rebuild): void {
  const command = program
    .command('rebuild')
    .description('make the view (RocksDB) anew from data stores and log; no server may run')
    .option('--data <dir>', "the server's data directory ($GRANARY_DATA)")
    .option('--group <name>', 'one storage group; all of them without it')
    .option('--unlock-file <file>', 'first line: the passphrase of encrypted groups');
  withExamples(withJson(command), 'rebuild --data /srv/granary', 'rebuild --data /srv/granary --group vault');
  command.action(async (flags: RebuildFlags) => {
    const reports = await rebuild({
      dataDirectory: dataDirectory(flags.data, process.env),
      ...(flags.group === undefined ? {} : { group: flags.group }),
      ...(flags.unlockFile === undefined ? {} : { passphrase: passphraseOfFile(flags.unlockFile) }),
      report: line => process.stderr.write(`${line}\n`),
    });
    print(
      flags,
      reports,
      `rebuilt the view of ${reports.length} storage group${reports.length === 1 ? '' : 's'}\n`,
    );
  });
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
