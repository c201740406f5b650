/**
 * The cleaners of all open groups behind one door, for front end and command line: run, status, pause,
 * resume, and the settings they share, which lie in the system file.
 */
import { asStoreError, StoreError } from '../base/errors.js';
import type { CatalogContext, GroupService } from '../catalog/context.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import type { CleanerSettings } from '../catalog/types.js';
import { Cleaner, type CleanerStatus } from './cleaner.js';
import type { CycleOptions } from './cycle.js';

/** Where the settings lie; GranaryCatalog is one. */
export interface SettingsStore {
  readonly cleanerSettings: CleanerSettings;
  changeCleanerSettings(change: Partial<CleanerSettings>): Promise<void>;
}

export interface CleanersStatus extends CleanerSettings {
  readonly groups: readonly CleanerStatus[];
}

export class Cleaners {
  readonly #context: Pick<CatalogContext, 'clock' | 'disk' | 'onEvent'>;
  readonly #options: Partial<CycleOptions>;
  readonly #byGroup = new Map<string, Cleaner>();
  #settings: SettingsStore | undefined;

  constructor(
    context: Pick<CatalogContext, 'clock' | 'disk' | 'onEvent'>,
    options: Partial<CycleOptions> = {},
  ) {
    this.#context = context;
    this.#options = options;
  }

  /** For CatalogContext.services. */
  readonly make = (group: OpenedGroup): GroupService => {
    const cleaner = new Cleaner({
      context: this.#context,
      group,
      settings: () => this.#settings?.cleanerSettings,
      options: this.#options,
    });
    this.#byGroup.set(group.name, cleaner);
    return {
      start: () => cleaner.start(),
      close: async () => {
        if (this.#byGroup.get(group.name) === cleaner) this.#byGroup.delete(group.name);
        await cleaner.close();
      },
    };
  };

  /** The catalog has been opened: from now on cycles may begin by themselves. */
  use(settings: SettingsStore): void {
    this.#settings = settings;
  }

  /** NOT_FOUND: there is no such group, or it is not open. */
  of(group: string): Cleaner {
    const cleaner = this.#byGroup.get(group);
    if (cleaner === undefined) throw new StoreError('NOT_FOUND', `storage group '${group}' is not open`);
    return cleaner;
  }

  /**
   * Begins a thorough cycle in the group, or in all; who waits is told by status. LOCKED: paused, or the
   * brake is pulled.
   */
  async begin(group?: string): Promise<CleanersStatus> {
    if (this.#settings?.cleanerSettings.isPaused === true) {
      throw new StoreError('LOCKED', "the cleaner is paused: 'granary cleaner resume' first");
    }
    const cleaners = group === undefined ? [...this.#byGroup.values()] : [this.of(group)];
    const held = (await Promise.all(cleaners.map(cleaner => cleaner.status()))).filter(
      ({ brake }) => brake !== undefined,
    );
    if (held.length > 0 && held.length === cleaners.length) {
      throw new StoreError('LOCKED', `${held[0]!.group}: ${held[0]!.brake}`);
    }
    for (const cleaner of cleaners) {
      cleaner.runCycle('thorough').catch((thrown: unknown) => {
        const message = `cleaner: ${asStoreError(thrown).message}`;
        this.#context.onEvent({ level: 'warn', group: cleaner.group.name, message });
      });
    }
    return this.status();
  }

  async status(): Promise<CleanersStatus> {
    const settings = this.#settings?.cleanerSettings ?? NO_SETTINGS;
    return {
      ...settings,
      groups: await Promise.all([...this.#byGroup.values()].map(cleaner => cleaner.status())),
    };
  }

  /** Durable; cycles that run end soon. */
  async pause(): Promise<CleanersStatus> {
    await this.#settings?.changeCleanerSettings({ isPaused: true });
    for (const cleaner of this.#byGroup.values()) cleaner.cancel();
    return this.status();
  }

  /** Durable; releases brakes as well. */
  async resume(): Promise<CleanersStatus> {
    for (const cleaner of this.#byGroup.values()) await cleaner.release();
    await this.#settings?.changeCleanerSettings({ isPaused: false });
    return this.status();
  }

  async change(settings: Partial<CleanerSettings>): Promise<CleanersStatus> {
    await this.#settings?.changeCleanerSettings(settings);
    return this.status();
  }
}

const NO_SETTINGS: CleanerSettings = { isPaused: false, holdHours: 0, windows: [] };
