/**
 * Uploads under way that their client has given a name (x-granary-upload), so that it can ask on another
 * connection how they go. A name is its user's own; it is gone when the upload ends, however it ends.
 */
import { StoreError } from '../base/errors.js';
import { UPLOADS_NAMED_MAX } from '../base/limits.js';
import type { UploadProgress } from '../ingest/upload.js';
import type { User } from './auth.js';
import type { HttpRequestHead } from './http.js';
import { type Route, route } from './route.js';
import { uploadName, uploadParams, uploadProgress } from './schema.js';

interface Going {
  readonly progress: UploadProgress;
}

export class NamedUploads {
  readonly #uploads = new Map<string, Going>();

  /**
   * Returns what forgets it. An upload without a name, or beyond the bound, is not kept: progress is a
   * comfort and no reason to refuse a backup. Of two with one name the later one is told of.
   */
  add(user: User | undefined, name: string | undefined, upload: Going): () => void {
    if (name === undefined || user === undefined) return forgetNothing;
    const key = keyOf(user, name);
    if (!this.#uploads.has(key) && this.#uploads.size >= UPLOADS_NAMED_MAX) return forgetNothing;
    this.#uploads.set(key, upload);
    return () => {
      if (this.#uploads.get(key) === upload) this.#uploads.delete(key);
    };
  }

  /** NOT_FOUND: none of this user's under way has the name. */
  progress(user: User, name: string): UploadProgress {
    const upload = this.#uploads.get(keyOf(user, name));
    if (upload === undefined) throw new StoreError('NOT_FOUND', `no upload '${name}' of yours is under way`);
    return upload.progress;
  }
}

function forgetNothing(): void {}

/** Neither part can hold a slash. */
function keyOf(user: User, name: string): string {
  return `${user.name}/${name}`;
}

/** The name that a put carries; INVALID when it cannot be one. */
export function nameOfUpload({ headers }: HttpRequestHead): string | undefined {
  const name = headers.get('x-granary-upload');
  if (name === undefined || uploadName.safeParse(name).success) return name;
  throw new StoreError('INVALID', 'x-granary-upload is not 1 to 64 letters, digits, dashes and underscores');
}

export function uploadRoutes(uploads: NamedUploads): Route[] {
  return [
    route({
      method: 'GET',
      pattern: '/api/v1/uploads/{upload}',
      summary: 'How an upload of the same user goes that was named by x-granary-upload.',
      params: uploadParams,
      answers: { 200: { description: 'So far', content: uploadProgress } },
      handle: async ({ params, user }) => ({ status: 200, json: uploads.progress(user!, params.upload) }),
    }),
  ];
}
