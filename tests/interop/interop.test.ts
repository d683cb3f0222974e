// WebSocket clients of other projects send, receive, ping and close as they should against the server.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, createApp, type Socket } from "../../mod.ts";
import { base64, type ClientConnection, ClientProcess, type ConnectionEvent } from "./client-process.ts";
import { clientKinds, isInstalled } from "./clients.ts";
import { Mailbox } from "./mailbox.ts";

type SocketEvent =
  | { event: "message"; data: string | Uint8Array }
  | { event: "ping" | "pong"; data: string }
  | { event: "close"; code: number; reason: string; wasClean: boolean };

/** The server's end of one connection, and the events that no test has read yet. */
interface ServerEnd {
  readonly socket: Socket;
  readonly events: Mailbox<SocketEvent>;
}

const MIB = 1024 * 1024;
const sizes = [0, 1, 125, 126, 65_535, 65_536, MIB];

const texts: [name: string, text: string][] = [
  ["ASCII", "Hello, world"],
  ["two and three bytes a character", "Grüße, 你好, ελληνικά"],
  ["astral characters", "🚀 and 𝔘𝔫𝔦𝔠𝔬𝔡𝔢, side by side 👩🏽‍🚀"],
  ["control characters and quotes", 'a\u0000b\r\n\t"c"\\d\u2028e'],
  ...sizes.map((size): [string, string] => [`${size} bytes`, "x".repeat(size)]),
];

/** Returns bytes in which a wrong order, a wrong mask or a lost byte shows. */
function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

/** The event by which a client reports a message. */
function message(data: string | Uint8Array): ConnectionEvent {
  return typeof data === "string" ? { event: "message", text: data } : { event: "message", binary: base64(data) };
}

const arrivals = new Mailbox<ServerEnd>();

function receive(socket: Socket): void {
  const events = new Mailbox<SocketEvent>();
  socket.on("message", (data) => events.put({ event: "message", data }));
  socket.on("ping", (data) => events.put({ event: "ping", data: data.toString() }));
  socket.on("pong", (data) => events.put({ event: "pong", data: data.toString() }));
  socket.on("close", (code, reason, wasClean) => {
    events.put({ event: "close", code, reason, wasClean });
  });
  arrivals.put({ socket, events });
}

async function startApp(): Promise<App> {
  const app = await createApp({ logger: false });
  app.ws("/interop", receive);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return app;
}

let app: App;
const address = (of: App, path = "/interop"): string => of.url.replace("http:", "ws:") + path;

beforeAll(async () => {
  app = await startApp();
});

afterAll(() => app.close());

