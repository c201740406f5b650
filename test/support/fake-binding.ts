/**
 * A naive engine in memory, for tests of the data path's TypeScript side: fixed cuts, SHA-256 fingerprints, a
 * map as the store. It checks what callers owe the engine (order of verbs, settled rows, no verb after
 * closeStream), and a broken rule is thrown as an ordinary Error, which no caller may swallow.
 */
import { createHash, type Hash } from 'node:crypto';
import { StoreError } from '../../src/base/errors.js';
import {
  type Binding,
  DATA_STORE_ID_SIZE,
  DIGEST_BLAKE3,
  DIGEST_MD5,
  DIGEST_SHA256,
  FINGERPRINT_SIZE,
  ROW_LENGTH_OFFSET,
  ROW_SIZE,
  ROW_STATE_OFFSET,
  STATE_KNOWN,
  STATE_NEW,
  STATE_UNKNOWN,
  type StreamReport,
} from '../../src/native/binding.js';

interface FakeStream {
  digest: FakeDigest;
  chunks: { name: string; length: number }[];
  pending: Set<string>;
  size: number;
  isFinished: boolean;
  isLastSeen: boolean;
  newBytes: number;
}

type Digests = { xxh3: Uint8Array; blake3?: Uint8Array; sha256?: Uint8Array; md5?: Uint8Array };

/** Not the real XXH3 and BLAKE3: other functions of all bytes, as good for what is tested here. */
class FakeDigest {
  readonly #hashes: [keyof Digests, Hash][] = [];

  constructor(bits: number, isSkipping: boolean) {
    if (isSkipping) return;
    this.#hashes.push(['xxh3', createHash('md5').update('xxh3')]);
    if (bits & DIGEST_BLAKE3) this.#hashes.push(['blake3', createHash('sha256').update('blake3')]);
    if (bits & DIGEST_SHA256) this.#hashes.push(['sha256', createHash('sha256')]);
    if (bits & DIGEST_MD5) this.#hashes.push(['md5', createHash('md5')]);
  }

