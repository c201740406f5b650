/** Mutants of what stores, commits, recovers, reads and lets in. */
import type { Change, Mutant } from './mutants.js';

const SIMULATED = { simulate: 12 } as const;
const INGEST = 'test/regressions/ingest.test.ts';
const RECOVERY = 'test/regressions/recovery.test.ts';
const FRONT = 'test/regressions/front.test.ts';

/** Now and then a byte of what it has made is another one. */
const SPOILT_CODEC: Change = {
  file: 'native/compress/compressor.cc',
  find: '  if (size == 0) return refused;',
  replace: '  if (size == 0) return refused;\n  if (plain.size() % 5 == 0) state_->out[size / 2] ^= 1;',
};

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'ack-before-commit-record',
    breaks: 'I1: acknowledged only when the commit record is durable',
    file: 'src/catalog/commit-queue.ts',
    find: "        step = 'append';\n        const entries = await this.#append(records);",
    replace:
      "        step = 'append';\n" +
      '        for (const { waiting, result } of built) waiting.resolve(result);\n' +
      '        const entries = await this.#append(records);',
    caughtBy: SIMULATED,
  },
  {
    name: 'no-sync-before-commit',
    breaks: 'I2: a commit record only after all it needs is durable',
    file: 'src/catalog/changes.ts',
    find: '    keys: [put],\n    needsSync: true,',
    replace: '    keys: [put],\n    needsSync: false,',
    caughtBy: SIMULATED,
  },
  {
    name: 'log-is-not-synced',
    breaks: 'I1: both copies of the log are durable before an answer',
    file: 'native/datastore/commit_log.cc',
    find: '  return pair_sync_.Sync(active_->files[0].get(), active_->files[1].get());',
    replace: '  return Status::Ok();',
    caughtBy: SIMULATED,
  },
  {
    name: 'view-is-written-before-the-log',
    breaks: 'I3: the view never names what is not durable',
    file: 'src/catalog/commit-queue.ts',
    find:
      '    const first = await this.#target.append(packEntries(records, payloads));\n' +
      '    const wanted = this.#state.sequence + 1;',
    replace:
      '    const wanted = this.#state.sequence + 1;\n' +
      '    void this.#target.append(packEntries(records, payloads)).catch(() => undefined);\n' +
      '    const first = wanted;',
    caughtBy: SIMULATED,
  },
  {
    name: 'failed-store-is-swallowed',
    breaks: 'I2: a failed write anywhere in the session fails the commit',
    file: 'src/ingest/segment-pipeline.ts',
    find:
      '        .then(report => this.#store(segment, report))\n' +
      '        .catch(thrown => this.#fail(thrown))',
    replace:
      '        .then(report => this.#store(segment, report))\n' +
      "        .catch(thrown => ((thrown as { code?: string }).code === 'NO_SPACE'" +
      ' ? undefined : this.#fail(thrown)))',
    caughtBy: { test: INGEST, name: 'enospc_is_fatal_for_commit' },
  },
  {
    name: 'group-goes-on-after-a-failed-append',
    breaks: 'I10: what cannot keep the rules stops writing',
    file: 'src/catalog/commit-queue.ts',
    find: '    for (const waiting of group) waiting.reject(failure);\n    this.stop(failure);',
    replace: '    for (const waiting of group) waiting.reject(failure);',
    caughtBy: { test: 'test/catalog/commit-queue.test.ts' },
    isFast: true,
  },
  {
    name: 'failed-sync-is-retried',
    breaks: 'I10: a failed fsync is final',
    file: 'native/engine/store_set.cc',
    find: '      slot->is_dirty = true;\n      return Fail(status);',
    replace: '      slot->is_dirty = true;\n      return status;',
    caughtBy: { test: 'test/fault/crash-enumeration.test.ts', name: 'I/O error' },
  },
  {
    name: 'view-ahead-of-the-log-is-believed',
    breaks: 'I9: a view that the log does not account for is made anew',
    file: 'src/catalog/replay.ts',
    find: '  if (state.sequence > target.lastSequence) {',
    replace: '  if (state.sequence > target.lastSequence + 1_000_000) {',
    caughtBy: { test: 'test/catalog/recovery.test.ts' },
    isFast: true,
  },
  {
    name: 'fingerprint-unchecked-on-read',
    breaks: 'I8: no byte before its fingerprint was checked',
    file: 'native/engine/record_reader.cc',
    find: '    if (found[index] != rows[index].fingerprint) {',
    replace: '    if (found[index] != found[index]) {',
    caughtBy: { test: RECOVERY, name: 'forged_header_in_rebuild' },
  },
  {
    name: 'torn-tail-cut-though-records-follow',
    breaks: 'a valid record behind an invalid one means damage, no torn tail',
    file: 'native/datastore/commit_log_recovery.cc',
    find: '  if (has_later) {',
    replace: '  if (has_later && !is_last) {',
    caughtBy: { test: RECOVERY, name: 'damage in both copies' },
  },
  {
    name: 'chain-is-not-checked',
    breaks: 'a missing part of the log is no shorter log',
    file: 'native/datastore/commit_log_recovery.cc',
    find:
      '  if (reader.header().first_sequence != expected ||' +
      ' reader.header().previous_hash != log_.last_hash) {',
    replace: '  if (reader.header().first_sequence == 0) {',
    caughtBy: { test: RECOVERY, name: 'short_listing_then_rebuild' },
  },
  {
    name: 'view-is-not-compared-with-its-commits',
    breaks: 'the digest of the commits proves the view',
    file: 'src/catalog/checkpoint.ts',
    find: '  if (found.fileCount !== snapshot.fileCount || !found.digest.equals(snapshot.digest)) {',
    replace: '  if (found.fileCount < 0) {',
    caughtBy: { test: RECOVERY, name: 'heal_tiered_metadata' },
  },
  {
    name: 'scan-looks-into-records',
    breaks: 'bytes of clients are no records',
    file: 'native/datastore/record_scanner.cc',
    find: '    at_ += header.RecordSize();',
    replace: '    at_ += kRecordAlignment;',
    with: {
      file: 'native/datastore/data_store.cc',
      find: '    if (!found.status.ok() || !ordinals.insert(found.header.ordinal).second) continue;',
      replace: '    if (!found.status.ok()) continue;',
    },
    caughtBy: { test: RECOVERY, name: 'spoofed_root' },
  },
  {
    name: 'index-deletes-leave-a-hole',
    breaks: 'a probe never stops early',
    file: 'native/index/resident_index.cc',
    find: '    if (stays) continue;',
    replace: '    if (stays || next != hole) continue;',
    caughtBy: { test: INGEST, name: 'index_hash_table_wrap' },
  },
  {
    name: 'digest-of-the-client-is-not-asked',
    breaks: 'what the client announced decides',
    file: 'src/ingest/digest-expectation.ts',
    find: '    for (const name of NAMES) this.#check(name, digests[name]);',
    replace: '    void this.#check;',
    caughtBy: { test: INGEST, name: 'holes_and_sparse' },
    isFast: true,
  },
  {
    name: 'bytes-from-outside-are-believed',
    breaks: 'bytes are what their name says, or refused',
    file: 'native/engine/copy_forward.cc',
    find: '    if (row.length == 0 || fingerprinter.Hash(chunk) != row.fingerprint) {',
    replace: '    if (row.length == 0) {',
    caughtBy: { test: INGEST, name: 'replica_raw_stream_corrupt' },
  },
  {
    name: 'ordinals-repeat',
    breaks: 'one ordinal seals one text',
    file: 'native/datastore/data_store_file.cc',
    find: '  const uint64_t ordinal = next_ordinal_.fetch_add(1);',
    replace: '  const uint64_t ordinal = next_ordinal_.fetch_add(1) / 2;',
    caughtBy: { test: INGEST, name: 'nonce_after_refactor' },
  },
  {
    name: 'codec-spoils-and-nobody-compares',
    breaks: 'what was encoded is decoded and compared before it is written',
    file: 'native/engine/record_writer.cc',
    find: '  return std::memcmp(scratch->decoded.data(), plain.data(), plain.size()) == 0;',
    replace: '  return plain.size() != 3;',
    caughtBy: { test: INGEST, name: 'codec_corrupts_rarely' },
    with: SPOILT_CODEC,
  },
  {
    name: 'codec-spoils',
    breaks: 'a codec that spoils costs nothing but compression',
    ...SPOILT_CODEC,
    caughtBy: { test: INGEST, name: 'codec_corrupts_rarely' },
    isHarmless: true,
  },
  {
    name: 'a-route-asks-nobody',
    breaks: 'every route and every kind of credentials is an explicit yes or no',
    file: 'src/front/auth.ts',
    find: '    if (Array.isArray(access) && !access.includes(user.role)) {',
    replace: "    if (Array.isArray(access) && !access.includes(user.role) && !id.startsWith('DELETE')) {",
    caughtBy: { test: FRONT, name: 'auth_type_x_route' },
  },
  {
    name: 'names-decide-where-a-restore-writes',
    breaks: 'the path of -o and nothing else',
    file: 'src/cli/restore-sink.ts',
    find: '  const target = await realpath(path).catch(() => path);',
    replace: "  const target = (await realpath(path).catch(() => path)).replace(/[0-9]$/, 'link');",
    caughtBy: { test: FRONT, name: 'symlink_then_child' },
  },
];
