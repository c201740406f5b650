/**
 * May a cycle begin? Only when everything is there to decide with: what cannot be read cannot say what it
 * needs.
 */
import { StoreError } from '../base/errors.js';
import type { OpenedGroup } from '../catalog/opened-group.js';

/** CORRUPT: a data store is damaged; BUSY: the view is being made anew; IO: the group has stopped writing. */
export async function demandGate(group: OpenedGroup): Promise<void> {
  if (group.queue.failure !== undefined) throw group.queue.failure;
  const { stopped } = await group.space.refresh();
  if (stopped !== undefined) throw new StoreError('IO', `the storage group has stopped writing: ${stopped}`);
  if (group.isRebuilding) throw new StoreError('BUSY', 'the view is being made anew');
  const [damaged] = group.report.damaged;
  if (damaged === undefined) return;
  throw new StoreError(
    'CORRUPT',
    `data store ${damaged.id} is damaged (${damaged.reason}): nothing is freed`,
  );
}
