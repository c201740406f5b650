/** Sizes and durations as people write and read them. */
import { StoreError } from './errors.js';

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  kb: 1e3,
  m: 2 ** 20,
  mib: 2 ** 20,
  mb: 1e6,
  g: 2 ** 30,
  gib: 2 ** 30,
  gb: 1e9,
  t: 2 ** 40,
  tib: 2 ** 40,
  tb: 1e12,
  p: 2 ** 50,
  pib: 2 ** 50,
  pb: 1e15,
};

/** Reads `4096`, `32KiB`, `1.5 GiB`. INVALID for anything else, for fractions of a byte and beyond 2^53. */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match === null ? undefined : SIZE_UNITS[match[2]!.toLowerCase()];
  const size = match === null || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  if (!Number.isSafeInteger(size)) {
    throw new StoreError('INVALID', `not a size: '${text}' (wanted bytes, such as 4096, 32KiB or 10GiB)`);
  }
  return size;
}

const STEPS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1536` → `1.50 KiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let step = 0;
  while (value >= 1024 && step < STEPS.length - 1) {
    value /= 1024;
    step += 1;
  }
  return step === 0 ? `${bytes} B` : `${value.toFixed(2)} ${STEPS[step]}`;
}

/**
 * Share of `whole` that was saved when `part` is left, in per cent with two digits; 0 when there is nothing.
 */
export function savingsPercent(whole: number, part: number): number {
  return whole <= 0 ? 0 : Math.round((1 - part / whole) * 10_000) / 100;
}
