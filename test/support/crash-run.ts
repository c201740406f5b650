/**
 * A canonical workload over a simulated disk (workloads.ts), with the power cut or one fault in the middle,
 * and what has to hold when the system is started again (test/simulate/recovery.ts): nothing acknowledged is
 * lost, nothing is half there, nothing deleted returns, and a second start changes nothing.
 *
 * Crash points: the workload runs once; before each of its operations on the disk the disk is copied, with
 * all that is not synced. Each copy then loses power in several ways. Faults: the workload runs once for
 * each, up to where the operation fails and on from there.
 */
import { StoreError } from '../../src/base/errors.js';
import { writeCheckpoint } from '../../src/catalog/checkpoint.js';
import { binding, type DiskHandle } from '../../src/native/binding.js';
import type { KvStore } from '../../src/view/kv.js';
import {
  copyOfViews,
  DATA,
  openSystem,
  type Running,
  SECRETS,
  VIEW_FATES,
  type Views,
} from '../simulate/machine.js';
import { recoveryProblems } from '../simulate/recovery.js';
import { DirectLane } from './direct-lane.js';
import { contentOf, Ledger, seededBytes, seededNumbers } from './ledger.js';
import { StillClock } from './open-catalog.js';
import { codeOf, type WholeSystem } from './whole-system.js';

export const FAULTS = { ioError: 2, noSpace: 3, shortWrite: 4 } as const;
export type Fault = keyof typeof FAULTS;
const DIE = 1;
const COPIES = 7;

/** How many ways of losing power each crash point is taken through. */
export const DAMAGES = 10;

export interface Workload {
  readonly name: string;
  /** Over an encrypted group whose keys rotate. */
  readonly isEncrypted?: boolean;
  readonly run: (it: CrashRun) => Promise<void>;
}

/** What was true once the disk had seen so many operations. */
interface Mark<T> {
  readonly operations: number;
  readonly value: T;
}

/** A lane that keeps what its views were after each change, and when that was. */
class RememberingLane extends DirectLane {
  readonly past: Mark<Views>[] = [];
  operations: () => number = () => 0;

  override openStore = async (directory: string): Promise<KvStore> => {
    const view = this.plainStore(directory);
    const remember = async (): Promise<void> => this.remember();
    const batch = async (operations: Parameters<KvStore['batch']>[0]): Promise<void> => {
      await view.batch(operations);
      await remember();
    };
    const clear = async (range: Parameters<KvStore['clear']>[0]): Promise<void> => {
      await view.clear(range);
      await remember();
    };
    return {
      get: key => view.get(key),
      getMany: keys => view.getMany(keys),
      scan: range => view.scan(range),
      close: () => view.close(),
      batch,
      clear,
    };
  };

  async remember(): Promise<void> {
    const operations = this.operations();
    this.past.push({ operations, value: await copyOfViews(this.views) });
  }
}

export class CrashRun {
  readonly lane: DirectLane;
  readonly disk: DiskHandle;
  readonly clock = new StillClock();
  readonly ledger: Ledger;
  /** Called whenever the ledger has changed. */
  noted: () => void = () => undefined;
  #running: Running | undefined;

  constructor(lane: DirectLane, disk: DiskHandle, ledger: Ledger) {
    this.lane = lane;
    this.disk = disk;
    this.ledger = ledger;
  }

  get system(): WholeSystem {
    return this.#running!.system;
  }

  async open(): Promise<void> {
    this.#running = await openSystem({ lane: this.lane, disk: this.disk, clock: this.clock });
  }

  async restart(): Promise<void> {
    await this.system.close();
    await this.open();
  }

  /** A start that finds no view. */
  async restartWithoutView(): Promise<void> {
    await this.system.close();
    this.lane.views.clear();
    await this.open();
  }

  /** Each throws what went wrong, after the ledger knows of it. */
  async put(path: string, seed: number, size: number, container = 'c'): Promise<void> {
    const bytes = seededBytes(seed, size);
    await this.#do(`${container}/${path}`, contentOf(bytes), () => this.system.put(container, path, bytes));
  }

  async remove(path: string, container = 'c'): Promise<void> {
    const remove = (): Promise<void> => this.system.catalog.deleteFile(container, path);
    await this.#do(`${container}/${path}`, undefined, remove);
  }

  /** What was put with these bytes, and deleted, is there again. */
  async restoreFromBin(path: string, seed: number, size: number): Promise<void> {
    const restore = (): Promise<unknown> => this.system.catalog.restoreFromBin('c', path);
    await this.#do(`c/${path}`, contentOf(seededBytes(seed, size)), restore);
  }

