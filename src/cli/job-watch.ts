/**
 * A check that takes long: how far the server is, on standard error when that is a terminal, asked now and
 * then on a connection beside the call. An answer that does not come is no failure of the check.
 */
import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.js';
import { SAVING_INTERVAL_MS } from '../base/limits.js';
import { formatSize } from '../base/units.js';
import type { Client } from './client.js';

/** Of the server's answer. */
export interface JobProgress {
  readonly group: string;
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

export interface JobWatchOptions {
  readonly client: Pick<Client, 'json'>;
  /** What the line begins with. */
  readonly label: string;
  readonly clock: Clock;
  readonly stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>;
}

/** Of random bytes: nobody meets another's name by chance. */
const JOB_NAME_SIZE = 12;

/** Runs the call under a name, and shows how it goes until it ends. */
export async function watchedJob<T>(
  options: JobWatchOptions,
  call: (headers: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  if (!options.stream.isTTY) return call({});
  const job = randomBytes(JOB_NAME_SIZE).toString('base64url');
  const watch = new JobWatch(options, job);
  try {
    return await call({ 'x-granary-job': job });
  } finally {
    watch.stop();
  }
}

class JobWatch {
  readonly #options: JobWatchOptions;
  readonly #job: string;
  #timer: Timer | undefined;
  #isStopped = false;
  #before: { readonly progress: JobProgress; readonly ms: number } | undefined;

  constructor(options: JobWatchOptions, job: string) {
    this.#options = options;
    this.#job = job;
    this.#wait();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    if (this.#before !== undefined) this.#options.stream.write(CLEARED_LINE);
  }

  #wait(): void {
    this.#timer = this.#options.clock.after(SAVING_INTERVAL_MS, () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const { client, clock, label, stream } = this.#options;
    // It has not begun, or has just ended: the next answer may tell.
    const progress = await client
      .json<JobProgress>('GET', `/api/v1/jobs/${this.#job}`)
      .catch(() => undefined);
    if (this.#isStopped) return;
    if (progress !== undefined && progress.stage !== '') {
      const ms = clock.monotonicMs();
      const isSame =
        this.#before?.progress.group === progress.group && this.#before.progress.stage === progress.stage;
      const seconds = isSame ? (ms - this.#before!.ms) / 1000 : 0;
      const rate = seconds > 0 ? (progress.done - this.#before!.progress.done) / seconds : undefined;
      stream.write(CLEARED_LINE + jobLine(label, progress, rate));
      this.#before = { progress, ms };
    }
    this.#wait();
  }
}

const CLEARED_LINE = '\r\u001b[2K';
const IN_BYTES = new Set(['data stores', 'records']);

/** `verify  vault  data stores  45.0 %  1.20 GiB of 2.67 GiB  203.00 MiB/s`; `rate`: a second. */
export function jobLine(label: string, progress: JobProgress, rate: number | undefined): string {
  const { group, stage, done, total } = progress;
  const sized = (count: number) =>
    IN_BYTES.has(stage) ? formatSize(Math.round(count)) : `${Math.round(count)}`;
  const percent = total > 0 ? `${((100 * Math.min(done, total)) / total).toFixed(1)} %` : '100.0 %';
  const facts = [label, group, stage, percent, `${sized(done)} of ${sized(total)}`];
  if (rate !== undefined) facts.push(`${sized(Math.max(0, rate))}/s`);
  return facts.join('  ');
}
