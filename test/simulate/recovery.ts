/**
 * What has to hold when a machine is started again after a power cut: every group opens, what was
 * acknowledged reads back whole, what was under way is there whole or not at all, nothing deleted returns,
 * counts agree, and a second start changes nothing.
 */

import type { GranaryCatalog } from '../../src/catalog/catalog.js';
import type { Cleaners } from '../../src/cleaner/cleaners.js';
import { binding, type DiskHandle } from '../../src/native/binding.js';
import type { DirectLane } from '../support/direct-lane.js';
import { contentOf, type Ledger, seededBytes } from '../support/ledger.js';
import { StillClock } from '../support/open-catalog.js';
import { codeOf, type WholeSystem } from '../support/whole-system.js';
import { openSystem } from './machine.js';

export interface RecoveryPlan {
  readonly lane: DirectLane;
  readonly disk: DiskHandle;
  readonly ledger: Ledger;
  /** Of the crashes that cut the recovery itself short: after so many operations, with this seed. */
  readonly interruptions: readonly { readonly operation: number; readonly seed: number }[];
  /** Reads every record of every data store. */
  readonly isFull: boolean;
  /** Starts twice, and goes on working. */
  readonly isThorough: boolean;
}

/** What does not hold; the ledger knows afterwards what was found. */
export async function recoveryProblems(plan: RecoveryPlan): Promise<string[]> {
  try {
    for (const { operation, seed } of plan.interruptions) await interrupted(plan, operation, seed);
    return await recovered(plan);
  } catch (thrown) {
    return [`recovery: ${(thrown as Error).stack ?? String(thrown)}`];
  }
}

/** A start that loses power in its middle. */
async function interrupted({ lane, disk }: RecoveryPlan, operation: number, seed: number): Promise<void> {
  binding().diskPlan(disk, 1, operation, true);
  const running = await openSystem({ lane, disk, clock: new StillClock() }).catch((thrown: unknown) => {
    codeOf(thrown);
    return undefined;
  });
  binding().diskPlan(disk, 1, 1, true);
  await running?.system.close().catch(codeOf);
  binding().diskCrash(disk, seed);
  binding().diskPlan(disk, 0, 0, false);
}

async function recovered({ lane, disk, ledger, isFull, isThorough }: RecoveryPlan): Promise<string[]> {
  const { system } = await openSystem({ lane, disk, clock: new StillClock() });
  const problems = await stateProblems(system, ledger, isFull);
  const first = summary(system.catalog);
  await system.close();
  if (!isThorough || problems.length > 0) return problems;
  const { system: again, cleaners } = await openSystem({ lane, disk, clock: new StillClock() });
  const second = summary(again.catalog);
  if (first !== second) problems.push(`a second start changed ${first} to ${second}`);
  const container = again.catalog.listContainers()[0]?.name;
  if (container !== undefined) {
    const bytes = seededBytes(4711, 9000);
    ledger.send(`${container}/after`, contentOf(bytes));
    await again.put(container, 'after', bytes);
    ledger.acknowledge(`${container}/after`);
  }
  for (let cycle = 0; cycle < 2; cycle += 1) problems.push(...(await cycleProblems(cleaners)));
  problems.push(...(await stateProblems(again, ledger, true)));
  await again.close();
  return problems;
}

/** Cleaning goes on from whatever the crash has left, and finds nothing to be alarmed of. */
async function cycleProblems(cleaners: Cleaners): Promise<string[]> {
  const { outcome, failure } = await cleaners.of('g').runCycle();
  return outcome === 'done' ? [] : [`a cycle of the cleaner ended ${outcome}: ${failure ?? ''}`];
}

export async function stateProblems(system: WholeSystem, ledger: Ledger, isFull: boolean): Promise<string[]> {
  const { catalog } = system;
  const failures = catalog.listGroups().flatMap(({ name, failure, isLocked }) => {
    if (failure === undefined && !isLocked) return [];
    return [`group ${name}: ${failure ?? 'locked'}`];
  });
  if (failures.length > 0) return failures;
  const problems = await system.problems(ledger);
  const { damages } = await system.verify(isFull);
  problems.push(...damages.map(({ group, what, reason }) => `${group}: ${what}: ${reason}`));
  for (const { name } of catalog.listContainers()) problems.push(...countProblems(system, ledger, name));
  return problems;
}

/** Statistics of a container against the files that the ledger knows of by now. */
function countProblems({ catalog }: WholeSystem, ledger: Ledger, container: string): string[] {
  const contents = ledger.paths
    .filter(path => path.startsWith(`${container}/`))
    .flatMap(path => ledger.acknowledged(path) ?? []);
  const bytes = contents.reduce((sum, { size }) => sum + size, 0);
  const { files, logicalBytes } = catalog.showContainer(container);
  if (files === contents.length && logicalBytes === bytes) return [];
  return [`${container}: counts ${files} files, ${logicalBytes} bytes; holds ${contents.length}, ${bytes}`];
}

/** Without the log's end: what is due at a start may write to it. */
function summary(catalog: GranaryCatalog): string {
  const groups = catalog.listGroups().map(({ name }) => {
    const { totals, binTotals } = catalog.openedGroup(name).state;
    return [name, totals, binTotals];
  });
  return JSON.stringify([groups, catalog.listContainers()]);
}
