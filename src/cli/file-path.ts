/** CONTAINER/PATH as commands take it, and the address of the file it names. */
import { StoreError } from '../base/errors.js';

export interface FilePath {
  readonly container: string;
  /** May hold any byte but NUL, slashes and '..' included: it is a name, not a path of this machine. */
  readonly path: string;
}

/** Splits at the first slash. INVALID without a container or, unless `mayBeEmpty`, without a path. */
export function parseFilePath(text: string, mayBeEmpty = false): FilePath {
  const slash = text.indexOf('/');
  const container = slash < 0 ? text : text.slice(0, slash);
  const path = slash < 0 ? '' : text.slice(slash + 1);
  if (container === '' || (path === '' && !mayBeEmpty)) {
    throw new StoreError('INVALID', `not a file's name: '${text}' (wanted CONTAINER/PATH)`);
  }
  // What the shell gave was not UTF-8: Node has replaced it, and the name stored would be another one.
  if (text.includes('\ufffd')) throw new StoreError('INVALID', `the name '${text}' is not valid UTF-8`);
  return { container, path };
}

export function containerUrl(container: string): string {
  return `/api/v1/containers/${encodeURIComponent(container)}`;
}

export function fileUrl({ container, path }: FilePath): string {
  return `${containerUrl(container)}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
}
