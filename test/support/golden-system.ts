/**
 * A small whole system whose files stay in the repository for ever: what each released format has written
 * must restore. Two storage groups, one of them sealed, with overwrites, deletes, a restart and a checkpoint.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { ENGINE_BOUNDS } from '../../src/catalog/context.js';
import { DirectLane } from './direct-lane.js';
import { contentOf, seededBytes } from './ledger.js';
import { WholeSystem } from './whole-system.js';

/** Opens the sealed group; as text, for --unlock-file. */
export const GOLDEN_PASSPHRASE = 'golden passphrase of version 1';
export const GOLDEN_CONTAINERS = ['clear', 'vault'] as const;

export interface GoldenFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly version: number;
}

/** Derived, or of one machine: not kept. */
const NOT_KEPT = ['view', 'reserve', 'lock'];

/** Text that compresses, with numbers so that no chunk repeats. */
function textOf(seed: number, size: number): Buffer {
  const lines = Array.from({ length: Math.ceil(size / 40) }, (_, line) => `${seed} line ${line} of a dump\n`);
  return Buffer.from(lines.join('')).subarray(0, size);
}

/** Writes the system below `directory` and answers what it holds. */
export async function writeGolden(directory: string): Promise<GoldenFile[]> {
  const lane = new DirectLane();
  const unlock = { passphrase: GOLDEN_PASSPHRASE };
  const context = { engineBounds: ENGINE_BOUNDS };
  const open = () => WholeSystem.open({ lane, directory, unlock, context });
  let system = await open();
  await system.catalog.addGroup({
    ...{ name: 'sealed', encryption: 'internal', passphrase: GOLDEN_PASSPHRASE },
    ...{ compression: 'best', chunkSizeAverage: 4096 },
  });
  await system.catalog.addContainer('clear');
  await system.catalog.addContainer('vault', 'sealed');
  await fill(system, 1);
  for (const group of system.catalog.groups) await writeCheckpoint(system.context, group.opened!);
  await system.close();
  system = await open();
  await fill(system, 2);
  const files = await listGolden(system);
  await system.close();
  // A start cuts the last segment of the log to its content.
  system = await open();
  await system.close();
  for (const path of ['', 'groups/DefaultGroup', 'groups/sealed']) {
    for (const name of NOT_KEPT) rmSync(join(directory, path, name), { recursive: true, force: true });
  }
  return files;
}

async function fill(system: WholeSystem, round: number): Promise<void> {
  for (const container of GOLDEN_CONTAINERS) {
    await system.put(container, 'empty', Buffer.alloc(0));
    await system.put(container, `one/${round}`, Buffer.from([round]));
    await system.put(container, 'noise', seededBytes(round, 15_000));
    await system.put(container, 'text', Buffer.concat([textOf(1, 90_000), textOf(round, 20_000)]));
    await system.put(container, `gone/${round}`, seededBytes(9, 5000));
    await system.put(container, 'names/\u{1f600} \n ü', textOf(3, 300));
    await system.catalog.deleteFile(container, `gone/${round}`);
  }
}

export async function listGolden(system: WholeSystem): Promise<GoldenFile[]> {
  const found: GoldenFile[] = [];
  for (const container of GOLDEN_CONTAINERS) {
    for (const path of await system.list(container)) {
      const { version } = await system.catalog.file(container, path);
      found.push({ name: `${container}/${path}`, ...contentOf(await system.get(container, path)), version });
    }
  }
  return found;
}
