/**
 * Background work of retention: the retention clock is logged every RETENTION_CLOCK_INTERVAL_MS, what may
 * leave recycle bins leaves them, and the operator is told when the clock stands.
 */
import { DAY_MS, isoTime } from '../base/clock.js';
import { BIN_DAYS_MIN, BIN_SCAN_INTERVAL_MS, RETENTION_CLOCK_INTERVAL_MS } from '../base/limits.js';
import { recordsChange } from './changes.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import { RecordType } from './record.js';
import { purge } from './recycle-bin.js';

export class RetentionWatch {
  readonly #context: CatalogContext;
  readonly #group: OpenedGroup;
  #isFrozen = false;
  /** By the retention clock; what fails is tried again an interval later. */
  #logDueMs = 0;
  /** Nothing can be due before. */
  #purgeDueMs = 0;

  constructor(context: CatalogContext, group: OpenedGroup) {
    this.#context = context;
    this.#group = group;
  }

  async look(isStopped: () => boolean): Promise<void> {
    const nowMs = this.#group.retention.nowMs();
    this.#noteFrozen(nowMs);
    // A new group's first records, of which the clock is one, are being written.
    if (this.#group.state.config === undefined || this.#group.queue.failure !== undefined) return;
    await this.#log(nowMs);
    await this.#purge(nowMs, isStopped);
  }

  async #log(nowMs: number): Promise<void> {
    const { retentionMs } = this.#group.state.mark;
    if (nowMs < Math.max(this.#logDueMs, retentionMs + RETENTION_CLOCK_INTERVAL_MS)) return;
    this.#logDueMs = nowMs + RETENTION_CLOCK_INTERVAL_MS;
    await this.#group.commit(recordsChange([{ type: RecordType.CLOCK, retentionMs: nowMs }]));
  }

  async #purge(nowMs: number, isStopped: () => boolean): Promise<void> {
    if (nowMs < this.#purgeDueMs || this.#group.state.binTotals.files === 0) return;
    this.#purgeDueMs = nowMs + RETENTION_CLOCK_INTERVAL_MS;
    const { dropped, nextMs } = await purge(this.#group, this.#group.state.scanBin(), isStopped);
    // What is put into the bin from now on is there for longer than that.
    const nextDueMs = nextMs ?? nowMs + BIN_DAYS_MIN * DAY_MS;
    this.#purgeDueMs = Math.min(nextDueMs, nowMs + BIN_SCAN_INTERVAL_MS);
    if (dropped > 0) this.#tell('info', `${dropped} versions have left the recycle bin for good`);
  }

  #noteFrozen(nowMs: number): void {
    const { isFrozen, disagreementMs } = this.#group.retention;
    if (isFrozen === this.#isFrozen) return;
    this.#isFrozen = isFrozen;
    if (!isFrozen) {
      this.#tell('info', 'the wall clock is back: the retention clock goes on');
      return;
    }
    const hours = Math.round(disagreementMs / 3600_000);
    this.#tell(
      'error',
      `the wall clock has moved by ${hours} hours: the retention clock stands at ${isoTime(nowMs)} and ` +
        'nothing expires until the wall clock is right again, or the server is started anew',
    );
  }

  #tell(level: 'info' | 'error', message: string): void {
    this.#context.onEvent({ level, group: this.#group.name, message });
  }
}
