// A raw socket that is no socket of the operating system: it may keep its chunks and call back at once, so an outbox
// writes only memory to it that nobody changes later.

import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type App, type AppOptions, createApp } from "../../mod.ts";
import { makeRequest } from "../../src/app/inject/request.ts";
import { codec, isOperatingSystemSocket } from "../../src/platform.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { withSourceBytes } from "../../src/transport/lent-text.ts";
import { Outbox } from "../../src/transport/outbox.ts";
import { connectTo, listeningApp, until } from "../support/app.ts";
import {
  binary,
  fragmented,
  opcodes,
  pieces,
  ping,
  type ServerFrame,
  ServerFrameReader,
  text,
} from "../support/frames.ts";
import { ends, nextMessages } from "../support/outbox.ts";
import { Random } from "../support/random.ts";

/**
 * A stream that looks like a raw socket, takes every write at once and reads the bytes only when a test asks for them.
 */
class KeepingStream extends Duplex {
  readonly #chunks: Buffer[] = [];
  readonly #reader = new ServerFrameReader();
  #isHeadRead: boolean;

  /** `isHeadRead` is false where an HTTP response comes before the frames. */
  constructor(isHeadRead = true) {
    super({ allowHalfOpen: true });
    this.#isHeadRead = isHeadRead;
    onTestFinished(() => void this.destroy());
  }

