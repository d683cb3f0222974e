/** Responses of any class: upgrade hooks and controllers recognise a `Response` by its members, not by its class. */

import { PassThrough, Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createContext, runInContext } from "node:vm";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { HttpError } from "../../../mod.ts";
import { ask, errorEntry, listeningApp, portOf, recordingLogger, until } from "../../support/app.ts";
import { foreignResponses, OtherStream, replaceGlobalResponse } from "../../support/foreign-response.ts";
import { headerOf, rawRequest, statusOf } from "../../support/raw-client.ts";
import { appWith, bodyOf, handshake, type Hook } from "../../support/upgrade-hook.ts";

const PARTS = {
  status: 401,
  text: "Nur für Freunde",
  headers: [["www-authenticate", "Bearer"], ["content-length", "3"]],
} as const;
const COOKIES = [["set-cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"], ["set-cookie", "b=2"]] as const;
const WITH_COOKIES = { ...PARTS, headers: [...PARTS.headers, ...COOKIES] };

const cookiesOf = (response: string): string[] =>
  response.split("\r\n").filter((line) => /^set-cookie:/i.test(line)).map((line) => line.slice(12));

/** Replaces the global class `Response` while the test runs. */
function withOtherGlobal<Result>(response: Result): Result {
  onTestFinished(replaceGlobalResponse());
  return response;
}

describe("an upgrade hook that returns a Response", () => {
  test.each(foreignResponses)("refuses the handshake with it, at once and later: %s", async (_name, make) => {
    for (const later of [false, true]) {
      const hook = (): unknown => {
        const response = withOtherGlobal(make(PARTS));
        return later ? nextTurn(response) : response;
      };
      const app = await appWith(hook as Hook);
      const response = await handshake(app);
      expect(statusOf(response)).toBe(401);
      expect(Buffer.from(bodyOf(response), "latin1").toString()).toBe(PARTS.text);
      expect(headerOf(response, "WWW-Authenticate")).toBe("Bearer");
      expect(app.stats()).toMatchObject({ accepted: 0, refused: 1, connections: 0 });
    }
  });

  test.each(foreignResponses.slice(0, 8))("keeps its cookies apart: %s", async (_name, make) => {
    const response = await handshake(await appWith((() => withOtherGlobal(make(WITH_COOKIES))) as Hook));
    expect(cookiesOf(response)).toEqual(COOKIES.map(([, value]) => value));
  });

  test.each<[string, () => unknown, RegExp]>([
    ["of the status 101", () => ({ status: 101, headers: new Headers(), body: null }), /200 to 599; got 101/],
    ["of an error of fetch", () => Response.error(), /200 to 599; got 0/],
    ["of the status 600", () => ({ status: 600, headers: new Headers(), body: null }), /got 600/],
    ["of the status NaN", () => ({ status: NaN, headers: new Map(), body: null }), /got NaN/],
    ["whose body is a number", () => ({ status: 403, headers: new Map(), body: 42 }), /body.*42/],
    [
      "whose body is of objects",
      () => ({ status: 403, headers: new Map(), body: Readable.from([{}]) }),
      /bytes or strings/,
    ],
    ["whose body was read", () => ({ status: 403, headers: new Map(), body: null, bodyUsed: true }), /read already/],
    [
      "whose headers are a secret",
      () => ({ status: 403, headers: { get: () => null }, body: null }),
      /cannot be listed/,
    ],
    [
      "with an evil header",
      () => ({ status: 403, headers: new Map([["X-A", "a\r\nX-Evil: 1"]]), body: null }),
      /header X-A/,
    ],
    [
      "that is endless",
      () => ({ status: 403, headers: new Map(), body: new OtherStream(endless("x".repeat(1_000))) }),
      /larger/,
    ],
    [
      "of empty chunks without end",
      () => ({ status: 403, headers: new Map(), body: new OtherStream(endless("")) }),
      /larger/,
    ],
    [
      "that is huge",
      () => ({ status: 403, headers: new Map(), arrayBuffer: () => new Uint8Array(2 ** 20 + 1) }),
      /1048576/,
    ],
  ])("that cannot be sent refuses with 500, and the log has the reason: one %s", async (_name, make, message) => {
    for (const hook of [make, async () => (await nextTurn(), make())]) {
      const { logger, entries } = recordingLogger();
      const app = await appWith(hook as Hook, { logger });
      const response = await handshake(app);
      expect([statusOf(response), bodyOf(response)]).toEqual([500, "The handshake has failed\n"]);
      expect(response).not.toContain("X-Evil");
      expect(entries.map(({ args }) => String(args[0]))).toEqual([expect.stringMatching(message)]);
      expect(app.stats()).toMatchObject({ accepted: 0, refused: 1, connections: 0 });
    }
  });

  test("whose body never ends gets 408, and the body is cancelled", async () => {
    const { logger, entries } = recordingLogger();
    const stuck = new PassThrough();
    stuck.write("so far");
    const other = new OtherStream({ next: () => new Promise(() => {}) } as AsyncIterator<unknown>);
    for (const body of [stuck, other]) {
      const hook = (() => ({ status: 403, headers: new Map(), body })) as unknown as Hook;
      const app = await appWith(hook, { handshakeTimeoutMs: 100, logger });
      expect(statusOf(await handshake(app))).toBe(408);
      expect(app.stats()).toMatchObject({ accepted: 0, connections: 0 });
    }
    await until(() => stuck.destroyed && other.cancelled);
    expect(entries).toEqual([]);
  });

  test("cancels a body without end", async () => {
    const stream = new OtherStream(endless("x".repeat(10_000)));
    const readable = Readable.from(endless(Buffer.alloc(10_000)));
    for (const body of [stream, readable]) {
      const hook = (() => ({ status: 403, headers: new Map(), body })) as unknown as Hook;
      expect(statusOf(await handshake(await appWith(hook)))).toBe(500);
    }
    await until(() => stream.cancelled && readable.destroyed);
    expect(readable.destroyed).toBe(true);
  });
});

