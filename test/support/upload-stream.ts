/**
 * A well-behaved client of an Upload: writes slices, pauses when told to. And bytes to send.
 */
import { createHash } from 'node:crypto';
import type { FileDraft, FileRecord, OpenGroup } from '../../src/catalog/types.js';
import { Upload, type UploadOptions } from '../../src/ingest/upload.js';

/** Bytes that follow from `seed` alone, without long repetitions. */
export function bytesOf(seed: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let at = 0; at + 4 <= size; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  for (let at = size & ~3; at < size; at += 1) bytes[at] = (seed + at) & 255;
  return bytes;
}

export function hexOf(algorithm: 'sha256' | 'md5', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

export async function writeSlices(upload: Upload, bytes: Uint8Array, sliceSize: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += sliceSize) {
    if (!upload.write(bytes.subarray(at, at + sliceSize))) await upload.ready();
  }
}

/** A whole session without the commit. */
export async function uploadBytes(
  group: OpenGroup,
  bytes: Uint8Array,
  sliceSize = 65_536,
  options: UploadOptions = {},
): Promise<FileDraft> {
  const upload = Upload.begin(group, options);
  try {
    await writeSlices(upload, bytes, sliceSize);
    return await upload.finish();
  } finally {
    await upload.close();
  }
}

/** The draft as if it had been committed. */
export function recordOf(draft: FileDraft): FileRecord {
  return { ...draft, path: 'file', version: 1, createdMs: 0 };
}
