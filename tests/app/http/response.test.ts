import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { HttpError } from "../../../mod.ts";
import {
  ask,
  errorEntry,
  type HttpReply,
  listeningApp,
  type LogEntry,
  portOf,
  recordingLogger,
  until,
} from "../../support/app.ts";
import { rawRequest, statusOf } from "../../support/raw-client.ts";

interface Result extends HttpReply {
  readonly entries: LogEntry[];
}

/** The response of a controller, as a client gets it. */
async function responseOf(controller: () => unknown, method: string = "GET"): Promise<Result> {
  const { logger, entries } = recordingLogger();
  const app = await listeningApp({ logger }, (app) => app.get("/", controller));
  return { ...await ask(app, "/", method), entries };
}

describe("the result of a controller", () => {
  test.each<[string, unknown, string, string]>([
    ["a string", "grüße", "text/plain; charset=utf-8", "grüße"],
    ["an empty string", "", "text/plain; charset=utf-8", ""],
    ["an object", { a: [1, null, "ü"] }, "application/json; charset=utf-8", '{"a":[1,null,"ü"]}'],
    ["an array", [1, 2], "application/json; charset=utf-8", "[1,2]"],
    ["a number", 42, "application/json; charset=utf-8", "42"],
    ["false", false, "application/json; charset=utf-8", "false"],
    ["null", null, "application/json; charset=utf-8", "null"],
    ["an object with toJSON", new Date(0), "application/json; charset=utf-8", '"1970-01-01T00:00:00.000Z"'],
    ["a Uint8Array", new TextEncoder().encode("bytes ü"), "application/octet-stream", "bytes ü"],
    ["a Buffer", Buffer.from("buffer"), "application/octet-stream", "buffer"],
    ["a part of a Buffer", Buffer.from("buffer").subarray(1, 3), "application/octet-stream", "uf"],
  ])("%s", async (_name, result, type, body) => {
    for (const controller of [() => result, async () => (await nextTurn(), result)]) {
      const response = await responseOf(controller);
      expect(response).toMatchObject({ status: 200, body, entries: [] });
      expect(response.headers["content-type"]).toBe(type);
      expect(response.headers["content-length"]).toBe(`${Buffer.byteLength(body)}`);
    }
  });

  test("undefined is 204, without a body", async () => {
    for (const controller of [() => {}, async () => await nextTurn()]) {
      const { status, body, headers } = await responseOf(controller);
      expect([status, body]).toEqual([204, ""]);
      expect(headers["content-type"]).toBeUndefined();
    }
  });

  test.each<[string, unknown]>([
    ["a function", () => {}],
    ["a symbol", Symbol("s")],
    ["a BigInt", 1n],
    [
      "a circle",
      (() => {
        const circle: { self?: object } = {};
        circle.self = circle;
        return circle;
      })(),
    ],
  ])("%s has no JSON, which is a logged 500", async (_name, result) => {
    const { status, body, entries } = await responseOf(() => result);
    expect(status).toBe(500);
    expect(body).toBe("Something went wrong on the server\n");
    expect(entries.map(({ args }) => String(args[0]))).toEqual([expect.stringMatching(/GET "\/" .*: TypeError: /)]);
  });
});

