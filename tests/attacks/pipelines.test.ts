// One connection sends requests, or bytes behind a handshake, without end: the server bounds what waits, and a client
// that reads gets all of its responses.

import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import type { App, AppOptions } from "../../mod.ts";
import { ask, attachedApp, listeningApp, portOf, until } from "../support/app.ts";
import { certificate, connectSecurely } from "../support/certificate.ts";
import { text } from "../support/frames.ts";
import { upgradeRequest } from "../support/raw-client.ts";
import { flood, readToEnd, StreamClient, untilStill } from "../support/stream-client.ts";

/** A connection with more than 4,096 pending responses is cut. The requests in the same chunk of 64 KiB still come. */
const MOST = 4_096 + 65_536 / get("/1").length;
/** So many requests stand for requests without end. */
const TOTAL = 10_000;
/** A connection with so many pending responses is not read any more. */
const PAUSED_FROM = 32;

function openClear(port: number): Duplex {
  const stream = connectTcp(port, "127.0.0.1");
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  return stream;
}

/**
 * The protocol below HTTP, and how many requests a client may send at once: over TLS, Node and Deno themselves lose
 * requests once 64 KiB of responses wait.
 */
const WAYS: readonly (readonly [string, number, AppOptions, (app: App) => Duplex])[] = [
  ["TCP", 3_000, {}, (app) => openClear(portOf(app))],
  ["TLS", 200, { tls: certificate() }, (app) => connectSecurely(portOf(app))],
];

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

function last(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
}

