/** Uploads whose client has named them (x-granary-upload), and the route that tells how they go. */
import { StoreError } from '../base/errors.js';
import { UPLOADS_NAMED_MAX } from '../base/limits.js';
import type { UploadProgress } from '../ingest/upload.js';
import type { HttpRequestHead } from './http.js';
import { NamedWork } from './named-work.js';
import { type Route, route } from './route.js';
import { uploadParams, uploadProgress, workName } from './schema.js';

export class NamedUploads extends NamedWork<UploadProgress> {
  constructor() {
    super('upload', UPLOADS_NAMED_MAX);
  }
}

/** The name that a put carries; INVALID when it cannot be one. */
export function nameOfUpload(head: HttpRequestHead): string | undefined {
  return nameIn(head, 'x-granary-upload');
}

/** The name that this header gives to what is asked for. INVALID when it cannot be one. */
export function nameIn({ headers }: HttpRequestHead, header: string): string | undefined {
  const name = headers.get(header);
  if (name === undefined || workName.safeParse(name).success) return name;
  throw new StoreError('INVALID', `${header} is not 1 to 64 letters, digits, dashes and underscores`);
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
