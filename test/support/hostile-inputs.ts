/**
 * TypeScript's parsers, each with valid inputs and with what has to hold for any other: it is refused with a
 * StoreError, or what it means is written as it was read. Anything else that is
 * thrown is a crash.
 */
import { createHash } from 'node:crypto';
import { SYSTEM_CLOCK } from '../../src/base/clock.js';
import { StoreError } from '../../src/base/errors.js';
import { formatSize, parseSize } from '../../src/base/units.js';
import { AppliedMark, decodeMark, encodeMark } from '../../src/catalog/applied-mark.js';
import { decodeFileName as decodeNameBytes, fileNameBytes } from '../../src/catalog/names.js';
import { decodeRecord, encodeRecord, type LogRecord, RecordType } from '../../src/catalog/record.js';
import { StoreStates } from '../../src/catalog/store-states.js';
import { decodeTotals, EMPTY_TOTALS, encodeTotals } from '../../src/catalog/totals.js';
import { parseFilePath } from '../../src/cli/file-path.js';
import { wantedRange } from '../../src/front/file-conditions.js';
import { isRefusal, readHead } from '../../src/front/request-head.js';
import * as schema from '../../src/front/schema.js';
import { decodeFileName, parseQuery } from '../../src/front/target.js';
import { createKeyring, LockedKeyring } from '../../src/keys/keyring.js';
import { formatRecoveryKey, parseRecoveryKey } from '../../src/keys/recovery-key.js';
import type { Lane } from '../../src/workers/pool.js';
import { mutateBytes, mutateJson, mutateText, type Numbers, pick } from './mutation.js';

export interface HostileTarget {
  readonly name: string;
  /** One execution; throws what no caller of the parser expects. */
  readonly run: (next: Numbers) => void | Promise<void>;
}

function mustHold(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

/** The result, or undefined when it was refused as it should be. */
function tried<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof StoreError) return undefined;
    throw thrown;
  }
}

const BYTES = new Uint8Array(32).fill(5);
const NUMBERS = {
  createdMs: 1,
  size: 2,
  rootLength: 3,
  depth: 1,
  chunkCount: 5,
  newBytes: 6,
  storedBytes: 7,
};
const FILE = { containerId: 9, name: 'a/\u{e9}', root: BYTES, xxh3: 'ab'.repeat(16), ...NUMBERS };
const STORE = { dataStore: BYTES.subarray(0, 24), firstChunk: 3, bits: BYTES };
const RECORDS: readonly LogRecord[] = [
  { type: RecordType.PUT, ...FILE, sha256: 'cd'.repeat(32), lockMode: 'governance', lockUntilMs: 4 },
  { type: RecordType.DELETE, containerId: 9, name: 'a', version: 3, binUntilMs: 8 },
  { type: RecordType.CONTAINER_ADD, containerId: 9, name: 'c', createdMs: 1, binDays: 7 },
  {
    type: RecordType.CHECKPOINT_END,
    beginSequence: 1,
    fileCount: 2,
    containerCount: 3,
    setDigest: BYTES.subarray(0, 16),
  },
  { type: RecordType.CONDEMN, epoch: 2, deadPlainBytes: 9, ...STORE },
  { type: RecordType.QUARANTINE, ...STORE },
  { type: RecordType.MOVE, epoch: 2, dataStore: STORE.dataStore, duplicateBytes: 9 },
];
/** The first byte is the type. */
const RECORD_SEEDS = RECORDS.map(record => Buffer.from([record.type, ...encodeRecord(record)]));

function runRecord(next: Numbers): void {
  const [type, ...payload] = mutateBytes(RECORD_SEEDS, next);
  const record = tried(() => decodeRecord(type ?? 0, Uint8Array.from(payload)));
  if (record === undefined) return;
  const again = decodeRecord(record.type, encodeRecord(record));
  mustHold(JSON.stringify(again) === JSON.stringify(record), 'a record that is not written as it was read');
}

