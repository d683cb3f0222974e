/**
 * Closing an app under load: no accepted message is lost, no new client gets in, and the app does not wait without a
 * reason.
 */

import { connect as connectTcp } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp } from "../../mod.ts";
import { connectTo, listeningApp, portOf } from "../support/app.ts";
import { close, opcodes, text } from "../support/frames.ts";
import { RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";
import { readToEnd } from "../support/stream-client.ts";
import { streamFrom } from "../support/web-stream.ts";

const CLOSE_FRAME = close(1001);

describe("messages that were sent before close are delivered before the Close", () => {
  test("8 MiB to each of ten clients that read late, with small and large messages in order", async () => {
    const app = await listeningApp({ maxBufferedBytes: 64 * 2 ** 20 }, (app) => app.ws("/", () => {}));
    const clients: RawClient[] = [];
    while (clients.length < 10) clients.push(await connectTo(app));
    for (const client of clients) client.pause();
    const messages = Array.from({ length: 256 }, (_, i) => `${i} `.padEnd(i % 2 === 0 ? 64 * 1024 : 20, "x"));
    for (const socket of app.sockets) for (const message of messages) socket.send(message);
    const closing = app.close({ timeoutMs: 15_000 });
    for (const socket of app.sockets) expect(socket.send("too late")).toBe(false);
    await nextTurn();
    await Promise.all(clients.map(async (client) => {
      client.resume();
      for (const message of messages) expect(await client.nextMessage() === message, message.slice(0, 20)).toBe(true);
      expect((await client.nextFrame()).opcode).toBe(opcodes.close);
      client.send(CLOSE_FRAME);
      expect(await client.closed()).toEqual({ code: 1001, reason: "", ended: "fin" });
    }));
    expect(await closing).toEqual({ closed: 10, terminated: 0 });
  });

  test("those of the same turn, and of the turn of a message", async () => {
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.on("message", () => {
          socket.send("first");
          socket.send("second");
          void app.close();
          socket.send("never");
        });
      }));
    const client = await connectTo(app);
    client.send(text("go"));
    expect([await client.nextMessage(), await client.nextMessage()]).toEqual(["first", "second"]);
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    client.send(CLOSE_FRAME);
    await client.closed();
  });

  test("messages of clients arrive until their own Close", async () => {
    const arrived: unknown[] = [];
    const app = await listeningApp(
      {},
      (app) => app.ws("/", (socket) => void socket.on("message", (data) => arrived.push(data))),
    );
    const client = await connectTo(app);
    const closing = app.close();
    await client.nextFrame();
    client.send(text("one more thing"), text("and another"), CLOSE_FRAME);
    expect(await closing).toEqual({ closed: 1, terminated: 0 });
    expect(arrived).toEqual(["one more thing", "and another"]);
  });
});

describe("close does not wait", () => {
  /** Measures how long close takes, which must be far from the time-outs around it. */
  async function closeQuickly(app: App, options: { timeoutMs: number }): Promise<number> {
    const startedAt = performance.now();
    await app.close(options);
    return performance.now() - startedAt;
  }

  test("for an upgrade hook that never settles: its client gets 503 at once", async () => {
    const asked = Promise.withResolvers<void>();
    const app = await listeningApp({ handshakeTimeoutMs: 60_000 }, (app) =>
      app.ws("/", {
        upgrade: () => {
          asked.resolve();
          return new Promise(() => {});
        },
      }, () => {}));
    const response = rawRequest(portOf(app), upgradeRequest("/"));
    await asked.promise;
    expect(await closeQuickly(app, { timeoutMs: 10_000 })).toBeLessThan(2_000);
    expect(statusOf(await response)).toBe(503);
  });

  test("for a connection that is kept alive after its last response", async () => {
    const asked = Promise.withResolvers<void>();
    const last = Promise.withResolvers<string>();
    const app = await listeningApp({}, (app) =>
      app.get("/", () => {
        asked.resolve();
        return last.promise;
      }));
    const client = connectTcp(portOf(app), "127.0.0.1");
    onTestFinished(() => void client.destroy());
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = readToEnd(client);
    await asked.promise;
    const closing = closeQuickly(app, { timeoutMs: 10_000 });
    await nextTurn();
    last.resolve("the last response");
    expect(await closing).toBeLessThan(2_000);
    expect(await response).toContain("the last response");
    expect(await response).toMatch(/^connection: close\r$/im);
  });

  test("for a handler that is still preparing itself, or for a slow loop", async () => {
    const app = await listeningApp({}, (app) =>
      app
        .ws("/setting-up", () => new Promise(() => {}))
        .ws("/looping", async (socket) => {
          for await (const _message of socket) await new Promise(() => {});
        }));
    const clients = [await connectTo(app, "/setting-up"), await connectTo(app, "/looping")];
    for (const client of clients) client.send(text("1"), text("2"), text("3"));
    const closing = closeQuickly(app, { timeoutMs: 10_000 });
    for (const client of clients) {
      expect((await client.nextFrame()).opcode).toBe(opcodes.close);
      client.send(CLOSE_FRAME);
    }
    expect(await closing).toBeLessThan(2_000);
  });

  test("except for a response that is being streamed, up to the time-out", async () => {
    const more = Promise.withResolvers<void>();
    const app = await listeningApp({}, (app) =>
      app.get("/", () => {
        async function* body(): AsyncGenerator<Uint8Array> {
          yield Buffer.from("begun, ");
          await more.promise;
          yield Buffer.from("and ended");
        }
        return new Response(streamFrom(body()));
      }));
    const response = await fetch(app.url);
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("begun, ");
    let isClosed = false;
    const closing = app.close({ timeoutMs: 10_000 }).then(() => isClosed = true);
    await nextTurn();
    expect(isClosed).toBe(false);
    more.resolve();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("and ended");
    expect((await reader.read()).done).toBe(true);
    const endedAt = performance.now();
    await closing;
    expect(performance.now() - endedAt, "the connection was kept alive, and waited for").toBeLessThan(1_500);
  });
});

