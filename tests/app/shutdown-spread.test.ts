/** `app.close({ overMs })`: the sockets get their Close frames spread over a time. */

import { createServer } from "node:http";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { App, AppOptions } from "../../mod.ts";
import { ask, attachedApp, connectTo, listeningApp, portOf, until } from "../support/app.ts";
import { close, text } from "../support/frames.ts";
import { type RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(import("../../src/platform.ts"), async (original) => ({ ...await original(), afterReading: (task) => task() }));

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

interface EchoApp {
  readonly app: App;
  readonly clients: readonly RawClient[];
}

async function echoApp(count: number, options: AppOptions = {}): Promise<EchoApp> {
  const app = await listeningApp({ heartbeat: false, ...options }, (app) => {
    app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data)));
  });
  const clients: RawClient[] = [];
  while (clients.length < count) clients.push(await connectTo(app));
  return { app, clients };
}

/** Which sockets are open, in the order in which they came; those that have left are missing. */
function states(app: App): string {
  return Array.from(app.sockets, ({ readyState, OPEN }) => readyState === OPEN ? "open" : "told").join(" ");
}

/** Waits for the Close frame, and answers it. */
async function leave(client: RawClient): Promise<void> {
  await until(() => client.closeFrame !== undefined);
  client.send(close(1001));
  await client.closed();
}

