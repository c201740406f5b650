/**
 * What others have lost at their doors, replayed on ours. Each scenario is named after the loss it comes
 * from, and fails when the rule that it rests on is broken (test/mutants).
 *
 * Later parts have to add: kinds of credentials that they bring (S3 signatures in header and query, peers of
 * a replication), one line each in CREDENTIALS.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openFileSink } from '../../src/cli/restore-sink.js';
import { ACCESS, ROLES, type Role } from '../../src/front/auth.js';
import { routeId } from '../../src/front/route.js';
import { FrontServer } from '../support/front-server.js';

let folder: string;
let front: FrontServer;

beforeAll(async () => {
  front = await new FrontServer('node:http').listen();
});
afterAll(() => front.server.stop(0));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-regression-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Every kind of credentials that a request can come with, and the role it stands for; undefined: none. */
const CREDENTIALS: Readonly<Record<string, { headers: Record<string, string>; role: Role | undefined }>> = {
  none: { headers: {}, role: undefined },
  'an empty token': { headers: { authorization: 'Bearer ' }, role: undefined },
  'a token nobody has': { headers: { authorization: 'Bearer nobody' }, role: undefined },
  'a token in another case': { headers: { authorization: 'Bearer ADMIN' }, role: undefined },
  'a token with something behind it': { headers: { authorization: 'Bearer admin x' }, role: undefined },
  'basic credentials': { headers: { authorization: 'Basic YWRtaW46YWRtaW4=' }, role: undefined },
  'a signature of S3': {
    headers: {
      authorization: 'AWS4-HMAC-SHA256 Credential=admin/20260101/us-east-1/s3/aws4_request',
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    },
    role: undefined,
  },
  'a token in another header': {
    headers: { 'x-auth-token': 'admin', cookie: 'token=admin' },
    role: undefined,
  },
  ...Object.fromEntries(
    ROLES.map(role => [`the token of ${role}`, { headers: { authorization: `Bearer ${role}` }, role }]),
  ),
};

test('auth_type_x_route: every route has a row, and takes exactly its credentials', async () => {
  const wrong: string[] = [];
  for (const described of front.front.routes) {
    const id = routeId(described);
    const access = ACCESS[id];
    if (access === undefined) wrong.push(`${id} has no row`);
    for (const [kind, { headers, role }] of Object.entries(CREDENTIALS)) {
      const address = described.pattern.replace('{path}', 'f').replace(/\{\w+\}/g, 'none');
      for (const suffix of ['', '?token=admin&X-Amz-Credential=admin']) {
        // Guesses are slowed down by address; this is not about guesses.
        const { status } = await front.call(described.method, `${address}${suffix}`, {
          token: null,
          headers,
        });
        const isOpen = typeof access === 'string';
        const mayPass = isOpen || (role !== undefined && access?.includes(role) === true);
        const hasPassed = status !== 401 && status !== 403 && status !== 503;
        if (mayPass !== hasPassed) wrong.push(`${id}${suffix} with ${kind}: ${status}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

const HOSTILE = [
  '../outside',
  '/etc/granary',
  'link/child',
  'a/../../outside',
  '..',
  'dir/./x',
  '%2e%2e/outside',
  'a\\b',
];

test('symlink_then_child: no name of a file decides where a restore writes', async () => {
  mkdirSync(join(folder, 'in'));
  mkdirSync(join(folder, 'out'));
  symlinkSync(join(folder, 'out'), join(folder, 'in', 'link'));
  for (const [at, name] of HOSTILE.entries()) {
    // The command line writes to the path of -o, and to nothing else, whatever the file is called.
    const target = join(folder, 'in', `restored${at}`);
    const sink = await openFileSink(target);
    await sink.write(Buffer.from(name));
    await sink.finish();
    expect(readFileSync(target, 'utf8')).toBe(name);
  }
  expect(readdirSync(join(folder, 'out'))).toEqual([]);
  expect(existsSync(join(folder, 'outside'))).toBe(false);
});
