/**
 * The data directory as `serve` and `rebuild` find it: made at the very first start only, never in the place
 * of one that is missing because its volume is not mounted, and never inside somebody else's files.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode, StoreError } from '../base/errors.js';
import type { Lane } from '../workers/pool.js';
import { SERVER_FILE, type ServerFile, TOKEN_FILE } from './connection.js';

/** Any of these says that the directory is ours. */
const OURS = ['system.a', 'system.b'];
export const LOCK_FILE = 'lock';
/** A new file system has it; a start that died before the first write leaves the lock. */
const MAY_BE_THERE = new Set(['lost+found', LOCK_FILE]);

export type DataDirectoryState = 'new' | 'ours';

/**
 * What lies at `path`. NOT_FOUND: nothing, and its parent is missing, too; INVALID: files that are not ours.
 */
export function examineDataDirectory(path: string): DataDirectoryState {
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (thrown) {
    return examineMissing(path, thrown as NodeJS.ErrnoException);
  }
  if (names.some(name => OURS.includes(name))) return 'ours';
  if (names.every(name => MAY_BE_THERE.has(name))) return 'new';
  throw new StoreError(
    'INVALID',
    `${path} holds files that are not a Granary's (${names[0]}, …): give an empty or a new directory`,
  );
}

function examineMissing(path: string, cause: NodeJS.ErrnoException): DataDirectoryState {
  if (cause.code !== 'ENOENT') {
    throw new StoreError('INVALID', `the data directory ${path} cannot be read: ${cause.message}`, { cause });
  }
  try {
    readdirSync(dirname(path));
  } catch {
    // Neither is its parent: a volume that is not mounted, or a slip of the pen.
    throw new StoreError(
      'NOT_FOUND',
      `the data directory ${path} cannot be made: ${dirname(path)} does not exist`,
    );
  }
  return 'new';
}

export interface DataDirectory {
  /** Durable, readable for its owner alone (mode 0600): the administrator's token. */
  writeToken(token: string): Promise<void>;
  /** Tells commands on this machine where the server is. */
  publish(server: ServerFile): Promise<void>;
  /** Ends the lock. */
  release(): Promise<void>;
}

const REAL_DISK = 0;

/** Makes the directory at the first start, locks it, and says who has it when it is in use (BUSY). */
export async function openDataDirectory(lane: Lane, path: string): Promise<DataDirectory> {
  if (examineDataDirectory(path) === 'new') mkdirSync(path, { recursive: true, mode: 0o700 });
  const lockPath = join(path, LOCK_FILE);
  let lock: number;
  try {
    lock = await lane.call('lockFile', lockPath, REAL_DISK);
  } catch (cause) {
    if (!hasCode(cause, 'BUSY')) throw cause;
    throw new StoreError('BUSY', `${path} is already in use${lockHolder(lockPath)}`, { cause });
  }
  // The same file, not a new one under its name: the lock is the file's.
  writeFileSync(lockPath, `${process.pid}\n`);
  const write = (name: string, text: string) =>
    lane.call('replaceFile', join(path, name), Buffer.from(text), REAL_DISK);
  return {
    writeToken: token => write(TOKEN_FILE, `${token}\n`),
    publish: server => write(SERVER_FILE, `${JSON.stringify(server)}\n`),
    async release() {
      writeFileSync(lockPath, '');
      await lane.call('unlockFile', lock);
    },
  };
}

/** ` by pid 123`, as the lock's holder has written it, or ''. */
function lockHolder(lockPath: string): string {
  try {
    const pid = /^\d+/.exec(readFileSync(lockPath, 'utf8'))?.[0];
    return pid === undefined ? '' : ` by pid ${pid}`;
  } catch {
    // The content is a courtesy; the lock itself is what counts.
    return '';
  }
}
