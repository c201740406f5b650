/** Mutants of what stores, commits, recovers and reads. */
import type { Mutant } from './mutants.js';

const SIMULATED = { simulate: 12 } as const;

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'ack-before-commit-record',
    breaks: 'I1: acknowledged only when the commit record is durable',
    file: 'src/catalog/commit-queue.ts',
    find: "        step = 'append';\n        const entries = await this.#append(records);",
    replace:
      "        step = 'append';\n        for (const { waiting, result } of built) waiting.resolve(result);\n" +
      '        const entries = await this.#append(records);',
    caughtBy: SIMULATED,
    isFast: true,
  },
  {
    name: 'no-sync-before-commit',
    breaks: 'I2: a commit record only after all it needs is durable',
    file: 'src/catalog/changes.ts',
    find: '    keys: [put],\n    needsSync: true,',
    replace: '    keys: [put],\n    needsSync: false,',
    caughtBy: SIMULATED,
    isFast: true,
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
    name: 'failed-stream-commits',
    breaks: 'I2: a failed write anywhere in the session fails the commit',
    file: 'src/ingest/segment-pipeline.ts',
    find: '    this.#isStopped = true;\n    this.#failure = asStoreError(thrown);',
    replace: '    return;\n    this.#failure = asStoreError(thrown);',
    caughtBy: { test: 'test/regressions/ingest.test.ts', name: 'enospc_is_fatal_for_commit' },
  },
  {
    name: 'group-goes-on-after-a-failed-append',
    breaks: 'I10: what cannot keep the rules stops writing',
    file: 'src/catalog/commit-queue.ts',
    find: '    for (const waiting of group) waiting.reject(failure);\n    this.stop(failure);',
    replace: '    for (const waiting of group) waiting.reject(failure);',
    caughtBy: { test: 'test/catalog/commit-queue.test.ts' },
  },
  {
    name: 'view-is-believed-when-it-is-behind',
    breaks: 'I9: whatever becomes of the view, the log tells',
    file: 'src/catalog/replay.ts',
    find: 'REPLAY_FIND',
    replace: 'REPLAY_REPLACE',
    caughtBy: SIMULATED,
  },
  {
    name: 'fingerprint-unchecked-on-read',
    breaks: 'I8: no byte before its fingerprint was checked',
    file: 'native/engine/record_reader.cc',
    find: '    if (found[index] != rows[index].fingerprint) {',
    replace: '    if (false) {',
    caughtBy: { test: 'test/regressions/recovery.test.ts', name: 'forged_header_in_rebuild' },
  },
  {
    name: 'torn-tail-cut-though-records-follow',
    breaks: 'an invalid record followed by a valid one is damage, no torn tail',
    file: 'native/datastore/commit_log_recovery.cc',
    find: '  if (has_later) {',
    replace: '  if (false && has_later) {',
    caughtBy: { test: 'test/regressions/recovery.test.ts', name: 'repair_keeps_valid_items' },
  },
  {
    name: 'codec-is-not-compared',
    breaks: 'what was encoded is decoded and compared before it is written',
    file: 'native/compress/compressor.cc',
    find: 'CODEC_FIND',
    replace: 'CODEC_REPLACE',
    caughtBy: { test: 'test/regressions/ingest.test.ts', name: 'codec_corrupts_rarely' },
  },
];
