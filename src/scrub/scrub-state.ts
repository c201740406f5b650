/**
 * How far scrub is, durable in the storage group's directory (native/FORMAT.md, "Scrub state"): a restart
 * goes on there. It decides about nothing but the order of reading; when it is lost, scrub begins anew. In an
 * encrypted group it holds no names: files are known by their keys in the view.
 */
import { asStoreError, hasCode, StoreError } from '../base/errors.js';
import { SCRUB_CHECKED_MAX } from '../base/limits.js';
import type { OpenedGroup } from '../catalog/opened-group.js';
import { StateFile } from '../keys/state-file.js';

export interface ScrubContent {
  /** Data stores of this incarnation and of those before have been read back, or are left to the round. */
  settledIncarnation: number;
  /** Of later incarnations those that have been read back, hex. */
  checked: string[];
  /** The round over all records: everything before this chunk of this data store has been read in it. */
  dataStore: string;
  chunk: number;
  roundMs: number;
  /** When the last round was complete; 0: none was. */
  roundDoneMs: number;
  /** When all references had been looked for. */
  referencesMs: number;
  /** Files up to this version have been read as a whole since they were put. */
  checkedVersion: number;
  /** The round over all files: the last one read (its key in the view, hex), bytes so far. */
  fileKey: string;
  fileBytes: number;
  fileRoundMs: number;
  /** Since the group was made. */
  bytesRead: number;
  filesRead: number;
  chunksRepaired: number;
}

const NUMBERS = [
  'settledIncarnation',
  'chunk',
  'roundMs',
  'roundDoneMs',
  'referencesMs',
  'checkedVersion',
  'fileBytes',
  'fileRoundMs',
  'bytesRead',
  'filesRead',
  'chunksRepaired',
] as const satisfies readonly (keyof ScrubContent)[];

export class ScrubState {
  readonly #file: StateFile<ScrubContent>;
  readonly content: ScrubContent;
  /** Why the stored state could not be used. */
  readonly failure: string | undefined;

  private constructor(file: StateFile<ScrubContent>, content: ScrubContent, failure?: string) {
    this.#file = file;
    this.content = content;
    this.failure = failure;
  }

  /** UNSUPPORTED: a newer version wrote it. What is missing or damaged is begun anew. */
  static async open(group: OpenedGroup, nowMs: number): Promise<ScrubState> {
    const { lane, disk, directory } = group;
    const path = `${directory}/scrub`;
    const file = new StateFile<ScrubContent>({ lane, disk, path, format: 'granary scrub', parse });
    try {
      return new ScrubState(file, await file.read());
    } catch (thrown) {
      const { code, message } = asStoreError(thrown);
      if (code === 'UNSUPPORTED') throw thrown;
      const content = initial(group.report.incarnation, nowMs);
      return new ScrubState(file, content, hasCode(thrown, 'NOT_FOUND') ? undefined : message);
    }
  }

  noteChecked(id: string): void {
    this.content.checked.push(id);
    const { checked } = this.content;
    if (checked.length > SCRUB_CHECKED_MAX) checked.splice(0, checked.length - SCRUB_CHECKED_MAX);
  }

  /** Durable when it resolves. */
  save(): Promise<void> {
    return this.#file.write(this.content);
  }
}

function initial(incarnation: number, nowMs: number): ScrubContent {
  const numbers = Object.fromEntries(NUMBERS.map(name => [name, 0])) as Record<
    (typeof NUMBERS)[number],
    number
  >;
  return {
    ...numbers,
    settledIncarnation: incarnation - 1,
    roundMs: nowMs,
    fileRoundMs: nowMs,
    checked: [],
    dataStore: '',
    fileKey: '',
  };
}

function parse(content: unknown): ScrubContent {
  const fields = content as Record<keyof ScrubContent, unknown>;
  const isList =
    Array.isArray(fields.checked) && fields.checked.every(id => /^[0-9a-f]{48}$/.test(String(id)));
  const hasNumbers = NUMBERS.every(name => Number.isSafeInteger(fields[name]) && Number(fields[name]) >= 0);
  const isHex = [fields.dataStore, fields.fileKey].every(text => /^[0-9a-f]*$/.test(String(text)));
  if (!isList || !hasNumbers || !isHex) throw new StoreError('CORRUPT', 'not the fields of a scrub state');
  return fields as unknown as ScrubContent;
}
