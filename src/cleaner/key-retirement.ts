/**
 * Data keys that nothing is sealed with any more leave the keyring: a copy of the disks and of an old
 * passphrase opens nothing of what was sealed under them. Only when the trash is empty, since what lies there
 * may have to come back, and while every data store could be opened.
 */
import type { Work } from './work.js';

/** Answers how many keys have gone. Never the active one. */
export async function retireKeys(work: Work): Promise<number> {
  const { keyring, report } = work.group;
  if (!keyring.isEncrypted || keyring.dataKeys.length < 2 || report.damaged.length > 0) return 0;
  work.begin('keys');
  // Behind this no data store begins under an earlier key, whatever a rotation beside it has come to.
  const { activeEpoch, dataKeys } = keyring;
  await work.call('setDataKeys', work.engine, dataKeys, activeEpoch);
  if ((await work.call('listTrash', work.engine)).length > 0) return 0;
  const used = new Set([...(await work.dataStores()).values()].map(({ keyEpoch }) => keyEpoch));
  const retired = await keyring.retireEpochs(epoch => epoch < activeEpoch && !used.has(epoch));
  if (retired.length > 0) {
    work.note(
      'info',
      `key epochs ${retired.join(', ')}: nothing is sealed with them any more, the keys are gone`,
    );
  }
  return retired.length;
}
