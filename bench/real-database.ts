/**
 * A real database: a PostgreSQL cluster on a socket in the bench's own directory, filled and changed by
 * pgbench. Each generation is the data directory of the stopped server as a tar, and a dump. Runs as an
 * unprivileged user when the bench is root, because PostgreSQL refuses to run as root.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, type RunReport, runShell, runTimed } from './process.js';

const DEBIAN_DIRECTORY = '/usr/lib/postgresql';
const USERS = ['postgres', 'nobody'];
const TRANSACTIONS = 3000;
const CLIENTS = 4;

export interface Database {
  /** Changes rows, for generations after the first. */
  change(generation: number): Promise<void>;
  /** Writes pgdata.tar and pgdump.sql into the directory. */
  save(directory: string): Promise<void>;
  stop(): Promise<void>;
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

function binaryDirectories(): string[] {
  try {
    return readdirSync(DEBIAN_DIRECTORY).map(version => join(DEBIAN_DIRECTORY, version, 'bin'));
  } catch {
    return [];
  }
}

/** The unprivileged account to run as; undefined: as we are. */
function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'));
  const fields = USERS.map(user => lines.find(line => line[0] === user)).find(line => line !== undefined);
  if (fields === undefined) throw new Error('there is no account that PostgreSQL could run as');
  return { uid: Number(fields[2]), gid: Number(fields[3]) };
}

/** Starts a new cluster below the directory, or says why not. `scale` is pgbench's: 15 MB each. */
export async function startDatabase(directory: string, scale: number): Promise<Database | string> {
  const directories = binaryDirectories();
  const missing = ['initdb', 'pg_ctl', 'pgbench', 'pg_dump'].filter(
    name => findProgram(name, directories) === undefined,
  );
  if (missing.length > 0) return `the PostgreSQL database was left out: ${missing.join(', ')} not installed`;
  const account = unprivilegedAccount();
  if (account !== undefined && findProgram('setpriv') === undefined) {
    return 'the PostgreSQL database was left out: setpriv is needed to run it as another user than root';
  }
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
  if (account !== undefined) chownSync(directory, account.uid, account.gid);
  const database = new PostgresDatabase(directory, directories, account);
  await database.create(scale);
  return database;
}

class PostgresDatabase implements Database {
  private readonly data: string;

  constructor(
    private readonly directory: string,
    private readonly binaries: readonly string[],
    private readonly account: Account | undefined,
  ) {
    this.data = join(directory, 'data');
  }

  async create(scale: number): Promise<void> {
    const options = ['--no-sync', '--auth=trust', '--username=bench', '--no-locale', '--encoding=UTF8'];
    await this.run('initdb', ['-D', this.data, ...options]);
    await this.start();
    await this.run('pgbench', [...this.connection(), '-i', '-q', '-s', String(scale), 'postgres']);
  }

  async change(generation: number): Promise<void> {
    const options = ['-n', '-c', String(CLIENTS), '-t', String(TRANSACTIONS), `--random-seed=${generation}`];
    await this.run('pgbench', [...this.connection(), ...options, 'postgres']);
  }

  async save(directory: string): Promise<void> {
    const dump = join(directory, 'pgdump.sql');
    const command = this.command('pg_dump', [...this.connection(), 'postgres']);
    await runShell(`${command.map(word => `'${word}'`).join(' ')} > '${dump}'`, { cwd: this.directory });
    await this.stop();
    await runTimed('tar', [
      '--create',
      '--sort=name',
      `--file=${join(directory, 'pgdata.tar')}`,
      '-C',
      this.directory,
      'data',
    ]);
    await this.start();
  }

  async stop(): Promise<void> {
    await this.run('pg_ctl', ['-D', this.data, '-m', 'fast', '-w', 'stop']);
  }

  private async start(): Promise<void> {
    const settings = `-k ${this.directory} -c listen_addresses= -c fsync=off`;
    const log = join(this.directory, 'log');
    await this.run('pg_ctl', ['-D', this.data, '-w', '-l', log, '-o', settings, 'start']);
  }

  private connection(): string[] {
    return ['-h', this.directory, '-U', 'bench'];
  }

  private run(name: string, parameters: readonly string[]): Promise<RunReport> {
    const [program, ...rest] = this.command(name, parameters);
    return runTimed(program!, rest, { cwd: this.directory });
  }

  private command(name: string, parameters: readonly string[]): string[] {
    const program = findProgram(name, this.binaries)!;
    if (this.account === undefined) return [program, ...parameters];
    const identity = [`--reuid=${this.account.uid}`, `--regid=${this.account.gid}`, '--clear-groups'];
    return ['setpriv', ...identity, program, ...parameters];
  }
}