describe("a web Response", () => {
  test("is sent as it is: status, headers, body", async () => {
    const response = await responseOf(() => {
      const headers = { "Content-Type": "text/html", "X-Mine": "ü", "Cache-Control": "no-store" };
      return new Response("<p>hello</p>", { status: 202, headers });
    });
    expect(response).toMatchObject({ status: 202, body: "<p>hello</p>", entries: [] });
    expect(response.headers).toMatchObject({ "content-type": "text/html", "cache-control": "no-store" });
    expect(response.headers["x-mine"]).toBe("ü");
  });

  test("may have several cookies, each in a line of its own", async () => {
    const { headers } = await responseOf(() => {
      const response = new Response("");
      response.headers.append("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT");
      response.headers.append("Set-Cookie", "b=2");
      response.headers.append("Vary", "Accept");
      response.headers.append("Vary", "Origin");
      return response;
    });
    expect(headers["set-cookie"]).toEqual(["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"]);
    expect(headers.vary).toBe("Accept, Origin");
  });

  test.each([[204], [304]])("may have no body: %d", async (status) => {
    const response = await responseOf(() => new Response(null, { status, headers: { ETag: '"x"' } }));
    expect(response).toMatchObject({ status, body: "" });
    expect(response.headers.etag).toBe('"x"');
  });

  test("may be a redirect", async () => {
    const { status, headers } = await responseOf(() => Response.redirect("https://mysite.com/", 303));
    expect([status, headers.location]).toEqual([303, "https://mysite.com/"]);
  });

  test("may have a body that streams", async () => {
    const { body } = await responseOf(() => {
      let count = 0;
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await nextTurn();
          if (count === 50) controller.close();
          else controller.enqueue(Buffer.from(`chunk ${count++};`));
        },
      });
      return new Response(stream);
    });
    expect(body).toBe(Array.from({ length: 50 }, (_, i) => `chunk ${i};`).join(""));
  });

  test("may be large, and is not read faster than the client reads", async () => {
    let pulled = 0;
    const app = await listeningApp({}, (app) =>
      app.get("/", () =>
        new Response(
          new ReadableStream<Uint8Array>({
            async pull(controller) {
              await nextTurn();
              if (pulled === 800) controller.close();
              else controller.enqueue(Buffer.alloc(100_000, pulled++));
            },
          }),
        )));
    const client = connect({ port: portOf(app), host: "127.0.0.1" });
    onTestFinished(() => void client.destroy());
    client.pause();
    client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let before = -1;
    // The stream is not pulled any more when the count stays the same for some turns.
    await until(() => pulled > 0);
    for (let quiet = 0; quiet < 200; quiet = pulled === before ? quiet + 1 : 0) {
      before = pulled;
      await nextTurn();
    }
    expect(pulled).toBeLessThan(400);
    let bytes = 0;
    client.on("data", (chunk) => bytes += chunk.length).resume();
    await once(client, "end");
    expect(bytes).toBeGreaterThan(80_000_000);
  });

  test("whose stream fails on the way is cut, so that the client does not take it for complete, and is logged", async () => {
    const { logger, entries } = recordingLogger();
    const failure = new Error("the source has dried up");
    const app = await listeningApp({ logger }, (app) =>
      app.get("/", () => {
        let count = 0;
        return new Response(
          new ReadableStream<Uint8Array>({
            async pull(controller) {
              await nextTurn();
              if (count++ < 3) controller.enqueue(Buffer.from("part;"));
              else controller.error(failure);
            },
          }),
        );
      }));
    const response = await rawRequest(portOf(app), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(response).toContain("part;");
    expect(response).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(response).not.toContain("dried up");
    expect(entries).toEqual([errorEntry('GET "/"', failure)]);
  });

  test("whose client disconnects is cancelled, and is not logged", async () => {
    const { logger, entries } = recordingLogger();
    const cancelled = Promise.withResolvers<void>();
    const app = await listeningApp({ logger }, (app) =>
      app.get("/", () =>
        new Response(
          new ReadableStream<Uint8Array>({
            async pull(controller) {
              await nextTurn();
              controller.enqueue(Buffer.alloc(10_000));
            },
            cancel: () => cancelled.resolve(),
          }),
        )));
    const client = connect({ port: portOf(app), host: "127.0.0.1" });
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(client, "data");
    client.destroy();
    await cancelled.promise;
    expect(entries).toEqual([]);
  });

  test.each([
    ["alone, before there is a response", [], true],
    ["behind another response, before there is one", ["/held"], true],
    ["behind another response, while it waits for that one", ["/held"], false],
  ])("whose client disconnects %s is cancelled, and is not logged", async (_name, before, isEarly) => {
    const { logger, entries } = recordingLogger();
    const [arrived, gone, cancelled] = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
    const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
      await nextTurn();
      controller.enqueue(Buffer.alloc(10_000));
      arrived.resolve();
    };
    const app = await listeningApp(
      { logger },
      (app) =>
        app.get("/held", async () => await gone.promise).get("/", async (req) => {
          req.socket.once("close", gone.resolve);
          if (isEarly) {
            arrived.resolve();
            await gone.promise;
            await nextTurn();
          }
          return new Response(new ReadableStream({ pull, cancel: () => cancelled.resolve() }));
        }),
    );
    const client = connect({ port: portOf(app), host: "127.0.0.1" });
    client.write([...before, "/"].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
    await arrived.promise;
    client.destroy();
    await cancelled.promise;
    await nextTurn();
    expect(entries).toEqual([]);
  });

  test("is not read for HEAD, but cancelled", async () => {
    const cancelled = Promise.withResolvers<string>();
    const { status, headers, body } = await responseOf(() => {
      const stream = new ReadableStream<Uint8Array>({ cancel: () => cancelled.resolve("cancelled") });
      return new Response(stream, { headers: { "X-Mine": "yes" } });
    }, "HEAD");
    expect([status, headers["x-mine"], body]).toEqual([200, "yes", ""]);
    expect(await Promise.race([cancelled.promise, nextTurn("not cancelled")])).toBe("cancelled");
  });
});

