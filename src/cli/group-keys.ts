/** granary group unlock, passphrase and add-key: what opens an encrypted storage group. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { StoreError } from '../base/errors.js';
import type { GroupInfo } from '../catalog/types.js';
import { callServer, print, type ServerFlags, withExamples, withServer } from './command.js';
import { groupUrl } from './group-url.js';
import { findNewPassphrase, findPassphrase, passphraseOfFile } from './passphrase.js';

interface UnlockFlags extends ServerFlags {
  readonly passphraseFile?: string;
  readonly keyFile?: string;
  readonly recoveryKeyFile?: string;
}

interface ChangeFlags extends ServerFlags {
  readonly passphraseFile?: string;
  readonly newPassphraseFile?: string;
}

interface AddKeyFlags extends ServerFlags {
  readonly passphraseFile?: string;
  readonly keyFile: string;
}

export function registerGroupKeys(group: Command): void {
  registerUnlock(group);
  registerPassphrase(group);
  registerAddKey(group);
}

function withPassphrase(command: Command): Command {
  return command.option('--passphrase-file <file>', 'its first line (else $GRANARY_PASSPHRASE or a prompt)');
}

function registerUnlock(group: Command): void {
  const command = withPassphrase(
    group.command('unlock <name>').description('open an encrypted storage group'),
  )
    .option('--key-file <file>', 'the content of this file')
    .option('--recovery-key-file <file>', 'the recovery key shown when the group was made');
  withExamples(withServer(command), 'group unlock vault --passphrase-file pass.txt');
  command.action(async (name: string, flags: UnlockFlags) => {
    const info = await post(flags, `${groupUrl(name)}/unlock`, await unlockSecret(name, flags));
    print(flags, info, `storage group ${name} is open\n`);
  });
}

function registerPassphrase(group: Command): void {
  const command = withPassphrase(
    group
      .command('passphrase <name>')
      .description('change the passphrase of an open storage group; key files and recovery key stay'),
  ).option('--new-passphrase-file <file>', 'its first line is the new one (else a prompt)');
  withExamples(
    withServer(command),
    'group passphrase vault --passphrase-file old.txt --new-passphrase-file new.txt',
  );
  command.action(async (name: string, flags: ChangeFlags) => {
    const passphrase = await currentPassphrase(name, flags);
    const newPassphrase = await findNewPassphrase(flags.newPassphraseFile, `New passphrase for ${name}: `);
    const info = await post(flags, `${groupUrl(name)}/passphrase`, { passphrase, newPassphrase });
    print(flags, info, `storage group ${name} has a new passphrase; the old one opens it no more\n`);
  });
}

function registerAddKey(group: Command): void {
  const command = withPassphrase(
    group.command('add-key <name>').description('let a key file open the storage group, too'),
  ).requiredOption('--key-file <file>', 'its content is the key; keep a copy of it elsewhere');
  withExamples(
    withServer(command),
    'group add-key vault --passphrase-file pass.txt --key-file /media/stick/key',
  );
  command.action(async (name: string, flags: AddKeyFlags) => {
    const keyFile = base64OfFile(flags.keyFile);
    const passphrase = await currentPassphrase(name, flags);
    const info = await post(flags, `${groupUrl(name)}/keys`, { passphrase, keyFile });
    print(flags, info, `storage group ${name} is opened by that key file, too\n`);
  });
}

function post(flags: ServerFlags, url: string, body: object): Promise<GroupInfo> {
  return callServer(flags, client => client.json<GroupInfo>('POST', url, body));
}

async function unlockSecret(name: string, flags: UnlockFlags): Promise<Record<string, string>> {
  if (flags.keyFile !== undefined) return { keyFile: base64OfFile(flags.keyFile) };
  if (flags.recoveryKeyFile !== undefined) return { recoveryKey: passphraseOfFile(flags.recoveryKeyFile) };
  return { passphrase: await currentPassphrase(name, flags) };
}

async function currentPassphrase(name: string, flags: { readonly passphraseFile?: string }): Promise<string> {
  const passphrase = await findPassphrase(flags.passphraseFile, `Passphrase for ${name}: `, false);
  if (passphrase !== undefined) return passphrase;
  throw new StoreError('INVALID', 'no passphrase: give --passphrase-file, GRANARY_PASSPHRASE or a terminal');
}

export function base64OfFile(path: string): string {
  try {
    return readFileSync(path).toString('base64');
  } catch (cause) {
    throw new StoreError('INVALID', `the key file ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}
