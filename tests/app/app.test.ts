import { once } from "node:events";
import { Server } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createApp } from "../../mod.ts";
import { ask, connectTo, errorEntry, listeningApp, portOf, recordingLogger, until } from "../support/app.ts";
import { close, opcodes, text } from "../support/frames.ts";
import { rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

describe("listen", () => {
  test("resolves to the app once the app can be reached at its address", async () => {
    const app = (await createApp({ logger: false })).get("/", () => "hello");
    onTestFinished(async () => void await app.close());
    expect([app.url, app.address]).toEqual(["", undefined]);
    expect(await app.listen({ port: 0, host: "127.0.0.1" })).toBe(app);
    expect(app.address).toMatchObject({ address: "127.0.0.1", family: "IPv4", port: expect.any(Number) });
    expect(app.url).toBe(`http://127.0.0.1:${portOf(app)}`);
    expect((await ask(app, "/")).body).toBe("hello");
    expect(await (await fetch(app.url)).text()).toBe("hello");
  });

  test.each([
    ["all addresses", undefined, "localhost"],
    ["all IPv4 addresses", "0.0.0.0", "localhost"],
    ["a name", "localhost", undefined],
  ])("at %s: the URL can be opened", async (_name, host, shown) => {
    const app = (await createApp({ logger: false })).get("/", () => "hello");
    onTestFinished(async () => void await app.close());
    await app.listen(host === undefined ? 0 : { port: 0, host });
    if (shown !== undefined) expect(app.url).toBe(`http://${shown}:${portOf(app)}`);
    expect(await (await fetch(app.url)).text()).toBe("hello");
  });

  test("rejects at a port in use, names the port, and the app can then listen elsewhere", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const app = (await createApp({ logger: false })).get("/", () => "hello");
    onTestFinished(async () => void await app.close());
    const error = await app.listen({ port, host: "127.0.0.1" }).then(() => undefined, (error) => error);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: "EADDRINUSE", port });
    expect(error.message).toMatch(new RegExp(`^Port ${port}\\b.* is in use: choose another, or 0`));
    expect(error.message).toContain("127.0.0.1");
    expect([app.address, app.url]).toEqual([undefined, ""]);
    await app.listen({ port: 0, host: "127.0.0.1" });
    expect((await ask(app, "/")).body).toBe("hello");
  });

  test.each<[unknown, RegExp]>([
    ["x", /listen takes a port.*got "x"/],
    [undefined, /listen takes a port.*got undefined/],
    [-1, /got -1/],
    [65_536, /got 65536/],
    [{ port: 0, prot: 1 }, /no option "prot"; it has port, host/],
  ])("at %o is rejected", async (where, message) => {
    const app = await createApp();
    await expect(app.listen(where as number)).rejects.toThrow(message);
    expect(app.address).toBeUndefined();
  });

  test("rejects at an address that this machine does not have", async () => {
    const app = await createApp();
    await expect(app.listen({ port: 0, host: "192.0.2.1" })).rejects.toMatchObject({
      code: expect.stringMatching(/^E[A-Z]+$/),
    });
    expect(app.address).toBeUndefined();
  });

  test("rejects a second time, and says where the app listens already", async () => {
    const app = await listeningApp({}, (app) => app.get("/", () => "hello"));
    await expect(app.listen(0)).rejects.toThrow(`listening already, at ${app.url}`);
    expect((await ask(app, "/")).body).toBe("hello");
  });

  test("rejects a second call while the first does not listen yet", async () => {
    const app = (await createApp({ logger: false })).get("/", () => "hello");
    onTestFinished(async () => void await app.close());
    const [first, second] = await Promise.allSettled([
      app.listen({ port: 0, host: "127.0.0.1" }),
      app.listen({ port: 0, host: "127.0.0.1" }),
    ]);
    expect([first.status, second.status]).toEqual(["fulfilled", "rejected"]);
    expect((second as PromiseRejectedResult).reason.message).toMatch(/listening already$/);
  });

  test("rejects after close", async () => {
    const app = await listeningApp({}, () => {});
    await app.close();
    await expect(app.listen(0)).rejects.toThrow(/has been closed: create another/);
  });

  test("lets routes be added to an app that listens already", async () => {
    const app = await listeningApp({}, () => {});
    app.get("/late", () => "late").ws("/late", (socket) => void socket.send("late"));
    expect((await ask(app, "/late")).body).toBe("late");
    expect(await (await connectTo(app, "/late")).nextMessage()).toBe("late");
  });

  test("survives an error of the server that comes later, and logs it", async () => {
    const servers: Server[] = [];
    const listen = vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args) {
      servers.push(this);
      listen.mockRestore();
      return this.listen(...args as Parameters<Server["listen"]>);
    });
    onTestFinished(() => listen.mockRestore());
    const { logger, entries } = recordingLogger();
    const app = await listeningApp({ logger }, (app) => app.get("/", () => "hello"));
    expect(servers.length).toBe(1);
    const error = new Error("accept EMFILE");
    expect(() => servers[0].emit("error", error)).not.toThrow();
    expect(entries).toEqual([errorEntry("a connection could not be accepted", error)]);
    expect((await ask(app, "/")).body).toBe("hello");
  });
});

test("a socket that stays open does not disturb 200 others that come and go", async () => {
  const app = await listeningApp(
    {},
    (app) => app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data))),
  );
  const stays = await connectTo(app);
  for (let i = 0; i < 200; i++) {
    const client = await connectTo(app);
    client.send(text(`${i}`));
    expect(await client.nextMessage()).toBe(`${i}`);
    if (i % 3 === 0) client.reset();
    else client.send(close(1000));
    await client.closed();
  }
  await until(() => app.sockets.size === 1);
  stays.send(text("still here"));
  expect(await stays.nextMessage()).toBe("still here");
  expect(stays.frames.map(({ opcode }) => opcode)).toEqual([opcodes.text]);
  expect(app.stats()).toMatchObject({ connections: 1, accepted: 201, refused: 0 });
  expect(statusOf(await rawRequest(portOf(app), upgradeRequest("/nowhere")))).toBe(404);
});
