/**
 * What a machine can hold of the repository's own rules: who may import whom, sizes, banned calls with what
 * to call instead, one list of codes on both sides of the door, no orphans, no dead links. The lists of
 * exceptions may only shrink.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CODES } from '../src/base/errors.js';
import { binding, LOG_ROW_HEADER_SIZE, ROW_SIZE } from '../src/native/binding.js';
import {
  BANNED_CALLS,
  BANNED_IN_NATIVE,
  type BannedCall,
  EXCEPTIONS,
  HEADER_HOMES,
  IMPURE_HEADERS,
  INDIRECT_PACKAGES,
  NATIVE_LAYERS,
  PACKAGE_HOMES,
  PURE_STAGES,
  TYPESCRIPT_LAYERS,
} from './support/rules.js';
import {
  filesBelow,
  functionsOf,
  importsOf,
  importTarget,
  includesOf,
  ROOT,
  readText,
  type Source,
  sourcesBelow,
} from './support/sources.js';

const SOURCES = sourcesBelow('src', 'native');
const ALL_CODE = [...SOURCES, ...sourcesBelow('test', 'bench')];
const used = new Set<string>();

function isExcepted(rule: string, path: string): boolean {
  const found = EXCEPTIONS.some(exception => exception.rule === rule && exception.path === path);
  if (found) used.add(`${rule} ${path}`);
  return found;
}

/** The folder below src or native, or the file itself directly in it. */
function folderOf(path: string): string {
  return path.split('/')[1]!;
}

function layerProblem(source: Source, target: string, layers: Readonly<Record<string, number>>): string[] {
  const from = folderOf(source.path);
  const to = folderOf(target);
  const fromLayer = layers[from];
  const toLayer = layers[to];
  if (fromLayer === undefined) return [`${source.path}: ${from} has no layer`];
  if (toLayer === undefined) return [`${source.path}: ${target} has no layer`];
  if (from === to || toLayer < fromLayer || isExcepted('layers', source.path)) return [];
  return [`${source.path} (layer ${fromLayer}) imports ${target} (layer ${toLayer})`];
}

const typescriptSources = SOURCES.filter(source => /^src\/.*(?<!\.d)\.ts$/.test(source.path));
const nativeSources = SOURCES.filter(source => source.path.startsWith('native/'));

describe('layers', () => {
  test('an import of src points strictly down', () => {
    const problems = typescriptSources.flatMap(source =>
      importsOf(source)
        .filter(name => name.startsWith('.'))
        .flatMap(name => layerProblem(source, importTarget(source, name), TYPESCRIPT_LAYERS)),
    );
    expect(problems).toEqual([]);
  });

  test('an include of native points strictly down', () => {
    const problems = nativeSources.flatMap(source =>
      includesOf(source)
        .filter(name => name.includes('/') && !name.startsWith('<'))
        .flatMap(name => layerProblem(source, `native/${name}`, NATIVE_LAYERS)),
    );
    expect(problems).toEqual([]);
  });

  test('pure stages include nothing that reads a clock, a file or another thread', () => {
    const problems = nativeSources
      .filter(source => PURE_STAGES.has(folderOf(source.path)) && !isExcepted('pure', source.path))
      .flatMap(source =>
        includesOf(source)
          .filter(name => IMPURE_HEADERS.test(name))
          .map(name => `${source.path} includes ${name}`),
      );
    expect(problems).toEqual([]);
  });

  test('a package or system header is named only in its home', () => {
    const packages = typescriptSources.flatMap(source =>
      importsOf(source)
        .filter(name => PACKAGE_HOMES[name]?.includes(folderOf(source.path)) === false)
        .map(name => `${source.path} imports ${name}`),
    );
    const headers = nativeSources.flatMap(source =>
      includesOf(source)
        .filter(name =>
          HEADER_HOMES.some(row => row.header.test(name) && !row.folders.includes(folderOf(source.path))),
        )
        .filter(() => !isExcepted('headers', source.path))
        .map(name => `${source.path} includes ${name}`),
    );
    expect([...packages, ...headers]).toEqual([]);
  });

  test('files of the real disk are touched by the addon, the command line and main alone', () => {
    const problems = typescriptSources
      .filter(source => !['cli', 'main.ts'].includes(folderOf(source.path)) && !isExcepted('fs', source.path))
      .filter(source => importsOf(source).some(name => /^node:fs(\/|$)/.test(name)))
      .map(source => `${source.path} imports node:fs (call the verbs of src/native/binding.ts instead)`);
    expect(problems).toEqual([]);
  });
});

