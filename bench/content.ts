/**
 * Content that compresses and repeats as backups do: source code, prose, database pages, SQL rows, program
 * code, logs, media. Each flavour draws tokens from a dictionary of its own with Zipf's frequencies, half of
 * them from a small part that is local to the piece (a file speaks of its own names), broken by numbers. Made
 * from seeds alone, so that the bytes are the same on every machine. The shares below were set so that lz4
 * and zstd reach what they reach on real trees.
 */
import { deriveSeed, Random } from './random.js';

export type Flavour = 'source' | 'prose' | 'sql' | 'page' | 'program' | 'log' | 'media' | 'zero';

interface Dictionary {
  /** All tokens, one behind the other; token i is flat[starts[i], starts[i + 1]). */
  readonly flat: Uint8Array;
  readonly starts: Uint32Array;
  /** 65536 draws of a token, by frequency. */
  readonly picks: Uint16Array;
}

interface Style {
  readonly dictionary: Dictionary;
  /** Of 256 draws, how many come from the piece's local tokens, and how many are followed by noise. */
  readonly localOf256: number;
  readonly noiseOf256: number;
  /**
   * Of 256 draws, how many repeat a stretch that stands shortly before, as copied lines and similar rows do.
   */
  readonly repeatOf256: number;
  readonly noise: (target: Uint8Array, at: number, random: Random) => number;
}

const PICK_COUNT = 65_536;
const LOCAL_COUNT = 64;
const NOISE_SIZE_MAX = 16;
const REPEAT_SIZE_MIN = 16;
const REPEAT_DISTANCE_MAX = 16_384;
const DICTIONARY_SEED = 0x6772616e;
const HEX = new TextEncoder().encode('0123456789abcdef');
const SYLLABLES = (
  'ba con de er fi gra han in jo ka lo men ni or pe qua re sta ti un ve ' + 'wor xi ya zu tion ing al ex sub'
).split(' ');
const CODE_WORDS = (
  'if (|) {\n    |return |;\n|const |static |struct |int |->|, |(|);\n    |' +
  '} else {\n        |for (|NULL|== |= |#include <|' +
  '*/\n|/* |void |unsigned long |sizeof(|break;\n        |case |' +
  'self.|def |import |    |\n\n|true|false|0x|std::|&&|[|]|"|\n        '
).split('|');
const PROSE_WORDS = (
  ' the | of | and | to | in | is | for | that |, |. |.\n| be | with |' +
  ' as | on | by | or | not |\n\n|(|)| it | are '
).split('|');
const SQL_WORDS = (
  `','|',|);\nINSERT INTO orders VALUES (|@example.org|Street |2023-|NULL|, '|` +
  'pending|shipped|00:00:00|.00|, '
).split('|');
const LOG_WORDS = (
  ' INFO | WARN |GET /api/v1/| 200 |HTTP/1.1" |[worker-|] |request_id=|' +
  'duration_ms=|\n2023-11-|T12:|: connection from 10.0.|user='
).split('|');

/** Pseudo-words of two to four syllables, the frequent ones first, as they stand in every language. */
function inventWords(random: Random, count: number, joiner: string): string[] {
  const words: string[] = [];
  for (let i = 0; i < count; i += 1) {
    let word = '';
    const syllables = 1 + random.below(i < count / 8 ? 2 : 4);
    for (let part = 0; part < syllables; part += 1) word += SYLLABLES[random.below(SYLLABLES.length)]!;
    words.push(joiner === '_' && random.below(3) === 0 ? `${word}_` : word + (joiner === ' ' ? ' ' : ''));
  }
  return words;
}

function buildDictionary(tokens: readonly Uint8Array[], random: Random): Dictionary {
  const starts = new Uint32Array(tokens.length + 1);
  tokens.forEach((token, i) => {
    starts[i + 1] = starts[i]! + token.length;
  });
  const flat = new Uint8Array(starts[tokens.length]! + 1);
  tokens.forEach((token, i) => {
    flat.set(token, starts[i]!);
  });
  const picks = new Uint16Array(PICK_COUNT);
  // Zipf with exponent 1: the rank is uniform in the logarithm.
  for (let i = 0; i < PICK_COUNT; i += 1) picks[i] = Math.floor(tokens.length ** random.unit()) - 1;
  return { flat, starts, picks };
}

function textDictionary(name: string, fixed: readonly string[], count: number, joiner: string): Dictionary {
  const random = new Random(deriveSeed(DICTIONARY_SEED, name));
  const encoder = new TextEncoder();
  const words = [...fixed, ...inventWords(random, count, joiner)];
  return buildDictionary(
    words.map(word => encoder.encode(word)),
    random,
  );
}

/** Instructions: short byte strings, the frequent ones shorter. */
function programDictionary(): Dictionary {
  const random = new Random(deriveSeed(DICTIONARY_SEED, 'program'));
  const tokens: Uint8Array[] = [];
  for (let i = 0; i < 4096; i += 1) {
    const token = new Uint8Array(random.between(2, i < 256 ? 5 : 11));
    token.forEach((_, at) => {
      token[at] = random.below(4) === 0 ? 0 : random.u32() & 0xff;
    });
    tokens.push(token);
  }
  return buildDictionary(tokens, random);
}

