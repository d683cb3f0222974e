// permessage-deflate works with WebSocket clients of other projects, as a proxy in between counts on the wire.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type AppOptions, createApp, type Socket } from "../../mod.ts";
import { type MeteredProxy, meteredProxy } from "../support/metered-proxy.ts";
import { base64, type ClientConnection, ClientProcess, type ConnectionEvent } from "./client-process.ts";
import { clientKinds, isInstalled } from "./clients.ts";
import { Mailbox } from "./mailbox.ts";

const KiB = 1024;

const neither = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/** Settings, and their agreement with a client that offers `permessage-deflate; client_max_window_bits`. */
const modes: [name: string, compression: AppOptions["compression"], extensions: string][] = [
  ["by default", true, neither],
  ["with takeover", { contextTakeover: true }, "permessage-deflate"],
  [
    "with takeover and windows of 9 bits",
    { contextTakeover: true, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
  ],
  [
    "with windows of 10 and 11 bits",
    { serverMaxWindowBits: 10, clientMaxWindowBits: 11 },
    `${neither}; server_max_window_bits=10; client_max_window_bits=11`,
  ],
];

function json(bytes: number): string {
  const items = Array.from(
    { length: Math.ceil(bytes / 40) },
    (_, id) => ({ id, name: `item ${id * 7919}`, price: id }),
  );
  return JSON.stringify(items).slice(0, bytes);
}

/** Messages that shrink well, of every size that frames and zlib treat differently. */
const messages: (string | Uint8Array)[] = [
  json(2000),
  Buffer.from(json(2000)),
  "Grüße, 世界 🌍! ".repeat(300),
  json(20 * KiB),
  "small",
  "",
  new Uint8Array(0),
  Buffer.from(json(70 * KiB)),
  json(200 * KiB),
  Buffer.from(json(300 * KiB)),
  json(2000),
];
const totalBytes = messages.reduce((sum, message) => sum + Buffer.byteLength(message), 0);

/** Both ends of a connection, and the proxy in between. */
interface Ends {
  readonly client: ClientConnection;
  readonly socket: Socket;
  /** The messages that the server gets. */
  readonly received: Mailbox<string | Buffer>;
  readonly proxy: MeteredProxy;
  readonly extensions: string;
}

/** Opens a connection through a proxy to a new app. */
async function connect(program: ClientProcess, compression: AppOptions["compression"]): Promise<Ends> {
  const arrived = Promise.withResolvers<{ socket: Socket; received: Mailbox<string | Buffer> }>();
  const app = await createApp({ logger: false, compression });
  app.ws("/", (socket) => {
    const received = new Mailbox<string | Buffer>();
    socket.on("message", (data) => received.put(data));
    arrived.resolve({ socket, received });
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const proxy = await meteredProxy(app.address!.port);
  onTestFinished(async () => {
    await app.close({ timeoutMs: 500 });
    proxy.close();
  });
  const client = program.connect(`ws://127.0.0.1:${proxy.port}/`);
  const opened = await client.events.next() as ConnectionEvent & { event: "open" };
  expect(opened.event).toBe("open");
  return { client, proxy, extensions: opened.extensions, ...await arrived.promise };
}

function eventOf(data: string | Uint8Array): ConnectionEvent {
  return typeof data === "string" ? { event: "message", text: data } : { event: "message", binary: base64(data) };
}

function expectSame(actual: string | Uint8Array, expected: string | Uint8Array): void {
  expect(typeof actual).toBe(typeof expected);
  expect(Buffer.compare(Buffer.from(actual as string), Buffer.from(expected as string))).toBe(0);
}

for (const kind of clientKinds) {
  describe.skipIf(!isInstalled(kind))(kind.name, () => {
    const offers = kind.compresses !== "never";
    let program: ClientProcess;

    beforeAll(() => {
      program = new ClientProcess(kind.command);
    });

    afterAll(() => program.kill());

    describe.each(modes)("%s", (_name, compression, agreement) => {
      test(`both ends agree on ${offers ? "compression" : "no compression"}`, async () => {
        const { socket, extensions, client } = await connect(program, compression);
        expect(socket.extensions).toBe(offers ? agreement : "");
        // ws reports the names of the extensions, without their parameters.
        expect(extensions).toBe(kind.name === "ws" ? "permessage-deflate" : socket.extensions);
        client.close(1000);
        expect(await client.events.next()).toMatchObject({ event: "close", code: 1000, wasClean: true });
      });

      test("the client receives every message in order, and the wire shows whether the server compresses", async () => {
        const { socket, client, proxy } = await connect(program, compression);
        const before = proxy.toClients;
        for (const message of messages) socket.send(message);
        expect(await client.events.take(messages.length)).toEqual(messages.map(eventOf));
        const wireBytes = proxy.toClients - before;
        if (offers) expect(wireBytes).toBeLessThan(totalBytes / 2);
        else expect(wireBytes).toBeGreaterThan(totalBytes);
      });

      test("the server receives every message in order, and the wire shows whether the client compresses", async () => {
        const { client, received, proxy } = await connect(program, compression);
        const before = proxy.toServer;
        for (const message of messages) client.send(message);
        for (const message of messages) expectSame(await received.next(), message);
        const wireBytes = proxy.toServer - before;
        if (kind.compresses === "both ways") expect(wireBytes).toBeLessThan(totalBytes / 2);
        else expect(wireBytes).toBeGreaterThan(totalBytes);
      });

      test("messages in both directions at once all arrive before a Close", async () => {
        const { client, received, socket } = await connect(program, compression);
        for (const message of messages) {
          socket.send(message);
          client.send(message);
        }
        for (const message of messages) expectSame(await received.next(), message);
        socket.close(4000, "done");
        expect(await client.events.take(messages.length)).toEqual(messages.map(eventOf));
        expect(await client.events.next()).toEqual({ event: "close", code: 4000, reason: "done", wasClean: true });
      });

      if (kind.hasFrameControl) {
        test("compressed fragments, an empty one among them, are one message", async () => {
          const { client, received } = await connect(program, compression);
          const bytes = Buffer.from(json(50 * KiB));
          const fragments = [bytes.subarray(0, 1), bytes.subarray(1, 30_001), Buffer.alloc(0), bytes.subarray(30_001)];
          client.sendFragments(true, fragments);
          client.sendFragments(false, fragments);
          client.sendFragments(false, [...fragments, Buffer.alloc(0)]);
          expectSame(await received.next(), bytes);
          for (let i = 0; i < 2; i++) expectSame(await received.next(), bytes.toString());
        });
      }
    });
  });
}
