/**
 * What a bench prints: one JSON line each, and tables for people at the end. Pure text.
 */

/** One line of a bench: the same keys for stages, flows and peers. */
export interface BenchResult {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** Bytes that one run handles. */
  readonly bytes: number;
  /** Median of the runs, wall time. */
  readonly seconds: number;
  /** Bytes a second; for benches of operations, see `operations`. */
  readonly rate: number;
  /** Median of the runs, all threads of the measured process; absent where it is not known. */
  readonly cpuSeconds?: number;
  readonly operations?: number;
  readonly peakBytes: number;
  /**
   * Of the result: the same input gives the same, on every machine. Empty where a result cannot be the same
   * twice.
   */
  readonly hash: string;
  readonly runs: number;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes?: readonly string[];
}

export function benchLine(result: BenchResult): string {
  return JSON.stringify(result);
}

/** Columns as wide as their widest cell; the first is left-aligned, the others are right-aligned. */
export function formatTable(table: Table): string {
  const lines = [table.columns, ...table.rows];
  const widths = table.columns.map((_, column) =>
    Math.max(...lines.map(line => (line[column] ?? '').length)),
  );
  const format = (line: readonly string[]) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
  const rule = widths.map(width => '-'.repeat(width)).join('  ');
  const notes = (table.notes ?? []).map(note => `  ${note}`);
  return ['', table.title, format(table.columns), rule, ...table.rows.map(format), ...notes].join('\n');
}

/** `1234567890` bytes → `1235`: MB of 10^6 bytes, as rates are given here. */
export function megabytes(bytes: number): string {
  const value = bytes / 1e6;
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 3);
}

/** Nanoseconds of one core for each byte. */
export function nanosecondsPerByte(result: BenchResult): number {
  return ((result.cpuSeconds ?? result.seconds) * 1e9) / result.bytes;
}

export function stageTable(results: readonly BenchResult[]): Table {
  return {
    title: 'Stages (median; MB = 10^6 bytes; ns/B: CPU time of the process)',
    columns: ['stage', 'MB', 'ms', 'MB/s', 'ns/B', 'op/s', 'peak MB', 'result'],
    rows: results.map(result => [
      `${result.name}${formatParameters(result)}`,
      megabytes(result.bytes),
      (result.seconds * 1e3).toFixed(2),
      megabytes(result.rate),
      result.bytes === 0 ? '' : nanosecondsPerByte(result).toFixed(3),
      result.operations === undefined ? '' : (result.operations / result.seconds).toFixed(0),
      megabytes(result.peakBytes),
      result.hash.slice(0, 12),
    ]),
  };
}

function formatParameters(result: BenchResult): string {
  const shown = Object.entries(result.parameters).filter(([key]) => key !== 'size');
  return shown.length === 0 ? '' : ` (${shown.map(([key, value]) => `${key} ${value}`).join(', ')})`;
}

/** A ratio and whether it is what was wanted: `1.83 (wanted 1.50: reached)`. */
export function verdict(value: number, wanted: number, isAtMost = false): string {
  const isReached = isAtMost ? value <= wanted : value >= wanted;
  const sign = isAtMost ? '<=' : '>=';
  return `${value.toFixed(2)} (wanted ${sign} ${wanted.toFixed(2)}: ${isReached ? 'reached' : 'MISSED'})`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
