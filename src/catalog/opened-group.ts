/**
 * An open storage group: engine, view, state and commit queue. Opening is recovery (src/FLOWS.md, "Start
 * and recovery"): attach, view, replay of what the view lacks; a view that cannot be used is made anew.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import type { Keyring } from '../keys/keyring.js';
import type { AttachReport, BlockmapRoot, DiskHandle, EngineHandle } from '../native/binding.js';
import { DATA_STORE_ID_SIZE, FINGERPRINT_SIZE } from '../native/binding.js';
import type { KvStore } from '../view/kv.js';
import { condemnView, type OpenedView, openView } from '../view/open-view.js';
import type { Lane } from '../workers/pool.js';
import { firstChange } from './changes.js';
import { type Change, CommitQueue } from './commit-queue.js';
import type { CatalogContext } from './context.js';
import { DamageReports } from './damage-reports.js';
import { ClearFileIndex, type FileIndex } from './file-index.js';
import { SealedFileIndex } from './file-index-sealed.js';
import { GroupState } from './group-state.js';
import { hideChunks } from './hidden-chunks.js';
import { firstLost, locate } from './located-chunks.js';
import { PlaceMarks, placeKey } from './places.js';
import { Quarantine } from './quarantine.js';
import type { Settings } from './record.js';
import type { RepairSource } from './repair-source.js';
import { type ReplayReport, type ReplayTarget, rebuild, replay } from './replay.js';
import { SpaceReserve } from './reserve.js';
import { RetentionClock } from './retention-clock.js';
import { SpaceGate } from './space.js';
import type { GroupEntry } from './system-file.js';
import type { Compression, OpenGroup } from './types.js';

const COMPRESSION: Record<Compression, number> = { none: 0, fast: 1, best: 2 };

interface Parts {
  readonly context: CatalogContext;
  readonly entry: GroupEntry;
  readonly keyring: Keyring;
  readonly lane: Lane;
  readonly report: AttachReport;
  readonly view: KvStore;
  readonly state: GroupState;
  readonly space: SpaceGate;
  readonly replayed: ReplayReport;
}

export class OpenedGroup implements OpenGroup {
  readonly #parts: Parts;
  readonly queue: CommitQueue;
  readonly quarantine: Quarantine;
  readonly damageReports = new DamageReports();
  /** Beyond the group's own copies, in the order in which they are asked: replicas, the cloud. */
  readonly repairSources: RepairSource[] = [];
  readonly placeMarks = new PlaceMarks();
  readonly openReads = new Set<BlockmapRoot>();
  /** Told when chunks were looked for in the trash, and found: by a read, or by a repair. */
  onTrashRead: () => void = () => undefined;
  readonly retention: RetentionClock;
  #lastCommitMs: number;
  /** Of the first record that the log still gives. */
  #firstSequence: number;
  #isRebuilding = false;
  #isClosing = false;

  private constructor(parts: Parts) {
    this.#parts = parts;
    const { lane, report, context } = parts;
    this.queue = new CommitQueue(parts.state, {
      sync: () => lane.call('sync', report.engine),
      append: async entries => {
        await parts.space.makeRoom();
        return lane.call('appendLog', report.engine, entries);
      },
      condemnView: () => condemnView(parts.view),
    });
    this.quarantine = new Quarantine(this, context.onEvent);
    this.retention = new RetentionClock(context.clock, parts.state.mark.retentionMs);
    this.#lastCommitMs = context.clock.monotonicMs();
    this.#firstSequence = report.firstSequence;
  }

  /** BUSY: another process has it. CORRUPT, IO, DENIED as attach. */
  static async open(context: CatalogContext, entry: GroupEntry, keyring: Keyring): Promise<OpenedGroup> {
    const lane = entry.isPerformanceTier ? context.createLane(entry.name) : context.lane;
    let engine: EngineHandle | undefined;
    try {
      const report = await lane.call('attach', attachParameters(context, entry, keyring));
      engine = report.engine;
      reportRecovery(context, entry, report);
      const reserve = await SpaceReserve.find(lane, context, entry.path);
      const space = await SpaceGate.open(lane, engine, context.clock, reserve);
      if (context.isReadOnly !== true) await space.begin();
      const opened = await openState(context, entry, keyring, lane, report);
      await hideStored(context, entry, lane, engine, opened.state);
      const group = new OpenedGroup({ context, entry, keyring, lane, report, space, ...opened });
      await group.#applySettings();
      return group;
    } catch (thrown) {
      if (engine !== undefined) await lane.call('detach', engine).catch(() => undefined);
      if (lane !== context.lane) await lane.close();
      throw asStoreError(thrown);
    }
  }

  get name(): string {
    return this.#parts.entry.name;
  }

  /** Of its files. */
  get directory(): string {
    return this.#parts.entry.path;
  }

  get engine(): EngineHandle {
    return this.#parts.report.engine;
  }

  get disk(): DiskHandle {
    return this.#parts.context.disk;
  }

  get report(): AttachReport {
    return this.#parts.report;
  }

  /** Encrypted later, and records from before still lie in the log in the clear. */
  get hasClearLog(): boolean {
    return this.#parts.report.sealedFrom > this.#firstSequence;
  }

  get replayed(): ReplayReport {
    return this.#parts.replayed;
  }

  get lane(): Lane {
    return this.#parts.lane;
  }

  get view(): KvStore {
    return this.#parts.view;
  }

  get state(): GroupState {
    return this.#parts.state;
  }

  get keyring(): Keyring {
    return this.#parts.keyring;
  }

  get space(): SpaceGate {
    return this.#parts.space;
  }

  /** As the log has them; before the first CONFIG record what the system file says. */
  get settings(): Settings {
    return this.#parts.state.config ?? this.#parts.entry.settings;
  }

  /**
   * How long nothing has been committed; 0 while a stream of any group on the lane holds a slab, because
   * background work takes the cores that its segments need.
   */
  get idleMs(): number {
    const { slabs } = this.lane;
    const isBusy = !this.queue.isIdle || slabs.free < slabs.countMax;
    return isBusy ? 0 : this.#parts.context.clock.monotonicMs() - this.#lastCommitMs;
  }

  isResident(): boolean {
    return this.space.counters.residentIsComplete;
  }

  async places(fingerprints: Uint8Array): Promise<Uint8Array> {
    const count = fingerprints.length / FINGERPRINT_SIZE;
    const keys = Array.from({ length: count }, (_, index) =>
      placeKey(fingerprints.subarray(index * FINGERPRINT_SIZE, (index + 1) * FINGERPRINT_SIZE)),
    );
    const places = new Uint8Array(count * DATA_STORE_ID_SIZE);
    for (const [index, value] of (await this.view.getMany(keys)).entries()) {
      if (value?.length === DATA_STORE_ID_SIZE) places.set(value, index * DATA_STORE_ID_SIZE);
    }
    return places;
  }

  async rescue(fingerprints: Uint8Array): Promise<Uint8Array> {
    const found = await locate(this.lane, this.engine, fingerprints);
    if (found.ids.length > 0) await this.lane.call('hintPlaces', this.engine, found.ids);
    const count = found.absent.length / FINGERPRINT_SIZE;
    if (count === 0) return found.absent;
    const rescued = await this.lane.call('rescueChunks', this.engine, found.absent, count);
    if (rescued > 0) {
      const message = `${rescued} chunks had to be read from the trash: the cleaner was wrong and stops`;
      this.#parts.context.onEvent({ level: 'error', group: this.name, message });
      this.onTrashRead();
    }
    if (rescued === count) return new Uint8Array(0);
    return firstLost(this.lane, this.engine, found.absent);
  }

  /**
   * No stream begins from now on, until resumeIngest: the engine must not be detached with one. BUSY: some
   * are under way.
   */
  async endIngest(): Promise<void> {
    this.#isClosing = true;
    const { streamsOpen } = await this.space.refresh();
    if (streamsOpen > 0) throw new StoreError('BUSY', `${streamsOpen} streams are under way`);
  }

  /** The closing has come to nothing. */
  resumeIngest(): void {
    this.#isClosing = false;
  }

  admitIngest(): void {
    if (this.#isClosing) throw new StoreError('BUSY', `storage group '${this.name}' is being closed`);
    if (this.queue.failure !== undefined) throw this.queue.failure;
    this.space.admit(this.settings.quotaBytes);
  }

  reportDamage(fingerprints: Uint8Array): void {
    this.damageReports.add(fingerprints);
  }

  /** Makes a change durable and visible. */
  commit<T>(change: Change<T>): Promise<T> {
    this.#lastCommitMs = this.#parts.context.clock.monotonicMs();
    return this.queue.submit(change);
  }

  /** The first records of a new group: its settings, and the retention clock's first time. */
  begin(settings: Settings): Promise<void> {
    return this.commit(firstChange(settings, this.retention.nowMs()));
  }

  /** What the log can give from its first to its last durable record. */
  get replayTarget(): ReplayTarget {
    const { lane, report, state } = this.#parts;
    return { lane, engine: report.engine, firstSequence: this.#firstSequence, lastSequence: state.sequence };
  }

  /** The log is read from this checkpoint on; what lies before the one before may go. */
  async setCheckpoint(begin: number, previousBegin: number): Promise<void> {
    this.#firstSequence = await this.lane.call('setCheckpoint', this.engine, begin, previousBegin);
  }

  /** The view is being made anew: what it says now is not the whole. */
  get isRebuilding(): boolean {
    return this.#isRebuilding;
  }

  /** Makes the view anew from the log while nothing is committed; reads are answered BUSY meanwhile. */
  async rebuildView(reason: string): Promise<void> {
    await this.queue.exclusive(async () => {
      this.#isRebuilding = true;
      await rebuild(this.state, this.replayTarget, reason);
      this.#isRebuilding = false;
    });
  }

  /** BUSY while the view is being made anew: what it does not hold may be there all the same. */
  demandReadable(): void {
    if (!this.#isRebuilding) return;
    throw new StoreError('BUSY', `the view of storage group '${this.name}' is being made anew`);
  }

  setCompression(compression: Compression): Promise<void> {
    return this.lane.call('setCompression', this.engine, COMPRESSION[compression]);
  }

  /** Ends what is being committed, then closes view and engine. All streams must have ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.queue.drained();
    try {
      await this.view.close();
    } finally {
      await this.#detach();
    }
  }

  async #detach(): Promise<void> {
    try {
      await this.lane.call('detach', this.engine);
    } finally {
      if (this.lane !== this.#parts.context.lane) await this.lane.close();
    }
  }

  async #applySettings(): Promise<void> {
    const { compression } = this.settings;
    if (compression !== this.#parts.entry.settings.compression) await this.setCompression(compression);
  }
}

function attachParameters(context: CatalogContext, entry: GroupEntry, keyring: Keyring) {
  const { ring } = keyring;
  return {
    directory: entry.path,
    disk: context.disk,
    fingerprintKey: ring.fingerprintKey,
    chunkerKey: ring.chunkerKey,
    ...(keyring.isEncrypted ? { logKey: ring.logKey } : {}),
    dataKeys: keyring.dataKeys,
    activeEpoch: keyring.activeEpoch,
    compression: COMPRESSION[entry.settings.compression],
    isReadOnly: context.isReadOnly === true,
    ...context.engineBounds,
  };
}

/** View and state, brought up to date with the log. A view that turns out to be damaged is made anew. */
async function openState(
  context: CatalogContext,
  entry: GroupEntry,
  keyring: Keyring,
  lane: Lane,
  report: AttachReport,
): Promise<{ view: KvStore; state: GroupState; replayed: ReplayReport }> {
  const told = context.onProgress;
  const onProgress = (done: number, total: number) =>
    told?.({ group: entry.name, stage: 'log', done, total });
  const target: ReplayTarget = { lane, onProgress, ...report };
  const removeDirectory = (directory: string) => lane.call('removeTree', directory, context.disk);
  const viewDirectory = `${entry.path}/view`;
  const open = () =>
    openView({
      directory: viewDirectory,
      storeId: Buffer.from(entry.id, 'hex'),
      removeDirectory,
      ...(keyring.isEncrypted ? { viewKey: keyring.ring.viewKey } : {}),
      ...(context.openStore === undefined ? {} : { openStore: context.openStore }),
    });
  // A view from before the group was encrypted is clear: it goes while the clear part of the log is there.
  const mayBeClear = report.sealedFrom > Math.max(report.firstSequence, 1);
  const mustDiscard = context.discardViews?.has(entry.name) === true || mayBeClear;
  if (mustDiscard && context.isReadOnly !== true) await removeDirectory(viewDirectory);
  let opened = await open();
  noteReplaced(context, entry, opened);
  try {
    return { view: opened.store, ...(await bringUpToDate(context, entry, keyring, opened.store, target)) };
  } catch (thrown) {
    await opened.store.close();
    if (!hasCode(thrown, 'CORRUPT')) throw thrown;
    const message = `the view is made anew: ${asStoreError(thrown).message}`;
    context.onEvent({ level: 'warn', group: entry.name, message });
  }
  await removeDirectory(viewDirectory);
  opened = await open();
  try {
    return { view: opened.store, ...(await bringUpToDate(context, entry, keyring, opened.store, target)) };
  } catch (thrown) {
    await opened.store.close();
    throw thrown;
  }
}

async function bringUpToDate(
  context: CatalogContext,
  entry: GroupEntry,
  keyring: Keyring,
  store: KvStore,
  target: ReplayTarget,
): Promise<{ state: GroupState; replayed: ReplayReport }> {
  const index: FileIndex = keyring.isEncrypted
    ? new SealedFileIndex(store, keyring.ring.nameKey)
    : new ClearFileIndex(store);
  const state = new GroupState(store, index);
  await state.open();
  const replayed = await replay(state, target);
  if (replayed.rebuilt !== undefined) {
    const message = `the view was made anew from the log: ${replayed.rebuilt}`;
    context.onEvent({ level: 'warn', group: entry.name, message });
  }
  return { state, replayed };
}

function noteReplaced(context: CatalogContext, entry: GroupEntry, opened: OpenedView): void {
  if (opened.replaced === undefined) return;
  const message = `the view was removed and is made anew: ${opened.replaced}`;
  context.onEvent({ level: 'warn', group: entry.name, message });
}

function reportRecovery(context: CatalogContext, entry: GroupEntry, report: AttachReport): void {
  const { dataStoresRecovered, logBytesCut, logRecordsRepaired } = report;
  if (dataStoresRecovered + logBytesCut + logRecordsRepaired > 0) {
    const message =
      `recovered: ${dataStoresRecovered} unfinished data stores closed, ${logBytesCut} bytes of torn log ` +
      `cut, ${logRecordsRepaired} log records taken from the other copy`;
    context.onEvent({ level: 'info', group: entry.name, message });
  }
  for (const { id, reason } of report.damaged) {
    context.onEvent({ level: 'error', group: entry.name, message: `data store ${id} is damaged: ${reason}` });
  }
}

/** Chunks that the log condemns or names damaged are hidden before the group admits anything. */
async function hideStored(
  context: CatalogContext,
  entry: GroupEntry,
  lane: Lane,
  engine: EngineHandle,
  state: GroupState,
): Promise<void> {
  const { missing, cut } = await hideChunks(lane, engine, state.stores);
  const warn = (message: string) => context.onEvent({ level: 'warn', group: entry.name, message });
  for (const { id } of missing) warn(`data store ${id}, of which the log knows, is not there`);
  for (const { id } of cut) warn(`data store ${id} has fewer chunks than the log knows of`);
}
