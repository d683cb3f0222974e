/** The places at which an app listens: unix sockets, IPv6, shared ports, and errors that name the place. */

import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request as startRequest } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, createApp, type ListenOptions } from "../../../mod.ts";
import { portOf } from "../../support/app.ts";
import { close, text } from "../../support/frames.ts";
import { Program } from "../../support/program.ts";
import { StreamClient } from "../../support/stream-client.ts";

/** An app that echoes messages, and responds to GET / with its name. */
async function namedApp(name: string = "app"): Promise<App> {
  const app = await createApp({ logger: false });
  onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
  return app
    .get("/", () => name)
    .ws("/", (socket) => {
      socket.on("message", (data) => socket.send(`${name}: ${data}`));
    });
}

async function unixPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "spacenode-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "app.sock");
}

/** Sends GET / on a connection of its own. */
async function ask(where: { port: number; host?: string } | { socketPath: string }): Promise<string> {
  const request = startRequest({ path: "/", agent: false, host: "127.0.0.1", ...where });
  request.end();
  const [response] = await once(request, "response");
  return await textOf(response);
}

async function expectEcho(stream: ReturnType<typeof connect>, name: string = "app"): Promise<void> {
  stream.on("error", () => {});
  onTestFinished(() => void stream.destroy());
  const client = await StreamClient.connect(stream);
  client.send(text("hello"));
  expect(await client.nextMessage()).toBe(`${name}: hello`);
  client.send(close(1000));
  expect((await client.closed()).code).toBe(1000);
}

async function errorOf(app: App, where: number | ListenOptions): Promise<NodeJS.ErrnoException> {
  return await app.listen(where).then(() => expect.unreachable("It listens"), (error) => error);
}

describe("a unix socket", () => {
  test("carries requests and WebSockets, has no url, and is gone after close", async () => {
    const app = await namedApp();
    const path = await unixPath();
    expect(await app.listen({ path })).toBe(app);
    expect([app.url, app.address]).toEqual(["", undefined]);
    expect(await ask({ socketPath: path })).toBe("app");
    await expectEcho(connect({ path }));
    await app.close();
    expect(existsSync(path)).toBe(false);
  });

  test("that is in use is named in the error, and the app can listen elsewhere afterwards", async () => {
    const path = await unixPath();
    await (await namedApp("first")).listen({ path });
    const second = await namedApp("second");
    const error = await errorOf(second, { path });
    expect(error.message).toBe(`The path ${JSON.stringify(path)} is in use: remove it, or choose another`);
    expect(error).toMatchObject({ code: "EADDRINUSE", path });
    expect(await ask({ socketPath: path })).toBe("first");
    await second.listen({ port: 0, host: "127.0.0.1" });
    expect(await ask({ port: portOf(second) })).toBe("second");
  });

  test("in a folder that does not exist is named in the error", async () => {
    const path = join(await unixPath(), "deeper", "app.sock");
    const error = await errorOf(await namedApp(), { path });
    expect(error.message).toContain(path);
    expect(error.code).toMatch(/^E[A-Z]+$/);
  });

  test("cannot be combined with a port or a host", async () => {
    const app = await namedApp();
    for (const other of [{ port: 0 }, { host: "127.0.0.1" }]) {
      expect((await errorOf(app, { path: "/tmp/x.sock", ...other })).message).toMatch(
        /either a path, or a port, a host and reusePort/,
      );
    }
  });
});

describe("IPv6", () => {
  test("has its address in brackets, and clients that come over it have theirs", async () => {
    const app = await namedApp();
    app.get("/ip", ({ ip }) => ip);
    await app.listen({ port: 0, host: "::1" });
    expect(app.address).toMatchObject({ address: "::1", family: "IPv6" });
    expect(app.url).toBe(`http://[::1]:${portOf(app)}`);
    expect(await (await fetch(`${app.url}/ip`)).text()).toBe("::1");
    await expectEcho(connect({ port: portOf(app), host: "::1" }));
  });

  test("is served beside IPv4 when no host is given", async () => {
    const app = await namedApp();
    await app.listen(0);
    expect(await ask({ port: portOf(app), host: "::1" })).toBe("app");
    expect(await ask({ port: portOf(app), host: "127.0.0.1" })).toBe("app");
  });
});

