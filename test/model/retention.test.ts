// Random work with bins and locks against a model. A failure prints its seed.
import { expect, test } from 'vitest';
import { retentionRun } from '../support/retention-run.js';

for (const isEncrypted of [false, true]) {
  test(`what is kept is kept, and what may go goes (encrypted: ${isEncrypted})`, async () => {
    const outcomes: Record<string, number> = {};
    for (let seed = 1; seed <= (isEncrypted ? 4 : 30); seed += 1) {
      try {
        const made = await retentionRun(seed, isEncrypted);
        for (const [what, times] of Object.entries(made)) outcomes[what] = (outcomes[what] ?? 0) + times;
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
    }
    if (isEncrypted) return;
    // The runs do meet what they are about.
    for (const what of ['put', 'delete', 'lock', 'restore', 'delete container']) {
      expect(outcomes).toMatchObject({
        [`${what} LOCKED`]: expect.any(Number),
        [`${what} done`]: expect.any(Number),
      });
    }
  });
}
