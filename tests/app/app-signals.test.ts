/** Apps in processes of their own: signals close the app, and a closed app lets its process end. */

import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { createApp } from "../../mod.ts";
import { close, opcodes } from "../support/frames.ts";
import { Program } from "../support/program.ts";
import { RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

/** A program with an app. It prints how each of its sockets closes, and when its service is disposed of. */
function appProgram(options: string = "signals: true", more: string = ""): Program {
  return Program.source(`
    import { createApp } from "{root}mod.ts";
    const store = { dispose: () => console.log("disposed") };
    const app = await createApp({ services: { store }, ${options} });
    app.ws("/", (socket) => {
      socket.on("close", (code, reason, wasClean) => console.log("closed", code, wasClean));
    });
    app.get("/", () => "hello");
    await app.listen({ port: 0, host: "127.0.0.1" });
    ${more}
    console.log("port", app.address.port);
  `);
}

async function portOf(program: Program): Promise<number> {
  return Number((await program.line(/^port (\d+)$/))[1]);
}

async function connectTo(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  onTestFinished(() => client.terminate());
  return client;
}

function signalListeners(): number[] {
  return ["SIGTERM", "SIGINT"].map((signal) => process.listenerCount(signal));
}

describe("signals: true", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s closes every socket with 1001, and the process exits with code 0",
    async (
      signal,
    ) => {
      const program = appProgram();
      const port = await portOf(program);
      const clients = [await connectTo(port), await connectTo(port), await connectTo(port)];
      program.kill(signal);
      for (const client of clients) {
        const frame = await client.nextFrame();
        expect([frame.opcode, frame.payload.readUInt16BE(0)]).toEqual([opcodes.close, 1001]);
        client.send(close(1001));
        expect(await client.closed()).toEqual({ code: 1001, reason: "", ended: "fin" });
      }
      expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(program.lines.slice(1)).toEqual([...Array(3).fill("closed 1001 true"), "disposed"]);
      expect(program.errors).toBe("");
    },
  );

  test("a peer that does not answer the Close is cut after closeTimeoutMs, and the process still ends", async () => {
    const program = appProgram("signals: true, closeTimeoutMs: 300");
    const client = await connectTo(await portOf(program));
    const startedAt = performance.now();
    program.kill("SIGTERM");
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
    expect(program.lines.slice(1)).toEqual(["closed 1006 false", "disposed"]);
    expect((await client.closed()).code).toBe(1001);
  });

  test("options of close in place of true close the app in that way", async () => {
    const program = appProgram('signals: { code: 1012, reason: "update", overMs: 300 }');
    const port = await portOf(program);
    const clients = [await connectTo(port), await connectTo(port)];
    const times: number[] = [];
    program.kill("SIGTERM");
    for (const client of clients) {
      await client.nextFrame();
      times.push(performance.now());
      client.send(close(1012));
      expect(await client.closed()).toMatchObject({ code: 1012, reason: "update" });
    }
    // The second Close frame comes 150 ms after the first.
    expect(times[1]! - times[0]!).toBeGreaterThan(75);
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });

  test("a second signal ends the process at once", async () => {
    const program = appProgram("signals: true, closeTimeoutMs: 60_000");
    const client = await connectTo(await portOf(program));
    program.kill("SIGTERM");
    await client.nextFrame();
    program.kill("SIGTERM");
    expect(await program.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(program.lines.slice(1)).toEqual([]);
  });

  test("the process ends at once when no client is connected", async () => {
    const program = appProgram();
    await portOf(program);
    program.kill("SIGTERM");
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines.slice(1)).toEqual(["disposed"]);
  });

  test("silent, idle and half-finished connections do not keep the process from ending", async () => {
    const program = appProgram("signals: true, closeTimeoutMs: 500");
    const port = await portOf(program);
    const clients = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"].map((bytes) => {
      const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      client.on("error", () => {}).resume();
      if (bytes !== "") client.write(bytes);
      onTestFinished(() => void client.destroy());
      return client;
    });
    // The response on a later connection shows that the server has seen the others.
    expect(statusOf(await rawRequest(port, upgradeRequest("/nowhere")))).toBe(404);
    expect(clients.length).toBe(3);
    program.kill("SIGTERM");
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });

  test("the app removes its listeners of signals when it closes", async () => {
    const before = signalListeners();
    const apps = [await createApp({ signals: true }), await createApp({ signals: true })];
    expect(signalListeners()).toEqual(before.map((count) => count + 2));
    for (const app of apps) await app.close();
    expect(signalListeners()).toEqual(before);
  });
});

describe("signals: false, the default", () => {
  test("the app leaves signals to the program", async () => {
    const before = signalListeners();
    await createApp({ logger: false });
    expect(signalListeners()).toEqual(before);
    const program = appProgram("closeTimeoutMs: 5_000");
    await portOf(program);
    program.kill("SIGTERM");
    expect(await program.exited).not.toMatchObject({ code: 0 });
    expect(program.lines.slice(1)).toEqual([]);
  });
});

describe("a process ends by itself", () => {
  test("after close, with every kind of part that an app can have", async () => {
    const program = appProgram(
      "signals: true, heartbeat: { intervalMs: 60_000, timeoutMs: 60_000 }, handshakeTimeoutMs: 60_000",
      `
      const client = await app.inject("/");
      client.send("hello");
      await app.inject(new Request("http://app/"));
      const waiting = setInterval(() => {
        if (app.sockets.size < 2) return;
        clearInterval(waiting);
        app.close({ code: 1012 }).then((result) => console.log(JSON.stringify(result)));
      }, 10);
      `,
    );
    const client = await connectTo(await portOf(program));
    expect((await client.nextFrame()).payload.readUInt16BE(0)).toBe(1012);
    client.send(close(1012));
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toContain('{"closed":2,"terminated":0}');
  });

  test("when its app handles signals but never listens, and when it is only used through inject", async () => {
    const program = Program.source(`
      import { createApp } from "{root}mod.ts";
      const app = await createApp({ signals: true });
      app.ws("/", (socket) => { socket.on("message", (data) => socket.send(data)); });
      const client = await app.inject("/");
      client.send("in memory");
      console.log(await client.next());
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["in memory"]);
  });

  // Node 22 does not have the syntax `await using`.
  test("after Symbol.asyncDispose, which await using calls at the end of its block", async () => {
    const program = Program.source(`
      import { createApp } from "{root}mod.ts";
      const app = await createApp();
      try {
        app.get("/", () => "hello");
        await app.listen({ port: 0, host: "127.0.0.1" });
        console.log(await (await fetch(app.url)).text());
      } finally {
        await app[Symbol.asyncDispose]();
      }
      console.log("the end");
    `);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.lines).toEqual(["hello", "the end"]);
  });
});
