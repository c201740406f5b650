/**
 * Random bytes of this process that follow from a seed, those of the addon and of node:crypto: ids, salts and
 * keys of a simulated run are the same each time (test/native/support/seeded_random.cc).
 */
import { createRequire } from 'node:module';

interface SeededRandom {
  seed(seed: number): void;
  restore(): void;
}

const require = createRequire(import.meta.url);
const root = import.meta.url.includes('/dist/test/') ? '../../../' : '../../';
const addon = require(`${root}build-native/Release/seeded_random.node`) as SeededRandom;

/** From here on random bytes follow from `seed`, a whole number. */
export function seedRandom(seed: number): void {
  addon.seed(seed);
}

/** Back to the generator of the system. */
export function restoreRandom(): void {
  addon.restore();
}
