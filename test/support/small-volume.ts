/**
 * A volume that is soon full: ext4 on a small image where a loop device is to be had, else a small tmpfs.
 * Both need root.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;

function run(program: string, ...parameters: string[]): void {
  execFileSync(program, parameters, { stdio: 'pipe' });
}

export class SmallVolume {
  readonly #folder: string;
  readonly mount: string;

  constructor(size: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'granary-full-'));
    this.mount = join(this.#folder, 'volume');
    mkdirSync(this.mount);
    const image = join(this.#folder, 'image');
    const file = openSync(image, 'w');
    ftruncateSync(file, size);
    closeSync(file);
    try {
      run('mkfs.ext4', '-q', '-F', '-m', '0', image);
      run('mount', '-o', 'loop', image, this.mount);
    } catch {
      // No loop device here.
      run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'granary-test', this.mount);
    }
  }

  /** Writes whatever there is room for, as somebody else on the volume would. */
  fill(name: string): void {
    const file = openSync(join(this.mount, name), 'w');
    try {
      for (let size = MIB; size >= 4096; ) {
        try {
          writeFileSync(file, Buffer.alloc(size, 1));
        } catch {
          size /= 2;
        }
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  close(): void {
    run('umount', this.mount);
    rmSync(this.#folder, { recursive: true });
  }
}
