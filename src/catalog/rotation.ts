/**
 * Key rotation of groups with internal encryption: a new data key is durable in the keyring, then named in
 * the log, then used for new data stores. A crash between leaves a key that no data store was sealed with,
 * which the next start takes as the newest.
 */

import { recordsChange } from './changes.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import { RecordType } from './record.js';

/**
 * Begins a new key epoch when the newest data key is older than the group's period. Answers whether it did.
 */
export async function rotateIfDue(context: CatalogContext, group: OpenedGroup): Promise<boolean> {
  const { encryption, rotationDays } = group.settings;
  if (encryption !== 'internal' || !group.keyring.needsRotation(rotationDays)) return false;
  const epoch = await group.keyring.addEpoch();
  const createdMs = context.clock.nowMs();
  try {
    await group.commit(recordsChange([{ type: RecordType.KEY, epoch, createdMs }]));
  } finally {
    // In any case: what is sealed under a key that the keyring takes for an old one is sealed anew for ever.
    await group.lane.call('setDataKeys', group.engine, group.keyring.dataKeys, epoch);
  }
  const message = `key epoch ${epoch} has begun; older data keeps its keys until it is copied`;
  context.onEvent({ level: 'info', group: group.name, message });
  return true;
}
