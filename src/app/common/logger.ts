/**
 * Where an app writes its log: `console`, or any object with these four methods. The arguments are those of `console`:
 * a text, and for some entries an error behind it.
 */
export interface Logger {
  /** Writes an entry that helps during development. */
  debug(...args: unknown[]): void;
  /** Writes an entry about normal operation. */
  info(...args: unknown[]): void;
  /** Writes an entry about something that should be changed, or that works only in part. */
  warn(...args: unknown[]): void;
  /** Writes an entry about something that has failed. */
  error(...args: unknown[]): void;
}

/** Whether a value has the four methods of a logger. */
export function isLogger(value: unknown): value is Logger {
  if (typeof value !== "object" || value === null) return false;
  const logger = value as Record<string, unknown>;
  return ["debug", "info", "warn", "error"].every((level) => typeof logger[level] === "function");
}

/** The logger that writes nothing. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