const STORE_ROWS = RECORDS.filter(record => 'dataStore' in record).flatMap(record =>
  new StoreStates().apply(record as Parameters<StoreStates['apply']>[0]).map(row => {
    const { key, value } = row as { key: Uint8Array; value: Uint8Array };
    return Buffer.concat([Buffer.of(key.length), key, value]);
  }),
);

function runStoreStates(next: Numbers): void {
  const [size, ...bytes] = mutateBytes(STORE_ROWS, next);
  const row = Uint8Array.from(bytes);
  const states = new StoreStates();
  tried(() => states.load(row.subarray(0, size), row.subarray(size)));
  for (const record of states.records()) encodeRecord(record);
  states.all();
}

const MARK_SEEDS = [encodeMark(new AppliedMark())];
const TOTAL_SEEDS = [encodeTotals({ ...EMPTY_TOTALS }, { ...EMPTY_TOTALS })];

function runMark(next: Numbers): void {
  const bytes = mutateBytes(MARK_SEEDS, next);
  const mark = tried(() => decodeMark(bytes));
  if (mark !== undefined) mustHold(Buffer.compare(encodeMark(mark), bytes) === 0, 'another mark');
  const totals = mutateBytes(TOTAL_SEEDS, next);
  tried(() => decodeTotals(totals));
}

const HEADERS: readonly (readonly [string, string])[] = [
  ['Host', 'a.example:9440'],
  ['Content-Length', '12'],
  ['Transfer-Encoding', 'chunked'],
  ['Authorization', 'Bearer x'],
  ['Range', 'bytes=0-5'],
  ['x-granary-xxh3', 'ab'],
];
const TARGETS = ['/api/v1/containers/c/files/a%2Fb%C3%A9', '/healthz', '/api/v1/containers?limit=5'] as const;

function runHead(next: Numbers): void {
  const headers = Array.from({ length: next(8) }, () => {
    const [name, value] = pick(HEADERS, next);
    const changed = next(3) === 0 ? mutateText(['host', 'content-length', name], next) : name;
    return [changed, next(3) === 0 ? mutateText([value], next) : value] as const;
  });
  const [path = '', query = ''] = mutateText(TARGETS, next).split('?');
  const method = next(5) === 0 ? mutateText(['GET', 'PUT'], next) : 'PUT';
  const head = readHead({ method, path, query, headers, remoteAddress: '127.0.0.1', isTls: false });
  if (isRefusal(head)) return;
  mustHold(!(head.isChunked && head.contentLength !== undefined), 'two framings');
  mustHold(head.headers.has('host'), 'no host');
  mustHold(
    head.contentLength === undefined || Number.isSafeInteger(head.contentLength),
    'a length of no number',
  );
  for (const name of head.headers.keys())
    mustHold(name === name.toLowerCase(), 'a name that is not lower case');
}

function runTarget(next: Numbers): void {
  const raw = mutateText(TARGETS, next);
  const name = tried(() => decodeFileName(raw));
  if (name !== undefined) mustHold(decodeNameBytes(fileNameBytes(name)) === name, 'another name');
  const query = tried(() => parseQuery(mutateText(['a=1&b=%20+c', 'prefix=x&limit=5&after='], next)));
  mustHold(query === undefined || Object.getPrototypeOf(query) === null, 'a query with a prototype');
  tried(() => parseFilePath(mutateText(['c/a/b', 'c'], next), next(2) === 0));
}

const RANGE_FILE = { path: 'a', version: 3, createdMs: 5, size: 100 } as Parameters<typeof wantedRange>[1];

function runRange(next: Numbers): void {
  const text = mutateText(['bytes=0-5', 'bytes=-7', 'bytes=99-', 'bytes=0-1,3-4', 'bytes=100-200'], next);
  const range = tried(() => wantedRange(new Map([['range', text]]), RANGE_FILE));
  if (range === undefined) return;
  const { offset, length } = range;
  const isInside = Number.isSafeInteger(offset) && offset >= 0 && length > 0 && offset + length <= 100;
  mustHold(isInside, `range '${text}' is ${offset}+${length}`);
}

