/** HTTP requests while their app closes: every request that a controller has got is answered, in whole. */

import { once } from "node:events";
import { Agent, createServer, request as startRequest } from "node:http";
import { type AddressInfo, connect as connectTcp, type Socket as RawSocket } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, type AppOptions, type CloseResult, createApp } from "../../mod.ts";
import { ask, listeningApp, portOf, until } from "../support/app.ts";
import { certificate, connectSecurely } from "../support/certificate.ts";

const LARGE = "x".repeat(3_000_000);

/** An app, and what its controllers use to close it. */
interface Closing {
  readonly app: App;
  /** Begins to close the app, as a controller does that cannot wait. */
  close(): void;
  /** Resolves when the app has closed. */
  readonly closed: Promise<CloseResult>;
  /** The paths of the requests that a controller has got. */
  readonly accepted: string[];
  /** Resolves once the test allows it. */
  readonly allowed: Promise<void>;
  allow(): void;
}

/**
 * An app with controllers that close it in many ways. The path says what a controller does, and its response is the
 * path again.
 */
async function closingApp(options: AppOptions = {}): Promise<Closing> {
  const closed = Promise.withResolvers<CloseResult>();
  const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
  const accepted: string[] = [];
  const parts = (begin: () => void): Response => {
    let count = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await nextTurn();
          if (count === 2) begin();
          if (count++ < 5) controller.enqueue(new TextEncoder().encode("part;"));
          else controller.close();
        },
      }),
    );
  };
  const app = await listeningApp({ closeTimeoutMs: 10_000, ...options }, (app) => {
    const close = (): void => void app.close().then(closed.resolve, closed.reject);
    app
      .get("/now", () => (close(), "/now"))
      .get("/later", async () => (await nextTurn(), close(), "/later"))
      .get("/large", () => (close(), LARGE))
      .get("/parts", () => (close(), parts(() => {})))
      .get("/within", () => parts(close))
      .get("/fails", () => {
        close();
        throw new Error("no");
      })
      .post("/body", async (req) => (close(), allow(), await req.text()))
      .post("/unread", () => (close(), allow(), "/unread"))
      .get("/quick", ({ path }) => (accepted.push(path), path))
      .get("/held/:name", async ({ path }) => (accepted.push(path), await allowed, path));
  });
  return { app, close: () => void app.close().then(closed.resolve), closed: closed.promise, accepted, allowed, allow };
}

/** A client that keeps its side of the connection open. */
class Client {
  text = "";
  readonly ended: Promise<unknown>;
  readonly #raw: RawSocket;

  constructor(raw: RawSocket) {
    this.#raw = raw;
    this.ended = once(raw, "close");
    raw.on("error", () => {}).on("data", (chunk) => this.text += chunk.toString("latin1"));
    onTestFinished(() => void raw.destroy());
  }

  static tcp(app: App): Client {
    return new Client(connectTcp({ port: portOf(app), host: "127.0.0.1" }));
  }

  static tls(app: App): Client {
    return new Client(connectSecurely(portOf(app)));
  }

  get(...paths: string[]): this {
    this.#raw.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(""));
    return this;
  }

  write(text: string): this {
    this.#raw.write(text);
    return this;
  }

  pause(): void {
    this.#raw.pause();
  }

  /** Reads to the end of the connection. */
  async rest(): Promise<string> {
    this.#raw.resume();
    await this.ended;
    return this.text;
  }
}

/** The bodies of several whole responses, each of which has a Content-Length. */
function bodiesOf(responses: string): string[] {
  const bodies: string[] = [];
  while (responses !== "") {
    const [head] = responses.split("\r\n\r\n", 1);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
    const start = head.length + 4;
    expect(responses.length).toBeGreaterThanOrEqual(start + length);
    bodies.push(responses.slice(start, start + length));
    responses = responses.slice(start + length);
  }
  return bodies;
}

