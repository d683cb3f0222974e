import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect, type Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp } from "../../mod.ts";
import { ask, connectTo, eventOf, listeningApp, portOf, recordingLogger, runScript, until } from "../support/app.ts";
import { close } from "../support/frames.ts";
import { type RawClient, statusOf, upgradeRequest } from "../support/raw-client.ts";

function isRefused(port: number, host: string = "127.0.0.1"): Promise<boolean> {
  const client = connect({ port, host });
  return new Promise((resolve) => {
    client.on("error", () => resolve(true)).on("connect", () => {
      client.destroy();
      resolve(false);
    });
  });
}

/** The Close frame of the client, which completes the closing handshake. */
async function answerClose(client: RawClient): Promise<void> {
  while (client.closeFrame === undefined) await client.nextFrame();
  client.send(close(client.closeFrame.payload.readUInt16BE(0)));
}

describe("close", () => {
  async function appWithClients(count: number, options: Parameters<typeof createApp>[0] = {}): Promise<
    { app: App; clients: RawClient[] }
  > {
    const app = await listeningApp(options, (app) => app.ws("/", () => {}));
    const clients: RawClient[] = [];
    while (clients.length < count) clients.push(await connectTo(app));
    return { app, clients };
  }

  test("sends every socket 1001 behind all that was sent before, and resolves to how the sockets ended", async () => {
    const { app, clients } = await appWithClients(5);
    const large = "x".repeat(300_000);
    for (const socket of app.sockets) {
      socket.send("first");
      socket.send(large);
    }
    const closing = app.close();
    for (const client of clients) {
      expect(await client.nextMessage()).toBe("first");
      expect(await client.nextMessage()).toBe(large);
      await answerClose(client);
      expect(await client.closed()).toEqual({ code: 1001, reason: "", ended: "fin" });
    }
    expect(await closing).toEqual({ closed: 5, terminated: 0 });
    expect([app.sockets.size, app.stats().connections]).toEqual([0, 0]);
  });

  test("sends the code and the reason that it is given", async () => {
    const { app, clients: [client] } = await appWithClients(1);
    const closing = app.close({ code: 1012, reason: "restarting, bis gleich" });
    await answerClose(client);
    expect(await client.closed()).toMatchObject({ code: 1012, reason: "restarting, bis gleich" });
    expect(await closing).toEqual({ closed: 1, terminated: 0 });
  });

  test("cuts the sockets that have not answered after timeoutMs, and counts them", async () => {
    const { app, clients } = await appWithClients(3);
    const before = performance.now();
    const closing = app.close({ timeoutMs: 100 });
    await answerClose(clients[0]);
    expect(await closing).toEqual({ closed: 1, terminated: 2 });
    expect(performance.now() - before).toBeGreaterThan(95);
    expect(performance.now() - before).toBeLessThan(2_000);
    for (const client of clients) expect((await client.closed()).code).toBe(1001);
  });

  test("counts them also if the time is closeTimeoutMs, the default", async () => {
    const { app } = await appWithClients(3, { closeTimeoutMs: 100 });
    expect(await app.close()).toEqual({ closed: 0, terminated: 3 });
  });

  test("gives every socket timeoutMs, also if that is longer than closeTimeoutMs", async () => {
    const { app, clients: [client] } = await appWithClients(1, { closeTimeoutMs: 50 });
    const closed = eventOf([...app.sockets][0], "close");
    const closing = app.close({ timeoutMs: 2_000 });
    await client.nextFrame();
    await new Promise((resolve) => setTimeout(resolve, 150));
    client.send(close(1001));
    expect(await closing).toEqual({ closed: 1, terminated: 0 });
    expect(await closed).toEqual([1001, "", true]);
  });

  test("does not count a socket that ended without a Close as closed", async () => {
    const { app, clients } = await appWithClients(3);
    const closing = app.close();
    for (const client of clients) await client.nextFrame();
    clients[0].reset();
    clients[1].end();
    clients[2].send(close(1001));
    expect((await closing).closed).toBe(1);
  });

  test("cuts a client that does not read", async () => {
    const { app, clients: [client] } = await appWithClients(1, { maxBufferedBytes: 100_000_000 });
    const [socket] = app.sockets;
    client.pause();
    for (let i = 0; i < 200 && socket.bufferedAmount < 1_000_000; i++) {
      socket.send(Buffer.alloc(500_000));
      await nextTurn();
    }
    expect(await app.close({ timeoutMs: 100 })).toEqual({ closed: 0, terminated: 1 });
  });

  test("cuts at once if timeoutMs is 0", async () => {
    const { app, clients } = await appWithClients(2);
    expect(await app.close({ timeoutMs: 0 })).toEqual({ closed: 0, terminated: 2 });
    for (const client of clients) expect([1001, 1006]).toContain((await client.closed()).code);
  });

  test("emits the close event of each socket", async () => {
    const { app, clients: [client] } = await appWithClients(1);
    const [socket] = app.sockets;
    const closed = eventOf(socket, "close");
    const closing = app.close();
    expect(socket.readyState).toBe(socket.CLOSING);
    await answerClose(client);
    expect(await closed).toEqual([1001, "", true]);
    await closing;
  });

  test("waits for sockets that are closing already, and for paused ones", async () => {
    const { app, clients } = await appWithClients(2);
    const [first, second] = app.sockets;
    first.close(4000);
    second.pause();
    const closing = app.close();
    for (const client of clients) await answerClose(client);
    expect(await closing).toEqual({ closed: 2, terminated: 0 });
    expect([(await clients[0].closed()).code, (await clients[1].closed()).code]).toEqual([4000, 1001]);
  });

  test("returns the promise of the first call when it is called again", async () => {
    const { app, clients: [client] } = await appWithClients(1);
    const first = app.close({ code: 1012 });
    expect(app.close({ code: 4000, timeoutMs: 1 })).toBe(first);
    await answerClose(client);
    expect(await first).toEqual({ closed: 1, terminated: 0 });
    expect(await app.close()).toEqual({ closed: 1, terminated: 0 });
    expect((await client.closed()).code).toBe(1012);
  });

  test("refuses new handshakes, on new connections and on those that are open", async () => {
    const { app, clients: [client] } = await appWithClients(1);
    const port = portOf(app);
    const open = connect({ port, host: "127.0.0.1" });
    onTestFinished(() => void open.destroy());
    open.write("GET / HTTP/1.1\r\nHost: a\r\n");
    await once(open, "connect");
    // The response to a later client shows that the server has seen this connection.
    await ask(app, "/");
    const closing = app.close({ timeoutMs: 2_000 });
    await client.nextFrame();
    expect(await isRefused(port)).toBe(true);
    open.write(upgradeRequest().split("\r\n").slice(2).join("\r\n"));
    const [response] = await once(open, "data");
    expect(statusOf(String(response))).toBe(503);
    client.send(close(1001));
    expect(await closing).toEqual({ closed: 1, terminated: 0 });
  });

  test("waits for a request whose response is not complete", async () => {
    const held = Promise.withResolvers<string>();
    const asked = Promise.withResolvers<void>();
    const app = await listeningApp({}, (app) =>
      app.get("/", async () => {
        asked.resolve();
        return await held.promise;
      }));
    const response = ask(app, "/");
    await asked.promise;
    const closing = app.close({ timeoutMs: 5_000 });
    held.resolve("a response after all");
    expect(await response).toMatchObject({ status: 200, body: "a response after all" });
    expect(await closing).toEqual({ closed: 0, terminated: 0 });
  });

  test("cuts a request whose response does not come in time", async () => {
    const asked = Promise.withResolvers<void>();
    const app = await listeningApp({}, (app) =>
      app.get("/", async () => {
        asked.resolve();
        return await new Promise(() => {});
      }));
    const response = ask(app, "/").then(() => "complete", () => "cut");
    await asked.promise;
    await app.close({ timeoutMs: 50 });
    expect(await response).toBe("cut");
  });

  test.each([
    ["sends nothing", ""],
    ["sends half a request", "GET / HTTP/1.1\r\nHost:"],
    ["has had a response", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["has been refused, and does not end its side", upgradeRequest("/nowhere")],
    ["sends a handshake with a body", upgradeRequest("/", { "Content-Length": "5" })],
  ])("does not wait longer than timeoutMs for a connection that %s", async (_name, request) => {
    const app = await listeningApp({ handshakeTimeoutMs: 60_000 }, (app) => app.get("/", () => "hello"));
    const client = connect({ port: portOf(app), host: "127.0.0.1", allowHalfOpen: true });
    client.on("error", () => {});
    onTestFinished(() => void client.destroy());
    await once(client, "connect");
    if (request !== "") client.write(request);
    if (/\r\n\r\n$/.test(request)) await once(client, "data");
    else await ask(app, "/");
    client.resume();
    const closing = app.close({ timeoutMs: 100 }).then(() => "closed");
    const tooLong = new Promise((resolve) => setTimeout(resolve, 2_500, "too long"));
    expect(await Promise.race([closing, tooLong])).toBe("closed");
  });

  test("closes a connection that waits for its next request at once", async () => {
    const app = await listeningApp({}, (app) => app.get("/", () => "hello"));
    const client = connect({ port: portOf(app), host: "127.0.0.1" });
    onTestFinished(() => void client.destroy());
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(client, "data");
    const ended = once(client, "end");
    expect(await app.close({ timeoutMs: 60_000 })).toEqual({ closed: 0, terminated: 0 });
    await ended;
  });

  test.each<[object, RegExp]>([
    [{ code: 1006 }, /got 1006/],
    [{ reason: "r".repeat(124) }, /got 124/],
    [{ timeoutMs: -1 }, /got -1/],
  ])("rejects %o, and stays open", async (options, message) => {
    const app = await listeningApp({}, (app) => app.get("/", () => "hello"));
    const attempt = async (): Promise<unknown> => await app.close(options);
    await expect(attempt()).rejects.toThrow(message);
    expect((await ask(app, "/")).body).toBe("hello");
  });

  test("is possible before listen and during it: nothing listens afterwards", async () => {
    expect(await (await createApp()).close()).toEqual({ closed: 0, terminated: 0 });

    const app = await createApp();
    const listening = app.listen({ port: 0, host: "127.0.0.1" }).then(() => "listens", (error) => error.message);
    expect(await app.close()).toEqual({ closed: 0, terminated: 0 });
    expect(await listening).toMatch(/closed/);
    expect(app.address).toBeUndefined();
  });

  test("is called by await using", async () => {
    let port: number;
    {
      await using app = await createApp({ logger: false });
      await app.listen({ port: 0, host: "127.0.0.1" });
      port = portOf(app);
      expect(await isRefused(port)).toBe(false);
    }
    expect(await isRefused(port)).toBe(true);
  });
});

describe("a process", () => {
  const HEAD = 'import { createApp } from "{root}mod.ts";\nconst app = await createApp();\n';

  test("ends by itself when its app has been closed", async () => {
    const script = `${HEAD}
      app.ws("/", (socket) => { socket.on("message", (data) => socket.send(data)); });
      app.get("/", () => "hello");
      await app.listen({ port: 0, host: "127.0.0.1" });
      const client = new WebSocket(app.url.replace("http", "ws"));
      await new Promise((resolve) => client.onopen = resolve);
      client.send("hello");
      const { data } = await new Promise((resolve) => client.onmessage = resolve);
      const closed = new Promise((resolve) => client.onclose = ({ code }) => resolve(code));
      const { closed: count, terminated } = await app.close();
      console.log(data, await closed, count, terminated);
    `;
    expect(await runScript(script)).toEqual({ exitCode: 0, output: "hello 1001 1 0" });
  });

  test("ends by itself when its app never listened", async () => {
    const script = `${HEAD} app.ws("/", () => {}); console.log("done");`;
    expect(await runScript(script)).toEqual({ exitCode: 0, output: "done" });
  });

  test("stays alive while its app listens, with await or without", async () => {
    const script = `${HEAD}
      app.listen({ port: 0, host: "127.0.0.1" }).then(() => {
        setTimeout(async () => {
          console.log(app.address.port > 0);
          await app.close();
        }, 100).unref();
      });
    `;
    expect(await runScript(script)).toEqual({ exitCode: 0, output: "true" });
  });
});

describe("app.close ends after its time-out", () => {
  test("when a stream of another class never emits close", async () => {
    const app = await createApp({ logger: false });
    app.ws("/", () => {});
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), destroy() {} });
    Object.assign(stream, { setTimeout() {}, setNoDelay() {} });
    const request = {
      method: "GET",
      url: "/",
      httpVersion: "1.1",
      rawHeaders: ["Host", "a"],
      socket: {},
      headers: {
        host: "a",
        upgrade: "websocket",
        connection: "upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      },
    };
    app.handleUpgrade(request as unknown as IncomingMessage, stream as RawSocket, Buffer.alloc(0));
    await until(() => app.sockets.size === 1);
    expect(await app.close({ timeoutMs: 50 })).toEqual({ closed: 0, terminated: 1 });
  });

  test.each<[string, object]>([
    ["a service never finishes its disposal", { dispose: () => new Promise(() => {}) }],
    ["a factory never finishes making its service", () => new Promise(() => {})],
  ])("when %s, with an error that says so", async (_name, service) => {
    const { logger, entries } = recordingLogger();
    const app = await createApp({ logger, services: { service } });
    app.listen({ port: 0, host: "127.0.0.1" }).catch(() => {});
    expect(await app.close({ timeoutMs: 50 })).toEqual({ closed: 0, terminated: 0 });
    expect(entries).toHaveLength(1);
    expect(entries[0].args[0]).toMatch(/^SpaceNode: the services have not disposed of themselves within 1000 ms/);
  });
});