const post = (body: string): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Returns the numbers in the responses of a connection, in the order in which they came. */
const numbersIn = (response: string): number[] =>
  [...response.matchAll(/\r\n\r\n#(\d+)/g)].map(([, text]) => Number(text));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Starts an app whose controllers wait for a call of `respond`, and then return `#` and the number in the path. */
async function waitingApp(options: AppOptions): Promise<{ app: App; asked: () => number; respond: () => void }> {
  let asked = 0;
  const { promise: mayRespond, resolve: respond } = Promise.withResolvers<void>();
  const app = await listeningApp(options, (app) =>
    app.get("/:number", async ({ params }) => {
      asked++;
      await mayRespond;
      return `#${params.number}`;
    }).get("/", () => "alive"));
  return { app, asked: () => asked, respond };
}

describe.each(WAYS)("over %s", (_name, most, options, open) => {
  test("requests whose responses never come are bounded in number, and another connection is served", async () => {
    const { app, asked } = await waitingApp(options);
    const stream = open(app);
    const requests = Buffer.from(get("/1").repeat(1_000));
    flood(stream, 1_000, () => requests);
    await until(() => asked() >= PAUSED_FROM);
    await untilStill(asked);
    expect(asked()).toBeLessThanOrEqual(MOST);
    const other = open(app);
    other.write(last("/"));
    expect(await readToEnd(other)).toMatch(/alive$/);
  });

  test("requests whose responses are not read are bounded in number", async () => {
    let asked = 0;
    const large = "x".repeat(10_000);
    const app = await listeningApp(options, (app) => app.get("/", () => (asked++, large)));
    const stream = open(app);
    stream.pause();
    const requests = Buffer.from(get("/").repeat(1_000));
    flood(stream, 1_000, () => requests);
    await until(() => asked >= PAUSED_FROM);
    await untilStill(() => asked);
    // Besides the pending responses, some MB of responses are in the buffers of both operating systems.
    expect(asked).toBeLessThanOrEqual(MOST + 3_000);
  });

  test.each([1, PAUSED_FROM, PAUSED_FROM + 1, most])(
    "%i requests at once get all their responses, in order",
    async (count) => {
      const app = await listeningApp(options, (app) => app.get("/:number", ({ params }) => `#${params.number}`));
      const stream = open(app);
      stream.write(upTo(count).map((number) => get(`/${number}`)).join("") + last(`/${count}`));
      expect(numbersIn(await readToEnd(stream))).toEqual(upTo(count + 1));
    },
  );

  test("a client that sends requests without end and reads gets all its responses, in order", async () => {
    const app = await listeningApp(options, (app) => app.get("/:number", ({ params }) => `#${params.number}`));
    const stream = open(app);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    let [sent, received, rest] = [0, 0, ""];
    const send = (): void => {
      let text = "";
      while (sent < TOTAL && sent - received < most) text += get(`/${sent++}`);
      if (text !== "") stream.write(text);
    };
    stream.on("data", (chunk: Buffer) => {
      rest += chunk.toString("latin1");
      // The body of the last response may still be on its way; the responses before it are complete.
      const end = rest.lastIndexOf("HTTP/1.1 ");
      for (const number of numbersIn(rest.slice(0, end))) if (number === received) received++;
      rest = rest.slice(end);
      send();
      if (received === TOTAL - 1) resolve();
    });
    stream.once("close", () => resolve());
    send();
    await done;
    expect([received, numbersIn(rest)]).toEqual([TOTAL - 1, [TOTAL - 1]]);
  });

  test("3000 requests in four writes get all their responses, each of which takes 20 ms", async () => {
    const app = await listeningApp(options, (app) =>
      app.get("/:number", async ({ params }) => {
        await delay(20);
        return `#${params.number}`;
      }));
    const stream = open(app);
    for (let part = 0; part < 4; part++) {
      stream.write(upTo(750).map((number) => get(`/${750 * part + number}`)).join(""));
    }
    stream.write(last("/3000"));
    expect(numbersIn(await readToEnd(stream))).toEqual(upTo(3_001));
  });

  test("request bodies reach the controllers that wait for them, however many requests are pending", async () => {
    const app = await listeningApp(
      options,
      (app) => app.post("/", async (req) => `#${(await req.text()).length}`).get("/", () => "#0"),
    );
    const stream = open(app);
    const lengths = Array.from({ length: 200 }, (_, i) => 100 + i * 100);
    stream.write(lengths.map((length) => post("x".repeat(length))).join("") + last("/"));
    expect(numbersIn(await readToEnd(stream))).toEqual([...lengths, 0]);
  });
});

test("a connection with many pending responses is not read until they are sent", async () => {
  const { app, asked, respond } = await waitingApp({});
  const stream = openClear(portOf(app));
  const all = readToEnd(stream);
  for (let number = 0; number < PAUSED_FROM; number++) {
    stream.write(get(`/${number}`));
    await until(() => asked() === number + 1);
  }
  for (let number = PAUSED_FROM; number < 200; number++) stream.write(get(`/${number}`));
  stream.write(last("/200"));
  await untilStill(asked);
  expect(asked()).toBe(PAUSED_FROM);
  // Other connections do not wait.
  expect((await ask(app, "/")).body).toBe("alive");
  respond();
  expect(numbersIn(await all)).toEqual(upTo(201));
});

test("a client that leaves with many pending responses leaves nothing behind", async () => {
  const { app, asked, respond } = await waitingApp({});
  const stream = connectTcp(portOf(app), "127.0.0.1");
  stream.on("error", () => {});
  stream.write(upTo(200).map((number) => get(`/${number}`)).join(""));
  await until(() => asked() >= PAUSED_FROM);
  stream.resetAndDestroy();
  await nextTurn();
  respond();
  expect((await ask(app, "/")).body).toBe("alive");
  expect(await app.close({ timeoutMs: 5_000 })).toEqual({ closed: 0, terminated: 0 });
});

describe("bytes behind a handshake whose response is pending", () => {
  /** Connects to an app at its own port, or at the port of a server that the app is attached to. */
  async function openBy(way: "listen" | "attach", options: AppOptions, hook: () => unknown): Promise<Duplex> {
    const addRoutes = (app: App): unknown =>
      app.ws("/", { upgrade: hook }, (socket) => void socket.on("message", (data) => socket.send(data)));
    const server = (): Server => options.tls === undefined ? createServer() : createTlsServer(certificate());
    const port = way === "listen"
      ? portOf(await listeningApp(options, addRoutes))
      : (await attachedApp(server(), addRoutes)).port;
    return options.tls === undefined ? openClear(port) : connectSecurely(port);
  }

  const ways = WAYS.flatMap(([name, , options]) =>
    (["listen", "attach"] as const).map((way) => [way, name, options] as const)
  );

  test.each(ways)("do not fill memory, by %s over %s", async (way, _name, options) => {
    const asked = Promise.withResolvers<void>();
    const stream = await openBy(way, options, () => {
      asked.resolve();
      return new Promise(() => {});
    });
    stream.write(upgradeRequest("/"));
    await asked.promise;
    const piece = Buffer.alloc(65_536, "x");
    const sent = flood(stream, 4_096, () => piece);
    await untilStill(() => sent.takenBytes);
    // The operating systems of both ends buffer some MB. The client has 256 MiB to send.
    expect(sent.takenBytes).toBeLessThan(64 * 2 ** 20);
  });

  test.each(ways)("arrive complete when they are few, by %s over %s", async (way, _name, options) => {
    const { promise: mayRespond, resolve: respond } = Promise.withResolvers<void>();
    const stream = await openBy(way, options, () => mayRespond);
    const message = "x".repeat(300_000);
    const connecting = StreamClient.connect(stream);
    stream.write(text(message));
    await untilStill(() => stream.writableLength);
    respond();
    expect(await (await connecting).nextMessage()).toBe(message);
  });
});
