/** The uploads whose progress can be asked for: whose they are, how many there can be, when they are gone. */
import { expect, test } from 'vitest';
import { UPLOADS_NAMED_MAX } from '../../src/base/limits.js';
import { NamedUploads } from '../../src/front/named-uploads.js';

const user = { name: 'u', role: 'writer' } as const;
const other = { name: 'o', role: 'admin' } as const;
const notFound = expect.objectContaining({ code: 'NOT_FOUND' });

function going(received: number) {
  return { progress: { received, settledBytes: 0, newBytes: 0, storedBytes: 0 } };
}

test('two users may use one name, and each is told of its own upload', () => {
  const uploads = new NamedUploads();
  uploads.add(user, 'a', going(1));
  uploads.add(other, 'a', going(2));
  expect([uploads.progress(user, 'a').received, uploads.progress(other, 'a').received]).toEqual([1, 2]);
});

test('of two uploads with one name the later is told of, and the end of the earlier does not hide it', () => {
  const uploads = new NamedUploads();
  const forgetFirst = uploads.add(user, 'a', going(1));
  const forgetSecond = uploads.add(user, 'a', going(2));
  forgetFirst();
  expect(uploads.progress(user, 'a').received).toBe(2);
  forgetSecond();
  expect(() => uploads.progress(user, 'a')).toThrow(notFound);
});

test('beyond the bound an upload goes on untold of, until another has ended', () => {
  const uploads = new NamedUploads();
  const forgets = Array.from({ length: UPLOADS_NAMED_MAX }, (_, i) => uploads.add(user, `n${i}`, going(i)));
  uploads.add(user, 'more', going(0))();
  uploads.add(user, 'more', going(0));
  expect(() => uploads.progress(user, 'more')).toThrow(notFound);
  forgets[0]!();
  uploads.add(user, 'more', going(7));
  expect(uploads.progress(user, 'more').received).toBe(7);
});

test('an upload without a name is not kept', () => {
  const uploads = new NamedUploads();
  uploads.add(user, undefined, going(1))();
  expect(() => uploads.progress(user, 'undefined')).toThrow(notFound);
});
