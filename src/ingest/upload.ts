/**
 * The ingest session of one stream, from its first byte to the draft that the catalog commits.
 *
 *   receiving ──finish()──▶ finishing ──▶ finished        close() from any of them: gives everything back
 *       └────────── a failure ───┴──▶ failed              (a failed one drops further bytes; finish() throws)
 *
 * Nothing of a stream is visible before its draft has been committed. What it has stored stays pinned until
 * close(). Main thread only; the bytes are worked on by the group's lane.
 */
import { assert } from '../base/assert.js';
import { asStoreError, StoreError } from '../base/errors.js';
import { FILE_SIZE_MAX, STREAM_SEGMENTS_MAX } from '../base/limits.js';
import type { FileDraft, OpenGroup } from '../catalog/types.js';
import type { StreamHandle, StreamReport } from '../native/binding.js';
import { DigestExpectation, type ExpectedDigests, type StrongDigest } from './digest-expectation.js';
import { SegmentFiller } from './segment-filler.js';
import { SegmentPipeline } from './segment-pipeline.js';

export interface UploadOptions {
  /** Digests to take beside XXH3; those that are expected are taken anyway. */
  readonly digests?: readonly StrongDigest[];
  /** Hex, as the client has announced them: checked before the commit. */
  readonly expected?: ExpectedDigests;
  /** Announced size (Content-Length): another is INVALID. */
  readonly size?: number;
  /** The longest file that is taken; a longer one is INVALID. */
  readonly sizeMax?: number;
}

export interface UploadProgress {
  readonly received: number;
  /** Of these, cut and stored where new: newBytes and storedBytes speak of them. */
  readonly settledBytes: number;
  /** Plain bytes that were not there before, and what they take; so far. */
  readonly newBytes: number;
  readonly storedBytes: number;
}

export class Upload {
  readonly #group: OpenGroup;
  readonly #stream: StreamHandle;
  readonly #expectation: DigestExpectation;
  readonly #sizeAnnounced: number | undefined;
  readonly #sizeMax: number;
  readonly #pipeline: SegmentPipeline;
  readonly #filler: SegmentFiller;
  #received = 0;
  #isEnded = false;
  #failure: StoreError | undefined;
  #closing: Promise<void> | undefined;

  /** INVALID: too long. NO_SPACE, BUSY, IO: the group does not take data now. */
  static begin(group: OpenGroup, options: UploadOptions = {}): Upload {
    group.admitIngest();
    return new Upload(group, options);
  }

  private constructor(group: OpenGroup, { digests = [], expected = {}, size, sizeMax }: UploadOptions) {
    this.#group = group;
    this.#sizeAnnounced = size;
    this.#sizeMax = sizeMax ?? FILE_SIZE_MAX;
    if (size !== undefined) this.#checkSizeMax(size);
    this.#expectation = new DigestExpectation(digests, expected);
    this.#stream = group.lane.inline.openStream(group.engine, this.#expectation.bits);
    this.#pipeline = new SegmentPipeline(group, this.#stream, {
      segmentEnded: () => this.#segmentEnded(),
      failed: failure => this.#fail(failure),
    });
    this.#filler = new SegmentFiller(group.lane.slabs, size, {
      mayOpen: () => this.#pipeline.underWay < STREAM_SEGMENTS_MAX,
      filled: segment => this.#pipeline.submit(segment, false),
    });
  }

  /** The first thing that went wrong; finish() throws it. The client may be told at once. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  get progress(): UploadProgress {
    const { settledBytes, newBytes, storedBytes } = this.#pipeline;
    return { received: this.#received, settledBytes, newBytes, storedBytes };
  }

  /**
   * Copies the bytes before it returns. false: the caller must stop reading the socket until ready()
   * resolves; what was under way already, up to OVERRUN_SIZE_MAX, is still taken. After a failure bytes are
   * dropped.
   */
  write(bytes: Uint8Array): boolean {
    assert(!this.#isEnded, 'nothing is written behind the end of a stream');
    if (this.#isOver) return true;
    this.#received += bytes.length;
    try {
      this.#checkNotTooLong();
      this.#filler.write(bytes);
    } catch (thrown) {
      this.#fail(asStoreError(thrown));
    }
    return !this.#filler.isStarved;
  }

  /** Resolves when the socket may be read again; after a failure or close(), too. Never rejects. */
  ready(): Promise<void> {
    return this.#filler.ready();
  }

  /**
   * End of stream: stores what is left and returns the draft to be committed. INVALID: another size or digest
   * than was announced. Any failure of the stream. CANCELLED: it was closed meanwhile.
   */
  async finish(): Promise<FileDraft> {
    assert(!this.#isEnded, 'a stream ends once');
    this.#isEnded = true;
    try {
      this.#throwIfOver();
      this.#checkComplete();
      const report = await this.#storeRest();
      this.#throwIfOver();
      assert(
        report.size === this.#received,
        `${report.size} of ${this.#received} received bytes are in the blockmap`,
      );
      return this.#draft(report);
    } catch (thrown) {
      this.#fail(asStoreError(thrown));
      throw this.#failure;
    }
  }

  /**
   * Releases pins, slabs and memory, after the stream's running tasks have ended. After the commit or its
   * failure, and on every abandonment. Idempotent; never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#pipeline.stop();
    this.#filler.stop();
    await this.#pipeline.drained();
    this.#group.lane.inline.closeStream(this.#group.engine, this.#stream);
  }

  get #isOver(): boolean {
    return this.#failure !== undefined || this.#closing !== undefined;
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) throw new StoreError('CANCELLED', 'the upload was given up');
  }

  #fail(failure: StoreError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#pipeline.stop();
    this.#filler.stop();
  }

  #segmentEnded(): void {
    if (this.#filler.isStarved) this.#filler.open();
  }

  #checkNotTooLong(): void {
    this.#checkSizeMax(this.#received);
    if (this.#sizeAnnounced === undefined || this.#received <= this.#sizeAnnounced) return;
    throw new StoreError('INVALID', `more than the announced ${this.#sizeAnnounced} bytes were sent`);
  }

  #checkSizeMax(size: number): void {
    if (size <= this.#sizeMax) return;
    throw new StoreError('INVALID', `a file of ${size} bytes is longer than the allowed ${this.#sizeMax}`);
  }

  #checkComplete(): void {
    if (this.#sizeAnnounced === undefined || this.#received === this.#sizeAnnounced) return;
    throw new StoreError(
      'INVALID',
      `${this.#received} of the announced ${this.#sizeAnnounced} bytes were sent`,
    );
  }

  async #storeRest(): Promise<StreamReport> {
    const last = await this.#filler.last();
    if (last !== undefined && this.#pipeline.submitted === 0) return await this.#pipeline.submitWhole(last);
    if (last !== undefined) this.#pipeline.submit(last, true);
    else await this.#submitTail();
    return await this.#pipeline.finish();
  }

  /** The stream ended where a segment ended: what lies behind that one's last cut is the last chunk. */
  async #submitTail(): Promise<void> {
    if ((await this.#pipeline.tailSize()) === 0) return;
    const segment = await this.#filler.empty();
    if (segment !== undefined) this.#pipeline.submit(segment, true);
  }

  #draft(report: StreamReport): FileDraft {
    const { size, newBytes, storedBytes, chunkCount, root, rootLength, depth } = report;
    const map = { root, rootLength, depth };
    return { size, map, newBytes, storedBytes, chunkCount, ...this.#expectation.settle(report) };
  }
}