  /** A deletion of it is refused: as LOCKED, or as what the disk's fault gives. */
  async isKept(path: string): Promise<void> {
    const code = await this.system.catalog.deleteFile('c', path).then(() => 'done', codeOf);
    const isRefused = code === 'LOCKED' || code === 'IO' || code === 'NO_SPACE';
    if (!isRefused) throw new Error(`${path} is kept, and its deletion: ${code}`);
  }

  /** Removes a container with its files, all of which are on their way out at once. */
  async removeContainer(name: string): Promise<void> {
    const paths = this.ledger.paths.filter(path => path.startsWith(`${name}/`));
    const held = paths.filter(path => this.ledger.acknowledged(path) !== undefined);
    for (const path of held) this.ledger.send(path, undefined);
    this.noted();
    await this.system.catalog.deleteContainer(name, true);
    for (const path of held) this.ledger.acknowledge(path);
    this.noted();
  }

  async checkpoint(): Promise<void> {
    await writeCheckpoint(this.system.context, this.system.catalog.openedGroup('g'));
  }

  /** One cycle of the cleaner; a brake is wrong whatever the disk does. Throws what ended it. */
  async clean(): Promise<void> {
    const { outcome, failure } = await this.#running!.cleaners.of('g').runCycle();
    if (outcome === 'braked') throw new Error(`the brake was pulled: ${failure}`);
    if (outcome !== 'done') throw new StoreError('IO', failure ?? outcome);
  }

  /** Everything is read back. */
  async scrub(): Promise<void> {
    await this.#running!.scrubs.run({ group: 'g' });
  }

  /** Time passes, and background work that is due is done. */
  async pass(milliseconds: number): Promise<void> {
    this.clock.advance(milliseconds);
    for (let turn = 0; turn < 200; turn += 1) await new Promise(resolve => setImmediate(resolve));
  }

  async #do(name: string, next: ReturnType<typeof contentOf> | undefined, action: () => Promise<unknown>) {
    this.ledger.send(name, next);
    this.noted();
    await action();
    this.ledger.acknowledge(name);
    this.noted();
  }

  /** The machine dies as it is; what still runs comes to its end. */
  async die(): Promise<void> {
    binding().diskPlan(this.disk, DIE, 1, true);
    await this.#running?.system.close().catch(codeOf);
    this.#running = undefined;
  }
}

/** A system with one group, 'g', one container in it, 'c', and a file: where every workload begins. */
interface Prepared {
  readonly disk: DiskHandle;
  readonly views: Views;
  readonly ledger: Ledger;
}
const prepared = new Map<boolean, Promise<Prepared>>();

function preparedSystem(isEncrypted: boolean): Promise<Prepared> {
  const known = prepared.get(isEncrypted) ?? prepare(isEncrypted);
  prepared.set(isEncrypted, known);
  return known;
}

async function prepare(isEncrypted: boolean): Promise<Prepared> {
  const it = new CrashRun(new DirectLane(), binding().diskCreate(), new Ledger());
  binding().makeDirectory(DATA, it.disk);
  await it.open();
  const encryption = isEncrypted ? ({ encryption: 'internal', rotationDays: 7, ...SECRETS } as const) : {};
  await it.system.catalog.addGroup({ name: 'g', chunkSizeAverage: 4096, ...encryption });
  await it.system.catalog.addContainer('c', 'g');
  await it.put('f0', 0, 30_000);
  await it.system.close();
  return { disk: it.disk, views: await copyOfViews(it.lane.views), ledger: it.ledger };
}

async function begin(isEncrypted: boolean, lane: DirectLane): Promise<CrashRun> {
  const { disk, views, ledger } = await preparedSystem(isEncrypted);
  lane.views.clear();
  for (const [directory, view] of await copyOfViews(views)) lane.views.set(directory, view);
  const it = new CrashRun(lane, binding().diskCopy(disk), ledger.copy());
  await it.open();
  return it;
}

/** What a workload has left behind for crashes: the disk before each operation, and what was true then. */
interface Recording {
  readonly disks: readonly DiskHandle[];
  readonly ledgers: readonly Mark<Ledger>[];
  readonly views: readonly Mark<Views>[];
}