describe("an error of a controller", () => {
  test.each<[string, () => unknown]>([
    ["at once", () => {
      throw new HttpError(403, "Nur für Freunde", { "X-Why": "because" });
    }],
    ["later", async () => {
      await nextTurn();
      throw new HttpError(403, "Nur für Freunde", { "X-Why": "because" });
    }],
  ])(
    "that is an HttpError is sent with its status, text and headers, and not logged: %s",
    async (_name, controller) => {
      const { status, headers, body, entries } = await responseOf(controller);
      expect([status, body, entries]).toEqual([403, "Nur für Freunde\n", []]);
      expect(headers["x-why"]).toBe("because");
      expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
    },
  );

  test.each<[string, unknown]>([
    ["an Error", new Error("password: 12345")],
    ["a string", "password: 12345"],
    ["undefined", undefined],
    ["an object without a prototype", Object.create(null)],
  ])("that is %s is a logged 500 without details", async (_name, thrown) => {
    for (
      const controller of [() => {
        throw thrown;
      }, async () => {
        await nextTurn();
        throw thrown;
      }]
    ) {
      const { status, body, entries } = await responseOf(controller);
      expect([status, body]).toEqual([500, "Something went wrong on the server\n"]);
      expect(entries).toEqual([errorEntry('GET "/"', thrown)]);
    }
  });

  test.each<[string, Record<string, string>]>([
    ["a line break in a value", { "X-Name": "a\r\nX-Evil: 1" }],
    ["a character above latin-1", { "X-Name": "€" }],
    ["a name that is not valid", { "X Name": "a" }],
  ])(
    "that is an HttpError with a header that is not valid is a 500, and the server survives: %s",
    async (_name, headers) => {
      const { logger, entries } = recordingLogger();
      const app = await listeningApp({ logger }, (app) =>
        app.get("/bad", () => {
          throw new HttpError(400, "No", headers);
        }).get("/good", () => "still here"));
      const response = await rawRequest(portOf(app), "GET /bad HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      expect(statusOf(response)).toBe(500);
      expect(response).not.toContain("X-Evil");
      expect(entries.map(({ level }) => level)).toEqual(["error"]);
      expect((await ask(app, "/good")).body).toBe("still here");
    },
  );

  test("has its status for HEAD too, without a body", async () => {
    const { status, body, headers } = await responseOf(() => {
      throw new HttpError(410, "Gone");
    }, "HEAD");
    expect([status, body, headers["content-length"]]).toEqual([410, "", "5"]);
  });

  test("the path in the log is escaped", async () => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger }, (app) =>
      app.get("/*", () => {
        throw new Error("no");
      }));
    await ask(app, `/a%0D%0AINFO%20all%20is%20well?${"x".repeat(500)}`);
    const [{ message: line }] = entries[0].args as [Error];
    expect(line).not.toMatch(/[\r\n]/);
    expect(line.length).toBeLessThan(200);
  });
});
