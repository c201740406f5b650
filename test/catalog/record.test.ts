import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { decodeRecord, encodeRecord, type LogRecord, RecordType } from '../../src/catalog/record.js';

const content = {
  createdMs: 1_700_000_000_000,
  size: 2 ** 53 - 1,
  root: new Uint8Array(32).fill(9),
  rootLength: 4096,
  depth: 3,
  chunkCount: 7,
  newBytes: 5,
  storedBytes: 4,
  xxh3: '0123456789abcdef0123456789abcdef',
};
const settings = { compression: 'best', encryption: 'internal', rotationDays: 30, quotaBytes: 0 } as const;
const version = { containerId: 1, name: 'n', version: 99 } as const;
const keeping = { lockMode: 'compliance', lockUntilMs: 2 ** 53 - 1, hold: 'legal' } as const;
const policy = {
  binDays: 7,
  defaultLockMode: 'governance',
  defaultLockDays: 36_500,
  logicalQuotaBytes: 2 ** 40,
} as const;
const containerGone = { type: RecordType.CONTAINER_DELETE, containerId: 2 ** 32 - 1 } as const;

const dataStore = new Uint8Array(24).fill(0xd5);
const dead = { dataStore, firstChunk: 0, bits: Uint8Array.of(0b101, 0xff) };

const records: LogRecord[] = [
  { type: RecordType.CONFIG, ...settings },
  { type: RecordType.CONTAINER_ADD, containerId: 7, name: 'backups', createdMs: 5 },
  containerGone,
  { type: RecordType.PUT, containerId: 1, name: '\ufeffé/..\n😀', ...content },
  {
    type: RecordType.PUT,
    containerId: 1,
    name: 'x'.repeat(1024),
    ...content,
    blake3: 'ab'.repeat(32),
    sha256: 'cd'.repeat(32),
    md5: 'ef'.repeat(16),
  },
  { type: RecordType.DELETE, containerId: 1, name: 'n', version: 99 },
  { type: RecordType.DELETE, ...version, binUntilMs: 5 },
  { type: RecordType.PUT, containerId: 1, name: 'n', ...content, ...keeping, binUntilMs: 6 },
  { type: RecordType.CHECKPOINT_FILE, ...version, ...content, ...keeping, binUntilMs: 7 },
  { type: RecordType.CONTAINER_ADD, containerId: 7, name: 'b', createdMs: 5, ...policy },
  { type: RecordType.CHECKPOINT_CONTAINER, containerId: 7, name: 'b', createdMs: 5, ...policy },
  { type: RecordType.CONTAINER_UPDATE, containerId: 7, ...policy },
  { type: RecordType.BIN_DROP, ...version },
  { type: RecordType.BIN_RESTORE, ...version, binUntilMs: 8 },
  { type: RecordType.CLOCK, retentionMs: 9 },
  { type: RecordType.LOCK, ...version, ...keeping },
  { type: RecordType.CONDEMN, ...dead, epoch: 5, deadPlainBytes: 2 ** 40 },
  { type: RecordType.CONDEMN, ...dead, epoch: 5, bits: new Uint8Array(0), deadPlainBytes: 0 },
  { type: RecordType.MOVE, dataStore, epoch: 6, duplicateBytes: 7 },
  { type: RecordType.RECLAIM, dataStore },
  { type: RecordType.PARDON, dataStore },
  { type: RecordType.QUARANTINE, ...dead, firstChunk: 480_000 },
  { type: RecordType.KEY, epoch: 3, createdMs: 6 },
  { type: RecordType.EPOCH, epoch: 4 },
  { type: RecordType.CHECKPOINT_BEGIN, containerId: 8, ...settings },
  { type: RecordType.CHECKPOINT_FILE, containerId: 1, name: 'n', version: 12, ...content },
  { type: RecordType.CHECKPOINT_CONTAINER, containerId: 1, name: 'c', createdMs: 1 },
  {
    type: RecordType.CHECKPOINT_END,
    beginSequence: 5,
    fileCount: 2,
    containerCount: 1,
    setDigest: new Uint8Array(16).fill(1),
  },
];

test('every type of record reads back as it was written', () => {
  expect(new Set(records.map(record => record.type)).size).toBe(Object.keys(RecordType).length);
  for (const record of records) {
    expect(decodeRecord(record.type, encodeRecord(record))).toEqual(record);
  }
});

test('the example of the format document is what the encoder writes', () => {
  const document = readFileSync(new URL('../../native/FORMAT.md', import.meta.url), 'utf8');
  const section = document.slice(document.indexOf('## Commit log entries'));
  const hex = /```\n([0-9a-f ]+)\n```/.exec(section)![1]!.replace(/ /g, '');
  const record = { type: RecordType.DELETE, containerId: 7, name: 'a/b', version: 300 } as const;
  expect(Buffer.from(encodeRecord(record)).toString('hex')).toBe(hex);
});

test('a record that is cut anywhere is CORRUPT', () => {
  for (const record of records) {
    const payload = encodeRecord(record);
    for (let size = 0; size < payload.length; size += 1) {
      const cut = payload.subarray(0, size);
      // Cut between two fields it may be a shorter record of the type, if what is missing is optional.
      try {
        expect(encodeRecord(decodeRecord(record.type, cut)!)).toEqual(Buffer.from(cut));
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'CORRUPT' });
      }
    }
  }
});

test('a flipped bit is refused or gives another record in its own, only encoding', () => {
  for (const record of records) {
    const payload = encodeRecord(record);
    for (let bit = 0; bit < payload.length * 8; bit += 1) {
      const flipped = Buffer.from(payload);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      try {
        const read = decodeRecord(record.type, flipped)!;
        const isSame = Buffer.compare(encodeRecord(read), flipped) === 0;
        // A field whose tag turned into one that may be skipped is gone from the record.
        expect(isSame || encodeRecord(read).length < flipped.length).toBe(true);
      } catch (thrown) {
        if (!(thrown instanceof StoreError)) throw thrown;
        expect(['CORRUPT', 'UNSUPPORTED']).toContain(thrown.code);
      }
    }
  }
});

test('an unknown type or field is UNSUPPORTED, unless it says that it may be skipped', () => {
  const payload = encodeRecord(containerGone);
  expect(() => decodeRecord(50, payload)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  expect(decodeRecord(200, payload)).toBeUndefined();
  const mandatory = Buffer.concat([payload, Uint8Array.of(100, 1, 0, 5)]);
  expect(() => decodeRecord(3, mandatory)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  const optional = Buffer.concat([payload, Uint8Array.of(130, 1, 0, 5)]);
  expect(decodeRecord(3, optional)).toEqual(containerGone);
});

test('fields out of order or twice are CORRUPT', () => {
  const payload = encodeRecord(containerGone);
  const twice = Buffer.concat([payload, payload]);
  expect(() => decodeRecord(3, twice)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
});

test('a stored name that is no legal name is CORRUPT', () => {
  for (const name of [Buffer.from([0xff]), Buffer.from('a\0b'), Buffer.alloc(1025, 65), Buffer.alloc(0)]) {
    const field = Buffer.concat([Uint8Array.of(2, name.length & 255, name.length >> 8), name]);
    const payload = Buffer.concat([
      Uint8Array.of(1, 4, 0, 1, 0, 0, 0),
      field,
      Uint8Array.of(3, 8, 0),
      Buffer.alloc(8),
    ]);
    expect(() => decodeRecord(2, payload)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  }
});
