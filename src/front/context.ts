/** What the front end is given by main: the catalog and everything beside it that routes use. */
import type { Clock } from '../base/clock.js';
import type { StoreError } from '../base/errors.js';
import type { Catalog, FileDraft, FileRecord, OpenGroup } from '../catalog/types.js';
import type { Cleaners } from '../cleaner/cleaners.js';
import type { UploadOptions, UploadProgress } from '../ingest/upload.js';
import type { ByteRange } from '../restore/download.js';
import type { Role, TokenStore } from './auth.js';
import type { FrontLog } from './http.js';

/** Ingest as the front sees it; Upload is one. */
export interface UploadSession {
  write(bytes: Uint8Array): boolean;
  ready(): Promise<void>;
  finish(): Promise<FileDraft>;
  /** Set as soon as nothing can come of it. */
  readonly failure: StoreError | undefined;
  readonly progress: UploadProgress;
  close(): Promise<void>;
}

/** Restore as the front sees it; Download is one. */
export interface DownloadSession {
  next(): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

export interface Streams {
  upload(group: OpenGroup, options: UploadOptions): UploadSession | Promise<UploadSession>;
  download(group: OpenGroup, file: FileRecord, range?: ByteRange): DownloadSession | Promise<DownloadSession>;
}

/** Users of the system file. All durable when they resolve. */
export interface UserStore {
  list(): readonly { readonly name: string; readonly role: string }[];
  /** EXISTS when the name is taken. */
  add(user: { name: string; role: Role; tokenHash: string }): void | Promise<void>;
  /** NOT_FOUND. */
  delete(name: string): void | Promise<void>;
}

export interface SystemFacts {
  readonly version: string;
  readonly dataDirectory: string;
  readonly pid: number;
}

/** How far a check is: of one storage group after the other, in stages. */
export interface CheckProgress {
  readonly group: string;
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** Of all groups without `group`. CANCELLED: the signal came. */
export interface CheckOptions {
  readonly group?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
}

/** What scrub counts of a group; shown as metrics. */
export interface ScrubFigures {
  readonly group: string;
  readonly bytesRead: number;
  readonly filesRead: number;
  readonly roundPercent: number;
  readonly unreadDataStores: number;
  readonly quarantinedChunks: number;
  readonly healedChunks: number;
  readonly repairedChunks: number;
  readonly lostChunks: number;
  readonly damagedFiles: number;
}

/** Scrub of the open groups. NOT_FOUND: there is no such group, or it is not open. */
export interface ScrubAccess {
  run(options: CheckOptions): Promise<readonly object[]>;
  status(group?: string): Promise<readonly ScrubFigures[]>;
}

export interface FrontContext {
  readonly catalog: Catalog;
  readonly tokens: TokenStore;
  readonly users: UserStore;
  readonly system: SystemFacts;
  readonly clock: Clock;
  readonly log: FrontLog;
  readonly cleaner: Pick<Cleaners, 'begin' | 'status' | 'pause' | 'resume' | 'change'>;
  /** Checks what is stored; the report as JSON. May take hours. */
  verify(options: { full: boolean } & CheckOptions): Promise<object>;
  readonly scrub: ScrubAccess;
  /** By default Upload and Download. */
  readonly streams?: Streams;
}
