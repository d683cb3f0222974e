/** The types of loggers. This file only has to compile: `tsc -p tsconfig.json` checks it. */

import pino from "pino";
import winston from "winston";
import { createApp, type Logger } from "../../mod.ts";

/** A logger with the signatures of bunyan: a text, or an error or fields with a text behind them. */
interface BunyanLike {
  debug(): boolean;
  debug(error: Error, ...params: unknown[]): void;
  debug(fields: object, ...params: unknown[]): void;
  debug(format: unknown, ...params: unknown[]): void;
  info: BunyanLike["debug"];
  warn: BunyanLike["debug"];
  error: BunyanLike["debug"];
}

declare const bunyan: BunyanLike;

await createApp({ logger: console });
await createApp({ logger: pino() });
await createApp({ logger: pino({ level: "debug" }).child({ name: "chat" }) });
await createApp({ logger: pino({ customLevels: { loud: 70 } }) });
await createApp({ logger: winston.createLogger() });
await createApp({ logger: winston });
await createApp({ logger: bunyan });
await createApp({ logger: false });

// Arguments that no entry has do not matter, nor does what a method returns.
await createApp({
  logger: {
    debug: (...args: unknown[]) => args.length,
    info: (entry: string | Error, _more?: unknown) => Promise.resolve(entry),
    warn: (entry) => entry instanceof Error ? entry.stack : entry.length,
    error: () => true,
  },
});

// @ts-expect-error -- the four levels are needed
const _incomplete: Logger = { debug() {}, info() {}, error() {} };
// @ts-expect-error -- true is no logger
await createApp({ logger: true });
