/** Request bodies over real connections: read within the limits, or refused with the reason. */

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, HttpError } from "../../../mod.ts";
import { ask, listeningApp, portOf, recordingLogger, runScript } from "../../support/app.ts";
import { rawRequest, statusOf } from "../../support/raw-client.ts";
import { readToEnd } from "../../support/stream-client.ts";
import type { Chunks } from "../../support/tcp.ts";

const MAX_BODY_BYTES = 1_000;
const OPTIONS = { maxBodyBytes: MAX_BODY_BYTES, messageTimeoutMs: 250 };

async function readingApp(options: object = OPTIONS): Promise<App> {
  return await listeningApp(options, (app) =>
    app
      .post("/bytes", async (req) => (await req.bytes()).length)
      .post("/text", (req) => req.text())
      .post("/json", async (req) => ({ got: await req.json() }))
      .post("/thrice", async (req) => [await req.text(), await req.json(), (await req.bytes()).length])
      .post("/unread", () => "not interested")
      .post("/late", async (req) => {
        // Once a later client has its response, the body has arrived.
        await ask(app, "/unread", "POST");
        return await req.text();
      }));
}

function post(path: string, body: string, headers: Record<string, string | number> = {}): string {
  const all = { Host: "app", Connection: "close", "Content-Length": Buffer.byteLength(body), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${Buffer.from(body).toString("latin1")}`;
}

/** Adds a route `/watched`, and returns the outcome of each body that its controller reads. */
function watchBody(app: App): { arrived: Promise<void>; reading: Promise<string> } {
  const arrived = Promise.withResolvers<void>();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  promise.catch(() => {});
  app.post("/watched", (req) => {
    const reading = req.text();
    reading.then(resolve, reject);
    arrived.resolve();
    return reading;
  });
  return { arrived: arrived.promise, reading: promise };
}

/** A request whose body has the chunked transfer coding (RFC 9112 §7.1). */
function postChunked(path: string, chunks: readonly string[], end: string = "0\r\n\r\n"): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`;
  return head + chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("") + end;
}

function bodyOf(response: string): string {
  return Buffer.from(response.slice(response.indexOf("\r\n\r\n") + 4), "latin1").toString();
}

/** The status of each response, in order. */
function statusesOf(response: string): number[] {
  return [...response.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

const octetsOf = (request: string): Uint8Array[] =>
  Array.from(Buffer.from(request, "latin1"), (octet) => Uint8Array.of(octet));

describe("a body is read", () => {
  test.each<[string, string, string, string]>([
    ["as bytes", "/bytes", "grüße", "7"],
    ["as text", "/text", "grüße, 世界 🌍", "grüße, 世界 🌍"],
    ["as text, when it is empty", "/text", "", ""],
    ["as JSON", "/json", '{"a":[1,"ü",null]}', '{"got":{"a":[1,"ü",null]}}'],
    ["as JSON, when it is not an object", "/json", " 42 ", '{"got":42}'],
    ["several times", "/thrice", "[1, 2]", '["[1, 2]",[1,2],6]'],
    ["late", "/late", "still here", "still here"],
  ])("%s", async (_name, path, body, expected) => {
    const app = await readingApp();
    const responses = await Promise.all([
      rawRequest(portOf(app), post(path, body)),
      rawRequest(portOf(app), octetsOf(post(path, body))),
      rawRequest(portOf(app), postChunked(path, [...Buffer.from(body).toString("latin1")])),
    ]);
    expect(responses.map((response) => [statusOf(response), bodyOf(response)])).toEqual(Array(3).fill([200, expected]));
  });

  test("up to maxBodyBytes, and not a byte more", async () => {
    const app = await readingApp();
    for (const length of [MAX_BODY_BYTES, MAX_BODY_BYTES + 1]) {
      const body = "x".repeat(length);
      const [counted, chunked] = await Promise.all([
        rawRequest(portOf(app), post("/bytes", body)),
        rawRequest(portOf(app), postChunked("/bytes", [body.slice(0, 600), body.slice(600)])),
      ]);
      const status = length === MAX_BODY_BYTES ? 200 : 413;
      expect([statusOf(counted), statusOf(chunked)], String(length)).toEqual([status, status]);
    }
  });

  test("up to 1 MiB by default", async () => {
    const app = await readingApp({});
    expect((await ask(app, "/bytes", "POST", "x".repeat(2 ** 20))).body).toBe(String(2 ** 20));
    const { status, body } = await ask(app, "/bytes", "POST", "x".repeat(2 ** 20 + 1));
    expect([status, body]).toEqual([413, "The body is larger than 1048576 bytes\n"]);
  });

  test("only if the controller asks for it, and the next request on the connection gets its response anyway", async () => {
    const app = await readingApp();
    const unread = post("/unread", "x".repeat(5_000), { Connection: "keep-alive" });
    const response = await rawRequest(portOf(app), unread + post("/text", "next"));
    expect(statusesOf(response)).toEqual([200, 200]);
    expect(response).toContain("not interested");
    expect(response).toMatch(/next$/);
  });
});

describe("413", () => {
  test("comes before the body if Content-Length is too large, and during the body if there is no length", async () => {
    const app = await readingApp();
    const responses = await Promise.all([
      rawRequest(portOf(app), post("/bytes", "", { "Content-Length": MAX_BODY_BYTES + 1 })),
      rawRequest(portOf(app), postChunked("/bytes", ["x".repeat(800), "x".repeat(201)], "")),
    ]);
    for (const response of responses) {
      expect(statusesOf(response)).toEqual([413]);
      expect(bodyOf(response)).toBe("The body is larger than 1000 bytes\n");
      expect(response).toMatch(/^connection: close\r$/im);
    }
  });

  test.each([["announced", true], ["not announced", false]])(
    "reaches a client that goes on sending megabytes, %s: no reset overtakes it",
    async (_name, isAnnounced) => {
      const app = await readingApp();
      const block = "x".repeat(65_536);
      const request = isAnnounced
        ? post("/bytes", "", { "Content-Length": 128 * block.length })
        : postChunked("/bytes", [], "");
      async function* chunks(): Chunks {
        yield Buffer.from(request, "latin1");
        for (let i = 0; i < 128; i++) yield Buffer.from(isAnnounced ? block : `10000\r\n${block}\r\n`);
      }
      const response = await rawRequest(portOf(app), chunks());
      expect(statusesOf(response)[0]).toBe(413);
      expect(bodyOf(response)).toContain("The body is larger than 1000 bytes");
    },
  );
});

describe("400", () => {
  test.each<[string, string, string, string]>([
    ["JSON that is not valid", "/json", "{'a':1}", "The body is not valid JSON\n"],
    ["JSON that is cut short", "/json", '{"a":', "The body is not valid JSON\n"],
    ["JSON that is empty", "/json", "", "The body is not valid JSON\n"],
  ])("is the response to %s", async (_name, path, body, message) => {
    const { status, body: response } = await ask(await readingApp(), path, "POST", body);
    expect([status, response]).toEqual([400, message]);
  });

  test.each([["/text"], ["/json"]])("is the response to a body that is not UTF-8, at %s", async (path) => {
    const app = await readingApp();
    const request = post(path, "??", {}).replace("??", "\xff\xfe");
    const response = await rawRequest(portOf(app), request);
    expect([statusOf(response), bodyOf(response)]).toEqual([400, "The body is not valid UTF-8\n"]);
  });

  test("leaves the connection open for further requests", async () => {
    const app = await readingApp();
    const requests = post("/json", "no", { Connection: "keep-alive" }) + post("/json", "1");
    expect(statusesOf(await rawRequest(portOf(app), requests))).toEqual([400, 200]);
  });
});

describe("a body that does not arrive", () => {
  test("gets 408 after messageTimeoutMs: in chunks or not, without a byte or with one now and then", async () => {
    const app = await readingApp();
    async function* trickle(): Chunks {
      yield Buffer.from(post("/text", "", { "Content-Length": 100 }), "latin1");
      for (let i = 0; i < 50; i++) {
        await delay(20);
        yield Buffer.from("x");
      }
    }
    const requests = [
      post("/text", "begun", { "Content-Length": 100 }),
      postChunked("/text", ["begun"], ""),
      post("/text", "", { "Content-Length": 100 }),
      trickle(),
    ];
    const startedAt = performance.now();
    const responses = await Promise.all(requests.map((request) => rawRequest(portOf(app), request)));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(OPTIONS.messageTimeoutMs - 5);
    for (const response of responses) {
      expect([statusOf(response), bodyOf(response)]).toEqual([408, "The body was not complete after 250 ms\n"]);
      expect(response).toMatch(/^connection: close\r$/im);
    }
  });

  test("because the client has reset the connection is a 400 for the controller, and is not logged", async () => {
    const { logger, entries } = recordingLogger();
    const app = await readingApp({ ...OPTIONS, logger });
    const client = connectTcp(portOf(app), "127.0.0.1");
    const { arrived, reading } = watchBody(app);
    client.write(post("/watched", "begun", { "Content-Length": 100 }));
    await arrived;
    client.resetAndDestroy();
    await expect(reading).rejects.toThrow(HttpError);
    await expect(reading).rejects.toMatchObject({ status: 400, message: "The connection ended before the body did" });
    expect((await ask(app, "/text", "POST", "well")).body).toBe("well");
    expect(entries).toEqual([]);
  });

  test("because the client had disconnected before the controller asked is a 400 at once", async () => {
    const app = await readingApp({ ...OPTIONS, messageTimeoutMs: 60_000 });
    const reading = Promise.withResolvers<string>();
    const arrived = Promise.withResolvers<void>();
    app.post("/later", async (req) => {
      const gone = once(req, "close");
      arrived.resolve();
      await gone.catch(() => {});
      req.text().then(reading.resolve, reading.reject);
    });
    const client = connectTcp(portOf(app), "127.0.0.1");
    client.write(post("/later", "begun", { "Content-Length": 100 }));
    await arrived.promise;
    client.resetAndDestroy();
    await expect(Promise.race([reading.promise, delay(3_000, "still waiting")])).rejects.toMatchObject({ status: 400 });
  });

  test.each<[string, string]>([
    ["with a length", post("/watched", "begun", { "Content-Length": 100 })],
    ["in chunks", postChunked("/watched", ["begun"], "")],
  ])("because the client has ended its side, %s, is 400 for the controller at once", async (_name, request) => {
    const app = await readingApp({ ...OPTIONS, messageTimeoutMs: 60_000 });
    const { reading } = watchBody(app);
    const client = connectTcp({ port: portOf(app), host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    client.end(request, "latin1");
    // Deno closes the connection without a response.
    expect([[400], []]).toContainEqual(statusesOf(await readToEnd(client)));
    await expect(reading).rejects.toMatchObject({ status: 400 });
    expect((await ask(app, "/text", "POST", "well")).body).toBe("well");
  });
});

describe("a body with a wrong length", () => {
  test("is cut off when it is longer: the rest is not a valid request, and the connection ends with a 400", async () => {
    const app = await readingApp();
    const request = post("/text", "12345", { "Content-Length": 3, Connection: "keep-alive" });
    const response = await rawRequest(portOf(app), request);
    const statuses = statusesOf(response);
    expect(statuses.at(-1)).toBe(400);
    expect(statuses.length).toBeLessThanOrEqual(2);
    expect((await ask(app, "/text", "POST", "well")).body).toBe("well");
  });

  test("takes the next request on the connection as its rest when it is shorter", async () => {
    const app = await readingApp({ maxBodyBytes: 10_000, messageTimeoutMs: 250 });
    const smuggled = post("/json", "1");
    const request = post("/bytes", "12345", { "Content-Length": 5 + smuggled.length, Connection: "keep-alive" });
    const response = await rawRequest(portOf(app), `${request}${smuggled}${post("/text", "honest")}`);
    expect(statusesOf(response)).toEqual([200, 200]);
    expect(response).toContain(`\r\n\r\n${5 + smuggled.length}`);
    expect(response).toMatch(/honest$/);
  });

  test.each<[string, string]>([
    ["two lengths", "Content-Length: 3\r\nContent-Length: 5\r\n"],
    ["two lengths on one line", "Content-Length: 3, 5\r\n"],
    ["a negative length", "Content-Length: -3\r\n"],
    ["a length that is not a number", "Content-Length: three\r\n"],
    ["a length in hexadecimal", "Content-Length: 0x5\r\n"],
    ["a length of forty digits", `Content-Length: ${"9".repeat(40)}\r\n`],
    ["a length beside chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"],
    ["an unknown encoding", "Transfer-Encoding: secret\r\n"],
  ])("%s: the request is refused, and the bytes behind it are not taken for a request", async (_name, lines) => {
    const app = await readingApp();
    const served: string[] = [];
    app.post("/served", () => void served.push("a request from inside a body"));
    const head = `POST /text HTTP/1.1\r\nHost: app\r\n${lines}\r\n`;
    const response = await rawRequest(portOf(app), `${head}abc${post("/served", "")}`);
    expect(statusesOf(response).filter((status) => status < 400)).toEqual([]);
    expect(served).toEqual([]);
    expect((await ask(app, "/text", "POST", "well")).body).toBe("well");
  });

  test.each<[string, string]>([
    ["a chunk that is longer than it says", postChunked("/watched", [], "2\r\nabcdef\r\n0\r\n\r\n")],
    ["a chunk whose length is not a number", postChunked("/watched", [], "zz\r\nab\r\n0\r\n\r\n")],
  ])("%s: the body is never taken for complete", async (_name, request) => {
    const app = await readingApp({ ...OPTIONS, messageTimeoutMs: 60_000 });
    const { reading } = watchBody(app);
    const response = await rawRequest(portOf(app), request);
    expect(new Set(statusesOf(response))).toEqual(new Set([400]));
    await expect(reading).rejects.toMatchObject({ status: 400 });
  });
});

describe("a response", () => {
  test.each([["less", 3], ["more", 8]])(
    "whose Content-Length says %s than its body has does not mislead the client",
    async (_name, length) => {
      const app = await listeningApp({}, (app) =>
        app
          .get("/lying", () => new Response("hello", { headers: { "Content-Length": String(length) } }))
          .get("/honest", () => "honest"));
      const get = (path: string, connection: string): string =>
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`;
      const response = await rawRequest(portOf(app), get("/lying", "keep-alive") + get("/honest", "close"));
      if (/^content-length: [38]\r$/im.test(response.split("\r\n\r\n")[0])) {
        // The connection is cut: the client has no more than it was promised, and takes no other response for the rest.
        expect(statusesOf(response).length).toBeLessThanOrEqual(1);
        expect(bodyOf(response).length).toBeLessThanOrEqual(length);
      } else {expect([statusesOf(response), response.includes("hello"), response.endsWith("honest")]).toEqual([
          [200, 200],
          true,
          true,
        ]);}
      expect((await ask(app, "/honest")).body).toBe("honest");
    },
  );

  test("that is an error Response of fetch is a 500", async () => {
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger }, (app) => app.get("/", () => Response.error()));
    expect(statusOf(await rawRequest(portOf(app), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))).toBe(500);
    expect(entries.map(({ level }) => level)).toEqual(["error"]);
  });
});

test("a HEAD request cancels the body, and the process survives if that fails", async () => {
  const { exitCode, output } = await runScript(`
    import { createApp } from "{root}mod.ts";
    const app = await createApp({ logger: false });
    app.get("/", () => new Response(new ReadableStream({ cancel() { throw new Error("not that easily"); } })));
    await app.listen({ port: 0, host: "127.0.0.1" });
    console.log((await fetch(app.url, { method: "HEAD" })).status);
    await app.close();
  `);
  expect(output).toBe("200");
  expect(exitCode).toBe(0);
});
