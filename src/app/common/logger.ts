/** Where the app reports what an operator should know. */
export interface Logger {
  /** What helps while developing. */
  debug(...args: unknown[]): void;
  /** What is worth knowing. */
  info(...args: unknown[]): void;
  /** What should be changed. */
  warn(...args: unknown[]): void;
  /** What has failed. */
  error(...args: unknown[]): void;
}

export function isLogger(value: unknown): value is Logger {
  if (typeof value !== "object" || value === null) return false;
  const logger = value as Record<string, unknown>;
  return ["debug", "info", "warn", "error"].every((level) => typeof logger[level] === "function");
}

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