/** Whether a promise has settled after some turns. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => settled = true);
  for (let i = 0; i < 20; i++) await nextTurn();
  return settled;
}

test("each socket gets its Close frame at its own moment, the oldest first, and echoes until then", async () => {
  const { app, clients } = await echoApp(4);
  const closing = app.close({ overMs: 20_000, code: 1012, reason: "moving" });
  expect(states(app)).toBe("told open open open");
  vi.advanceTimersByTime(4_999);
  expect(states(app)).toBe("told open open open");
  clients[3]!.send(text("still here"));
  expect(await clients[3]!.nextMessage()).toBe("still here");
  vi.advanceTimersByTime(1);
  expect(states(app)).toBe("told told open open");
  vi.advanceTimersByTime(5_000);
  expect(states(app)).toBe("told told told open");
  vi.advanceTimersByTime(5_000);
  expect(states(app)).toBe("told told told told");
  for (const client of clients) {
    await leave(client);
    expect(await client.closed()).toEqual({ code: 1012, reason: "moving", ended: "fin" });
  }
  expect(await closing).toEqual({ closed: 4, terminated: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test("timeoutMs begins when the last socket has got its Close frame", async () => {
  const { app } = await echoApp(2);
  const closing = app.close({ overMs: 10_000, timeoutMs: 3_000 });
  vi.advanceTimersByTime(5_000);
  expect(states(app)).toBe("told told");
  await nextTurn();
  vi.advanceTimersByTime(2_990);
  expect(await isSettled(closing)).toBe(false);
  expect(app.sockets.size).toBe(2);
  vi.advanceTimersByTime(20);
  await until(() => app.sockets.size === 0);
  vi.advanceTimersByTime(1_000);
  expect(await closing).toEqual({ closed: 0, terminated: 2 });
});

test("the promise resolves as soon as all sockets have left, however much of the time is left", async () => {
  const { app, clients } = await echoApp(3);
  const closing = app.close({ overMs: 3_600_000 });
  for (const client of clients.slice(1)) {
    client.send(close(1000));
    await client.closed();
  }
  expect(await isSettled(closing)).toBe(false);
  await leave(clients[0]!);
  expect(await closing).toEqual({ closed: 3, terminated: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test("the promise resolves at once when there is no socket", async () => {
  const { app } = await echoApp(0);
  expect(await app.close({ overMs: 3_600_000 })).toEqual({ closed: 0, terminated: 0 });
});

test("sockets that leave meanwhile do not change the moments of the others", async () => {
  const { app, clients } = await echoApp(4);
  const closing = app.close({ overMs: 4_000 });
  clients[1]!.reset();
  clients[2]!.send(close(1000));
  await clients[2]!.closed();
  await until(() => app.sockets.size === 2);
  vi.advanceTimersByTime(2_999);
  expect(states(app)).toBe("told open");
  vi.advanceTimersByTime(1);
  expect(states(app)).toBe("told told");
  await leave(clients[0]!);
  await leave(clients[3]!);
  expect(await closing).toEqual({ closed: 3, terminated: 1 });
});

test("a second call returns the promise of the first, and changes nothing", async () => {
  const { app, clients } = await echoApp(2);
  const closing = app.close({ overMs: 60_000 });
  expect(app.close({ timeoutMs: 0, code: 4000 })).toBe(closing);
  expect(states(app)).toBe("told open");
  vi.advanceTimersByTime(30_000);
  for (const client of clients) await leave(client);
  expect((await clients[1]!.closed()).code).toBe(1001);
  expect(await closing).toEqual({ closed: 2, terminated: 0 });
});

test("closing all sockets ends the time sooner", async () => {
  const { app, clients } = await echoApp(3);
  const closing = app.close({ overMs: 3_600_000 });
  for (const socket of app.sockets) socket.close(1001, "now");
  for (const client of clients) await leave(client);
  expect(await closing).toEqual({ closed: 3, terminated: 0 });
});

describe("meanwhile", () => {
  test("the port is closed, and handshakes on open connections get 503", async () => {
    const { app, clients } = await echoApp(2);
    const port = portOf(app);
    const waiting = connect({ port, host: "127.0.0.1" });
    onTestFinished(() => void waiting.destroy());
    const request = upgradeRequest("/");
    waiting.write(request.slice(0, 20));
    // The response on a later connection shows that the server has seen the one that waits.
    await ask(app, "/");
    const closing = app.close({ overMs: 10_000 });
    const response = new Promise<string>((resolve) => waiting.once("data", (bytes) => resolve(`${bytes}`)));
    waiting.write(request.slice(20));
    expect(statusOf(await response)).toBe(503);
    const refused = connect({ port, host: "127.0.0.1" });
    await new Promise((resolve) => refused.once("error", resolve));
    await expect(app.inject("/")).rejects.toThrow("closed");
    vi.advanceTimersByTime(5_000);
    for (const client of clients) await leave(client);
    await closing;
  });

  test("the app refuses handshakes at its paths of a server to which it is attached, and leaves the server later", async () => {
    const server = createServer();
    const { app, address } = await attachedApp(server, (app) => app.ws("/", () => {}));
    const clients = [await connectTo({ address }), await connectTo({ address })];
    const closing = app.close({ overMs: 10_000 });
    expect(statusOf(await rawRequest(address!.port, upgradeRequest("/")))).toBe(503);
    expect(states(app)).toBe("told open");
    expect(server.listenerCount("upgrade")).toBeGreaterThan(0);
    vi.advanceTimersByTime(5_000);
    await nextTurn();
    expect(server.listenerCount("upgrade")).toBe(0);
    for (const client of clients) await leave(client);
    expect(await closing).toEqual({ closed: 2, terminated: 0 });
  });

  test("topics work for the sockets that have not got their Close frame", async () => {
    const app = await listeningApp({ heartbeat: false }, (app) => {
      app.ws("/", (socket) => void socket.subscribe("news"));
    });
    const clients = [await connectTo(app), await connectTo(app)];
    const closing = app.close({ overMs: 10_000 });
    expect(app.publish("news", "the end is near")).toBe(1);
    expect(await clients[1]!.nextMessage()).toBe("the end is near");
    vi.advanceTimersByTime(5_000);
    for (const client of clients) await leave(client);
    await closing;
  });

  test("a socket that reaches its maxAgeMs gets one Close frame", async () => {
    const { app, clients } = await echoApp(2, { maxAgeMs: 1_000 });
    const closing = app.close({ overMs: 10_000 });
    vi.advanceTimersByTime(1_000);
    expect(states(app)).toBe("told told");
    vi.advanceTimersByTime(4_000);
    for (const client of clients) await leave(client);
    expect((await clients[1]!.closed()).reason).toContain("maximum age");
    expect(clients[1]!.frames.length).toBe(1);
    expect(await closing).toEqual({ closed: 2, terminated: 0 });
  });
});