const BODIES = [
  { name: 'g', encryption: 'static', passphrase: 'p', chunkSizeAverage: 16_384, quotaBytes: 5 },
  { name: 'c', group: 'g' },
  { passphrase: 'p', keyFile: 'AAAA', recoveryKey: 'x' },
  { passphrase: 'p', newPassphrase: 'q' },
  { name: 'u', role: 'reader' },
  { full: true, group: 'g' },
  { prefix: 'a', after: 'b', limit: '5' },
] as const;
const SCHEMAS = [
  ...[schema.groupRequest, schema.groupChange, schema.unlockRequest, schema.passphraseChange],
  ...[schema.keyRequest, schema.containerRequest, schema.userRequest, schema.verifyRequest, schema.listQuery],
];

function runBody(next: Numbers): void {
  // As it comes: text that JSON.parse has let through.
  const body: unknown = JSON.parse(JSON.stringify(mutateJson(BODIES, next)));
  const found = pick(SCHEMAS, next).safeParse(body);
  if (!found.success) return;
  const name = (found.data as { name?: unknown }).name;
  mustHold(name === undefined || /^[A-Za-z0-9._-]+$/.test(String(name)), `the name ${String(name)}`);
}

function runUnits(next: Numbers): void {
  const size = tried(() => parseSize(mutateText(['4096', '32KiB', '1.5 GiB', ' 7 tb '], next)));
  if (size === undefined) return;
  mustHold(Number.isSafeInteger(size) && size >= 0, `a size of ${size}`);
  formatSize(size);
}

const RECOVERY_KEY = formatRecoveryKey(BYTES);

function runRecoveryKey(next: Numbers): void {
  const text = mutateText([RECOVERY_KEY], next);
  const key = tried(() => parseRecoveryKey(text));
  // Case, blanks, dashes and letters that look like digits are forgiven; another key is not.
  if (key !== undefined) mustHold(formatRecoveryKey(key) === RECOVERY_KEY, `'${text}' is another key`);
}

/** Keyrings of a clear and of an encrypted group, as lines of JSON. */
async function keyringSeeds(): Promise<unknown[]> {
  const seeds: unknown[] = [];
  for (const secrets of [[], [{ keyFile: Buffer.alloc(32, 'k') }]]) {
    let written: Uint8Array = new Uint8Array();
    const call = async (_verb: string, _path: string, bytes: Uint8Array) => {
      written = bytes;
    };
    await createKeyring({ ...KEYRING, lane: { call } as unknown as Lane }, secrets);
    seeds.push(JSON.parse(Buffer.from(written).toString().split('\n')[0]!));
  }
  return seeds;
}

const KEYRING = { disk: 0, directory: '/g', storeId: BYTES.subarray(0, 16), clock: SYSTEM_CLOCK };
let keyrings: unknown[] | undefined;

/** Past the checksum, to what lies behind it; and without it. */
async function runKeyring(next: Numbers): Promise<void> {
  keyrings ??= await keyringSeeds();
  const line = JSON.stringify(mutateJson(keyrings, next)) ?? '';
  const sum = createHash('sha256').update(line).digest('hex');
  const whole = `${line}\n${sum}\n`;
  const bytes = Buffer.from(next(8) === 0 ? mutateText([whole], next) : whole);
  const call = async (verb: string) => (verb === 'readSmallFile' ? bytes : undefined);
  try {
    const locked = await LockedKeyring.read({ ...KEYRING, lane: { call } as unknown as Lane });
    await locked.open({ keyFile: Buffer.alloc(32, 'k') });
  } catch (thrown) {
    if (!(thrown instanceof StoreError)) throw thrown;
  }
}

export const HOSTILE_TARGETS: readonly HostileTarget[] = [
  { name: 'catalog record', run: runRecord },
  { name: 'states of data stores', run: runStoreStates },
  { name: 'applied mark and totals', run: runMark },
  { name: 'request head', run: runHead },
  { name: 'request target and query', run: runTarget },
  { name: 'range', run: runRange },
  { name: 'request bodies', run: runBody },
  { name: 'sizes', run: runUnits },
  { name: 'recovery key', run: runRecoveryKey },
  { name: 'keyring file', run: runKeyring },
];