async function record(workload: Workload): Promise<Recording> {
  const lane = new RememberingLane();
  const it = await begin(workload.isEncrypted === true, lane);
  const operations = (): number => binding().diskOperations(it.disk).count;
  const ledgers: Mark<Ledger>[] = [];
  it.noted = () => void ledgers.push({ operations: operations(), value: it.ledger.copy() });
  binding().diskPlan(it.disk, COPIES, 0, false);
  lane.operations = operations;
  await lane.remember();
  it.noted();
  await workload.run(it);
  await it.system.close();
  const disks = binding().diskCopies(it.disk);
  binding().diskDrop(it.disk);
  return { disks, ledgers, views: lane.past };
}

/** The last that was true before operation `index` (from 0) began. */
function before<T>(marks: readonly Mark<T>[], index: number): T {
  return marks.findLast(({ operations }) => operations <= index)!.value;
}

export interface Tally {
  readonly count: number;
  readonly problems: readonly string[];
}

/** Power cuts before every `step`-th operation of the workload, each survived in DAMAGES ways. */
export async function crashPoints(workload: Workload, step: number): Promise<Tally> {
  const { disks, ledgers, views } = await record(workload);
  const lane = new DirectLane();
  const problems: string[] = [];
  let count = 0;
  for (const [index, copy] of disks.entries()) {
    for (let damage = 0; damage < DAMAGES && (index + workload.name.length) % step === 0; damage += 1) {
      const next = seededNumbers(index * DAMAGES + damage);
      const seed = damage < 2 ? damage : 2 + next(2 ** 31 - 2);
      const fate = VIEW_FATES[(index + damage) % VIEW_FATES.length]!;
      const disk = binding().diskCopy(copy);
      binding().diskCrash(disk, seed);
      lane.views.clear();
      const moment = fate === 'kept' ? index : next(index + 1);
      const then: Views = fate === 'lost' ? new Map() : before(views, moment);
      for (const [directory, view] of await copyOfViews(then)) lane.views.set(directory, view);
      const interruptions = damage === 9 ? [{ operation: 1 + next(40), seed: next(2 ** 31) }] : [];
      const ledger = before(ledgers, index).copy();
      const isThorough = damage % 3 === 0;
      const found = await recoveryProblems({
        lane,
        disk,
        ledger,
        interruptions,
        isFull: damage < 2,
        isThorough,
      });
      problems.push(...found.map(text => `operation ${index}, seed ${seed}, view ${fate}: ${text}`));
      binding().diskDrop(disk);
      count += 1;
    }
    binding().diskDrop(copy);
  }
  return { count, problems };
}

const LASTING = [false, true];

/** Each fault at every `step`-th operation, once and from then on, then a power cut. */
export async function faultPoints(workload: Workload, step: number): Promise<Tally> {
  const { disks } = await record(workload);
  for (const disk of disks) binding().diskDrop(disk);
  const lane = new DirectLane();
  const problems: string[] = [];
  let count = 0;
  for (const [kind, fault] of (Object.keys(FAULTS) as Fault[]).entries()) {
    for (const isForEver of LASTING) {
      const first = 1 + ((workload.name.length + kind * 2 + Number(isForEver)) % step);
      for (let operation = first; operation <= disks.length; operation += step) {
        const found = await faultProblems(workload, lane, { fault, operation, isForEver });
        const when = isForEver ? 'from then on' : 'once';
        problems.push(...found.map(text => `${fault} at operation ${operation}, ${when}: ${text}`));
        count += 1;
      }
    }
  }
  return { count, problems };
}

interface FaultPlan {
  readonly fault: Fault;
  readonly operation: number;
  readonly isForEver: boolean;
}

async function faultProblems(
  workload: Workload,
  lane: DirectLane,
  { fault, operation, isForEver }: FaultPlan,
): Promise<string[]> {
  const it = await begin(workload.isEncrypted === true, lane);
  try {
    binding().diskPlan(it.disk, FAULTS[fault], operation, isForEver);
    await workload.run(it).catch(codeOf);
    await it.die();
    const { disk, ledger } = it;
    const seed = operation % 3 === 2 ? operation * 7 + 2 : operation % 3;
    binding().diskCrash(disk, seed);
    binding().diskPlan(disk, 0, 0, false);
    if (operation % 2 === 0) lane.views.clear();
    const isThorough = operation % 3 === 0;
    return await recoveryProblems({ lane, disk, ledger, interruptions: [], isFull: isThorough, isThorough });
  } catch (thrown) {
    return [(thrown as Error).stack ?? String(thrown)];
  } finally {
    binding().diskDrop(it.disk);
  }
}
