/**
 * A sample of the corpus's first generation for the stage benches: stretches from all its files, in
 * proportion, so that a stage meets text, pages, images and media as often as the flow does.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Corpus } from './corpus.js';

const STRETCH_SIZE = 2 ** 20;

/** Shared memory, as slabs are. */
export function readSample(corpus: Corpus, size: number): Uint8Array {
  const generation = corpus.content[0]!;
  const sample = new Uint8Array(new SharedArrayBuffer(size));
  let filled = 0;
  for (const [index, file] of generation.files.entries()) {
    const isLast = index === generation.files.length - 1;
    const share = isLast ? size - filled : Math.floor((size * file.size) / generation.size);
    const path = join(corpus.directory, generation.name, file.name);
    filled += readSpread(path, file.size, sample.subarray(filled, filled + share));
  }
  return sample.subarray(0, filled);
}

/** Fills `target` with stretches that are spread evenly over the file; returns how much there was. */
function readSpread(path: string, fileSize: number, target: Uint8Array): number {
  const descriptor = openSync(path, 'r');
  const wanted = Math.min(target.length, fileSize);
  const step = (fileSize * STRETCH_SIZE) / Math.max(wanted, 1);
  let done = 0;
  for (let at = 0; done < wanted && at < fileSize; at += step) {
    done += readSync(descriptor, target, done, Math.min(STRETCH_SIZE, wanted - done), Math.floor(at));
  }
  closeSync(descriptor);
  return done;
}
