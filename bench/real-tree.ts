/**
 * Generations of a real tree as tar archives: the second and third leave out some of the first's files, bring
 * edited ones and further real directories, and have a subtree renamed. The same machine gives the same
 * bytes.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Of the files, in the order of their names: each so many-th is left out, or edited. */
const DROP_DISTANCE = 71;
const EDIT_DISTANCE = 47;
const EDIT_SIZE_MAX = 4e6;
const EDIT_TIME_SECONDS = 1_700_000_000;
/** Real files that come with the second and the third generation. */
const ADDITIONS = ['/etc', '/var/lib/dpkg'];
const RENAMED = ['usr/share/doc', 'usr/share/locale'];

export interface TreeGeneration {
  /** Arguments of a tar that writes the archive to stdout; the same bytes each time. */
  readonly tarArguments: readonly string[];
  readonly fileCount: number;
}

/** Children of the root, those of its `lib` one by one, in the order of names, as long as they fit. */
export function pickSubtrees(root: string, sizeMax: number): string[] {
  const children = (directory: string) =>
    existsSync(directory)
      ? readdirSync(directory)
          .sort()
          .map(name => join(directory, name))
      : [];
  const candidates = [
    ...children(root).filter(path => path !== join(root, 'lib')),
    ...children(join(root, 'lib')),
  ];
  const picked: string[] = [];
  let size = 0;
  for (const path of candidates) {
    const status = lstatSync(path);
    if (status.isSymbolicLink()) continue;
    const usage = status.isDirectory() ? diskUsageOf(path) : status.size;
    if (size + usage > sizeMax) continue;
    size += usage;
    picked.push(path);
  }
  return picked;
}

/** Bytes of files: a tree that is not ours may have dangling links and closed directories. */
function diskUsageOf(directory: string): number {
  return listFiles(directory).reduce((total, path) => total + lstatSync(path).size, 0);
}

/** Regular files and links below a directory, in the order of their paths. */
function listFiles(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    // A directory that this user may not read is no part of the input.
    return [];
  }
  return names.flatMap(name => {
    const path = join(directory, name);
    const status = lstatSync(path);
    if (status.isDirectory()) return listFiles(path);
    return status.isFile() || status.isSymbolicLink() ? [path] : [];
  });
}

/** An edited copy: a line put in at a third, another at the end. */
function writeEdited(path: string, staging: string, generation: number): void {
  const content = readFileSync(path);
  const at = Math.floor(content.length / 3);
  const line = Buffer.from(`\nedited for generation ${generation}: ${path}\n`);
  const target = join(staging, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, Buffer.concat([content.subarray(0, at), line, content.subarray(at), line]));
  const time = EDIT_TIME_SECONDS + generation;
  utimesSync(target, time, time);
}

function isEditable(path: string): boolean {
  const status = lstatSync(path);
  return status.isFile() && status.size > 0 && status.size < EDIT_SIZE_MAX;
}

function writeList(path: string, files: readonly string[], base: string): void {
  writeFileSync(path, `${files.map(file => relative(base, file)).join('\0')}\0`);
}

/** Generation 1 is the tree as it is; `directory` takes lists and edited copies. */
export function makeTreeGeneration(
  subtrees: readonly string[],
  directory: string,
  generation: number,
): TreeGeneration {
  mkdirSync(directory, { recursive: true });
  const files = subtrees.flatMap(path => (lstatSync(path).isDirectory() ? listFiles(path) : [path]));
  const offset = generation * 13;
  const isDropped = (index: number) => generation > 1 && (index + offset) % DROP_DISTANCE === 0;
  const isEdited = (path: string, index: number) =>
    generation > 1 && !isDropped(index) && (index + offset) % EDIT_DISTANCE === 0 && isEditable(path);
  const edited = files.filter(isEdited);
  const kept = files.filter((path, index) => !isDropped(index) && !isEdited(path, index));
  const added = ADDITIONS.slice(0, generation - 1)
    .filter(existsSync)
    .flatMap(listFiles);
  const staging = join(directory, 'edited');
  mkdirSync(staging, { recursive: true });
  for (const path of edited) writeEdited(path, staging, generation);
  writeList(join(directory, 'kept'), [...kept, ...added], '/');
  writeList(join(directory, 'edited-list'), edited, '/');
  const renames = RENAMED.slice(0, generation - 1).map(
    path => `--transform=s,^${path}/,${path}-${generation}/,`,
  );
  return {
    tarArguments: [
      ...[
        '--create',
        '--ignore-failed-read',
        '--warning=no-failed-read',
        '--no-recursion',
        '--null',
        ...renames,
      ],
      ...['--directory=/', `--files-from=${join(directory, 'kept')}`],
      ...[`--directory=${staging}`, `--files-from=${join(directory, 'edited-list')}`],
    ],
    fileCount: kept.length + edited.length + added.length,
  };
}
