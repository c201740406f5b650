/**
 * A second checkout, build-mutants/tree, in which one line of the sources is wrong at a time. Sources are
 * copied where they differ, so that a build of the addon there repeats only what a mutant touches. Nothing of
 * it is in the code that runs in production.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Change } from './mutants.js';

const ROOT = process.cwd();
export const TREE = join(ROOT, 'build-mutants', 'tree');
const COPIED = ['src', 'native', 'test', 'bench', 'bin'];
const COPIED_FILES =
  /^(package\.json|CMakeLists\.txt|tsconfig.*\.json|vitest.*\.ts|README\.md|biome\.json|binding\.gyp)$/;

/** Makes the tree as the checkout is now, without any mutant. */
export function prepareTree(): void {
  mkdirSync(TREE, { recursive: true });
  for (const folder of COPIED) copyChanged(folder);
  for (const name of readdirSync(ROOT).filter(file => COPIED_FILES.test(file))) copyChanged(name);
  if (!existsSync(join(TREE, 'node_modules')))
    symlinkSync(join(ROOT, 'node_modules'), join(TREE, 'node_modules'));
}

function copyChanged(path: string): void {
  const from = join(ROOT, path);
  const to = join(TREE, path);
  if (statSync(from).isDirectory()) {
    mkdirSync(to, { recursive: true });
    const names = new Set(readdirSync(from));
    for (const name of readdirSync(to)) if (!names.has(name)) rmSync(join(to, name), { recursive: true });
    for (const name of names) copyChanged(join(path, name));
    return;
  }
  const isSame = existsSync(to) && readFileSync(to).equals(readFileSync(from));
  if (!isSame) cpSync(from, to);
}

/** Which addon the tree's tests load: the checkout's own, or one that is built here. */
export function useAddon(isMutated: boolean): void {
  const place = join(TREE, 'build-native');
  const own = join(TREE, 'build-own');
  rmSync(place, { recursive: true, force: true });
  symlinkSync(isMutated ? own : join(ROOT, 'build-native'), place);
  if (!isMutated) return;
  // cmake-js configures once, ninja repeats what has changed.
  const built = existsSync(join(own, 'build.ninja'))
    ? run('ninja', ['-C', own])
    : run(join(ROOT, 'node_modules/.bin/cmake-js'), ['build', '--out', own]);
  if (built.status !== 0) throw new Error(`the mutated addon does not build:\n${built.output.slice(-2000)}`);
}

/** Makes the change, runs `action`, and takes it back. The place has to be there exactly once. */
export function withChange<T>({ file, find, replace }: Change, action: () => T): T {
  const path = join(TREE, file);
  const text = readFileSync(path, 'utf8');
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`${count} places in ${file} instead of one: ${find}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
  try {
    return action();
  } finally {
    writeFileSync(path, text);
  }
}

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

export function run(command: string, parameters: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(command, parameters, {
    cwd: TREE,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, GRANARY_REPORT: '', GRANARY_SEED: '' },
  });
  return { status, output: `${stdout}${stderr}` };
}
