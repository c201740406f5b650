/**
 * Plain text tables and field lists for people. Control characters of names are shown, not sent to the
 * terminal.
 */

export type Cell = string | number;

/** Columns by the widest cell, numbers to the right, one header line; '' when there are no rows. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map(row => row.map(cell => printable(String(cell))));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...texts.map(row => row[column]?.length ?? 0)),
  );
  const isNumber = header.map((_, column) => rows.length > 0 && rows.every(row => isNumeric(row[column])));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd();
  return [line(header), ...texts.map(line)].map(text => `${text}\n`).join('');
}

function isNumeric(cell: Cell | undefined): boolean {
  return typeof cell === 'number' || /^[\d.]+( ([KMGTP]i)?B| %)?$/.test(cell ?? '');
}

/** One `name  value` line a field. */
export function formatFields(fields: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}\n`).join('');
}

/** The text with control characters as escapes: a file's name may hold any byte but NUL. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, character => JSON.stringify(character).slice(1, -1));
}
