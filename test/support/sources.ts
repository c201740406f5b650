/**
 * The repository's own sources as the tidy test sees them: files by folder, code without comments and texts,
 * the includes and imports of a file, and how long its functions are. Approximations that hold for formatted
 * code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export interface Source {
  /** From the repository's root, with '/'. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings blanked; line numbers stay. */
  readonly code: string;
}

const CODE_EXTENSIONS = new Set(['.ts', '.cc', '.h']);

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

/** Every file below a folder of the repository, as a path from its root. */
export function filesBelow(folder: string): string[] {
  return walk(join(ROOT, folder))
    .map(path => relative(ROOT, path))
    .sort();
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function sourcesBelow(...folders: string[]): Source[] {
  return folders
    .flatMap(filesBelow)
    .filter(path => CODE_EXTENSIONS.has(extname(path)))
    .map(path => {
      const text = readText(path);
      return { path, text, code: blank(text, path.endsWith('.ts')) };
    });
}

/** Where a text, comment or pattern that begins at `start` ends, or undefined when none begins there. */
function literalEnd(text: string, start: number, isTypeScript: boolean): number | undefined {
  const two = text.slice(start, start + 2);
  if (two === '//') return endOr(text.indexOf('\n', start), text);
  if (two === '/*') return endOr(text.indexOf('*/', start), text, 2);
  const raw = isTypeScript ? null : /^R"([^(]*)\(/.exec(text.slice(start, start + 24));
  if (raw !== null) return endOr(text.indexOf(`)${raw[1]}"`, start), text, raw[1]!.length + 2);
  const quote = text[start]!;
  if (quote === "'" && !isTypeScript && /[0-9a-fA-F]/.test(text[start - 1] ?? '')) return undefined;
  if (quote === '"' || quote === "'" || (quote === '`' && isTypeScript)) return quotedEnd(text, start, quote);
  if (quote === '/' && isTypeScript && /(^|[=(,:[!&|?{};>]|return)\s*$/.test(text.slice(0, start))) {
    const pattern = /^\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n[])+\/[a-z]*/.exec(text.slice(start, start + 400));
    return pattern === null ? undefined : start + pattern[0].length;
  }
  return undefined;
}

function endOr(found: number, text: string, extra = 0): number {
  return found < 0 ? text.length : found + extra;
}

function quotedEnd(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length && text[at] !== quote) {
    if (text[at] === '\\') at += 1;
    else if (quote === '`' && text.startsWith('${', at)) at = templateHoleEnd(text, at + 2);
    at += 1;
  }
  return at + 1;
}

/** The closing brace of a hole in a template text. */
function templateHoleEnd(text: string, start: number): number {
  let depth = 1;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '`') at = quotedEnd(text, at, '`') - 1;
    else if (text[at] === '{') depth += 1;
    else if (text[at] === '}') {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return text.length;
}

function blank(text: string, isTypeScript: boolean): string {
  const parts: string[] = [];
  let at = 0;
  let from = 0;
  while (at < text.length) {
    const end = literalEnd(text, at, isTypeScript);
    if (end === undefined) {
      at += 1;
      continue;
    }
    parts.push(text.slice(from, at), text.slice(at, end).replace(/[^\n]/g, ' '));
    at = end;
    from = end;
  }
  parts.push(text.slice(from));
  return parts.join('');
}

/**
 * Module names of a TypeScript file: imports, exports from, dynamic imports, and files named by URL for
 * workers.
 */
export function importsOf(source: Source): string[] {
  const names = [...source.text.matchAll(/^(?:import|export)\b[^;'"]*?from\s+'([^']+)';$/gms)];
  const bare = [...source.text.matchAll(/^import\s+'([^']+)';$/gm)];
  const dynamic = [...source.text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)];
  const byUrl = [...source.text.matchAll(/new URL\('(\.[^']+\.js)', import\.meta\.url\)/g)];
  return [...names, ...bare, ...dynamic, ...byUrl].map(match => match[1]!);
}

/**
 * Headers that a C++ file includes: 'folder/file.h' for ours, '<name>' for the system's and the packages'.
 */
export function includesOf(source: Source): string[] {
  return [...source.text.matchAll(/^\s*#\s*include\s+(?:"([^"]+)"|(<[^>]+>))/gm)].map(
    match => match[1] ?? match[2]!,
  );
}

/** The repository path that a relative import of a TypeScript file means. */
export function importTarget(source: Source, name: string): string {
  return relative(ROOT, resolve(ROOT, dirname(source.path), name)).replace(/\.js$/, '.ts');
}

const BLOCK = 'if|else|for|while|switch|do|try|catch|namespace|extern|describe';
const TYPE = '(?:export )?(?:abstract )?(?:class|struct|enum|union|interface|typedef)';
const NOT_A_FUNCTION = new RegExp(`^(?:\\}\\s*)?(?:${BLOCK}|${TYPE}|template\\s*<[^>]*>\\s*${TYPE})\\b`);

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  readonly lineCount: number;
}

/**
 * Functions of a file with their lengths, from the line that opens the body's statement to its closing brace.
 */
export function functionsOf(source: Source): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  const open: { header: string; line: number }[] = [];
  let header = '';
  let line = 1;
  let headerLine = 1;
  for (const character of source.code) {
    if (character === '\n') line += 1;
    if (character === '{') {
      open.push({ header: header.trim(), line: headerLine });
      header = '';
    } else if (character === '}') {
      const block = open.pop();
      if (block !== undefined && isFunction(block.header)) {
        spans.push({ name: block.header.slice(-60), line: block.line, lineCount: line - block.line + 1 });
      }
      header = '';
    } else if (character === ';') {
      header = '';
    } else {
      if (header.trim() === '') headerLine = line;
      header += character;
    }
  }
  return spans;
}

function isFunction(header: string): boolean {
  return header.includes(')') && !NOT_A_FUNCTION.test(header.replace(/\s+/g, ' '));
}
