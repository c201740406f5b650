/**
 * The data directory as `serve` and `rebuild` find it: made at the very first start only, never in the place of one that is
 * missing because its volume is not mounted, and never inside somebody else's files.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from '../base/errors.js';

/** Any of these says that the directory is ours. */
const OURS = ['system.a', 'system.b'];
export const LOCK_FILE = 'lock';
/** A new file system has it; a start that died before the first write leaves the lock. */
const MAY_BE_THERE = new Set(['lost+found', LOCK_FILE]);

export type DataDirectoryState = 'new' | 'ours';

/** What lies at `path`. NOT_FOUND: nothing, and its parent is missing, too; INVALID: files that are not ours. */
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
    `${path} holds files that are not a Granary's (${names[0]}, …): give an empty directory or one that does not exist`,
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

/** Makes the directory for its owner alone; its parent exists. */
export function makeDataDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** ` by pid 123`, as the lock's holder has written it, or ''. */
export function lockHolder(path: string): string {
  try {
    const pid = /^\d+/.exec(readFileSync(join(path, LOCK_FILE), 'utf8'))?.[0];
    return pid === undefined ? '' : ` by pid ${pid}`;
  } catch {
    // The lock's content is a courtesy; the lock itself is what counts.
    return '';
  }
}