function* endless<Chunk>(chunk: Chunk): Generator<Chunk> {
  while (true) yield chunk;
}

describe("a controller that returns a Response", () => {
  test.each(foreignResponses)("sends it: %s", async (_name, make) => {
    const app = await listeningApp({}, (app) => app.get("/", () => withOtherGlobal(make(PARTS))));
    const { status, headers, body } = await ask(app, "/");
    expect([status, body]).toEqual([401, PARTS.text]);
    expect(headers["www-authenticate"]).toBe("Bearer");
  });

  test.each(foreignResponses.slice(0, 8))("keeps its cookies apart: %s", async (_name, make) => {
    const app = await listeningApp({}, (app) => app.get("/", () => withOtherGlobal(make(WITH_COOKIES))));
    expect((await ask(app, "/")).headers["set-cookie"]).toEqual(COOKIES.map(([, value]) => value));
  });

  test.each(foreignResponses)("has no body for HEAD: %s", async (_name, make) => {
    const app = await listeningApp({}, (app) => app.get("/", () => withOtherGlobal(make(PARTS))));
    expect(await ask(app, "/", "HEAD")).toMatchObject({ status: 401, body: "" });
  });

  test("destroys a stream of Node that is not read, and survives its error", async () => {
    const streams: PassThrough[] = [];
    const app = await listeningApp({}, (app) =>
      app.get("/", () => {
        const body = new PassThrough();
        streams.push(body);
        return { status: 200, headers: new Map(), body };
      }));
    expect((await ask(app, "/", "HEAD")).status).toBe(200);
    await until(() => streams[0].destroyed);
    streams[0].emit("error", new Error("too late"));
    expect((await ask(app, "/", "HEAD")).status).toBe(200);
  });

  test("whose stream of Node fails on the way cuts the connection", async () => {
    const { logger, entries } = recordingLogger();
    const failure = new Error("the source has dried up");
    const app = await listeningApp({ logger }, (app) =>
      app.get("/", () => {
        const body = Readable.from((async function* () {
          yield "part;";
          await nextTurn();
          throw failure;
        })());
        return { status: 200, headers: new Map(), body };
      }));
    const response = await rawRequest(portOf(app), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(response).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(entries).toEqual([errorEntry('GET "/"', failure)]);
  });

  test.each<[string, unknown]>([
    ["101", { status: 101, headers: new Headers(), body: null }],
    ["600", { status: 600, headers: new Headers(), body: null }],
    ["200.5", { status: 200.5, headers: new Headers(), body: null }],
    ["0", Response.error()],
  ])("of the status %s is a 500", async (status, response) => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger }, (app) => app.get("/", () => response));
    expect((await ask(app, "/")).status).toBe(500);
    expect(entries.map(({ args }) => String(args[0]))).toEqual([expect.stringContaining(`599; got ${status}`)]);
  });
});

