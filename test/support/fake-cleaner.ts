/** A cleaner of one group that does nothing but say what it was asked. */
import { StoreError } from '../../src/base/errors.js';
import type { CleanerSettings } from '../../src/catalog/types.js';
import type { CleanersStatus } from '../../src/cleaner/cleaners.js';
import { emptyFigures } from '../../src/cleaner/work.js';

export class FakeCleaner {
  settings: CleanerSettings = { isPaused: false, holdHours: 0, windows: [] };
  isRunning = false;

  async status(): Promise<CleanersStatus> {
    const last = { startedMs: 1000, endedMs: 2000, outcome: 'done' as const };
    const figures = { ...emptyFigures(), epoch: 7, freedBytes: 4096 };
    return {
      ...this.settings,
      groups: [
        {
          group: 'DefaultGroup',
          ...(this.isRunning
            ? { state: 'running' as const, phase: 'mark' as const, done: 1, total: 3 }
            : { state: 'idle' as const }),
          expectedBytes: 100,
          trashBytes: 50,
          last: { ...last, figures },
        },
      ],
    };
  }

  async begin(group = 'DefaultGroup'): Promise<CleanersStatus> {
    if (group !== 'DefaultGroup') throw new StoreError('NOT_FOUND', `storage group '${group}' is not open`);
    if (this.settings.isPaused) throw new StoreError('LOCKED', 'the cleaner is paused');
    this.isRunning = true;
    return this.status();
  }

  pause(): Promise<CleanersStatus> {
    return this.change({ isPaused: true });
  }

  resume(): Promise<CleanersStatus> {
    return this.change({ isPaused: false });
  }

  change(change: Partial<CleanerSettings>): Promise<CleanersStatus> {
    this.settings = { ...this.settings, ...change };
    return this.status();
  }
}
