/**
 * granary inspect: any file we write as JSON, from the decoders that recovery uses. It reads only: no lock,
 * no repair, so it may be pointed at a running server's files. With the passphrase the sealed parts are
 * opened.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { StoreError } from '../base/errors.js';
import { type KeyringParameters, LockedKeyring } from '../keys/keyring.js';
import { StateFile } from '../keys/state-file.js';
import { type Binding, binding, type DataKey } from '../native/binding.js';

const REAL_DISK = 0;
const STATE_FILE = /^(keyring|system|cleaner|scrub)\.[ab]$/;

type ReadingLane = KeyringParameters['lane'];

interface Keys {
  readonly dataKeys: readonly DataKey[];
  readonly logKey?: Uint8Array;
}

/** The file as JSON text with a newline. NOT_FOUND, CORRUPT, DENIED (the passphrase does not fit). */
export async function inspectText(file: string, passphrase: string | undefined): Promise<string> {
  const path = resolve(file);
  if (!existsSync(path)) throw new StoreError('NOT_FOUND', `there is no file ${file}`);
  if (STATE_FILE.test(basename(path))) return jsonText(await readStateFile(path));
  const keys = passphrase === undefined ? { dataKeys: [] } : await openKeys(path, passphrase);
  return jsonText(JSON.parse(binding().inspectFile(path, keys.dataKeys, keys.logKey)));
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Calls the addon on this thread, and turns every write away: what reads with it repairs nothing. */
function readingLane(mayRead: (path: string) => boolean): ReadingLane {
  const addon = binding();
  const call = async (verb: keyof Binding, ...parameters: unknown[]): Promise<unknown> => {
    if (verb === 'replaceFile') return undefined;
    const [path] = parameters as [string];
    if (verb !== 'readSmallFile') throw new StoreError('UNSUPPORTED', `inspect does not ${verb}`);
    if (!mayRead(path)) throw new StoreError('NOT_FOUND', `${path} is not looked at`);
    return addon.readSmallFile(...(parameters as Parameters<Binding['readSmallFile']>));
  };
  return { call: call as ReadingLane['call'] };
}

/** This very copy, its checksum checked. */
async function readStateFile(path: string): Promise<object> {
  const name = basename(path).slice(0, -2);
  const file = new StateFile<object>({
    lane: readingLane(candidate => candidate === path),
    disk: REAL_DISK,
    path: path.slice(0, -2),
    format: `granary ${name}`,
    parse: content => content as object,
  });
  const content = await file.read(false);
  return { format: `granary ${name}`, generation: file.generation, ...withoutSecrets(content) };
}

/**
 * A group that is not encrypted keeps its root key in the clear; it need not get into a terminal's history.
 */
function withoutSecrets(content: object): object {
  const hide = (key: string, value: unknown) => (key === 'rootKey' ? '(not shown)' : value);
  return JSON.parse(JSON.stringify(content, hide)) as object;
}

async function openKeys(path: string, passphrase: string): Promise<Keys> {
  const directory = groupDirectory(path);
  const probe = binding().probeGroup(directory, REAL_DISK);
  const locked = await LockedKeyring.read({
    lane: readingLane(() => true),
    disk: REAL_DISK,
    directory,
    storeId: probe.storeId,
    clock: SYSTEM_CLOCK,
  });
  if (!locked.isEncrypted) return { dataKeys: [] };
  const keyring = await locked.open({ passphrase });
  return { dataKeys: keyring.dataKeys, logKey: keyring.ring.logKey };
}

/** The storage group's directory that the file lies in. */
function groupDirectory(path: string): string {
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) {
    if (existsSync(join(at, 'keyring.a')) || existsSync(join(at, 'keyring.b'))) return at;
  }
  throw new StoreError('NOT_FOUND', `no keyring above ${path}: it lies in no storage group`);
}