describe("reusePort", () => {
  test("lets two apps listen at one port: both get connections, and one goes on when the other has closed", async () => {
    const [first, second] = [await namedApp("first"), await namedApp("second")];
    await first.listen({ port: 0, host: "127.0.0.1", reusePort: true });
    const port = portOf(first);
    await second.listen({ port, host: "127.0.0.1", reusePort: true });
    expect(portOf(second)).toBe(port);
    const bodies: string[] = [];
    while (new Set(bodies).size < 2 && bodies.length < 200) bodies.push(await ask({ port }));
    expect(new Set(bodies)).toEqual(new Set(["first", "second"]));
    await first.close();
    for (let i = 0; i < 5; i++) expect(await ask({ port })).toBe("second");
    await expectEcho(connect({ port, host: "127.0.0.1" }), "second");
  });

  test("lets another process in, and WebSockets through", async () => {
    const app = await namedApp("ours");
    await app.listen({ port: 0, host: "127.0.0.1", reusePort: true });
    const port = portOf(app);
    const program = Program.source(`
      import { createApp } from "{root}mod.ts";
      const app = await createApp({ signals: true });
      app.get("/", () => "theirs");
      app.ws("/", (socket) => { socket.on("message", (data) => socket.send("theirs: " + data)); });
      await app.listen({ port: ${port}, host: "127.0.0.1", reusePort: true });
      console.log("listens");
    `);
    await program.line(/listens/);
    const bodies = new Set<string>();
    for (let i = 0; bodies.size < 2 && i < 200; i++) bodies.add(await ask({ port }));
    expect(bodies).toEqual(new Set(["ours", "theirs"]));
    await app.close();
    await expectEcho(connect({ port, host: "127.0.0.1" }), "theirs");
    program.kill("SIGTERM");
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });

  test("is off by default: the port is in use", async () => {
    const [first, second] = [await namedApp("first"), await namedApp("second")];
    await first.listen({ port: 0, host: "127.0.0.1" });
    const port = portOf(first);
    for (const where of [{ port, host: "127.0.0.1" }, { port, host: "127.0.0.1", reusePort: false }]) {
      expect((await errorOf(second, where)).code).toBe("EADDRINUSE");
    }
  });
});

describe("an error names the place", () => {
  test.each<[string, ListenOptions, RegExp]>([
    ["an address of another machine", { port: 0, host: "192.0.2.1" }, /192\.0\.2\.1/],
    ["a host that does not exist", { port: 0, host: "no-such-host.invalid" }, /no-such-host\.invalid/],
  ])("%s", async (_name, where, named) => {
    const app = await namedApp();
    const error = await errorOf(app, where);
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toMatch(named);
    expect([app.url, app.address]).toEqual(["", undefined]);
  });

  test("an address of another machine, with what the system says and with its error", async () => {
    const app = await namedApp();
    const error = await errorOf(app, { port: 0, host: "203.0.113.1" });
    // Deno calls this EINVAL.
    expect(error.code).toMatch(/^(EADDRNOTAVAIL|EINVAL)$/);
    const { code, message } = error.cause as NodeJS.ErrnoException;
    expect(error).toMatchObject({ code, port: 0 });
    expect(error.message).toBe(`Port 0 of 203.0.113.1 cannot be listened at: ${message}`);
    expect([message === "", app.address, app.url]).toEqual([false, undefined, ""]);
  });

  test("a port in use, with every host", async () => {
    const other = createServer().listen(0);
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const app = await namedApp();
    for (const where of [port, { port }, { port, host: "0.0.0.0" }]) {
      const error = await errorOf(app, where);
      expect(error.message).toContain(`Port ${port}`);
      expect(error).toMatchObject({ code: "EADDRINUSE", port });
    }
  });

  test("a listen that has failed does not keep the process alive", async () => {
    const program = Program.source(`
      import { createApp } from "{root}mod.ts";
      const app = await createApp({ signals: true });
      app.ws("/", () => {});
      await app.listen({ port: 0, host: "192.0.2.1" }).catch(() => console.log("refused"));
      await app.close();
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["refused"]);
  });
});

test("listen need not be awaited: the app can be used at once", async () => {
  const program = Program.source(`
    import { createApp } from "{root}mod.ts";
    const app = await createApp();
    app.get("/", () => "hello");
    const listening = app.listen({ port: 0, host: "127.0.0.1" });
    app.get("/late", () => "hello again");
    console.log(await (await fetch((await listening).url + "/late")).text());
    await app.close();
  `);
  expect(await program.exited).toEqual({ code: 0, signal: null });
  expect(program.lines).toEqual(["hello again"]);
});
