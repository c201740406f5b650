/**
 * The segments of one stream on their way through the workers. Segments are prepared strictly in order, and
 * stored beside the preparation of later ones and beside each other, so that one stream keeps all workers
 * busy. The tail behind a segment's last cut is carried in front of the next one: cuts depend on content
 * alone.
 *
 * A slab is released when all tasks on it have ended, never before, whatever happens to the stream. After the
 * first failure nothing further is started; the failure is kept.
 */
import { assert } from '../base/assert.js';
import { asStoreError, StoreError } from '../base/errors.js';
import { SEGMENTS_UNSTORED_MAX } from '../base/limits.js';
import type { OpenGroup } from '../catalog/types.js';
import type { SegmentReport, StreamHandle, StreamReport } from '../native/binding.js';
import { type Segment, TailBuffer } from './segment.js';
import { placesOfUnknown } from './unknown-rows.js';

/** What the pipeline tells the upload it belongs to. */
export interface PipelineEvents {
  /** A segment's slab has been released. */
  segmentEnded(): void;
  failed(failure: StoreError): void;
}

export class SegmentPipeline {
  readonly #group: OpenGroup;
  readonly #stream: StreamHandle;
  readonly #events: PipelineEvents;
  readonly #tail = new TailBuffer();
  /** Of the segment submitted last: the next one is prepared behind it. */
  #prepared: Promise<unknown> = Promise.resolve();
  /** Everything that has been started and has not ended. None of them rejects. */
  readonly #running = new Set<Promise<void>>();
  #underWay = 0;
  #submitted = 0;
  #unstored = 0;
  #isStopped = false;
  #failure: StoreError | undefined;
  #newBytes = 0;
  #storedBytes = 0;
  #settledBytes = 0;

  constructor(group: OpenGroup, stream: StreamHandle, events: PipelineEvents) {
    this.#group = group;
    this.#stream = stream;
    this.#events = events;
  }

  /** Segments submitted whose slab has not been released. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Segments submitted since the stream began. */
  get submitted(): number {
    return this.#submitted;
  }

  get newBytes(): number {
    return this.#newBytes;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** Bytes of the stream that are cut, and stored where they are new: what the two others are told of. */
  get settledBytes(): number {
    return this.#settledBytes;
  }

  /** Takes over the segment and its slab. */
  submit(segment: Segment, isLast: boolean): void {
    this.#begin();
    const prepared = this.#prepared.then(() => this.#prepare(segment, isLast));
    this.#prepared = prepared.catch(thrown => this.#fail(thrown));
    this.#track(
      prepared
        .then(report => this.#store(segment, report))
        .catch(thrown => this.#fail(thrown))
        .finally(() => this.#end(segment)),
    );
  }

  /**
   * The only segment of a stream, from its bytes to its blockmap's root, in one task when nothing is unknown.
   */
  async submitWhole(segment: Segment): Promise<StreamReport> {
    this.#begin();
    const whole = this.#wholeSegment(segment);
    this.#track(whole.then(noValue, thrown => this.#fail(thrown)).finally(() => this.#end(segment)));
    return await whole;
  }

  /** Bytes behind the last cut of everything submitted: they still need a last segment. */
  async tailSize(): Promise<number> {
    await this.#prepared;
    return this.#tail.size;
  }

  /** The blockmap's root. All segments must have been submitted. */
  async finish(): Promise<StreamReport> {
    await this.drained();
    const finished = this.#finishStream();
    this.#track(finished.then(noValue, thrown => this.#fail(thrown)));
    return await finished;
  }

  /** Resolves when no task of this stream is running; never rejects. */
  async drained(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Starts nothing further. What is running ends in its own time: see drained(). */
  stop(): void {
    this.#isStopped = true;
  }

  #begin(): void {
    this.#underWay += 1;
    this.#submitted += 1;
  }

  #track(task: Promise<void>): void {
    this.#running.add(task);
    void task.then(() => this.#running.delete(task));
  }

  #end(segment: Segment): void {
    segment.slab.release();
    this.#underWay -= 1;
    this.#events.segmentEnded();
  }

  #fail(thrown: unknown): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#failure = asStoreError(thrown);
    this.#events.failed(this.#failure);
  }

  #goOn(): void {
    if (this.#isStopped) throw this.#failure ?? new StoreError('CANCELLED', 'the stream was given up');
  }

  /** Cuts and names; afterwards every row is known or new, and the tail is kept for the next segment. */
  async #prepare(segment: Segment, isLast: boolean): Promise<SegmentReport> {
    this.#goOn();
    this.#group.admitIngest();
    this.#tail.copyTo(segment);
    const { slab, offset, freshOffset, size } = segment;
    const { engine, lane } = this.#group;
    const { bytes, rows } = slab;
    const stream = this.#stream;
    const report = await lane.call(
      'prepareSegment',
      engine,
      stream,
      bytes,
      offset,
      freshOffset,
      size,
      isLast,
      rows,
    );
    assert(!isLast || report.consumed === size, 'the last segment is cut to its end');
    this.#tail.keep(segment.tail(report.consumed));
    return await this.#admit(segment, report);
  }

  /** Asks the view about rows that the resident index does not know. */
  async #admit(segment: Segment, report: SegmentReport): Promise<SegmentReport> {
    if (report.unknownCount === 0) return report;
    this.#goOn();
    const { engine, lane } = this.#group;
    const { rows } = segment.slab;
    const places = await placesOfUnknown(this.#group, rows, report.rowCount);
    this.#goOn();
    const newCount = await lane.call('admitRows', engine, this.#stream, rows, report.rowCount, places);
    return { ...report, newCount, unknownCount: 0 };
  }

  async #store(segment: Segment, report: SegmentReport): Promise<void> {
    await this.#storeNew(segment, report);
    this.#settledBytes += report.consumed;
  }

  async #storeNew(segment: Segment, { rowCount, newCount }: SegmentReport): Promise<void> {
    this.#unstored += 1;
    if (newCount === 0 && this.#unstored < SEGMENTS_UNSTORED_MAX) return;
    this.#unstored = 0;
    this.#goOn();
    const { slab, offset } = segment;
    const { engine, lane } = this.#group;
    const stored = await lane.call(
      'storeRecords',
      engine,
      this.#stream,
      slab.bytes,
      offset,
      slab.rows,
      rowCount,
    );
    this.#newBytes += stored.newBytes;
    this.#storedBytes += stored.storedBytes;
  }

  async #wholeSegment(segment: Segment): Promise<StreamReport> {
    this.#goOn();
    const { slab, offset, size } = segment;
    const { engine, lane } = this.#group;
    const { bytes, rows } = slab;
    const { prepared, finished } = await lane.call(
      'ingestWhole',
      engine,
      this.#stream,
      bytes,
      offset,
      size,
      rows,
    );
    if (finished !== undefined) return this.#total(finished);
    await this.#store(segment, await this.#admit(segment, prepared));
    return await this.#finishStream();
  }

  async #finishStream(): Promise<StreamReport> {
    this.#goOn();
    return this.#total(await this.#group.lane.call('finishStream', this.#group.engine, this.#stream));
  }

  #total(report: StreamReport): StreamReport {
    this.#newBytes = report.newBytes;
    this.#storedBytes = report.storedBytes;
    this.#settledBytes = report.size;
    return report;
  }
}

function noValue(): void {}
