/**
 * Mark 2: does anything still name a chunk that is condemned? Roots come from the commit log, blockmap nodes
 * from a scan of the data stores' records; neither view nor index is asked, and other code answers than in
 * mark 1. A condemned chunk that is named and has no other copy means that the marks disagree: nothing is
 * deleted, and the brake is pulled.
 */
import { StoreError } from '../base/errors.js';
import { CLEANER_NAMES_MAX } from '../base/limits.js';
import { FINGERPRINT_SIZE, type ProbeHandle, type ProbeReport } from '../native/binding.js';
import { forEachRoot } from './log-roots.js';
import { packRoots } from './roots.js';
import { BrakePulled, packedIds, type Work } from './work.js';

/** Of data stores (hex ids) with condemned chunks. Throws BrakePulled; CORRUPT: there is no second mark. */
export async function probe(work: Work, ids: readonly string[], namesMax = CLEANER_NAMES_MAX): Promise<void> {
  const handle = await work.call('openProbe', work.engine, packedIds(ids));
  try {
    await giveRoots(work, handle, namesMax);
    judge(await findNodes(work, handle));
  } finally {
    await work.callAnyway('closeProbe', work.engine, handle);
  }
}

async function giveRoots(work: Work, handle: ProbeHandle, namesMax: number): Promise<void> {
  const { group, engine } = work;
  // In this order: the checkpoint's end has to lie before `last`.
  const { begin } = group.state.mark;
  const { lastSequence: last } = await work.call('counters', engine);
  work.begin('probe', group.state.totals.files);
  await forEachRoot(
    { lane: group.lane, engine, begin, last },
    namesMax,
    unit => work.paced(unit),
    async roots => {
      await work.call('probeRoots', engine, handle, packRoots(roots), roots.length);
      work.progress.done += roots.length;
    },
  );
}

/** Level by level: each sweep over the data stores finds the nodes that the one before has named. */
async function findNodes(work: Work, handle: ProbeHandle): Promise<ProbeReport> {
  const stores = [...(await work.dataStores()).values()].filter(store => store.blockmapPlainBytes > 0);
  work.begin('probe', stores.length);
  let report = await work.call('probeReport', work.engine, handle);
  while (report.missingCount > 0) {
    const before = report.nodeCount;
    work.progress.done = 0;
    for (const { id } of stores) {
      report = await work.call('probeStore', work.engine, handle, id);
      work.progress.done += 1;
      if (report.missingCount === 0) break;
    }
    if (report.missingCount > 0 && report.nodeCount === before) {
      throw new StoreError('CORRUPT', `mark 2: ${report.missingCount} blockmap nodes are in no data store`);
    }
  }
  return report;
}

function judge({ hitCount, hits }: ProbeReport): void {
  if (hitCount === 0) return;
  const first = Buffer.from(hits.subarray(0, FINGERPRINT_SIZE)).toString('hex');
  throw new BrakePulled(
    `the marks disagree: ${hitCount} chunks that the view's walk took for dead are named by files of the ` +
      `log (${first} is the first)`,
  );
}