describe("no new client gets in", () => {
  test("fifty handshakes that race with close are each accepted and closed, or refused, and none hangs", async () => {
    const accepted = Promise.withResolvers<void>();
    const app = await listeningApp({}, (app) =>
      app.ws("/", { upgrade: () => nextTurn() }, (socket) => {
        socket.send("in");
        accepted.resolve();
      }));
    const port = portOf(app);
    const race = async (): Promise<string> => {
      try {
        const client = await RawClient.connect(port);
        onTestFinished(() => client.terminate());
        while (client.closeFrame === undefined) await client.nextFrame();
        client.send(CLOSE_FRAME);
        return String((await client.closed()).code);
      } catch (error) {
        const refusal = /HTTP\/1\.1 (\d{3})/.exec((error as Error).message)?.[1];
        return refusal ?? "cut";
      }
    };
    const racing = Array.from({ length: 50 }, race);
    await accepted.promise;
    await app.close();
    const outcomes = new Set(await Promise.all(racing));
    expect([...outcomes].filter((outcome) => !["1001", "503", "cut"].includes(outcome))).toEqual([]);
    expect(outcomes.has("1001")).toBe(true);
    expect(app.sockets.size).toBe(0);
  });

  test("listen, attach and inject are not possible any more", async () => {
    const app = await listeningApp({}, (app) => app.ws("/", () => {}));
    const closing = app.close();
    await expect(app.listen(0)).rejects.toThrow(/has been closed/);
    await expect(app.inject("/")).rejects.toThrow(/has been closed/);
    expect(() => app.attach({} as never)).toThrow(/has been closed/);
    await closing;
  });
});

test("close while listen still makes the services rejects listen, and disposes of all services", async () => {
  const made = Promise.withResolvers<{ dispose(): void }>();
  const steps: string[] = [];
  const app = await createApp({ logger: false, services: { slow: () => made.promise } });
  const listening = app.listen({ port: 0, host: "127.0.0.1" }).then(() => "listens", (error) => error.message);
  await nextTurn();
  const closing = app.close();
  made.resolve({ dispose: () => void steps.push("disposed") });
  expect(await listening).toMatch(/has been closed/);
  await closing;
  expect([app.address, app.url]).toEqual([undefined, ""]);
  expect(steps).toEqual(["disposed"]);
});

test("await using closes the app even if its block throws", async () => {
  let client: RawClient | undefined;
  const block = async (): Promise<void> => {
    await using app = await createApp({ logger: false });
    app.ws("/", () => {});
    await app.listen({ port: 0, host: "127.0.0.1" });
    client = await connectTo(app);
    void client.nextFrame().then(() => client!.send(CLOSE_FRAME));
    throw new Error("in the middle");
  };
  await expect(block()).rejects.toThrow("in the middle");
  expect((await client!.closed()).code).toBe(1001);
});