  get raw(): RawSocket {
    return this as unknown as RawSocket;
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** The frames that the kept chunks hold now, which are no longer kept. */
  frames(): ServerFrame[] {
    let bytes = Buffer.concat(this.#chunks.splice(0));
    if (!this.#isHeadRead) {
      const headBytes = bytes.indexOf("\r\n\r\n") + 4;
      expect(bytes.toString("latin1", 0, 12)).toBe("HTTP/1.1 101");
      bytes = bytes.subarray(headBytes);
      this.#isHeadRead = true;
    }
    return [...this.#reader.read(bytes)];
  }

  messages(): (string | Buffer)[] {
    return this.frames().map(({ opcode, payload }) => opcode === opcodes.text ? payload.toString() : payload);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    done();
  }
}

function keepingOutbox(): { stream: KeepingStream; outbox: Outbox } {
  const stream = new KeepingStream();
  return { stream, outbox: new Outbox(stream.raw, { onWritten() {} }) };
}

/** Compares messages by their kind, length and hash, so that a difference is short to print. */
function expectSame(actual: readonly (string | Buffer)[], expected: readonly (string | Buffer)[]): void {
  expect(actual.map(fingerprint)).toEqual(expected.map(fingerprint));
}

function fingerprint(message: string | Buffer): string {
  return `${typeof message} of ${message.length}: ${hash("sha1", message)}`;
}

/** Sizes below, at and above those from which a header is longer or a payload is written in another way. */
const SIZES = [0, 1, 64, 65, 125, 126, 5_000, 16_383, 16_384, 40_000, 65_535, 65_536, 262_144, 262_145, 300_000];

const ascii = (size: number, turn: number): string => `${turn} ${"abcdefg".repeat(size / 7 + 1)}`.slice(0, size);
const beyondAscii = (size: number, turn: number): string => `${turn} ${"ü世".repeat(size / 5 + 1)}`.slice(0, size / 2);

test("isOperatingSystemSocket tells sockets from other streams", async () => {
  const [{ raw }] = await ends(1);
  expect(isOperatingSystemSocket(raw)).toBe(true);
  expect(isOperatingSystemSocket(new KeepingStream().raw)).toBe(false);
});

test("messages of all sizes and kinds stay whole while later turns are written", async () => {
  const { stream, outbox } = keepingOutbox();
  const sent: (string | Buffer)[] = [];
  for (let turn = 0; turn < 5; turn++) {
    for (const size of SIZES) {
      for (const message of [ascii(size, turn), beyondAscii(size, turn)]) {
        outbox.sendText(message);
        sent.push(message);
      }
      const payload = Buffer.alloc(size, `${turn}`);
      outbox.sendBytes(Opcode.BINARY, payload);
      sent.push(Buffer.from(payload));
      // Only after some sizes, so that ranges of one frame and of several are written.
      if (size % 3 === 0) outbox.flush();
    }
    await nextTurn();
  }
  expectSame(stream.messages(), sent);
});

test("bytes may be changed by their owner as soon as they are sent", async () => {
  const { stream, outbox } = keepingOutbox();
  const sent = [100, 16_384, 300_000].map((size) => Buffer.alloc(size, "a"));
  for (const bytes of sent) outbox.sendBytes(Opcode.BINARY, bytes);
  for (const bytes of sent) bytes.fill("b");
  await nextTurn();
  expectSame(stream.messages(), sent.map(({ length }) => Buffer.alloc(length, "a")));
});

test("a payload with headroom is left as it is, and so are the bytes in front", async () => {
  const { stream, outbox } = keepingOutbox();
  const payload = codec.allocateForText(20_000);
  payload.fill(1);
  const inFront = Buffer.from(payload.buffer as ArrayBuffer, payload.byteOffset - 8, 8);
  inFront.fill(7);
  outbox.sendBytes(Opcode.BINARY, payload);
  expect(inFront.equals(Buffer.alloc(8, 7))).toBe(true);
  payload.fill(2);
  await nextTurn();
  expectSame(stream.messages(), [Buffer.alloc(20_000, 1)]);
});

test("the source bytes of a text that is sent on are not in use afterwards", async () => {
  const { stream, outbox } = keepingOutbox();
  const message = ascii(20_000, 0);
  const payload = Buffer.from(message);
  const isInUse = withSourceBytes(message, payload, () => outbox.sendText(message));
  expect(isInUse).toBe(false);
  payload.fill("x");
  await nextTurn();
  expectSame(stream.messages(), [message]);
});

test("a broadcast to streams and sockets in turn is right everywhere, for many turns", async () => {
  const sockets = await ends(2);
  const streams = [keepingOutbox(), keepingOutbox(), keepingOutbox()];
  const outboxes = [streams[0].outbox, sockets[0].outbox, streams[1].outbox, sockets[1].outbox, streams[2].outbox];
  const random = new Random(7);
  const sent: (string | Buffer)[] = [];
  const own: string[][] = outboxes.map(() => []);
  for (let turn = 0; turn < 30; turn++) {
    for (let i = 0; i < 6; i++) {
      const size = SIZES[random.below(SIZES.length)];
      const message = [ascii, beyondAscii, (size: number): Buffer => Buffer.alloc(size, `${turn}`)][i % 3](size, turn);
      for (const outbox of outboxes) {
        if (typeof message === "string") outbox.sendText(message);
        else outbox.sendBytes(Opcode.BINARY, message);
      }
      sent.push(message);
    }
    outboxes.forEach((outbox, i) => {
      // A message to one outbox only, so that the ranges of the outboxes differ.
      const message = `${i} of ${turn}`;
      outbox.sendText(message);
      own[i].push(message);
    });
    await nextTurn();
  }
  const isOwn = (message: string | Buffer): boolean => typeof message === "string" && /^\d of \d+$/.test(message);
  const received = [
    streams[0].stream.messages(),
    await nextMessages(sockets[0].client, sent.length + own[1].length),
    streams[1].stream.messages(),
    await nextMessages(sockets[1].client, sent.length + own[3].length),
    streams[2].stream.messages(),
  ];
  received.forEach((messages, i) => {
    expectSame(messages.filter((message) => !isOwn(message)), sent);
    expect(messages.filter(isOwn)).toEqual(own[i]);
  });
});

/** Opens a WebSocket of an app over a stream that is no socket. */
async function open(app: App, path: string): Promise<KeepingStream> {
  const stream = new KeepingStream(false);
  const headers = new Headers({
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  });
  const before = app.sockets.size;
  app.handleUpgrade(makeRequest(stream as never, "GET", path, headers), stream.raw, Buffer.alloc(0));
  await until(() => app.sockets.size > before);
  return stream;
}

/** Hands bytes to the app. Each chunk has memory of its own, since the app may change it. */
async function deliver(stream: KeepingStream, ...chunks: Uint8Array[]): Promise<void> {
  for (const chunk of chunks) {
    stream.push(Buffer.from(chunk));
    await nextTurn();
  }
}

async function appOf(options: AppOptions = {}): Promise<App> {
  const app = await createApp({ logger: false, ...options });
  onTestFinished(() => app.close({ timeoutMs: 100 }).then(() => {}));
  return app;
}

const MESSAGES = SIZES.flatMap((size) => [ascii(size, 1), beyondAscii(size, 2)]);

test.each<[string, (message: string) => Uint8Array[]]>([
  ["in one frame", (message) => [text(message)]],
  ["in pieces", (message) => pieces(text(message), 10_007)],
  ["in fragments", (message) => fragmented(opcodes.text, pieces(Buffer.from(message), 9_999))],
])("an app that gets such a stream by handleUpgrade echoes texts whole, %s", async (_name, cut) => {
  const app = await appOf();
  app.ws("/", (socket) => void socket.on("message", (data) => void socket.send(data)));
  const stream = await open(app, "/");
  // An empty text has no pieces: it is left out of what is cut into fragments.
  const messages = MESSAGES.filter((message) => cut(message).length > 0);
  for (const message of messages) await deliver(stream, ...cut(message));
  expectSame(stream.messages(), messages);
});

test("binary messages and Pings are answered with the right bytes", async () => {
  const app = await appOf();
  app.ws("/", (socket) => void socket.on("message", (data) => void socket.send(data)));
  const stream = await open(app, "/");
  const expected: [number, string][] = [];
  for (const size of SIZES) {
    await deliver(stream, ping(`${size}`), binary(Buffer.alloc(size, "x")));
    expected.push([opcodes.pong, `${size}`], [opcodes.binary, "x".repeat(size)]);
  }
  expect(stream.frames().map(({ opcode, payload }) => [opcode, `${payload}`])).toEqual(expected);
});

test("a message from one stream reaches streams and real sockets alike", async () => {
  const app = await listeningApp({}, (app) =>
    app.ws("/", (socket) => {
      socket.subscribe("all");
      socket.on("message", (data) => {
        for (const each of app.sockets) each.send(data);
        app.publish("all", data);
      });
    }));
  const clients = [await connectTo(app), await connectTo(app)];
  const streams = [await open(app as App, "/"), await open(app as App, "/")];
  const twice = MESSAGES.flatMap((message) => [message, message]);
  for (const message of MESSAGES) await deliver(streams[0], text(message));
  for (const client of clients) expectSame(await nextMessages(client, twice.length), twice);
  for (const stream of streams) expectSame(stream.messages(), twice);
});
