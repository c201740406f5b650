/**
 * Quotas: of a group over physical bytes (space.ts refuses), of a container over the bytes of its current
 * files as they came. What is deleted is no longer counted by the container at once, and by the group when
 * the cleaner has freed it. QUOTA_WARN_SHARE of either raises one event, and another when it is full.
 */
import { StoreError } from '../base/errors.js';
import { QUOTA_WARN_SHARE } from '../base/limits.js';
import { formatSize } from '../base/units.js';
import type { ContainerState } from './container-table.js';
import type { CatalogContext } from './context.js';
import type { OpenedGroup } from './opened-group.js';
import type { QuotaState } from './types.js';

export function quotaState(used: number, quota: number): QuotaState {
  if (quota === 0) return 'none';
  if (used >= quota) return 'full';
  return used >= QUOTA_WARN_SHARE * quota ? 'warning' : 'ok';
}

/**
 * NO_SPACE: so many bytes would come to the container's files, of which there are `used`, and its quota does
 * not let them. What makes it no larger is always let through.
 */
export function demandRoom({ name, policy }: ContainerState, used: number, growth: number): void {
  const quota = policy.logicalQuotaBytes ?? 0;
  if (quota === 0 || growth <= 0 || used + growth <= quota) return;
  throw new StoreError(
    'NO_SPACE',
    `container '${name}' holds ${formatSize(used)} of its quota of ${formatSize(quota)}: ` +
      `${formatSize(growth)} more do not fit`,
  );
}

/** Says once when a quota comes near its end, again when it is full, and again after it had room. */
export class QuotaWatch {
  readonly #context: CatalogContext;
  readonly #group: OpenedGroup;
  readonly #states = new Map<string, QuotaState>();

  constructor(context: CatalogContext, group: OpenedGroup) {
    this.#context = context;
    this.#group = group;
  }

  look(): void {
    const { name, settings, space, state } = this.#group;
    this.#note(`storage group '${name}'`, space.counters.fileBytes, settings.quotaBytes);
    for (const { name: container, policy, totals } of state.containers.values()) {
      this.#note(`container '${container}'`, totals.logicalBytes, policy.logicalQuotaBytes ?? 0);
    }
  }

  #note(what: string, used: number, quota: number): void {
    const now = quotaState(used, quota);
    const before = this.#states.get(what) ?? 'none';
    if (now === before) return;
    this.#states.set(what, now);
    const isWorse = now === 'full' || (now === 'warning' && before !== 'full');
    if (!isWorse) return;
    const message = `${what} uses ${formatSize(used)} of its quota of ${formatSize(quota)}`;
    const level = now === 'full' ? 'error' : 'warn';
    this.#context.onEvent({ level, group: this.#group.name, message });
  }
}
