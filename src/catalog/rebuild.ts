/**
 * `granary rebuild`: makes the views anew from data stores and logs alone, with no server running. The view
 * goes only after the group has been attached, so that nobody else's is taken away. It may be interrupted
 * anywhere: what a view has applied is in it, and a view that is half made from a checkpoint begins anew.
 */
import { StoreError } from '../base/errors.js';
import { GranaryCatalog } from './catalog.js';
import type { CatalogContext, RebuildProgress } from './context.js';
import type { Group } from './group.js';
import { PlaceFiller } from './place-filler.js';

export interface RebuildReport {
  readonly group: string;
  /** Log records applied. */
  readonly records: number;
  readonly containers: number;
  readonly files: number;
  readonly dataStores: number;
  /** Entered into the table of places. */
  readonly fingerprints: number;
  /** Why this group's view could not be made anew: locked, damaged, in use. */
  readonly failure?: string;
}

export interface RebuildRequest {
  readonly context: CatalogContext;
  readonly dataDirectory: string;
  /** All groups without it. */
  readonly group?: string;
  /** Of encrypted groups. */
  readonly passphrase?: string;
  readonly onProgress?: (progress: RebuildProgress) => void;
}

/** NOT_FOUND: there is no such group. */
export async function rebuildViews(request: RebuildRequest): Promise<RebuildReport[]> {
  const { group: name, passphrase, dataDirectory, onProgress = () => undefined } = request;
  const discardViews = { has: (group: string) => name === undefined || group === name };
  const catalog = await GranaryCatalog.open({
    context: { ...request.context, discardViews, onProgress },
    dataDirectory,
    ...(passphrase === undefined ? {} : { unlock: { passphrase } }),
  });
  try {
    const groups = catalog.groups.filter(group => discardViews.has(group.name));
    if (groups.length === 0) throw new StoreError('NOT_FOUND', `there is no storage group '${name}'`);
    const reports: RebuildReport[] = [];
    for (const group of groups) reports.push(await reportOf(group, onProgress));
    return reports;
  } finally {
    await catalog.close();
  }
}

async function reportOf(
  group: Group,
  onProgress: (progress: RebuildProgress) => void,
): Promise<RebuildReport> {
  const { opened } = group;
  if (opened === undefined) {
    const nothing = { records: 0, containers: 0, files: 0, dataStores: 0, fingerprints: 0 };
    return { group: group.name, ...nothing, failure: group.info.failure ?? 'the group is locked' };
  }
  const told = (done: number, total: number) =>
    onProgress({ group: group.name, stage: 'data stores', done, total });
  const fingerprints = await new PlaceFiller(opened).fill(() => false, told);
  const { dataStoreCount } = await opened.space.refresh();
  return {
    group: group.name,
    records: opened.replayed.records,
    containers: opened.state.containers.size,
    files: opened.state.totals.files,
    dataStores: dataStoreCount,
    fingerprints,
  };
}
