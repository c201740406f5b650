/**
 * Secrets come from a file, the environment or a prompt on a terminal; never from the command line's
 * arguments.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { StoreError } from '../base/errors.js';
import { PASSPHRASE_SIZE_MAX } from '../base/limits.js';

export const PASSPHRASE_VARIABLE = 'GRANARY_PASSPHRASE';

/** The file's first line. INVALID when it cannot be read, is empty or too long. */
export function passphraseOfFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new StoreError(
      'INVALID',
      `the passphrase file ${path} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
  return checkPassphrase(text.split(/\r?\n/, 1)[0]!, `the passphrase file ${path}`);
}

function checkPassphrase(passphrase: string, where: string): string {
  if (passphrase === '') throw new StoreError('INVALID', `${where} holds no passphrase`);
  if (Buffer.byteLength(passphrase) > PASSPHRASE_SIZE_MAX) {
    throw new StoreError('INVALID', `${where} holds a passphrase of more than ${PASSPHRASE_SIZE_MAX} bytes`);
  }
  return passphrase;
}

/** From the file, else the environment; undefined: from neither. */
export function givenPassphrase(file: string | undefined): string | undefined {
  if (file !== undefined) return passphraseOfFile(file);
  const given = process.env[PASSPHRASE_VARIABLE];
  return given === undefined || given === '' ? undefined : checkPassphrase(given, PASSPHRASE_VARIABLE);
}

/** As givenPassphrase, else from a prompt when there is a terminal; undefined: from nowhere. */
export async function findPassphrase(
  file: string | undefined,
  prompt: string,
  isNew: boolean,
): Promise<string | undefined> {
  const given = givenPassphrase(file);
  if (given !== undefined || !hasTerminal()) return given;
  return promptPassphrase(prompt, isNew);
}

/**
 * From the file, else from a prompt, twice. Not from the environment: that is where the old one may be.
 * INVALID: there is neither.
 */
export async function findNewPassphrase(file: string | undefined, prompt: string): Promise<string> {
  if (file !== undefined) return passphraseOfFile(file);
  if (hasTerminal()) return promptPassphrase(prompt, true);
  throw new StoreError('INVALID', 'no new passphrase: give --new-passphrase-file or a terminal');
}

function hasTerminal(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

async function promptPassphrase(prompt: string, isNew: boolean): Promise<string> {
  const first = checkPassphrase(await ask(prompt), 'the prompt');
  if (isNew && (await ask('The same again: ')) !== first) {
    throw new StoreError('INVALID', 'the two passphrases differ');
  }
  return first;
}

/** Reads a line without showing it. */
function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_bytes, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  return new Promise((resolve, reject) => {
    lines.on('SIGINT', () => {
      lines.close();
      reject(new StoreError('CANCELLED', 'no passphrase was given'));
    });
    lines.question('', answer => {
      lines.close();
      process.stderr.write('\n');
      resolve(answer);
    });
  });
}
