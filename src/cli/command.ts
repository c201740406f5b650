/**
 * What all commands share: the flags that find a server, one JSON document or a text for people on standard
 * output, and argument parsers whose failures are wrong usage (exit code 2).
 */
import { type Command, InvalidArgumentError } from 'commander';
import { StoreError } from '../base/errors.js';
import { parseSize } from '../base/units.js';
import { Client } from './client.js';
import { type ConnectionFlags, findConnection } from './connection.js';

export interface ServerFlags extends ConnectionFlags {
  readonly json?: boolean;
}

/** Adds the flags of a command that talks to a server. */
export function withServer(command: Command): Command {
  return withJson(command)
    .option('--url <url>', 'address of the server ($GRANARY_URL)')
    .option('--token <token>', 'access token, or @FILE ($GRANARY_TOKEN)')
    .option('--data <dir>', "a local server's data directory, to find both ($GRANARY_DATA)")
    .option('--ca <file>', "certificate to trust for the server's TLS ($GRANARY_CA)");
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON document');
}

/** Examples at the end of a command's help, one `command   what it does` a line. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples.map(line => `  $ granary ${line}\n`).join('')}`,
  );
}

/** Runs `work` with a client of the server that the flags name, and closes it. */
export async function callServer<T>(flags: ServerFlags, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(findConnection(flags, process.env));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** The one result of a command. */
export function print(flags: { readonly json?: boolean }, value: unknown, text: string): void {
  process.stdout.write(flags.json === true ? `${JSON.stringify(value, undefined, 2)}\n` : text);
}

/** One JSON array, item by item: there may be more of them than fit memory. */
export async function printArray(items: AsyncIterable<unknown>): Promise<void> {
  let separator = '[\n';
  for await (const item of items) {
    process.stdout.write(`${separator}  ${JSON.stringify(item)}`);
    separator = ',\n';
  }
  process.stdout.write(separator === '[\n' ? '[]\n' : '\n]\n');
}

/** A parser for commander: what it does not accept is wrong usage, with its own words. */
export function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return text => {
    try {
      return parse(text);
    } catch (thrown) {
      if (thrown instanceof StoreError) throw new InvalidArgumentError(thrown.message);
      throw thrown;
    }
  };
}

export const sizeArgument = parsedBy(parseSize);

export const countArgument = parsedBy((text: string): number => {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
  throw new StoreError('INVALID', `not a whole number: '${text}'`);
});