for (const kind of clientKinds) {
  describe.skipIf(!isInstalled(kind))(kind.name, () => {
    let program: ClientProcess;

    beforeAll(() => {
      program = new ClientProcess(kind.command);
    });

    afterAll(() => program.kill());

    async function connect(
      from = program,
      to = app,
    ): Promise<{ client: ClientConnection } & ServerEnd> {
      const client = from.connect(address(to));
      expect(await client.events.next()).toEqual({ event: "open", protocol: "", extensions: "" });
      return { client, ...await arrivals.next() };
    }

    async function expectRoundTrip(data: string | Uint8Array): Promise<void> {
      const { client, socket, events } = await connect();
      client.send(data);
      const received = await events.next() as { data: string | Uint8Array };
      // The bytes are compared, because a Buffer may equal a Uint8Array and `toEqual` is slow for a large one.
      expect(typeof received.data).toBe(typeof data === "string" ? "string" : "object");
      expect(Buffer.compare(Buffer.from(received.data as string), Buffer.from(data as string))).toBe(0);
      socket.send(received.data);
      expect(await client.events.next()).toEqual(message(data));
      socket.terminate();
    }

    test.each(texts)("a text comes back the same: %s", (_name, text) => expectRoundTrip(text));

    test.each(sizes)("%i bytes of binary come back the same", (size) => expectRoundTrip(pattern(size)));

    test("100 messages each way at once, text and binary, arrive in order", async () => {
      const { client, socket, events } = await connect();
      const data = Array.from({ length: 100 }, (_, i) => i % 2 === 0 ? `message ${i} ✓` : pattern(i * 7));
      for (const item of data) {
        client.send(item);
        socket.send(item);
      }
      const there = await events.take(data.length) as { data: string | Uint8Array }[];
      expect(there.map(({ data }) => message(data))).toEqual(data.map(message));
      expect(await client.events.take(data.length)).toEqual(data.map(message));
      socket.terminate();
    });

    test("a close from the client carries its code and reason, and the server sends both back", async () => {
      const { client, events } = await connect();
      client.close(4321, "genug für heute");
      const closed = { event: "close", code: 4321, reason: "genug für heute", wasClean: true };
      expect(await events.next()).toEqual(closed);
      expect(await client.events.next()).toEqual(closed);
    });

    test("a close without a code is 1005 on both sides", async () => {
      const { client, events } = await connect();
      client.close();
      const closed = { event: "close", code: 1005, reason: "", wasClean: true };
      expect(await events.next()).toEqual(closed);
      expect(await client.events.next()).toEqual(closed);
    });

    test("a close from the server carries its code and reason, after the messages sent before", async () => {
      const { client, socket, events } = await connect();
      socket.send("the last word");
      socket.close(4123, "Schluß");
      expect(await client.events.next()).toEqual(message("the last word"));
      expect(await client.events.next()).toEqual({ event: "close", code: 4123, reason: "Schluß", wasClean: true });
      // §7.1.6: the server reports the reason that it receives. Not every client sends the reason back.
      expect(await events.next()).toMatchObject({ event: "close", code: 4123, wasClean: true });
    });

    test("closing the app closes its connections with the given code", async () => {
      const ownApp = await startApp();
      const { client, events } = await connect(program, ownApp);
      await ownApp.close({ code: 1001, reason: "restarting" });
      expect(await client.events.next()).toEqual({ event: "close", code: 1001, reason: "restarting", wasClean: true });
      expect(await events.next()).toMatchObject({ event: "close", code: 1001, wasClean: true });
    });

    test("a Ping from the server is answered", async () => {
      const { socket, events } = await connect();
      socket.ping("are you there?");
      expect(await events.next()).toEqual({ event: "pong", data: "are you there?" });
      socket.terminate();
    });

    test("an unknown path is refused", async () => {
      const client = program.connect(address(app, "/nowhere"));
      expect(await client.events.next()).toEqual({ event: "refused" });
    });

    test("a client program that is killed is 1006 to the server", async () => {
      const doomed = new ClientProcess(kind.command);
      const { events } = await connect(doomed);
      await doomed.kill();
      expect(await events.next()).toEqual({ event: "close", code: 1006, reason: "", wasClean: false });
    });

    if (kind.hasFrameControl) {
      test("a Ping from the client is answered with the same bytes", async () => {
        const { client, socket, events } = await connect();
        client.ping(Buffer.from("a ping with ünïcode"));
        expect(await events.next()).toEqual({ event: "ping", data: "a ping with ünïcode" });
        expect(await client.events.next()).toEqual({ event: "pong", data: base64(Buffer.from("a ping with ünïcode")) });
        socket.terminate();
      });

      test("text in fragments that cut a character, one of them empty, is one message", async () => {
        const { client, socket, events } = await connect();
        const rocket = Buffer.from("🚀");
        const fragments = [Buffer.from("to the "), rocket.subarray(0, 1), Buffer.alloc(0), rocket.subarray(1)];
        client.sendFragments(false, fragments);
        expect(await events.next()).toEqual({ event: "message", data: "to the 🚀" });
        socket.terminate();
      });

      test("1 MiB of binary in 16 fragments is one message", async () => {
        const { client, socket, events } = await connect();
        const bytes = pattern(MIB);
        client.sendFragments(
          true,
          Array.from({ length: 16 }, (_, i) => bytes.subarray(i * MIB / 16, (i + 1) * MIB / 16)),
        );
        const received = await events.next() as { data: Uint8Array };
        expect(Buffer.compare(received.data, bytes)).toBe(0);
        socket.terminate();
      });

      test("a connection that the client cuts is 1006 to the server", async () => {
        const { client, events } = await connect();
        client.terminate();
        expect(await events.next()).toEqual({ event: "close", code: 1006, reason: "", wasClean: false });
        expect(await client.events.next()).toMatchObject({ event: "close", code: 1006 });
      });
    }
  });
}
