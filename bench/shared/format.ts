/** Numbers and tables as text. */
import { stripVTControlCharacters } from "node:util";

/** A number with three significant digits; from 1,000 on, a whole number with its thousands separated. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** A time in µs below 1 ms, and in ms from there on. */
export function span(ms: number): string {
  return ms < 1 ? `${Math.round(1000 * ms)} µs` : `${digits(ms)} ms`;
}

/** A ratio, such as `1.25 ×`; empty when it is undefined. */
export function times(value: number | undefined): string {
  return value === undefined ? "" : `${value >= 10 ? value.toFixed(1) : value.toFixed(2)} ×`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/**
 * Rows as lines, each column as wide as its widest cell: the first one is aligned to the left, the others to the right.
 */
export function table(rows: string[][]): string {
  const width = (text: string): number => stripVTControlCharacters(text).length;
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => width(row[column]))));
  const pad = (text: string, column: number): string => {
    const spaces = " ".repeat(widths[column] - width(text));
    return column === 0 ? text + spaces : spaces + text;
  };
  return rows.map((row) => `  ${row.map(pad).join("   ").trimEnd()}`).join("\n");
}
