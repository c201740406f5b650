/**
 * What an upload saves, while it runs: only the server knows, so it is asked now and then, on a connection
 * beside the upload's. An answer that does not come is no failure of the upload.
 */
import type { Clock, Timer } from '../base/clock.js';
import { SAVING_INTERVAL_MS } from '../base/limits.js';
import { savingsPercent } from '../base/units.js';
import type { Client } from './client.js';

/** Of the server's answer, what is looked at. */
interface UploadProgress {
  readonly settledBytes: number;
  readonly storedBytes: number;
}

export interface SavingWatchOptions {
  readonly client: Pick<Client, 'json'>;
  /** As the upload's x-granary-upload says. */
  readonly upload: string;
  readonly clock: Clock;
  readonly onSaving: (percent: number) => void;
}

/** Asks until stop(), each time SAVING_INTERVAL_MS after the last answer. */
export function watchSaving(options: SavingWatchOptions): { stop(): void } {
  let isStopped = false;
  let timer: Timer;
  const ask = async () => {
    const percent = await savingOf(options);
    if (isStopped) return;
    if (percent !== undefined) options.onSaving(percent);
    wait();
  };
  const wait = () => {
    timer = options.clock.after(SAVING_INTERVAL_MS, () => void ask());
  };
  wait();
  return {
    stop() {
      isStopped = true;
      timer.cancel();
    },
  };
}

/** undefined: not known, or nothing has been settled yet. */
async function savingOf({ client, upload }: SavingWatchOptions): Promise<number | undefined> {
  try {
    const going = await client.json<UploadProgress>('GET', `/api/v1/uploads/${upload}`);
    return going.settledBytes > 0 ? savingsPercent(going.settledBytes, going.storedBytes) : undefined;
  } catch {
    // It has not begun, it has just ended, or the server does not know this call: the next answer may tell.
    return undefined;
  }
}