describe('packages', () => {
  const manifest = JSON.parse(readText('package.json')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const declared = { ...manifest.dependencies, ...manifest.devDependencies };

  test('every version is pinned exactly', () => {
    const loose = Object.entries(declared).filter(
      ([, version]) => !/^(npm:[\w.-]+@)?\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  test('every imported package is declared, and every declared one is used', () => {
    const names = [...ALL_CODE, ...sourcesBelowRoot()]
      .filter(source => source.path.endsWith('.ts'))
      .flatMap(importsOf)
      .filter(name => !name.startsWith('.') && !name.startsWith('node:'))
      .map(name => name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
    const imported = new Set(names);
    expect([...imported].filter(name => declared[name] === undefined)).toEqual([]);
    const unused = Object.keys(declared).filter(
      name => !imported.has(name) && INDIRECT_PACKAGES[name] === undefined,
    );
    expect(unused).toEqual([]);
  });

  function sourcesBelowRoot(): Source[] {
    return ['vitest.config.ts', 'vitest.long.config.ts'].map(path => ({
      path,
      text: readText(path),
      code: '',
    }));
  }
});

describe('sizes and forms', () => {
  test('no file is longer than 500 lines', () => {
    const long = ALL_CODE.map(source => ({ path: source.path, lines: source.text.split('\n').length - 1 }))
      .filter(file => file.lines > 500 && !isExcepted('file', file.path))
      .map(file => `${file.path}: ${file.lines} lines`);
    expect(long).toEqual([]);
  });

  test('no line is longer than 110 columns', () => {
    const long = ALL_CODE.filter(source => !isExcepted('line', source.path)).flatMap(source =>
      source.text
        .split('\n')
        .flatMap((line, index) => ([...line].length > 110 ? [`${source.path}:${index + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });

  test('no function is longer than 70 lines', () => {
    const long = SOURCES.filter(source => !isExcepted('function', source.path)).flatMap(source =>
      functionsOf(source)
        .filter(span => span.lineCount > 70)
        .map(span => `${source.path}:${span.line} ${span.lineCount} lines`),
    );
    expect(long).toEqual([]);
  });

  test('files are called after the one noun they hold', () => {
    const named = /\/(utils?|helpers?|common|misc|manager|index)[.\-_]/;
    const kebab = /^(src|test|bench)\/([a-z0-9-]+\/)*[a-z0-9-]+(\.test|\.bench|\.d)?\.ts$/;
    const snake =
      /^(native|test\/native|test\/real-machine|bench\/native)\/([a-z0-9_]+\/)*[a-z0-9_]+\.(cc|h)$/;
    const isIndex = (path: string) => /^(native|test\/native)\/index\//.test(path);
    const problems = ALL_CODE.map(source => source.path).filter(
      path => (named.test(path) && !isIndex(path)) || !(path.endsWith('.ts') ? kebab : snake).test(path),
    );
    expect(problems).toEqual([]);
  });

  test('every source file begins with a comment that says what it is for', () => {
    // A .cc has it in its header.
    const hasHeader = (path: string) =>
      path.endsWith('.cc') && existsSync(join(ROOT, path.replace(/cc$/, 'h')));
    const bare = SOURCES.filter(source => !/^(\/\*\*|\/\/ )/.test(source.text)).map(source => source.path);
    expect(bare.filter(path => !hasHeader(path))).toEqual([]);
  });

  test('nothing is left for later', () => {
    const marks = ALL_CODE.filter(source => source.path !== 'test/tidy.test.ts').flatMap(source =>
      [...source.text.matchAll(/\b(TODO|FIXME|XXX|HACK)\b/g)].map(match => `${source.path}: ${match[0]}`),
    );
    expect(marks).toEqual([]);
  });
});

describe('calls', () => {
  function callProblems(sources: readonly Source[], rules: readonly BannedCall[]): string[] {
    return sources.flatMap(source =>
      rules
        .filter(rule => rule.pattern.test(source.code) && !rule.allowedIn.test(source.path))
        .filter(() => !isExcepted('calls', source.path))
        .map(rule => `${source.path}: ${rule.pattern.exec(source.code)?.[0]} (instead: ${rule.instead})`),
    );
  }

  test('banned calls of TypeScript are not made', () => {
    expect(callProblems(typescriptSources, BANNED_CALLS)).toEqual([]);
  });

  test('banned calls of C++ are not made', () => {
    expect(callProblems(nativeSources, BANNED_IN_NATIVE)).toEqual([]);
  });

  test('a numeric bound is declared in limits.ts and nowhere else', () => {
    const bound =
      /^(?:export )?const ([A-Z0-9_]+_(?:MAX|MIN|LIMIT|TIMEOUT_MS|INTERVAL_MS|ATTEMPTS))\b[^=]*= *[\d(]/gm;
    const problems = typescriptSources
      .filter(source => source.path !== 'src/base/limits.ts')
      .flatMap(source => [...source.code.matchAll(bound)].map(match => `${source.path}: ${match[1]}`));
    expect(problems).toEqual([]);
  });

  test('every bound is used', () => {
    const names = [...readText('src/base/limits.ts').matchAll(/^export const ([A-Z0-9_]+)/gm)].map(
      match => match[1]!,
    );
    const elsewhere = typescriptSources
      .filter(source => source.path !== 'src/base/limits.ts')
      .map(source => source.code);
    const code = elsewhere.join('\n');
    expect(names.filter(name => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  });
});

describe('the door', () => {
  const enumerators = [...readText('native/base/status.h').matchAll(/^ {2}k([A-Z]\w*)(?: = 0)?,/gm)].map(
    match => match[1]!.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(),
  );
  const declaredVerbs = new Map(
    [...interfaceBody('Binding').matchAll(/^ {2}(\w+)\(([^)]*)\): /gm)].map(match => [
      match[1]!,
      [...match[2]!.matchAll(/\w+\??: /g)].length,
    ]),
  );

  function interfaceBody(name: string): string {
    const text = readText('src/native/binding.ts').replace(/\/\*\*.*?\*\//gs, '');
    return new RegExp(`interface ${name} \\{(.*?)^\\}`, 'ms').exec(text)![1]!.replace(/,\n\s*\)/g, ')');
  }

  test('status.h and errors.ts list the same codes', () => {
    expect(enumerators.filter(name => name !== 'OK').sort()).toEqual(Object.keys(CODES).sort());
    expect([...binding().layout().codes].filter(name => name !== 'OK').sort()).toEqual(
      Object.keys(CODES).sort(),
    );
  });

  test('the addon exports the verbs that binding.ts declares, with as many parameters', () => {
    const addon = createRequire(import.meta.url)(join(ROOT, 'build-native/Release/granary.node')) as object;
    expect(Object.keys(addon).sort()).toEqual([...declaredVerbs.keys()].sort());
    const exported = [...nativeText('binding').matchAll(/\bExport\(env, exports, "(\w+)",\s*\w+, (\d+)\)/g)];
    const arities = new Map(exported.map(match => [match[1]!, Number(match[2])]));
    const sorted = (map: ReadonlyMap<string, number>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(sorted(arities)).toEqual(sorted(declaredVerbs));
  });

  function nativeText(folder: string): string {
    return nativeSources
      .filter(source => folderOf(source.path) === folder)
      .map(source => source.text)
      .join('\n');
  }

  test('packed rows have one size on both sides', () => {
    const layout = binding().layout();
    expect([layout.rowSize, layout.logRowHeaderSize]).toEqual([ROW_SIZE, LOG_ROW_HEADER_SIZE]);
  });
});

describe('orphans', () => {
  test('every file of src is reached from main, a bench or a worker', () => {
    const all = new Map(
      [...typescriptSources, ...sourcesBelow('bench')].map(source => [source.path, source]),
    );
    const reached = new Set<string>();
    const waiting = [...all.keys()].filter(path => path === 'src/main.ts' || path.startsWith('bench/'));
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const source = all.get(path);
      if (reached.has(path) || source === undefined) continue;
      reached.add(path);
      waiting.push(
        ...importsOf(source)
          .filter(name => name.startsWith('.'))
          .map(name => importTarget(source, name)),
      );
    }
    const orphans = typescriptSources.map(source => source.path).filter(path => !reached.has(path));
    expect(orphans.filter(path => !isExcepted('orphan', path))).toEqual([]);
  });

  test('every header is included by another file', () => {
    const included = new Set([...nativeSources, ...sourcesBelow('test/native')].flatMap(includesOf));
    const headers = nativeSources.map(source => source.path).filter(path => path.endsWith('.h'));
    expect(headers.filter(path => !included.has(path.slice('native/'.length)))).toEqual([]);
  });

  test('a test folder is named after a source folder or a kind of test', () => {
    const kinds = [
      'flows',
      'fault',
      'model',
      'real-machine',
      'reliability',
      'conformance',
      'vectors',
      'golden',
      'support',
      'long',
      'native',
      'bench',
      'simulate',
      'regressions',
      'mutants',
    ];
    const folders = new Set([...Object.keys(TYPESCRIPT_LAYERS), ...kinds]);
    const native = new Set([...Object.keys(NATIVE_LAYERS), 'fuzz', 'support']);
    const problems = filesBelow('test').filter(path => {
      const [, first, second] = path.split('/');
      if (first === 'native') return !native.has(second!);
      return second !== undefined && !folders.has(first!);
    });
    expect(problems).toEqual([]);
  });

  test("a test's name is a rule, and no test is left out", () => {
    const vague = /\b(?:test|it)(?:\.each\(.*\))?\(\s*(['"`]).*\b(?:works|should|correctly)\b/g;
    const leftOut = /\b(?:test|it|describe)\.(?:skip|only|todo)\b|\bGTEST_SKIP\b|\bDISABLED_/g;
    const problems = sourcesBelow('test').flatMap(source =>
      [...source.text.matchAll(vague), ...source.code.matchAll(leftOut)].map(
        match => `${source.path}: ${match[0]}`,
      ),
    );
    expect(problems).toEqual([]);
  });

  test('links of the documents lead somewhere', () => {
    const documents = ['README.md', ...['native', 'src', 'bench', 'test'].flatMap(filesBelow)].filter(
      path => path.endsWith('.md') && existsSync(join(ROOT, path)),
    );
    const problems = documents.flatMap(document =>
      [...readText(document).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(match => match[1]!)
        .filter(link => !/^https?:/.test(link) && !leadsSomewhere(document, link))
        .map(link => `${document}: ${link}`),
    );
    expect(problems).toEqual([]);
  });

  function leadsSomewhere(document: string, link: string): boolean {
    const [file, anchor] = link.split('#');
    const path = file === '' ? document : normalize(join(dirname(document), file!));
    if (!existsSync(join(ROOT, path))) return false;
    if (anchor === undefined || !path.endsWith('.md')) return true;
    const headings = [...readText(path).matchAll(/^#+ (.+)$/gm)].map(match =>
      match[1]!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );
    return headings.includes(anchor);
  }
});

test('every exception is still needed', () => {
  const unneeded = EXCEPTIONS.filter(exception => !used.has(`${exception.rule} ${exception.path}`));
  expect(unneeded).toEqual([]);
});
