/** kill -9 of the real server under load, hundreds of times, a clear and an encrypted group side by side. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { killLoop } from '../support/kill-loop.js';
import { runCount, runSeed } from '../support/ledger.js';

const KILLS = runCount('GRANARY_KILLS', 200);

test('what was acknowledged outlives hundreds of kills, and nothing deleted returns', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-kill-'));
  const passphraseFile = join(folder, 'pass');
  writeFileSync(passphraseFile, 'p\n');
  const seed = runSeed('kill -9');
  const options = { kills: KILLS, seed, isEncrypted: true, data: join(folder, 'data'), passphraseFile };
  const { operations, ...report } = await killLoop(options);
  process.stdout.write(`${KILLS} kills, ${operations} operations answered\n`);
  expect(report).toEqual({ problems: [], refused: [], damages: [] });
  expect(operations).toBeGreaterThan(KILLS);
  rmSync(folder, { recursive: true });
});
