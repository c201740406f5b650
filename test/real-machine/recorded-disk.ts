/**
 * A disk of the real machine whose writes and flushes are recorded: the FUSE program recorder.cc, a loop
 * device over its one file, and ext4 or xfs on that. The record lies in memory where there is a tmpfs.
 * Needs root; reasonAgainst() says what else is missing. Mounts, loop devices and processes made here end
 * with close(), and with the process in any case; what a killed process has left is removed by the next.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../support/sources.js';

export const FILE_SYSTEMS = ['ext4', 'xfs'] as const;
export type FileSystemName = (typeof FILE_SYSTEMS)[number];

const MIB = 2 ** 20;
/** Sparse. xfs wants 300 MiB at least. */
const DISK_SIZES: Readonly<Record<FileSystemName, number>> = { ext4: 128 * MIB, xfs: 320 * MIB };
const MAKE: Readonly<Record<FileSystemName, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-m', '0', '-E', 'nodiscard,lazy_itable_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f', '-K'],
};
const MEMORY = '/dev/shm';
const PREFIX = 'granary-blocks-';
const START_TRIES = 200;
const START_PAUSE_MS = 10;

/** Why this machine cannot record (the program is built on the way), or undefined. */
export function reasonAgainst(): string | undefined {
  const build = spawnSync('sh', [join(ROOT, 'test/real-machine/build')], { encoding: 'utf8' });
  if (build.status === 0) return undefined;
  if (build.status === 3) return build.stderr.trim().split('\n').at(-1);
  throw new Error(`the block recorder does not build: ${build.stderr}`);
}

function run(program: string, ...parameters: readonly string[]): string {
  return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** What ends a process of tests before its time; 'disconnect': whoever started it is gone. */
const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const;

/** Actions that undo what was made, the last first; run once, at the latest when the process ends. */
class Undoing {
  readonly #actions: (() => void)[] = [];
  readonly #atExit = () => this.run();
  readonly #end = () => process.exit(1);

  constructor() {
    process.once('exit', this.#atExit);
    for (const ending of ENDINGS) process.once(ending as NodeJS.Signals, this.#end);
  }

  add(action: () => void): void {
    this.#actions.push(action);
  }

  run(): void {
    process.off('exit', this.#atExit);
    for (const ending of ENDINGS) process.off(ending, this.#end);
    const failures: unknown[] = [];
    for (let action = this.#actions.pop(); action !== undefined; action = this.#actions.pop()) {
      try {
        action();
      } catch (thrown) {
        failures.push(thrown);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
  }
}

/** A folder in memory of this process; what processes that are gone have left there is removed. */
function makeFolder(): string {
  const parent = existsSync(MEMORY) ? MEMORY : tmpdir();
  for (const name of readdirSync(parent).filter(found => found.startsWith(PREFIX))) {
    if (!existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`)) removeRemains(join(parent, name));
  }
  return mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
}

/** File systems first, then the loop devices below them, then what those lie on. */
function removeRemains(folder: string): void {
  const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
  const mounts = lines.map(line => line.split(' ')).filter(([, path]) => path?.startsWith(`${folder}/`));
  const unmount = (isFuse: boolean) => {
    for (const [, path, type] of mounts) {
      if (type!.startsWith('fuse') === isFuse) spawnSync('umount', ['--lazy', path!]);
    }
  };
  unmount(false);
  for (const device of run('losetup', '--noheadings', '-O', 'NAME,BACK-FILE').split('\n')) {
    const [loop, file] = device.trim().split(/\s+/);
    if (file?.startsWith(`${folder}/`)) spawnSync('losetup', ['-d', loop!]);
  }
  unmount(true);
  spawnSync('rm', ['-rf', '--one-file-system', folder]);
}

export class RecordedDisk {
  readonly size: number;
  readonly fileSystem: FileSystemName;
  /** Where the file system is mounted. */
  readonly mount: string;
  readonly recordFile: string;
  /** For crash images: in memory, removed with the rest. */
  readonly folder: string;
  readonly #undoing: Undoing;
  #isMounted = false;

  private constructor(fileSystem: FileSystemName, folder: string, undoing: Undoing) {
    this.fileSystem = fileSystem;
    this.size = DISK_SIZES[fileSystem];
    this.folder = folder;
    this.mount = join(folder, 'recorded');
    this.recordFile = join(folder, 'record');
    this.#undoing = undoing;
  }

  static async start(fileSystem: FileSystemName): Promise<RecordedDisk> {
    const undoing = new Undoing();
    const folder = makeFolder();
    undoing.add(() => rmSync(folder, { recursive: true }));
    const disk = new RecordedDisk(fileSystem, folder, undoing);
    try {
      await disk.#startRecorder();
      return disk;
    } catch (thrown) {
      undoing.run();
      throw thrown;
    }
  }

  async #startRecorder(): Promise<void> {
    const { folder, size, recordFile, fileSystem } = this;
    const fuse = join(folder, 'fuse');
    mkdirSync(fuse);
    mkdirSync(this.mount);
    const program = join(ROOT, 'build-real-machine/block_recorder');
    const recorder = spawn(program, [String(size), recordFile, fuse], { stdio: 'ignore', detached: true });
    this.#undoing.add(() => void recorder.kill());
    const image = join(fuse, 'disk.img');
    await untilThere(image, recorder);
    this.#undoing.add(() => run('umount', fuse));
    const [make, ...flags] = MAKE[fileSystem];
    run(make!, ...flags, image);
    const loop = run('losetup', '--show', '-f', '--direct-io=on', image);
    this.#undoing.add(() => run('losetup', '-d', loop));
    run('mount', '-t', fileSystem, loop, this.mount);
    this.#isMounted = true;
    this.#undoing.add(() => this.unmount());
  }

  /** How much the record holds now: what is in a crash at this moment can be built from so much of it. */
  position(): number {
    return statSync(this.recordFile).size;
  }

  /** The file system is left; the record stays. */
  unmount(): void {
    if (!this.#isMounted) return;
    this.#isMounted = false;
    run('umount', this.mount);
  }

  close(): void {
    this.#undoing.run();
  }
}

async function untilThere(path: string, program: ChildProcess): Promise<void> {
  const ended = once(program, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
  ended.catch(() => undefined);
  for (let tries = 0; tries < START_TRIES; tries += 1) {
    if (existsSync(path)) return;
    await Promise.race([pause(START_PAUSE_MS), ended]);
  }
  throw new Error(`${path} does not appear`);
}

/** A store that could not be opened may hold files a moment longer: then the kernel unmounts behind them. */
function unmountSoon(mount: string): void {
  if (spawnSync('umount', [mount]).status !== 0) run('umount', '--lazy', mount);
}

/** A disk image as a mounted file system, for as long as `use` takes. */
export async function withMounted<T>(
  image: string,
  fileSystem: FileSystemName,
  use: (mount: string) => Promise<T>,
): Promise<T> {
  const undoing = new Undoing();
  const mount = `${image}.mount`;
  mkdirSync(mount, { recursive: true });
  run('mount', '-t', fileSystem, '-o', 'loop', image, mount);
  undoing.add(() => unmountSoon(mount));
  try {
    return await use(mount);
  } finally {
    undoing.run();
  }
}
