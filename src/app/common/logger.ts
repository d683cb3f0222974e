import { inspect } from "node:util";
import { show } from "./show.ts";
import { isError } from "./validate.ts";

/**
 * Where an app writes its log: `console`, a logger of pino, winston, bunyan or the like, or any object with these four
 * methods. Each entry is one argument: a text, or an Error if the entry is about one. Such an Error says in its message
 * what has failed and why, and has the stack, the cause and the other properties of the error that was thrown.
 *
 * One argument is what all loggers agree on. Some take the text first and others the error, and what comes behind is
 * not always written.
 *
 * @example
 * ```ts
 * import { createApp, type Logger } from "@spacenode/spacenode";
 *
 * const write = (level: string) => (entry: string | Error): void => {
 *   console.log(level, entry instanceof Error ? entry.stack : entry);
 * };
 * const logger: Logger = { debug() {}, info: write("info"), warn: write("warn"), error: write("error") };
 * const app = await createApp({ logger });
 * ```
 */
export interface Logger {
  /** Writes an entry that helps during development. */
  debug(entry: string | Error): void;
  /** Writes an entry about normal operation. */
  info(entry: string | Error): void;
  /** Writes an entry about something that should be changed, or that works only in part. */
  warn(entry: string | Error): void;
  /** Writes an entry about something that has failed. */
  error(entry: string | Error): void;
}

/** Whether a value has the four methods of a logger. */
export function isLogger(value: unknown): value is Logger {
  if (typeof value !== "object" || value === null) return false;
  const logger = value as Record<string, unknown>;
  return ["debug", "info", "warn", "error"].every((level) => typeof logger[level] === "function");
}

/** The logger that writes nothing. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Makes the entry about an error: a new Error, because loggers may write to the Errors that they get. Its message is
 * the text and the reason. The rest is that of the error, so that a logger shows the place where the error was thrown,
 * and shows it once.
 *
 * @param text what has failed, such as "SpaceNode: a handshake has failed"
 * @param error the value that was thrown, of any kind; no property of it is read that could throw
 */
export function entryOf(text: string, error: unknown): Error {
  const entry = new Error();
  const [reason, frames] = describe(error, entry);
  const message = `${text}: ${reason}`;
  // Loggers that write an object as JSON, such as winston, leave out properties that are not enumerable.
  const attributes = { enumerable: true, writable: true, configurable: true };
  return Object.defineProperties(entry, {
    message: { value: message, ...attributes },
    stack: { value: `Error: ${message}${frames}`, ...attributes },
  });
}

/** Gives an error in words and the frames of its stack, and copies its other properties. */
function describe(error: unknown, entry: Error): [reason: string, frames: string] {
  try {
    if (!isError(error)) return [inspect(error), ""];
    const reason = String(error);
    copyProperties(error, entry);
    return [reason, framesOf(error.stack, reason)];
  } catch {
    return [show(error), ""]; // a getter or a method of the error has thrown
  }
}

/** Copies the cause, the code and all other properties of an error, but without reading them. */
function copyProperties(error: Error, entry: Error): void {
  const { name: _name, message: _message, stack: _stack, ...own } = Object.getOwnPropertyDescriptors(error);
  for (const key of Reflect.ownKeys(own)) {
    const descriptor: PropertyDescriptor = own[key as keyof typeof own];
    if ("value" in descriptor) descriptor.writable = true; // the error may be frozen, and winston sets a level
    Object.defineProperty(entry, key, { ...descriptor, configurable: true });
  }
}

/** The lines of a stack behind its message. Each runtime begins them alike; the message may have such lines too. */
function framesOf(stack: unknown, reason: string): string {
  if (typeof stack !== "string") return "";
  const start = stack.indexOf("\n    at ", stack.startsWith(reason) ? reason.length : 0);
  return start === -1 ? "" : stack.slice(start);
}