function decimalNoise(target: Uint8Array, at: number, random: Random): number {
  const bits = random.u32();
  const size = 1 + (bits & 7);
  for (let i = 0; i < size; i += 1) {
    target[at + i] = 0x30 + ((bits >>> (3 * i + 3)) & 7);
  }
  return size;
}

function hexNoise(target: Uint8Array, at: number, random: Random): number {
  const bits = random.u32();
  for (let i = 0; i < 8; i += 1) target[at + i] = HEX[(bits >>> (4 * i)) & 15]!;
  return 8;
}

function binaryNoise(target: Uint8Array, at: number, random: Random): number {
  const bits = random.u32();
  target[at] = bits;
  target[at + 1] = bits >>> 8;
  target[at + 2] = bits >>> 16;
  target[at + 3] = 0;
  return 4;
}

let styles: Readonly<Record<string, Style>> | undefined;

function styleOf(flavour: Flavour): Style {
  styles ??= {
    source: {
      dictionary: textDictionary('source', CODE_WORDS, 6000, '_'),
      localOf256: 170,
      noiseOf256: 8,
      repeatOf256: 18,
      noise: decimalNoise,
    },
    prose: {
      dictionary: textDictionary('prose', PROSE_WORDS, 12_000, ' '),
      localOf256: 130,
      noiseOf256: 3,
      repeatOf256: 13,
      noise: decimalNoise,
    },
    sql: {
      dictionary: textDictionary('sql', SQL_WORDS, 3000, ' '),
      localOf256: 110,
      noiseOf256: 50,
      repeatOf256: 13,
      noise: decimalNoise,
    },
    page: {
      dictionary: textDictionary('page', [], 4000, ' '),
      localOf256: 130,
      noiseOf256: 36,
      repeatOf256: 13,
      noise: binaryNoise,
    },
    program: {
      dictionary: programDictionary(),
      localOf256: 90,
      noiseOf256: 24,
      repeatOf256: 10,
      noise: binaryNoise,
    },
    log: {
      dictionary: textDictionary('log', LOG_WORDS, 500, ' '),
      localOf256: 150,
      noiseOf256: 36,
      repeatOf256: 7,
      noise: hexNoise,
    },
  };
  return styles[flavour]!;
}

/** Copies 16 to 79 bytes from up to 16 KiB before `at`; returns where it ends. */
function repeatBefore(target: Uint8Array, at: number, bits: number): number {
  const distance = Math.min(at, REPEAT_SIZE_MIN + ((bits >>> 6) % REPEAT_DISTANCE_MAX));
  const end = at + REPEAT_SIZE_MIN + (bits & 63);
  for (let to = at; to < end; to += 1) target[to] = target[to - distance]!;
  return end;
}

function fillTokens(style: Style, random: Random, target: Uint8Array): void {
  const { flat, starts, picks } = style.dictionary;
  const localAt = random.below(PICK_COUNT - LOCAL_COUNT);
  const end = target.length;
  let at = 0;
  while (at < end) {
    const bits = random.u32();
    if ((bits & 0xff) < style.repeatOf256 && at > REPEAT_SIZE_MIN) {
      at = repeatBefore(target, at, bits >>> 8);
      continue;
    }
    const isLocal = bits >>> 24 < style.localOf256;
    const token = picks[isLocal ? localAt + ((bits >>> 8) & (LOCAL_COUNT - 1)) : (bits >>> 8) & 0xffff]!;
    const tokenEnd = starts[token + 1]!;
    // A typed array ignores writes past its end, so that the last token needs no check of its own.
    for (let from = starts[token]!; from < tokenEnd; from += 1) target[at++] = flat[from]!;
    if (Math.imul(bits, 0x9e3779b1) >>> 24 < style.noiseOf256 && at + NOISE_SIZE_MAX < end)
      at += style.noise(target, at, random);
  }
}

function fillMedia(random: Random, target: Uint8Array): void {
  const whole = target.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    const bits = random.u32();
    target[at] = bits;
    target[at + 1] = bits >>> 8;
    target[at + 2] = bits >>> 16;
    target[at + 3] = bits >>> 24;
  }
  for (let at = whole; at < target.length; at += 1) target[at] = random.u32();
}

/** Fills `target` with content of that flavour; the same seed and size give the same bytes. */
export function fillContent(flavour: Flavour, seed: number, target: Uint8Array): void {
  if (flavour === 'zero') target.fill(0);
  else if (flavour === 'media') fillMedia(new Random(seed), target);
  else fillTokens(styleOf(flavour), new Random(seed), target);
}

/** A ustar header of a member with this many bytes, its name made from the seed. */
export function fillTarHeader(seed: number, size: number, target: Uint8Array): void {
  target.fill(0);
  const put = (at: number, text: string) => target.set(new TextEncoder().encode(text), at);
  put(0, `tree/${(seed >>> 24).toString(16)}/${(seed & 0xffffff).toString(16)}.txt`);
  put(
    100,
    `0000644\0${'0001750\0'.repeat(2)}${size.toString(8).padStart(11, '0')}\0`.concat('14350000000\0'),
  );
  put(148, '        0');
  put(257, 'ustar\x0000');
  const sum = target.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
}
