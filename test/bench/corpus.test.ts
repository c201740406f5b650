/** The corpus of the benches: figures of two runs can be compared only if their input is the same. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Corpus, type CorpusGeneration, makeCorpus, readCorpus } from '../../bench/corpus.js';

const SCALE = 0.005;
/** One position in 512 is a cut. */
const CUT_SHIFT = 23;
const PIECE_SIZE_MIN = 256;

const scratch = mkdtempSync(join(tmpdir(), 'granary-corpus-'));
const ignore = () => undefined;
let corpus: Corpus;

function make(name: string, seed: number): Corpus {
  return makeCorpus({ directory: join(scratch, name), seed, scale: SCALE, generations: 3 }, ignore);
}

const hashes = (of: Corpus): string[] =>
  of.content.flatMap(generation => generation.files.map(file => file.sha256));

/** Pieces cut where the last 32 bytes say so: what is put in moves no cut elsewhere. */
function pieces(bytes: Buffer): string[] {
  const found: string[] = [];
  let start = 0;
  let window = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    window = (window << 1) + Math.imul(bytes[at]! + 1, 0x2c1b3c6d);
    if (window >>> CUT_SHIFT === 0 && at - start >= PIECE_SIZE_MIN) {
      found.push(bytes.toString('latin1', start, at));
      start = at;
    }
  }
  return [...found, bytes.toString('latin1', start)];
}

function read(of: Corpus, generation: CorpusGeneration): Buffer {
  return Buffer.concat(
    generation.files.map(file => readFileSync(join(of.directory, generation.name, file.name))),
  );
}

beforeAll(() => {
  corpus = make('one', 7);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('the same seed gives the same bytes', () => {
  expect(hashes(make('two', 7))).toEqual(hashes(corpus));
});

test('another seed gives other bytes', () => {
  const other = hashes(make('three', 8));
  for (const [i, hash] of hashes(corpus).entries()) expect(other[i]).not.toBe(hash);
});

test('nine tenths of a generation stand in the one before', () => {
  for (const [i, generation] of corpus.content.entries()) {
    if (i === 0) continue;
    const before = new Set(pieces(read(corpus, corpus.content[i - 1]!)));
    let shared = 0;
    for (const piece of pieces(read(corpus, generation))) shared += before.has(piece) ? piece.length : 0;
    expect(shared / generation.size).toBeGreaterThan(0.9);
    expect(shared / generation.size).toBeLessThan(1);
  }
});

test('the manifest has the sizes of the files', () => {
  for (const generation of corpus.content) {
    expect(read(corpus, generation)).toHaveLength(generation.size);
  }
});

test('a complete corpus is used again, and one of other parameters is not', () => {
  const parameters = { directory: corpus.directory, seed: 7, scale: SCALE, generations: 3 };
  expect(readCorpus(parameters)).toMatchObject({ content: corpus.content });
  expect(readCorpus({ ...parameters, seed: 8 })).toBeUndefined();
  expect(readCorpus({ ...parameters, generations: 4 })).toBeUndefined();
});

test('a corpus with a file cut short is not used', () => {
  const damaged = make('damaged', 7);
  const file = damaged.content[0]!.files[0]!;
  rmSync(join(damaged.directory, 'gen1', file.name));
  expect(readCorpus({ directory: damaged.directory, seed: 7, scale: SCALE, generations: 3 })).toBeUndefined();
});
