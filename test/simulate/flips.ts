/**
 * Bits of stored files flip while the machine is off: afterwards each file reads right or is refused with a
 * clear error. Wrong bytes, and an absence that nobody explains, are never served.
 */
import { binding, type DiskHandle } from '../../src/native/binding.js';
import type { DirectLane } from '../support/direct-lane.js';
import type { Ledger } from '../support/ledger.js';
import { StillClock } from '../support/open-catalog.js';
import { codeOf, type WholeSystem } from '../support/whole-system.js';
import { DATA, openSystem } from './machine.js';

export interface Flips {
  readonly lane: DirectLane;
  readonly disk: DiskHandle;
  readonly ledger: Ledger;
  readonly next: (bound: number) => number;
  readonly rounds: number;
  /** Sets the lane's views to what they were at the crash. */
  readonly giveViews: () => Promise<void>;
}

const FILE_SIZE_MAX = 2 ** 26;
/** With a copy beside it, or checked by itself: what may be damaged without the whole group being lost. */
const DAMAGEABLE = /\/data\/|\/log\/a\/|\/superblock\.0$|\/keyring\.a$|\/system\.a$/;
const CLEAR: readonly string[] = ['CORRUPT', 'IO'];

export async function flipProblems(flips: Flips): Promise<string[]> {
  const problems: string[] = [];
  for (let round = 0; round < flips.rounds; round += 1) {
    const disk = binding().diskCopy(flips.disk);
    await flips.giveViews();
    const done = flip(disk, flips.next);
    const found = await outcome({ ...flips, disk }).catch((thrown: unknown) => [
      (thrown as Error).stack ?? String(thrown),
    ]);
    problems.push(...found.map(problem => `${done}: ${problem}`));
    binding().diskDrop(disk);
  }
  return problems;
}

/** Files of the simulated disk below a directory. */
export function filesOf(disk: DiskHandle, directory: string): string[] {
  return binding()
    .listDirectory(directory, disk)
    .flatMap(name => {
      const path = `${directory}/${name}`;
      try {
        return filesOf(disk, path);
      } catch (thrown) {
        if (codeOf(thrown) !== 'NOT_FOUND') throw thrown;
        return [path];
      }
    });
}

function flip(disk: DiskHandle, next: (bound: number) => number): string {
  const paths = filesOf(disk, DATA).filter(path => DAMAGEABLE.test(path));
  const path = paths[next(paths.length)]!;
  const bytes = Buffer.from(binding().readSmallFile(path, FILE_SIZE_MAX, disk));
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  if (end === 0) return `${path} holds nothing`;
  const offset = next(end);
  const length = Math.min(1 + next(next(2) === 0 ? 1 : 300), end - offset);
  const changed = Buffer.from(bytes.subarray(offset, offset + length));
  const kind = next(3);
  if (kind === 0 || length === 1) changed[next(length)]! ^= 1 << next(8);
  else if (kind === 1) changed.fill(0);
  else for (let at = 0; at < length; at += 1) changed[at] = next(256);
  binding().diskDamage(disk, path, offset, changed);
  return `${length} bytes at ${offset} of ${path}`;
}

async function outcome({ lane, disk, ledger }: Flips): Promise<string[]> {
  const { system } = await openSystem({ lane, disk, clock: new StillClock() });
  const problems: string[] = [];
  try {
    for (const name of ledger.paths) {
      const problem = await fileProblem(system, ledger, name);
      if (problem !== undefined) problems.push(problem);
    }
  } finally {
    await system.close().catch(codeOf);
  }
  return problems;
}

async function fileProblem(system: WholeSystem, ledger: Ledger, name: string): Promise<string | undefined> {
  const [container, ...rest] = name.split('/') as [string, ...string[]];
  try {
    return ledger.problem(name, await system.state(container, rest.join('/')));
  } catch (thrown) {
    const code = codeOf(thrown);
    return CLEAR.includes(code) ? undefined : `${name}: ${(thrown as Error).message}`;
  }
}
