/**
 * The system file, system.a and system.b in the data directory: which storage groups there are and where,
 * and who may log in. All else about a group lies in its own directory; its settings are repeated here only
 * so that a locked group can be shown.
 */
import { createHash, randomBytes } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { hasCode, StoreError } from '../base/errors.js';
import {
  CLEANER_HOLD_HOURS_MAX,
  CLEANER_WINDOWS_MAX,
  CONTAINER_COUNT_MAX,
  GROUP_COUNT_MAX,
  USER_COUNT_MAX,
} from '../base/limits.js';
import { StateFile } from '../keys/state-file.js';
import type { CatalogContext } from './context.js';

const NAME = z.string().min(1);
const HEX = z.string().regex(/^[0-9a-f]+$/);

const GROUP = z.strictObject({
  name: NAME,
  /** Of a group inside the data directory relative to it, so that the directory can be moved. */
  path: z.string().min(1),
  /** The group's store id, as its superblock has it. */
  id: HEX.length(32),
  /** A group that is being made or deleted when we die is finished at the next start. */
  state: z.enum(['making', 'ready', 'deleting']),
  isPerformanceTier: z.boolean(),
  chunkSizeAverage: z.number().int(),
  settings: z.strictObject({
    compression: z.enum(['none', 'fast', 'best']),
    encryption: z.enum(['off', 'static', 'internal']),
    rotationDays: z.number().int(),
    quotaBytes: z.number().int(),
  }),
  admission: z
    .strictObject({
      sequentialIops: z.number(),
      randomIops: z.number(),
      isRotational: z.boolean().optional(),
    })
    .optional(),
  /**
   * Of encrypted groups: salted hashes of their containers' names, so that a locked group's are known when
   * asked for.
   */
  containers: z.array(HEX).max(CONTAINER_COUNT_MAX).optional(),
});
export type GroupEntry = z.infer<typeof GROUP>;

const USER = z.strictObject({
  name: NAME,
  role: NAME,
  /** SHA-256 of the token, hex. */
  tokenHash: HEX.length(64),
});
export type UserEntry = z.infer<typeof USER>;

/** Absent in systems whose cleaner nobody has ever set. */
const CLEANER = z.strictObject({
  isPaused: z.boolean(),
  holdHours: z.number().int().min(0).max(CLEANER_HOLD_HOURS_MAX),
  windows: z
    .array(
      z.strictObject({
        day: z.number().int().min(0).max(6),
        fromMinute: z.number().int().min(0).max(1439),
        minutes: z.number().int().min(1).max(1440),
      }),
    )
    .max(CLEANER_WINDOWS_MAX),
});

const SYSTEM = z.strictObject({
  systemId: HEX.length(32),
  groups: z.array(GROUP).max(GROUP_COUNT_MAX),
  users: z.array(USER).max(USER_COUNT_MAX),
  cleaner: CLEANER.optional(),
});
export type SystemContent = z.infer<typeof SYSTEM>;

/** What may lie in a data directory that has never been used. */
const IGNORED = new Set(['lock', 'lost+found']);
const HASH_SIZE = 8;

export class SystemFile {
  readonly #file: StateFile<SystemContent>;
  readonly #dataDirectory: string;
  /** Paths are absolute here. */
  #content: SystemContent;
  /** Changes are made one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(file: StateFile<SystemContent>, dataDirectory: string, stored: SystemContent) {
    this.#file = file;
    this.#dataDirectory = dataDirectory;
    this.#content = withPaths(stored, path => (isAbsolute(path) ? path : `${dataDirectory}/${path}`));
  }

  /**
   * Reads the system file. An empty or missing directory is made a new system; one that holds other things
   * but no system file is refused (NOT_FOUND): its volume may not be mounted, or the directory is not ours.
   */
  static async open(context: CatalogContext, dataDirectory: string): Promise<SystemFile> {
    const { lane, disk } = context;
    const file = new StateFile<SystemContent>({
      lane,
      disk,
      path: `${dataDirectory}/system`,
      format: 'granary system',
      parse: content => SYSTEM.parse(content),
    });
    try {
      return new SystemFile(file, dataDirectory, await file.read(context.isReadOnly !== true));
    } catch (thrown) {
      if (!hasCode(thrown, 'NOT_FOUND') || context.isReadOnly === true) throw thrown;
    }
    await lane.call('makeDirectory', dataDirectory, disk);
    const names = await lane.call('listDirectory', dataDirectory, disk);
    const foreign = names.filter(name => !IGNORED.has(name));
    if (foreign.length > 0) {
      throw new StoreError(
        'NOT_FOUND',
        `${dataDirectory} is not empty ('${foreign[0]}') but has no system file: not a data directory?`,
      );
    }
    const content = { systemId: randomBytes(16).toString('hex'), groups: [], users: [] };
    await file.write(content);
    return new SystemFile(file, dataDirectory, content);
  }

  /** Copies that the start found damaged or missing, and has made good from the other one. */
  get damages(): readonly string[] {
    return this.#file.damages;
  }

  get content(): SystemContent {
    return this.#content;
  }

  group(name: string): GroupEntry | undefined {
    return this.#content.groups.find(group => group.name === name);
  }

  /** Makes `change`'s answer durable and current. What it throws leaves everything as it was. */
  change(change: (content: SystemContent) => SystemContent): Promise<void> {
    const changed = this.#changing.then(async () => {
      const content = SYSTEM.parse(change(this.#content));
      const inside = `${this.#dataDirectory}/`;
      const stored = withPaths(content, path => (path.startsWith(inside) ? path.slice(inside.length) : path));
      await this.#file.write(stored);
      this.#content = content;
    });
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  /** Puts `entry` in the place of the group's entry, or adds it; undefined takes it away. */
  setGroup(name: string, entry: GroupEntry | undefined): Promise<void> {
    return this.change(content => {
      const groups = content.groups.filter(group => group.name !== name);
      const place = content.groups.findIndex(group => group.name === name);
      if (entry !== undefined) groups.splice(place < 0 ? groups.length : place, 0, entry);
      return { ...content, groups };
    });
  }

  /** What stands for a container's name here: enough to recognise it, and nothing to read. */
  nameHash(container: string): string {
    const hash = createHash('sha256').update(`${this.#content.systemId}/${container}`).digest('hex');
    return hash.slice(0, 2 * HASH_SIZE);
  }
}

function withPaths(content: SystemContent, change: (path: string) => string): SystemContent {
  return { ...content, groups: content.groups.map(group => ({ ...group, path: change(group.path) })) };
}
