// Routes with schemas of zod, valibot and arktype, as the client `ws` meets them, in every way to reach an app.

import { type } from "arktype";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { Socket as RawSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as v from "valibot";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import type { App, StandardSchema } from "../../mod.ts";
import { attachedApp, listeningApp } from "../support/app.ts";
import { certificate } from "../support/certificate.ts";
import { ClientProcess } from "./client-process.ts";
import { clientKinds } from "./clients.ts";

/** A number on the wire, as text, of at most three digits, and its double in the answer. */
interface Numbered {
  n: number;
}

const schemas: Record<string, StandardSchema<{ n: string }, Numbered>> = {
  zod: z.object({ n: z.string().max(3).transform(Number) }),
  valibot: v.object({ n: v.pipe(v.string(), v.maxLength(3), v.transform(Number)) }),
  arktype: type({ n: type("string <= 3").pipe(Number) }),
  // Each message takes another time.
  async: z.object({
    n: z.string().max(3).transform(async (text) => {
      for (let turns = Number(text) % 4; turns > 0; turns--) await nextTurn();
      return Number(text);
    }),
  }),
};

function addRoutes(app: App): void {
  for (const [name, message] of Object.entries(schemas)) {
    app.ws(`/${name}`, { message, reply: z.object({ double: z.number() }) }, (socket) => {
      socket.subscribe(name);
      socket.on("message", ({ n }) => {
        socket.send({ double: n * 2 });
        socket.publish(name, { double: -n });
      });
    });
    app.ws(`/${name}/loop`, {
      message,
      reply: z.object({ sum: z.number() }),
      onInvalid: (socket) => socket.send({ sum: -1 }),
    }, async (socket) => {
      let sum = 0;
      for await (const { n } of socket) socket.send({ sum: sum += n });
    });
  }
}

/** Starts an app that is reached in one way, and a program with the client. Resolves to the URL and the program. */
type Way = () => Promise<{ url: string; program: ClientProcess }>;

const { command } = clientKinds.find(({ name }) => name === "ws")!;

function clientProgram(env: NodeJS.ProcessEnv = {}): ClientProcess {
  const program = new ClientProcess(command, env);
  onTestFinished(() => program.kill());
  return program;
}

const ways: Record<string, Way> = {
  listen: async () => {
    const app = await listeningApp({}, addRoutes);
    return { url: `ws://127.0.0.1:${app.address!.port}`, program: clientProgram() };
  },
  TLS: async () => {
    const folder = await mkdtemp(join(tmpdir(), "spacenode-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "ca.pem"), certificate().cert);
    const app = await listeningApp({ tls: certificate() }, addRoutes);
    const program = clientProgram({ NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") });
    return { url: `wss://localhost:${app.address!.port}`, program };
  },
  attach: async () => {
    const { port } = await attachedApp(createServer(), addRoutes);
    return { url: `ws://127.0.0.1:${port}`, program: clientProgram() };
  },
  handleUpgrade: async () => {
    const { port } = await attachedApp(createServer(), addRoutes, (app, server) => {
      server.on("upgrade", (req, socket, head) => app.handleUpgrade(req, socket as RawSocket, head));
    });
    return { url: `ws://127.0.0.1:${port}`, program: clientProgram() };
  },
};

const numbers = Array.from({ length: 200 }, (_, i) => i);
const wire = (n: number): string => JSON.stringify({ n: `${n}` });
const text = (value: unknown): object => ({ event: "message", text: JSON.stringify(value) });

describe.each(Object.entries(ways))("by %s", (_name, start) => {
  test.each(Object.keys(schemas))("a schema of %s", async (name) => {
    const { url, program } = await start();
    const [client, other, loop] = [`/${name}`, `/${name}`, `/${name}/loop`].map((path) => program.connect(url + path));
    for (const each of [client, other, loop]) expect((await each.events.next()).event).toBe("open");
    for (const n of numbers) client.send(wire(n));
    for (const n of numbers) expect(await client.events.next()).toEqual(text({ double: n * 2 }));
    for (const n of numbers) expect(await other.events.next()).toEqual(text({ double: -n }));

    for (const data of [wire(1), '{"n":1}', wire(20), new Uint8Array(3), "{", wire(300), wire(4_000)]) loop.send(data);
    for (const sum of [1, -1, 21, -1, -1, 321, -1]) expect(await loop.events.next()).toEqual(text({ sum }));
    loop.close(1000);
    expect(await loop.events.next()).toMatchObject({ event: "close", code: 1000, wasClean: true });

    client.send('{"n":"1000"}');
    client.send(wire(1));
    const reason = "The message does not fit the schema";
    expect(await client.events.next()).toEqual({ event: "close", code: 1007, reason, wasClean: true });
    other.send("[".repeat(1024 * 1024));
    const depth = "The message is nested more than 128 levels deep";
    expect(await other.events.next()).toEqual({ event: "close", code: 1007, reason: depth, wasClean: true });
  });
});

test.each(Object.keys(schemas))("in memory, a schema of %s", async (name) => {
  const app = await listeningApp({}, addRoutes);
  const client = await app.inject(`/${name}`);
  const other = await app.inject(`/${name}`);
  for (const n of numbers) client.send(wire(n));
  for (const n of numbers) expect(await client.next()).toBe(JSON.stringify({ double: n * 2 }));
  for (const n of numbers) expect(await other.next()).toBe(JSON.stringify({ double: -n }));
  client.send("no JSON");
  expect(await client.closed).toEqual({ code: 1007, reason: "The message is not JSON" });
  expect((await other.close()).code).toBe(1000);
});
