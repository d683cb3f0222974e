// Tests the agreement on compression and its use through apps: which extensions are agreed on, which messages are
// compressed, context takeover, broadcasts.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { AppOptions, Socket } from "../../../mod.ts";
import { listeningApp, portOf, until } from "../../support/app.ts";
import {
  type Compression,
  connectDeflate,
  deflateModes,
  type DeflatePair,
  deflatePair,
  noise,
  prose,
} from "../../support/compression.ts";
import { close, ping } from "../../support/frames.ts";
import { headerOf, rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";

// What has come is read before an item falls due. Here nothing comes, so that everything is due at its moment.
vi.mock(
  import("../../../src/platform.ts"),
  async (original) => ({ ...await original(), afterReading: (task) => task() }),
);

const KiB = 1024;
const MiB = 1024 * KiB;

describe("extensions", () => {
  const none = "server_no_context_takeover; client_no_context_takeover";

  test.each<[name: string, app: AppOptions["compression"], route: AppOptions["compression"], expected: string]>([
    ["nothing is agreed on by default", undefined, undefined, ""],
    ["nothing is agreed on where it is off", false, undefined, ""],
    ["the app's true is used for a route", true, undefined, none],
    [
      "the app's settings are used for a route",
      { serverMaxWindowBits: 10 },
      undefined,
      `${none}; server_max_window_bits=10`,
    ],
    ["a route turns it on", undefined, true, none],
    ["a route turns it off", true, false, ""],
    ["a route turns the app's settings off", { contextTakeover: true }, false, ""],
    ["a route has settings of its own", true, { clientMaxWindowBits: 11 }, `${none}; client_max_window_bits=11`],
  ])("%s", async (_name, compression, route, expected) => {
    const arrived = Promise.withResolvers<Socket>();
    const app = await listeningApp({ ...(compression !== undefined && { compression }) }, (app) => {
      app.ws("/", { ...(route !== undefined && { compression: route }) }, (socket) => arrived.resolve(socket));
    });
    const client = await connectDeflate(app, { offer: "permessage-deflate; client_max_window_bits" });
    const value = expected === "" ? "" : `permessage-deflate; ${expected}`;
    expect(client.extensions).toBe(value);
    expect((await arrived.promise).extensions).toBe(value);
  });

  test.each<[name: string, offers: string | string[], status: number, expected: string | undefined]>([
    ["an offer in the second of two lines", ["x-unknown", "permessage-deflate"], 101, `permessage-deflate; ${none}`],
    [
      "a good offer behind one that is declined, in another line",
      ["permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=9"],
      101,
      `permessage-deflate; ${none}; server_max_window_bits=9`,
    ],
    ["nothing that can be taken", "permessage-deflate; foo, permessage-bzip2", 101, undefined],
    ["a header that breaks the grammar", "permessage-deflate; =10", 400, undefined],
    ["a good offer before what breaks the grammar", "permessage-deflate, permessage-deflate; a=", 400, undefined],
    ["a quote that never ends", 'permessage-deflate; server_max_window_bits="10', 400, undefined],
    ["no offer in the header", "", 400, undefined],
  ])("responds to %s", async (_name, offers, status, expected) => {
    const app = await listeningApp({ compression: true }, (app) => app.ws("/", () => {}));
    const request = upgradeRequest("/", { "Sec-WebSocket-Extensions": offers });
    const response = await rawRequest(portOf(app), Buffer.concat([Buffer.from(request), close(1000)]));
    expect(statusOf(response)).toBe(status);
    expect(headerOf(response, "Sec-WebSocket-Extensions")).toBe(expected);
  });

  test("two routes of one app compress each in its own way", async () => {
    const message = prose(2000);
    const app = await listeningApp({ compression: true }, (app) => {
      const send = (socket: Socket): void => void socket.send(message);
      app.ws("/default", send).ws("/off", { compression: false }, send)
        .ws("/late", { compression: { threshold: 2001 } }, send)
        .ws("/kept", { compression: { contextTakeover: true } }, send);
    });
    const received = async (path: string): Promise<unknown> => {
      const client = await connectDeflate(app, { path });
      const { data, isCompressed } = await client.next();
      expect(data).toBe(message);
      return [client.extensions.split("; ").length, isCompressed];
    };
    expect(await received("/default")).toEqual([3, true]);
    expect(await received("/off")).toEqual([1, false]);
    expect(await received("/late")).toEqual([3, false]);
    expect(await received("/kept")).toEqual([1, true]);
  });
});

describe.each(deflateModes)("sent messages: %s", (_name, mode) => {
  test.each<[name: string, compression: Compression, data: string | Buffer, isCompressed: boolean]>([
    ["1,023 bytes are sent without compression", {}, prose(1023), false],
    ["1,024 bytes are compressed", {}, prose(1024), true],
    ["1,024 bytes of binary data are compressed", {}, Buffer.from(prose(1024)), true],
    ["1,023 bytes of binary data are not compressed", {}, Buffer.from(prose(1023)), false],
    ["bytes are counted, not characters", {}, "€".repeat(342), true],
    ["bytes are not estimated from characters", {}, "é".repeat(511), false],
    ["a threshold that characters of three bytes just reach", { threshold: 300 }, "€".repeat(100), true],
    ["a threshold of its own", { threshold: 100 }, prose(100), true],
    ["a byte below it", { threshold: 100 }, prose(99), false],
    ["a threshold of 0 compresses all messages that shrink", { threshold: 0 }, "a".repeat(20), true],
    ["a threshold of 0 does not compress an empty text", { threshold: 0 }, "", false],
    ["a threshold of 0 does not compress empty binary data", { threshold: 0 }, Buffer.alloc(0), false],
    ["200 KiB are compressed", {}, prose(200 * KiB), true],
    ["200 KiB of binary data are compressed", {}, Buffer.from(prose(200 * KiB)), true],
    ["a mebibyte of characters of three bytes is compressed", {}, "世界".repeat(MiB / 6), true],
    ["half a pair of surrogates, which is no character", {}, `\ud83c${"x".repeat(2000)}`, true],
  ])("%s", async (_name, compression, data, isCompressed) => {
    const { client, socket } = await deflatePair({ ...mode, ...compression });
    socket.send(data);
    const received = await client.next();
    expect(received.isCompressed).toBe(isCompressed);
    expect(typeof received.data).toBe(typeof data);
    const sent = Buffer.from(data as string);
    expect(Buffer.compare(Buffer.from(received.data as string), sent)).toBe(0);
    if (isCompressed) expect(received.wireBytes).toBeLessThan(sent.length);
    else expect(received.wireBytes).toBe(sent.length);
  });

  test.each<[name: string, data: string | Buffer]>([
    ["three letters", "abc"],
    ["noise", noise(5000)],
    ["much noise", noise(300 * KiB)],
  ])(
    "a message that does not shrink is sent without compression, unless the window has to have it: %s",
    async (_name, data) => {
      const { client, socket } = await deflatePair({ ...mode, threshold: 0 });
      for (let i = 0; i < 2; i++) socket.send(data);
      const received = await client.next();
      const bytes = Buffer.from(data as string);
      expect(Buffer.compare(Buffer.from(received.data as string), bytes)).toBe(0);
      expect(received.isCompressed).toBe(mode.contextTakeover === true);
      // RFC 1951 §3.2.4: a block that is not compressed costs five bytes.
      expect(received.wireBytes).toBeLessThan(bytes.length + 10 + 5 * bytes.length / (8 * KiB));
      expect(Buffer.compare(Buffer.from(await client.nextMessage() as string), bytes)).toBe(0);
    },
  );

  test.each<[name: string, data: (bytes: Uint8Array) => ArrayBuffer | ArrayBufferView]>([
    ["a part of a Uint8Array", (bytes) => bytes.subarray(16, 2016)],
    ["an ArrayBuffer", (bytes) => bytes.slice(16, 2016).buffer as ArrayBuffer],
    ["a DataView", (bytes) => new DataView(bytes.buffer, bytes.byteOffset + 16, 2000)],
    ["an Int32Array", (bytes) => new Int32Array(bytes.slice(16, 2016).buffer)],
  ])("%s is compressed as its bytes", async (_name, data) => {
    const { client, socket } = await deflatePair(mode);
    const bytes = Uint8Array.from({ length: 4000 }, (_, i) => i >> 4);
    socket.send(data(bytes));
    const received = await client.next();
    expect(received.isCompressed).toBe(true);
    expect(Buffer.compare(received.data as Buffer, bytes.subarray(16, 2016))).toBe(0);
  });

  test("compress: false sends a message as it is, and compress: true compresses it below the threshold", async () => {
    const { client, socket } = await deflatePair({ ...mode, filter: (data) => !String(data).startsWith("filtered") });
    const long = prose(2000);
    const short = "short ".repeat(20);
    const filtered = `filtered ${long}`;
    const sends: [data: string | Buffer, options: { compress?: boolean } | undefined, isCompressed: boolean][] = [
      [long, undefined, true],
      [long, { compress: false }, false],
      [long, {}, true],
      [Buffer.from(long), { compress: false }, false],
      [long, { compress: true }, true],
      [short, undefined, false],
      [short, { compress: true }, true],
      [Buffer.from(short), { compress: true }, true],
      [filtered, undefined, false],
      [filtered, { compress: true }, true],
      [filtered, { compress: false }, false],
      [prose(200 * KiB), { compress: false }, false],
      [long, undefined, true],
    ];
    for (const [data, options] of sends) socket.send(data, options);
    for (const [data, , isCompressed] of sends) {
      const received = await client.next();
      expect(received.isCompressed).toBe(isCompressed);
      expect(Buffer.from(received.data as string).equals(Buffer.from(data as string))).toBe(true);
    }
  });

  test("the filter gets the data that is sent, and is not called where there is nothing to decide", async () => {
    const asked: (string | Uint8Array)[] = [];
    const filter = (data: string | Uint8Array): boolean => {
      asked.push(data);
      return typeof data === "string";
    };
    const { client, socket } = await deflatePair({ ...mode, threshold: 100, filter });
    const texts = [prose(50), prose(500), prose(501)];
    const bytes = Buffer.from(prose(502));
    for (const each of texts) socket.send(each);
    socket.send(bytes);
    socket.send(texts[1], { compress: false });
    const received = [];
    for (let i = 0; i < 5; i++) received.push((await client.next()).isCompressed);
    expect(received).toEqual([false, true, true, false, false]);
    expect(asked.map(String)).toEqual([texts[1], texts[2], bytes.toString()]);
    expect(asked[2]).toBeInstanceOf(Uint8Array);
  });

  test("a socket without an agreement gets everything without compression, and no filter is called", async () => {
    let asked = 0;
    const filter = (): boolean => ++asked > 0;
    const message = prose(200 * KiB);
    const app = await listeningApp({ compression: { ...mode, filter } }, (app) => {
      app.ws("/", (socket) => {
        socket.send(message);
        socket.send("forced", { compress: true });
      });
    });
    const client = await connectDeflate(app, { offer: "x-unknown" });
    expect(await client.next()).toEqual({ data: message, isCompressed: false, wireBytes: message.length });
    expect(await client.next()).toEqual({ data: "forced", isCompressed: false, wireBytes: 6 });
    expect(asked).toBe(0);
  });

  test("control frames are never compressed", async () => {
    const { client, socket, seen } = await deflatePair({ ...mode, threshold: 0 });
    const payload = "p".repeat(125);
    socket.ping(payload);
    socket.pong(payload);
    client.sendBytes(ping(payload));
    socket.close(4000, "r".repeat(123));
    const frames = [await client.nextFrame(), await client.nextFrame()];
    expect(frames.map(({ opcode, payload }) => [opcode, `${payload}`])).toEqual([[9, payload], [10, payload]]);
    client.sendBytes(close(4000));
    expect(await client.closed()).toMatchObject({ code: 4000, reason: "r".repeat(123) });
    expect((await seen.closed)[0]).toBe(4000);
  });

  test("an array that is sent several times and changed in between arrives as it was each time", async () => {
    const { client, socket } = await deflatePair(mode);
    const bytes = Buffer.from(prose(4000));
    const sent: Buffer[] = [];
    for (let i = 0; i < 5; i++) {
      bytes.fill(i, 100 * i, 100 * i + 50);
      sent.push(Buffer.from(bytes));
      socket.send(bytes);
    }
    for (const each of sent) expect(Buffer.compare(await client.nextMessage() as Buffer, each)).toBe(0);
  });
});

/** Lets the idle time pass only when a test says so, however slow the machine is. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
}

describe("context takeover", () => {
  const message = prose(3000);

  async function wireBytes({ client, socket }: DeflatePair, data: string = message): Promise<number> {
    socket.send(data);
    const received = await client.next();
    expect(received).toMatchObject({ data, isCompressed: true });
    return received.wireBytes;
  }

  test("makes the same message far smaller the second time, and without it the size stays the same", async () => {
    const kept = await deflatePair({ contextTakeover: true });
    const first = await wireBytes(kept);
    expect(await wireBytes(kept)).toBeLessThan(first / 10);
    const stateless = await deflatePair();
    expect(await wireBytes(stateless)).toBe(await wireBytes(stateless));
  });

  test("goes on after messages that were sent without compression", async () => {
    const pair = await deflatePair({ contextTakeover: true });
    const first = await wireBytes(pair);
    pair.socket.send("short");
    pair.socket.send(noise(5000), { compress: false });
    for (let i = 0; i < 2; i++) expect((await pair.client.next()).isCompressed).toBe(false);
    expect(await wireBytes(pair)).toBeLessThanOrEqual(first);
    expect(await wireBytes(pair)).toBeLessThan(first / 10);
  });

  test("goes on over messages that zlib's threads compress, in any order", async () => {
    const pair = await deflatePair({ contextTakeover: true });
    const data = Array.from(
      { length: 30 },
      (_, i) => i % 3 === 0 ? prose(150 * KiB) : i % 3 === 1 ? message : noise(2000),
    );
    for (const each of data) pair.socket.send(each);
    for (const each of data) {
      expect(Buffer.compare(Buffer.from(await pair.client.nextMessage()), Buffer.from(each as string))).toBe(0);
    }
  });

  test("frees the window after idleTimeoutMs, which the client can see by the size only", async () => {
    fakeTimers();
    const pair = await deflatePair({ contextTakeover: true, idleTimeoutMs: 50 });
    const first = await wireBytes(pair);
    for (let idle = 0; idle < 2; idle++) {
      expect(await wireBytes(pair)).toBeLessThan(first / 10);
      vi.advanceTimersByTime(60);
      expect(await wireBytes(pair)).toBe(first);
    }
  });

  test("keeps the client's window during the idle time of the server's", async () => {
    fakeTimers();
    const { client, seen } = await deflatePair({ contextTakeover: true, idleTimeoutMs: 20 });
    for (let i = 1; i <= 3; i++) {
      await client.send(message);
      await until(() => seen.messages.length === i);
      vi.advanceTimersByTime(30);
    }
    expect(seen.messages).toEqual([message, message, message]);
  });
});

describe.each(deflateModes)("received messages: %s", (_name, mode) => {
  test("keep their order whatever their size, with control frames between them", async () => {
    const { client, seen } = await deflatePair(mode);
    const data = Array.from(
      { length: 40 },
      (_, i) => i % 5 === 0 ? prose(300 * KiB) : i % 5 === 1 ? noise(i * 10) : `${i}`,
    );
    for (const each of data) await client.send(each, { compress: each.length > 10 });
    await until(() => seen.messages.length === data.length);
    for (const [i, each] of data.entries()) {
      expect(Buffer.compare(Buffer.from(seen.messages[i] as string), Buffer.from(each as string))).toBe(0);
    }
  });

  test("a Close behind a large message comes after it", async () => {
    const { client, seen, socket } = await deflatePair(mode);
    const events: string[] = [];
    socket.on("message", () => events.push("message"));
    socket.on("close", () => events.push("close"));
    const message = prose(900 * KiB);
    client.sendBytes(...await client.encode(message), close(1000));
    expect((await client.closed()).code).toBe(1000);
    await seen.closed;
    expect(events).toEqual(["message", "close"]);
    expect(seen.messages[0] === message).toBe(true);
  });

  test("wait while the socket is paused", async () => {
    const { client, seen, socket } = await deflatePair(mode);
    socket.pause();
    for (const each of ["1", prose(200 * KiB), "3"]) await client.send(each);
    for (let i = 0; i < 20; i++) await nextTurn();
    expect(seen.messages).toEqual([]);
    socket.resume();
    await until(() => seen.messages.length === 3);
    expect(seen.messages.map(({ length }) => length)).toEqual([1, 200 * KiB, 1]);
  });

  test("binary data belong to their listener: later messages do not change them", async () => {
    const { client, seen } = await deflatePair(mode);
    const data = Array.from({ length: 20 }, (_, i) => Buffer.alloc(100 + i * 500, `${i} `));
    for (const each of data) await client.send(each);
    await until(() => seen.messages.length === data.length);
    for (const [i, each] of data.entries()) {
      expect(seen.messages[i]).toBeInstanceOf(Buffer);
      expect(Buffer.compare(seen.messages[i] as Buffer, each)).toBe(0);
    }
  });

  test("can be iterated", async () => {
    const received: (string | Buffer)[] = [];
    const app = await listeningApp({ compression: mode }, (app) => {
      app.ws("/", async (socket) => {
        for await (const message of socket) {
          await nextTurn();
          received.push(message);
        }
      });
    });
    const client = await connectDeflate(app);
    const data = [prose(2000), "x", prose(200 * KiB), prose(1500)];
    for (const each of data) await client.send(each);
    client.sendBytes(close(1000));
    await client.closed();
    await until(() => received.length === data.length);
    expect(received.map((each, i) => each === data[i])).toEqual(data.map(() => true));
  });
});

describe.each(deflateModes)("the settings of the deflater: %s", (_name, mode) => {
  async function sizeOf(compression: Compression, data: string | Buffer): Promise<number[]> {
    const { client, socket } = await deflatePair({ ...mode, threshold: 0, ...compression });
    for (let i = 0; i < 2; i++) socket.send(data, { compress: true });
    return [(await client.next()).wireBytes, (await client.next()).wireBytes];
  }

  test("a higher level makes a message smaller", async () => {
    const message = prose(20 * KiB);
    const [[fast], [thorough]] = [await sizeOf({ level: 1 }, message), await sizeOf({ level: 9 }, message)];
    expect(thorough).toBeLessThan(fast);
  });

  test("no message refers to bytes that lie further back than the window that was agreed on", async () => {
    const bytes = noise(700);
    // RFC 7692 §7.1.2.1: a window of 9 bits has 512 bytes.
    const repeated = Buffer.concat([bytes, bytes]);
    for (const size of await sizeOf({ serverMaxWindowBits: 9 }, repeated)) expect(size).toBeGreaterThanOrEqual(1_400);
    expect((await sizeOf({ serverMaxWindowBits: 15 }, repeated))[0]).toBeLessThan(800);
  });
});

describe("a broadcast", () => {
  test.each<[name: string, compression: Compression, size: number]>([
    ["small", {}, 5000],
    ["large", {}, 200 * KiB],
    ["small, with windows of 10 bits", { serverMaxWindowBits: 10 }, 5000],
  ])("gives every client the same bytes: %s", async (_name, compression, size) => {
    const app = await listeningApp({ compression }, (app) => app.ws("/", () => {}));
    const clients = await Promise.all(Array.from({ length: 10 }, () => connectDeflate(app)));
    for (const message of [prose(size), Buffer.from(prose(size)), prose(size)]) {
      for (const socket of app.sockets) socket.send(message);
    }
    for (let i = 0; i < 3; i++) {
      const frames = await Promise.all(clients.map((client) => client.nextFrame()));
      expect(frames[0].rsv1).toBe(true);
      for (const { payload } of frames) expect(Buffer.compare(payload, frames[0].payload)).toBe(0);
    }
  });

  test("through a topic reaches all clients, each as it has agreed", async () => {
    const app = await listeningApp({ compression: true }, (app) => {
      const subscribe = (socket: Socket): void => void socket.subscribe("news");
      app.ws("/", subscribe).ws("/off", { compression: false }, subscribe)
        .ws("/kept", { compression: { contextTakeover: true } }, subscribe)
        .ws("/small", { compression: { serverMaxWindowBits: 9 } }, subscribe);
    });
    const paths = ["/", "/", "/off", "/kept", "/kept", "/small"];
    const clients = await Promise.all(paths.map((path) => connectDeflate(app, { path })));
    const plain = await connectDeflate(app, { offer: "x-unknown" });
    const messages = [prose(3000), "short", Buffer.from(prose(2500)), prose(200 * KiB), prose(3000)];
    for (const message of messages) expect(app.publish("news", message)).toBe(7);
    for (const message of messages) {
      for (const client of [...clients, plain]) {
        const received = await client.next();
        expect(Buffer.compare(Buffer.from(received.data as string), Buffer.from(message as string))).toBe(0);
        const isCompressed = client.extensions !== "" && message.length > 1023;
        expect(received.isCompressed).toBe(isCompressed);
      }
    }
  });

  test.each([["small", 60 * KiB], ["large", 150 * KiB]])(
    "is compressed once for all clients: %s",
    async (_name, size) => {
      const clientCount = 20;
      // Level 9 gives zlib the most work, so that all other work counts little.
      const app = await listeningApp({ compression: { level: 9 } }, (app) => app.ws("/", () => {}));
      const clients = await Promise.all(
        Array.from({ length: clientCount }, () => connectDeflate(app, { timeoutMs: 20_000 })),
      );
      const sockets = [...app.sockets];
      const cpuMsOf = async (messages: readonly string[]): Promise<number> => {
        const start = process.cpuUsage();
        for (const [i, socket] of sockets.entries()) socket.send(messages[i % messages.length]);
        await Promise.all(clients.map((client) => client.nextFrame()));
        const { user, system } = process.cpuUsage(start);
        return (user + system) / 1000;
      };
      const messages = Array.from({ length: clientCount }, () => prose(size));
      await cpuMsOf([prose(size)]);
      const alike = Math.min(await cpuMsOf([messages[0]]), await cpuMsOf([messages[1]]), await cpuMsOf([messages[2]]));
      expect(alike).toBeLessThan(await cpuMsOf(messages) / 3);
    },
  );
});
