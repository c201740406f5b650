/** Flags, configuration files and texts that the command line makes of figures. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findConnection } from '../../src/cli/connection.js';
import { examineDataDirectory } from '../../src/cli/data-directory.js';
import { parseFilePath } from '../../src/cli/file-path.js';
import { formatDuration, progressLine } from '../../src/cli/progress.js';
import { parseListen, serveSettings } from '../../src/cli/serve-settings.js';
import { formatTable } from '../../src/cli/table.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('serve', () => {
  test('flags win over the configuration file, which wins over defaults', () => {
    const config = file('c.yaml', 'listen: 127.0.0.1:7000\ns3-listen: 127.0.0.1:7001\ngrace-seconds: 3\n');
    const settings = serveSettings({ config, listen: '127.0.0.1:8000' }, {});
    expect(settings.listen).toEqual({ host: '127.0.0.1', port: 8000 });
    expect(settings.s3Listen).toEqual({ host: '127.0.0.1', port: 7001 });
    expect([settings.graceSeconds, settings.logLevel]).toEqual([3, 'info']);
  });

  test.each([
    ['listne: 127.0.0.1:1', /listne/],
    ['grace-seconds: soon', /grace-seconds/],
    ['- a', /wanted 'flag: value' lines/],
    ['a: [', /not YAML/],
  ])('the configuration %j is refused with its reason', (content, reason) => {
    expect(() => serveSettings({ config: file('c.yaml', content) }, {})).toThrow(reason);
  });

  test('another than a loopback address is refused without TLS unless --insecure', () => {
    expect(() => serveSettings({ listen: '0.0.0.0:9440' }, {})).toThrow(/--insecure/);
    expect(() => serveSettings({ s3Listen: '[::]:9441' }, {})).toThrow(/--insecure/);
    expect(serveSettings({ listen: '0.0.0.0:9440', insecure: true }, {}).listen.host).toBe('0.0.0.0');
    const tls = { tlsCert: file('cert', 'C'), tlsKey: file('key', 'K') };
    expect(serveSettings({ listen: '0.0.0.0:9440', ...tls }, {}).tls).toMatchObject({
      certificate: 'C',
      key: 'K',
    });
    expect(() => serveSettings({ tlsCert: tls.tlsCert }, {})).toThrow(/both/);
  });

  test('addresses are HOST:PORT or [IPv6]:PORT', () => {
    expect(parseListen('[::1]:0')).toEqual({ host: '::1', port: 0 });
    for (const wrong of ['9440', ':9440', 'localhost', 'localhost:65536', '::1:9440', 'http://a:1']) {
      expect(() => parseListen(wrong)).toThrow(/not an address/);
    }
  });
});

describe('the data directory', () => {
  test('a missing one may be made when its parent is there, and only then', () => {
    expect(examineDataDirectory(join(folder, 'data'))).toBe('new');
    expect(() => examineDataDirectory(join(folder, 'not', 'mounted'))).toThrow(/does not exist/);
  });

  test('one that holds foreign files is refused, a used one is known again', () => {
    file('letter.txt', '');
    expect(() => examineDataDirectory(folder)).toThrow(/letter\.txt/);
    file('system.b', '');
    expect(examineDataDirectory(folder)).toBe('ours');
  });
});

describe('the connection', () => {
  test('a local server is found by what it has left in its data directory', () => {
    file('server.json', '{"url":"http://127.0.0.1:5555","pid":1}');
    file('admin.token', 'tok\n');
    const found = findConnection({ data: folder }, {});
    expect([found.url.origin, found.token]).toEqual(['http://127.0.0.1:5555', 'tok']);
    expect(findConnection({}, { GRANARY_DATA: folder }).token).toBe('tok');
  });

  test('flags win over the environment, and @FILE is a file', () => {
    const token = `@${file('t', 'from-file\n')}`;
    const found = findConnection(
      { url: 'https://h:1', token },
      { GRANARY_URL: 'http://x:1', GRANARY_TOKEN: 'y' },
    );
    expect([found.url.origin, found.token]).toEqual(['https://h:1', 'from-file']);
  });
});

describe('texts', () => {
  test('a name is split at its first slash and is otherwise left alone', () => {
    expect(parseFilePath('c/a//../b')).toEqual({ container: 'c', path: 'a//../b' });
    for (const wrong of ['c', '/a', 'c/', '', 'c/\ufffd']) expect(() => parseFilePath(wrong)).toThrow();
    expect(parseFilePath('c', true)).toEqual({ container: 'c', path: '' });
  });

  test('progress has a bar and the time left where the size is known, bytes and rate elsewhere', () => {
    const half = { done: 512 * 1024 ** 2, size: 1024 ** 3, seconds: 2 };
    const known = progressLine('a', half, 200);
    expect(known).toContain('[##########----------]  50.0 %');
    expect(known).toContain('512.00 MiB of 1.00 GiB  256.00 MiB/s  2 s left');
    expect(progressLine('a', { done: 1024 ** 2, seconds: 1 }, 200)).toBe('a  1.00 MiB  1.00 MiB/s');
    expect(progressLine('a'.repeat(300), { done: 1, seconds: 1 }, 80).length).toBe(80);
  });

  test('what is saved is rounded down, and stays on a terminal where bar and name have no room', () => {
    const state = { done: 512 * 1024 ** 2, size: 1024 ** 3, seconds: 2, saved: 99.99 };
    expect(progressLine('a', state, 200)).toMatch(/ {2}2 s left {2}saved 99 %$/);
    const narrow = progressLine('a/long/name'.repeat(20), state, 80);
    expect([narrow.length, narrow.includes('[')]).toEqual([80, false]);
    expect(narrow).toMatch(/^a.*… {2}50\.0 %.*saved 99 %$/u);
    const piped = progressLine('a', { ...state, size: undefined }, 200);
    expect(piped).toBe('a  512.00 MiB  256.00 MiB/s  saved 99 %');
  });

  test('durations are rounded to what one wants to know', () => {
    expect([4, 200, 7500].map(formatDuration)).toEqual(['4 s', '3 min 20 s', '2 h 05 min']);
  });

  test('columns are as wide as their widest cell, figures to the right', () => {
    expect(
      formatTable(
        ['name', 'files'],
        [
          ['a', 5],
          ['long', 1000],
        ],
      ),
    ).toBe('name  files\na         5\nlong   1000\n');
  });
});