/** An object that throws when a missing member is read, as the services do. */
function thrower(target: object): object {
  return new Proxy(target, {
    get(target, name) {
      if (name in target || typeof name === "symbol") return Reflect.get(target, name);
      throw new Error(`There is no ${name}`);
    },
  });
}

describe("an object that has only some members of a Response", () => {
  test.each<[string, unknown]>([
    ["a status", { status: 401 }],
    ["an object that throws for missing members", thrower({ name: "Ada", toJSON: undefined, then: undefined })],
    ["a status and headers", { status: 401, headers: { a: "b" } }],
    ["a text for a status", { status: "active", headers: new Map(), body: null }],
    ["a function for a status", { status: () => 401, headers: new Map(), body: null }],
    ["headers that are a list of names", { status: 1, headers: ["Name", "Age"] }],
    ["plain headers and a body", { status: 7, headers: {}, body: "text" }],
  ])("counts as data: %s", async (_name, data) => {
    const app = await listeningApp({}, (app) => app.get("/", () => data));
    expect(JSON.parse((await ask(app, "/")).body)).toEqual(JSON.parse(JSON.stringify(data)));
    expect(statusOf(await headOf(await appWith((() => data) as Hook)))).toBe(101);
  });
});

/** The head of the response to an accepted handshake, whose connection would not end by itself. */
async function headOf(app: Parameters<typeof handshake>[0]): Promise<string> {
  const response = handshake(app);
  await until(() => app.sockets.size > 0);
  for (const socket of app.sockets) socket.terminate();
  return await response;
}

describe("an HttpError of another copy of the package", () => {
  let OtherError: typeof HttpError;
  beforeAll(async () => {
    // The same module under another URL is loaded again.
    const address = new URL("../../../src/app/http/http-error.ts?another-copy", import.meta.url).href;
    ({ HttpError: OtherError } = await import(/* @vite-ignore */ address) as { HttpError: typeof HttpError });
  });

  test("is sent with its status, text and headers, thrown or returned, and not logged", async () => {
    expect(OtherError).not.toBe(HttpError);
    const { logger, entries } = recordingLogger();
    const make = (): HttpError => new OtherError(418, "I am a teapot", { "X-Why": "because" });
    const fail = (): never => {
      throw make();
    };
    for (const hook of [make, fail, () => nextTurn(make()), () => nextTurn().then(fail)]) {
      const app = await appWith(hook as Hook, { logger });
      app.get("/page", hook);
      const response = await handshake(app);
      expect([statusOf(response), bodyOf(response), headerOf(response, "X-Why")]).toEqual([
        418,
        "I am a teapot\n",
        "because",
      ]);
      expect(await ask(app, "/page")).toMatchObject({ status: 418, body: "I am a teapot\n" });
    }
    expect(entries).toEqual([]);
  });
});

test("bytes of another realm are sent as bytes", async () => {
  const realm = createContext({});
  const buffer = runInContext("new Uint8Array([104, 105]).buffer", realm) as ArrayBuffer;
  const view = runInContext("new Uint8Array([104, 105])", realm) as Uint8Array;
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([104, 105]);
  for (const bytes of [buffer, view, shared]) {
    const app = await listeningApp(
      {},
      (app) =>
        app.get("/", () => bytes).ws("/", (socket) => {
          socket.send(bytes as ArrayBuffer);
        }),
    );
    const page = await ask(app, "/");
    expect([page.body, page.headers["content-type"]]).toEqual(["hi", "application/octet-stream"]);
    const client = await app.inject("/");
    expect(String(await client.next())).toBe("hi");
  }
});

test("an Error of another realm counts as thrown", async () => {
  const { logger, entries } = recordingLogger();
  const error = runInContext("new Error('the password is 12345')", createContext({})) as Error;
  const app = await appWith((() => error) as Hook, { logger });
  app.get("/page", () => error);
  expect(statusOf(await handshake(app))).toBe(500);
  expect(await ask(app, "/page")).toMatchObject({ status: 500, body: "Something went wrong on the server\n" });
  expect(entries).toEqual([errorEntry("a handshake", error), errorEntry('GET "/page"', error)]);
});
