/**
 * The command line: every command of it, and what becomes of its end. Exit code 0 done, 1 failed with one
 * line on standard error, 2 wrong usage. What serves or opens storage groups is handed in by main.ts and
 * loaded only when it is called.
 */
import { Command, CommanderError, Option } from 'commander';
import { StoreError } from '../base/errors.js';
import { registerCleaner } from './cleaner-commands.js';
import { countArgument, withExamples } from './command.js';
import { registerContainer } from './container-commands.js';
import { registerFiles } from './file-commands.js';
import { registerGroup } from './group-commands.js';
import { type Rebuild, registerMaintenance } from './maintenance-commands.js';
import { registerRetention } from './retention-commands.js';
import { registerScrub } from './scrub-commands.js';
import type { ServeFlags } from './serve-settings.js';
import { registerStatistics } from './statistics.js';
import { registerTransfers } from './transfer-commands.js';
import { registerUser } from './user-commands.js';

export interface ServerSide {
  /** Resolves when the server has stopped. */
  serve(flags: ServeFlags): Promise<void>;
  readonly rebuild: Rebuild;
}

export function buildProgram(serverSide: ServerSide): Command {
  const program = new Command('granary')
    .description('A deduplicating backup store: every distinct chunk once, given back bit for bit.')
    .version('0.1.0')
    .enablePositionalOptions()
    .configureHelp({ sortSubcommands: false })
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) =>
        write(
          `granary: ${text
            .replace(/^error: /, '')
            .trim()
            .replaceAll('\n', ' ')}\n`,
        ),
    });
  registerServe(program, serverSide);
  registerTransfers(program);
  registerFiles(program);
  registerRetention(program);
  registerContainer(program);
  registerGroup(program);
  registerStatistics(program);
  registerUser(program);
  registerScrub(program);
  registerCleaner(program);
  registerMaintenance(program, serverSide.rebuild);
  for (const command of allCommands(program)) command.copyInheritedSettings(program);
  return program;
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap(child => [child, ...allCommands(child)]);
}

function registerServe(program: Command, serverSide: ServerSide): void {
  const command = program
    .command('serve')
    .description('run the server; prints one line when it is ready')
    .option(
      '--data <dir>',
      'data directory, made at the first start (default: ./granary-data, $GRANARY_DATA)',
    )
    .option('--listen <host:port>', 'API, page and sync (default: 127.0.0.1:9440; port 0 picks a free one)')
    .option('--s3-listen <host:port>', 'S3 (default: 127.0.0.1:9441)')
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--insecure', 'listen on other than loopback addresses without TLS')
    .option('--unlock-file <file>', 'first line: the passphrase that opens encrypted groups at start')
    .option('--grace-seconds <seconds>', 'how long open streams may go on after SIGTERM (default: 10)')
    .option('--workers <count>', 'worker threads (default: two a core)', countArgument)
    .option('--slabs <count>', 'segments of 4 MiB that may be in memory at once', countArgument)
    .addOption(
      new Option('--log-level <level>', 'on standard error').choices([
        'debug',
        'info',
        'warn',
        'error',
        'silent',
      ]),
    )
    .option('--config <file>', 'YAML with the names of these flags as keys; flags win');
  withExamples(
    command,
    'serve',
    'serve --data /srv/granary --unlock-file /run/secrets/granary',
    'serve --listen 0.0.0.0:9440 --s3-listen 0.0.0.0:9441 --tls-cert cert.pem --tls-key key.pem',
  );
  command.action((flags: ServeFlags) => serverSide.serve(flags));
}

/** Runs the command that `argv` (without node and the script) names, and returns the exit code. */
export async function runCommandLine(argv: readonly string[], serverSide: ServerSide): Promise<number> {
  try {
    await buildProgram(serverSide).parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError) return usageExitCode(thrown);
    if (!(thrown instanceof Error)) throw thrown;
    // Anything but a StoreError is a bug: its stack is what is wanted then.
    const text = thrown instanceof StoreError ? thrown.message : (thrown.stack ?? thrown.message);
    process.stderr.write(`granary: ${text}\n`);
    return 1;
  }
}

/** Help and version were asked for, or the usage was wrong. */
function usageExitCode(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : 2;
}
