/**
 * Changes of valid inputs that follow from a sequence of numbers: what fuzzers of TypeScript's parsers
 * feed.
 */

export type Numbers = (bound: number) => number;

const TELLING = [0, 1, 7, 8, 127, 128, 255, 256, 4096, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1] as const;
const CHANGES_MAX = 6;
const INPUT_SIZE_MAX = 1 << 16;
/** What parsers of text look for. */
const FRAGMENTS = [
  ...['%', '%00', '%zz', '%C3%28', '%2F', '..', '/', '//', '\0', '\r\n', ' ', '\t', '+', '&', '=', ';', ','],
  ...['"', '\\', '{', '}', '[', ']', 'null', 'true', '-1', '1e999', '9007199254740993', '0.5', 'NaN'],
  ...['__proto__', 'constructor', 'é', '\u{1f600}', '\ud800', '\ufeff', '\ufffd', 'chunked', 'bytes=', '-'],
] as const;

/** A changed copy of one of `seeds`. */
export function mutateBytes(seeds: readonly Uint8Array[], next: Numbers): Uint8Array {
  let bytes: Buffer = Buffer.from(pick(seeds, next));
  for (let left = 1 + next(CHANGES_MAX); left > 0; left -= 1) bytes = changeBytes(seeds, bytes, next);
  return new Uint8Array(bytes.subarray(0, INPUT_SIZE_MAX));
}

export function mutateText(seeds: readonly string[], next: Numbers): string {
  let text = pick(seeds, next);
  for (let left = 1 + next(CHANGES_MAX); left > 0; left -= 1) text = changeText(seeds, text, next);
  return text.slice(0, INPUT_SIZE_MAX);
}

/** A JSON value with some of its parts exchanged, dropped or doubled. */
export function mutateJson(seeds: readonly unknown[], next: Numbers): unknown {
  let value = structuredClone(pick(seeds, next));
  for (let left = 1 + next(CHANGES_MAX); left > 0; left -= 1) value = changeJson(value, seeds, next);
  return value;
}

export function pick<T>(choices: readonly T[], next: Numbers): T {
  return choices[next(choices.length)]!;
}

function changeBytes(seeds: readonly Uint8Array[], bytes: Buffer, next: Numbers): Buffer {
  const at = next(bytes.length + 1);
  const end = at + next(bytes.length - at + 1);
  const kind = bytes.length === 0 ? 6 : next(7);
  if (kind < 3) return overwrite(bytes, kind, next);
  if (kind === 3) return bytes.subarray(0, at);
  if (kind === 4) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  if (kind === 5) return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  const other = pick(seeds, next);
  return Buffer.concat([bytes.subarray(0, at), other.subarray(next(other.length + 1))]);
}

function overwrite(bytes: Buffer, kind: number, next: Numbers): Buffer {
  const at = next(bytes.length);
  if (kind === 0) bytes[at]! ^= 1 << next(8);
  else if (kind === 1) bytes[at] = next(256);
  else if (at + 4 <= bytes.length) bytes.writeUInt32LE(pick(TELLING, next), at);
  return bytes;
}

function changeText(seeds: readonly string[], text: string, next: Numbers): string {
  const at = next(text.length + 1);
  const end = Math.min(text.length, at + next(8));
  switch (next(5)) {
    case 0:
      return text.slice(0, at) + pick(FRAGMENTS, next) + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(end);
    case 2:
      return text.slice(0, end) + text.slice(at);
    case 3:
      return text.slice(0, at) + String.fromCharCode(next(next(2) === 0 ? 128 : 65_536)) + text.slice(at + 1);
    default: {
      const other = pick(seeds, next);
      return text.slice(0, at) + other.slice(next(other.length + 1));
    }
  }
}

const ATOMS = [null, true, 0, -1, 1.5, 1e308, 2 ** 53, '', 'x', '.', '..', '\0', [], {}, [[]]] as const;

function changeJson(value: unknown, seeds: readonly unknown[], next: Numbers): unknown {
  if (typeof value !== 'object' || value === null || next(12) === 0) {
    if (typeof value === 'string' && next(2) === 0) return changeText([value], value, next);
    return structuredClone(next(4) === 0 ? pick(seeds, next) : pick(ATOMS, next));
  }
  const keys = Object.keys(value);
  const record = value as Record<string, unknown>;
  const key = keys.length === 0 || next(6) === 0 ? pick(FRAGMENTS, next) : pick(keys, next);
  if (next(5) === 0) Reflect.deleteProperty(record, key);
  // Not an assignment: '__proto__' has to become a key, as JSON.parse makes it.
  else setOwn(record, key, changeJson(Object.hasOwn(record, key) ? record[key] : null, seeds, next));
  return value;
}

function setOwn(record: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true });
}