  update(bytes: Uint8Array): void {
    if (this.#hashes.length === 0) return;
    const copy = new Uint8Array(bytes);
    for (const [, hash] of this.#hashes) hash.update(copy);
  }

  finish(): Digests {
    const digests: Digests = { xxh3: new Uint8Array(16) };
    for (const [name, hash] of this.#hashes) digests[name] = new Uint8Array(hash.digest());
    return digests;
  }
}

export class FakeBinding {
  /** Length of all chunks but the last of a file. */
  chunkSize = 10_000;
  /** Are the resident index's answers final? */
  isComplete = true;
  /** Neither hashes nor keeps bytes: for very long streams. */
  isSkipping = false;
  readonly stored = new Map<string, Uint8Array>();
  /** Chunks that the resident index knows of. */
  readonly resident = new Set<string>();
  /** What the view would say: names of chunks and blockmap roots to data store ids. */
  readonly view = new Map<string, Uint8Array>();
  readonly maps = new Map<string, { name: string; length: number }[]>();
  readonly streams = new Map<number, FakeStream>();
  readonly digests = new Map<number, FakeDigest>();
  readonly corrupt = new Set<string>();
  /** Chunks that only the trash holds, until they are rescued from it. */
  readonly trash = new Set<string>();
  rescued = 0;
  hinted = 0;
  #next = 1;

  openStream(_engine: number, bits: number): number {
    const stream = this.#next++;
    this.streams.set(stream, {
      digest: new FakeDigest(bits, this.isSkipping),
      chunks: [],
      pending: new Set(),
      size: 0,
      isFinished: false,
      isLastSeen: false,
      newBytes: 0,
    });
    return stream;
  }

  prepareSegment(
    _engine: number,
    handle: number,
    slab: Uint8Array,
    offset: number,
    freshOffset: number,
    size: number,
    isLast: boolean,
    rows: Uint8Array,
  ) {
    const stream = this.#stream(handle);
    rule(!stream.isLastSeen, 'nothing is prepared after the last segment');
    rule(freshOffset >= offset && freshOffset <= offset + size, 'fresh bytes are inside the segment');
    stream.isLastSeen = isLast;
    stream.digest.update(slab.subarray(freshOffset, offset + size));
    stream.size += offset + size - freshOffset;
    let consumed = 0;
    const counts = { rowCount: 0, newCount: 0, unknownCount: 0 };
    while (size - consumed >= this.chunkSize || (isLast && consumed < size)) {
      const length = Math.min(this.chunkSize, size - consumed);
      const chunk = slab.subarray(offset + consumed, offset + consumed + length);
      this.#prepareChunk(stream, chunk, rows, counts);
      consumed += length;
    }
    return { ...counts, consumed };
  }

  admitRows(_engine: number, handle: number, rows: Uint8Array, rowCount: number, places: Uint8Array): number {
    const stream = this.#stream(handle);
    rule(places.length === rowCount * DATA_STORE_ID_SIZE, 'a place for each row');
    let newCount = 0;
    for (let row = 0; row < rowCount; row += 1) {
      const name = nameOf(rows, row);
      if (stateOf(rows, row) === STATE_UNKNOWN) {
        const place = places.subarray(row * DATA_STORE_ID_SIZE, (row + 1) * DATA_STORE_ID_SIZE);
        const isKnown = this.stored.has(name) && place.some(byte => byte !== 0);
        const isNew = !isKnown && !stream.pending.has(name);
        if (isNew) stream.pending.add(name);
        setState(rows, row, isNew ? STATE_NEW : STATE_KNOWN);
      }
      if (stateOf(rows, row) === STATE_NEW) newCount += 1;
    }
    return newCount;
  }

  storeRecords(
    _engine: number,
    handle: number,
    slab: Uint8Array,
    offset: number,
    rows: Uint8Array,
    rowCount: number,
  ) {
    const stream = this.#stream(handle);
    let from = offset;
    let newBytes = 0;
    for (let row = 0; row < rowCount; row += 1) {
      rule(stateOf(rows, row) !== STATE_UNKNOWN, 'rows are settled before they are stored');
      const chunk = slab.subarray(from, from + lengthOf(rows, row));
      from += chunk.length;
      if (stateOf(rows, row) !== STATE_NEW) continue;
      const name = nameOf(rows, row);
      rule(name === this.#name(chunk), 'the slab still holds the bytes that were named');
      this.stored.set(name, this.isSkipping ? new Uint8Array(0) : new Uint8Array(chunk));
      this.resident.add(name);
      stream.pending.delete(name);
      newBytes += chunk.length;
    }
    stream.newBytes += newBytes;
    return { newBytes, storedBytes: newBytes };
  }

  finishStream(_engine: number, handle: number): StreamReport {
    const stream = this.#stream(handle);
    rule(stream.pending.size === 0, 'a stream is finished when its chunks are stored');
    const covered = stream.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    rule(covered === stream.size, `chunks cover ${covered} of ${stream.size} bytes`);
    stream.isFinished = true;
    const list = stream.chunks.map(chunk => `${chunk.name}:${chunk.length}`).join();
    const root = new Uint8Array(createHash('sha256').update(list).digest());
    this.maps.set(Buffer.from(root).toString('hex'), stream.chunks);
    return {
      root,
      rootLength: list.length,
      depth: 1,
      size: stream.size,
      chunkCount: stream.chunks.length,
      newBytes: stream.newBytes,
      storedBytes: stream.newBytes,
      ...stream.digest.finish(),
    };
  }

  closeStream(_engine: number, handle: number): void {
    rule(this.streams.delete(handle), 'a stream is closed once');
  }

  readRows(_engine: number, map: { root: Uint8Array }, offset: number, length: number, rows: Uint8Array) {
    const root = Buffer.from(map.root).toString('hex');
    const chunks = this.maps.get(root);
    const report = { rowCount: 0, skip: 0, covered: 0 };
    if (chunks === undefined) return { ...report, unresolved: map.root };
    const rowsMax = Math.floor(rows.length / ROW_SIZE);
    let at = 0;
    for (const { name, length: size } of chunks) {
      const isInside = at + size > offset && at < offset + length;
      if (isInside && report.rowCount < rowsMax) {
        if (report.rowCount === 0) report.skip = offset - at;
        putRow(rows, report.rowCount, Buffer.from(name, 'hex'), size, STATE_KNOWN);
        report.rowCount += 1;
        report.covered += size;
      }
      at += size;
    }
    return report;
  }

  readRecords(_engine: number, rows: Uint8Array, rowCount: number, slab: Uint8Array, offset: number) {
    let unresolvedCount = 0;
    for (let row = 0; row < rowCount; row += 1) {
      if (this.resident.has(nameOf(rows, row))) continue;
      setState(rows, row, STATE_UNKNOWN);
      unresolvedCount += 1;
    }
    if (unresolvedCount > 0) return { bytes: 0, unresolvedCount };
    let bytes = 0;
    for (let row = 0; row < rowCount; row += 1) {
      const name = nameOf(rows, row);
      if (this.corrupt.has(name)) throw new StoreError('CORRUPT', `chunk ${name} does not match its name`);
      slab.set(this.stored.get(name)!, offset + bytes);
      bytes += lengthOf(rows, row);
    }
    return { bytes, unresolvedCount: 0 };
  }

  /** Everything that was hidden in one of these data stores is resident from now on. */
  hintPlaces(_engine: number, ids: Uint8Array): void {
    this.hinted += ids.length / DATA_STORE_ID_SIZE;
    for (const [name, id] of this.view) {
      if (!Buffer.from(ids).includes(Buffer.from(id))) continue;
      this.resident.add(name);
      const hidden = this.maps.get(`hidden ${name}`);
      if (hidden !== undefined) this.maps.set(name, hidden);
    }
  }

  rescueChunks(_engine: number, fingerprints: Uint8Array, count: number): number {
    let found = 0;
    for (let index = 0; index < count; index += 1) {
      const from = index * FINGERPRINT_SIZE;
      const name = Buffer.from(fingerprints).toString('hex', from, from + FINGERPRINT_SIZE);
      if (!this.trash.delete(name)) continue;
      found += 1;
      this.resident.add(name);
      const hidden = this.maps.get(`hidden ${name}`);
      if (hidden !== undefined) this.maps.set(name, hidden);
    }
    this.rescued += found;
    return found;
  }

  digestOpen(bits: number): number {
    const digest = this.#next++;
    this.digests.set(digest, new FakeDigest(bits, this.isSkipping));
    return digest;
  }

  digestUpdate(digest: number, bytes: Uint8Array): void {
    this.digests.get(digest)!.update(bytes);
  }

  digestFinish(digest: number): Digests {
    const digests = this.digests.get(digest)!.finish();
    this.digests.delete(digest);
    return digests;
  }

  digestDrop(digest: number): void {
    rule(this.digests.delete(digest), 'a digest is dropped once');
  }

  /** As the type that production code takes; verbs that are not there are not called. */
  asBinding(): Binding {
    return this as unknown as Binding;
  }

  /** A data store id for tests: all bytes alike. */
  static placeId(number: number): Uint8Array {
    return new Uint8Array(DATA_STORE_ID_SIZE).fill(number);
  }

  #prepareChunk(
    stream: FakeStream,
    chunk: Uint8Array,
    rows: Uint8Array,
    counts: { rowCount: number; newCount: number; unknownCount: number },
  ): void {
    const name = this.#name(chunk);
    let state = STATE_KNOWN;
    if (!this.resident.has(name) && !stream.pending.has(name)) {
      state = this.isComplete ? STATE_NEW : STATE_UNKNOWN;
      if (this.isComplete) stream.pending.add(name);
    }
    putRow(rows, counts.rowCount, Buffer.from(name, 'hex'), chunk.length, state);
    counts.rowCount += 1;
    if (state === STATE_NEW) counts.newCount += 1;
    if (state === STATE_UNKNOWN) counts.unknownCount += 1;
    stream.chunks.push({ name, length: chunk.length });
  }

  #name(chunk: Uint8Array): string {
    if (this.isSkipping) return chunk.length.toString(16).padStart(FINGERPRINT_SIZE * 2, '0');
    return createHash('sha256').update(new Uint8Array(chunk)).digest('hex');
  }

  #stream(handle: number): FakeStream {
    const stream = this.streams.get(handle);
    rule(stream !== undefined && !stream.isFinished, 'verbs are called on open streams');
    return stream!;
  }
}

function rule(condition: boolean, what: string): void {
  if (!condition) throw new Error(`a caller broke the engine's rule: ${what}`);
}

function viewOf(rows: Uint8Array): DataView {
  return new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
}

function putRow(rows: Uint8Array, row: number, fingerprint: Uint8Array, length: number, state: number): void {
  rows.set(fingerprint, row * ROW_SIZE);
  viewOf(rows).setUint32(row * ROW_SIZE + ROW_LENGTH_OFFSET, length, true);
  setState(rows, row, state);
}

function nameOf(rows: Uint8Array, row: number): string {
  return Buffer.from(rows.slice(row * ROW_SIZE, row * ROW_SIZE + FINGERPRINT_SIZE)).toString('hex');
}

function lengthOf(rows: Uint8Array, row: number): number {
  return viewOf(rows).getUint32(row * ROW_SIZE + ROW_LENGTH_OFFSET, true);
}

function stateOf(rows: Uint8Array, row: number): number {
  return viewOf(rows).getUint32(row * ROW_SIZE + ROW_STATE_OFFSET, true);
}

function setState(rows: Uint8Array, row: number, state: number): void {
  viewOf(rows).setUint32(row * ROW_SIZE + ROW_STATE_OFFSET, state, true);
}