describe.each<[string, AppOptions, (app: App) => Client]>([
  ["TCP", {}, Client.tcp],
  ["TLS", { tls: certificate() }, Client.tls],
])("over %s", (_name, options, connect) => {
  const PARTS = `5\r\npart;\r\n`.repeat(5) + "0\r\n\r\n";

  test.each<[path: string, status: number, end: string, isLast: boolean]>([
    ["/now", 200, "/now", true],
    ["/later", 200, "/later", true],
    ["/large", 200, LARGE, true],
    ["/parts", 200, PARTS, true],
    ["/within", 200, PARTS, false],
    ["/fails", 500, "Something went wrong on the server\n", true],
  ])("a controller that closes its app has its response sent: %s", async (path, status, end, isLast) => {
    const { app, closed } = await closingApp({ logger: false, ...options });
    const response = await connect(app).get(path).rest();
    expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(response.slice(response.indexOf("\r\n\r\n") + 4) === end).toBe(true);
    expect(/^connection: close\r$/im.test(response)).toBe(isLast);
    expect(await closed).toEqual({ closed: 0, terminated: 0 });
  });

  test.each([["/body", "1234567890"], ["/unread", "/unread"]])(
    "also before the body has come: %s",
    async (path, body) => {
      const { app, allowed, closed } = await closingApp(options);
      const client = connect(app).write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345`);
      await allowed;
      client.write("67890");
      expect(bodiesOf(await client.rest())).toEqual([body]);
      expect(await closed).toEqual({ closed: 0, terminated: 0 });
    },
  );

  test("also when it is not the first of its connection", async () => {
    const { app, closed } = await closingApp(options);
    const client = connect(app).get("/quick");
    await until(() => client.text.endsWith("/quick"));
    expect(bodiesOf(await client.get("/now").rest())).toEqual(["/quick", "/now"]);
    expect(await closed).toEqual({ closed: 0, terminated: 0 });
  });

  test("controllers that are busy on other connections have time for their responses", async () => {
    const { app, accepted, allow, closed } = await closingApp(options);
    const others = ["/held/a", "/held/b"].map((path) => connect(app).get(path));
    await until(() => accepted.length === 2);
    expect(bodiesOf(await connect(app).get("/now").rest())).toEqual(["/now"]);
    allow();
    expect(await Promise.all(others.map(async (each) => bodiesOf(await each.rest())))).toEqual([["/held/a"], [
      "/held/b",
    ]]);
    expect(await closed).toEqual({ closed: 0, terminated: 0 });
  });

  test("idle connections are closed without a response", async () => {
    const { app, close, closed } = await closingApp(options);
    const client = connect(app).get("/quick");
    await until(() => client.text.endsWith("/quick"));
    close();
    expect(bodiesOf(await client.rest())).toEqual(["/quick"]);
    expect(await closed).toEqual({ closed: 0, terminated: 0 });
  });

  test("every request of a pipeline that a controller has got is answered", async () => {
    for (const paths of [["/held/a", "/held/b", "/held/c"], ["/held/a", "/quick", "/quick"]]) {
      const { app, accepted, close, allow, closed } = await closingApp(options);
      const client = connect(app).get(...paths);
      await until(() => accepted.length > 0);
      close();
      allow();
      expect(bodiesOf(await client.rest())).toEqual(accepted);
      expect(accepted[0]).toBe("/held/a");
      expect(await closed).toEqual({ closed: 0, terminated: 0 });
    }
  });

  test("a controller that waits for the end of its app gets its response out when the app has closed", async () => {
    const app = await listeningApp(options, (app) => app.get("/", async () => await app.close({ timeoutMs: 50 })));
    expect(bodiesOf(await connect(app).get("/").rest())).toEqual(['{"closed":0,"terminated":0}']);
  });

  test("a response that is on its way is cut after the time", async () => {
    const app = await listeningApp(options, (app) =>
      app.get("/", () => {
        const stuck = new Promise<void>(() => {});
        const pull = (controller: ReadableStreamDefaultController): Promise<void> => {
          controller.enqueue(new TextEncoder().encode("part;"));
          void app.close({ timeoutMs: 50 });
          return stuck;
        };
        return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
      }));
    const client = connect(app).get("/");
    await client.ended;
    expect(client.text).toContain("part;");
    expect(client.text).not.toContain("\r\n0\r\n\r\n");
    await app.close();
  });
});

test("a response that has ended already reaches a client that reads slowly", async () => {
  const sent = Promise.withResolvers<void>();
  const app = await createApp({ closeTimeoutMs: 10_000 });
  app.get("/", () => (sent.resolve(), LARGE.repeat(4)));
  await app.listen({ port: 0, host: "127.0.0.1", reusePort: true });
  onTestFinished(async () => void await app.close());
  const client = Client.tcp(app).get("/");
  client.pause();
  await sent.promise;
  for (let turn = 0; turn < 100; turn++) await nextTurn();
  const closed = app.close();
  const response = await client.rest();
  expect(response.length - response.indexOf("\r\n\r\n") - 4).toBe(4 * LARGE.length);
  expect(await closed).toEqual({ closed: 0, terminated: 0 });
});

test("clients of other makers get the response: fetch, and an agent of node:http", async () => {
  const clients: ((app: App) => Promise<string>)[] = [
    async (app) => await (await fetch(`${app.url}/now`)).text(),
    async (app) => {
      const agent = new Agent({ keepAlive: true });
      onTestFinished(() => agent.destroy());
      const request = startRequest(`${app.url}/now`, { agent }).end();
      const [response] = await once(request, "response");
      return await textOf(response);
    },
  ];
  for (const client of clients) {
    const { app, closed } = await closingApp();
    await (await fetch(`${app.url}/quick`)).text();
    expect(await client(app)).toBe("/now");
    expect(await closed).toEqual({ closed: 0, terminated: 0 });
  }
});

test("a server that the app is attached to answers the request that closes the app", async () => {
  const server = createServer((_request, response) => void app.close().then(() => response.end("closed")));
  const app = await createApp();
  app.ws("/", () => {}).attach(server);
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  expect(await ask({ address: server.address() as AddressInfo }, "/")).toMatchObject({ status: 200, body: "closed" });
});
