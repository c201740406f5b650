/** A file as answers have it. */
import { isoTime } from '../base/clock.js';
import type { FileRecord } from '../catalog/types.js';
import { entityTag } from './file-conditions.js';

export function fileJson(file: FileRecord): object {
  const { path, version, size, newBytes, storedBytes, chunkCount } = file;
  return {
    ...{ path, version, size, state: 'local', created: isoTime(file.createdMs) },
    ...{ newBytes, storedBytes, chunkCount, etag: entityTag(file), ...digestsOf(file) },
    ...keepingOf(file),
  };
}

function keepingOf({ lockMode, lockUntilMs, hold, binUntilMs }: FileRecord): object {
  const time = (ms: number | undefined) => (ms === undefined ? undefined : isoTime(ms));
  return withoutUndefined({ lockMode, lockUntil: time(lockUntilMs), hold, binUntil: time(binUntilMs) });
}

export function digestsOf({ xxh3, blake3, sha256, md5 }: FileRecord): object {
  return withoutUndefined({ xxh3, blake3, sha256, md5 });
}

/** Optional properties are absent, not undefined. */
export function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
