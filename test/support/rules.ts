/**
 * The rules of the tidy test that are data: layers, homes of packages and headers, banned calls with what to
 * call instead, and the exceptions, whose list may only shrink.
 */

/** Imports point strictly down; folders of one layer stand side by side. */
export const TYPESCRIPT_LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  native: 1,
  wire: 1,
  bucket: 1,
  workers: 2,
  view: 2,
  // Keyrings are small files, written through a lane.
  keys: 2.5,
  catalog: 3,
  ingest: 4,
  restore: 4,
  replication: 4,
  cloud: 4,
  cleaner: 4,
  scrub: 4,
  front: 5,
  cli: 5,
  'main.ts': 6,
};

export const NATIVE_LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  chunk: 1,
  fingerprint: 1,
  compress: 1,
  seal: 1,
  blockmap: 1,
  io: 1,
  datastore: 2,
  index: 2,
  engine: 3,
  binding: 4,
};

/** Stages that are functions of their input alone. */
export const PURE_STAGES = new Set(['chunk', 'fingerprint', 'compress', 'seal', 'blockmap']);
const IMPURE = 'thread|mutex|shared_mutex|condition_variable|future|chrono|ctime|fstream|iostream|filesystem';
export const IMPURE_HEADERS = new RegExp(`^<(${IMPURE}|unistd\\.h|fcntl\\.h|sys/.*)>$`);

/** A package or system header that only these folders may name. */
export const PACKAGE_HOMES: Readonly<Record<string, readonly string[]>> = {
  'uWebSockets.js': ['front'],
  ws: ['front', 'replication'],
  rocksdb: ['view'],
  '@aws-sdk/client-s3': ['bucket'],
  piscina: ['workers'],
  commander: ['cli'],
  'cli-progress': ['cli'],
  yaml: ['cli'],
  '@asteasolutions/zod-to-openapi': ['front'],
};
export const HEADER_HOMES: readonly { header: RegExp; folders: readonly string[] }[] = [
  { header: /^<napi\.h>$/, folders: ['binding'] },
  { header: /^<blake3\.h>$|^<xxhash\.h>$/, folders: ['fingerprint'] },
  { header: /^<zstd.*>$|^<lz4.*>$/, folders: ['compress'] },
  { header: /^<openssl\/.*>$/, folders: ['seal', 'fingerprint'] },
  { header: /^<(fcntl\.h|unistd\.h|sys\/(stat|uio|file|statvfs|ioctl)\.h|dirent\.h)>$/, folders: ['io'] },
];

/** Packages that no import of ours names, and why they are there. */
export const INDIRECT_PACKAGES: Readonly<Record<string, string>> = {
  '@aws-sdk/client-s3': 'the cloud tier brings src/bucket',
  '@biomejs/biome': 'formatter and linter',
  '@c4312/blake3-native': 'CMake takes the BLAKE3 sources from it',
  '@types/benchmark': 'types',
  '@types/cli-progress': 'types',
  '@types/node': 'types',
  '@types/ws': 'types',
  'cmake-js': 'builds the addon',
  'node-addon-api': 'CMake takes napi.h from it',
  typescript: 'compiler',
};

export interface BannedCall {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly allowedIn: RegExp;
}

const NOWHERE = /^$/;
export const BANNED_CALLS: readonly BannedCall[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)/, instead: 'Clock.nowMs', allowedIn: /^src\/base\/clock\.ts$/ },
  {
    pattern: /\bperformance\.now\(|\bhrtime\b/,
    instead: 'Clock.monotonicMs',
    allowedIn: /^src\/base\/clock\.ts$/,
  },
  {
    pattern: /(?<![.\w])set(Timeout|Interval)\(/,
    instead: 'Clock.after',
    allowedIn: /^src\/base\/clock\.ts$/,
  },
  { pattern: /\bMath\.random\b/, instead: 'a random source given as a parameter', allowedIn: NOWHERE },
  { pattern: /\bconsole\./, instead: 'the log, or process.stdout in cli', allowedIn: NOWHERE },
  {
    pattern: /\bprocess\.exit\(/,
    instead: 'process.exitCode, or an error',
    allowedIn: /^src\/(main|cli\/.*)\.ts$/,
  },
  {
    pattern: /\bprocess\.env\b/,
    instead: 'a setting handed down',
    allowedIn: /^src\/(main|cli\/.*|front\/uws-.*)\.ts$/,
  },
  { pattern: /\bexport default\b/, instead: 'a named export', allowedIn: NOWHERE },
  { pattern: /\bcatch\s*(\([^)]*\)\s*)?\{\s*\}/, instead: 'a reason, or the error', allowedIn: NOWHERE },
];

export const BANNED_IN_NATIVE: readonly BannedCall[] = [
  { pattern: /(?<![\w.:])throw\b/, instead: 'Status', allowedIn: /^native\/binding\// },
  { pattern: /(?<![\w.:])assert\(/, instead: 'CHECK', allowedIn: NOWHERE },
  {
    pattern: /\b(std::rand|srand|std::random_device)\b/,
    instead: 'bytes given by the caller',
    allowedIn: NOWHERE,
  },
  { pattern: /\bstd::(cout|cerr)\b|(?<![\w:])printf\(/, instead: 'Status', allowedIn: NOWHERE },
  { pattern: /\b(system_clock|gettimeofday|std::time)\b/, instead: 'a time argument', allowedIn: NOWHERE },
];

/** Each with a reason; a line that is no longer needed fails the test. */
export const EXCEPTIONS: readonly { rule: string; path: string; reason: string }[] = [
  {
    rule: 'headers',
    path: 'native/datastore/body_tag.cc',
    reason: 'XXH3 as the tag of records that are not sealed',
  },
  {
    rule: 'headers',
    path: 'native/datastore/sha256.cc',
    reason: 'the chain of the log and the Merkle tree of a data store',
  },
  { rule: 'orphan', path: 'src/view/memory-store.ts', reason: 'the view of simulated disks, in tests' },
];
