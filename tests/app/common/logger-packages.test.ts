/** What the log of an app says with `console` and with the loggers of packages, each as it is out of the box. */

import { Console } from "node:console";
import { Writable } from "node:stream";
import pino from "pino";
import { describe, expect, test } from "vitest";
import winston from "winston";
import type { Logger } from "../../../mod.ts";
import { ask, connectTo, listeningApp, until } from "../../support/app.ts";
import { Hub } from "../../support/memory-broker.ts";

/** A stream that keeps what is written to it. */
class Paper extends Writable {
  text = "";

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** A logger that takes an error first and a text behind it, as bunyan does. */
function bunyanLike(paper: Paper): Logger {
  const write = (level: string) => (first: unknown, ...rest: unknown[]): void => {
    const { message, name, stack, code } = (first instanceof Error ? first : {}) as Partial<NodeJS.ErrnoException>;
    const [msg = message] = first instanceof Error ? rest : [first];
    paper.write(
      `${JSON.stringify({ level, msg, ...(first instanceof Error && { err: { message, name, stack, code } }) })}\n`,
    );
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

const LOGGERS: [name: string, make: (paper: Paper) => Logger][] = [
  ["console", (paper) => new Console({ stdout: paper, stderr: paper })],
  ["pino", (paper) => pino(paper)],
  ["winston", (paper) => winston.createLogger({ transports: [new winston.transports.Stream({ stream: paper })] })],
  [
    "winston in another format",
    (paper) =>
      winston.createLogger({
        format: winston.format.combine(winston.format.timestamp(), winston.format.splat(), winston.format.simple()),
        transports: [new winston.transports.Stream({ stream: paper })],
      }),
  ],
  ["a logger like bunyan", bunyanLike],
];

describe.each(LOGGERS)("the log of %s", (_name, make) => {
  test("has the reason of an error, the place where it was thrown, and its code", async () => {
    const paper = new Paper();
    function thrower(): never {
      throw Object.assign(new TypeError("no database"), { code: "E_DATABASE" });
    }
    const app = await listeningApp({ logger: make(paper) }, (app) => app.get("/*", () => thrower()));
    expect((await ask(app, "/%25s/%25o?100%25")).status).toBe(500);
    await until(() => paper.text.includes("\n"));
    expect(paper.text).toMatch(
      /SpaceNode: the controller of GET .*\/%25s\/%25o\?100%25.* has thrown: TypeError: no data/,
    );
    expect(paper.text).toContain("thrower");
    expect(paper.text).toContain("logger-packages.test.ts");
    expect(paper.text).toContain("E_DATABASE");
  });

  test("has what was thrown when it is no error", async () => {
    const paper = new Paper();
    const app = await listeningApp({ logger: make(paper) }, (app) =>
      app.get("/", () => {
        throw { status: 418 };
      }));
    expect((await ask(app, "/")).status).toBe(500);
    await until(() => paper.text.includes("\n"));
    expect(paper.text).toMatch(/the controller of GET .* has thrown: \{ status: 418 \}/);
  });

  test("has warnings and news, with an error and without", async () => {
    const paper = new Paper();
    const broker = new Hub().link();
    const app = await listeningApp({ logger: make(paper), broker }, (app) => app.ws("/", () => {}));
    await connectTo(app, { headers: { Origin: "https://other.com" } });
    broker.disconnect(new Error("cable pulled"));
    broker.reconnect();
    broker.disconnect();
    await until(() => paper.text.includes("messages reach this process only."));
    expect(paper.text).toMatch(/SpaceNode: a page of .*other\.com.* Name the origins that may connect in wsOrigins\./);
    expect(paper.text).toContain("messages reach this process only: Error: cable pulled");
    expect(paper.text).toContain("SpaceNode: the broker is there; messages reach all processes.");
  });
});
