// Tests withSourceBytes together with Outbox: a large text that is sent on while it is handed out leaves in the bytes
// that it came in.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { HEADROOM_FROM_BYTES, HEADROOM_TO_BYTES } from "../../src/protocol/headroom.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { withSourceBytes } from "../../src/transport/lent-text.ts";
import { connectPair, connectTo, listeningApp } from "../support/app.ts";
import { fragmented, opcodes, pieces, text } from "../support/frames.ts";
import { end, ends, nextMessages } from "../support/outbox.ts";

const KiB = 1024;

/** A text of that many bytes. */
const ascii = (byteLength: number): string => "abcdefg".repeat(byteLength / 7 + 1).slice(0, byteLength);
const beyondAscii = (byteLength: number): string =>
  "ü世".repeat(byteLength / 5).padEnd(byteLength - 3 * Math.floor(byteLength / 5));

describe("a text that is sent on", () => {
  test("leaves in the very bytes that it came in, for all sockets", async () => {
    const all = await ends(3);
    const writes = all.map(({ raw }) => vi.spyOn(raw, "write"));
    const message = ascii(300 * KiB);
    const payload = Buffer.from(message);
    withSourceBytes(message, payload, () => {
      for (const { outbox } of all) outbox.sendText(message);
    });
    for (const write of writes) expect(write.mock.calls.map(([bytes]) => bytes)).toContain(payload);
    for (const { client } of all) expect(await client.nextMessage()).toBe(message);
  });

  test("goes out behind the frames that wait, and before those that come later", async () => {
    const { outbox, client } = await end();
    const message = ascii(20_000);
    withSourceBytes(message, Buffer.from(message), () => {
      outbox.sendText("before");
      outbox.sendText(message);
      outbox.sendText("behind");
      outbox.sendText(message);
    });
    expect(await nextMessages(client, 4)).toEqual(["before", message, "behind", message]);
  });

  test("is encoded when it is another text, however similar", async () => {
    const { outbox, client } = await end();
    const message = ascii(20_000);
    const others = [`${message.slice(0, -1)}!`, `${message}!`, message.slice(1), "short"];
    withSourceBytes(message, Buffer.alloc(20_000), () => {
      for (const other of others) outbox.sendText(other);
    });
    expect(await nextMessages(client, others.length)).toEqual(others);
  });

  test("is encoded once it has been handed out", async () => {
    const { outbox, client } = await end();
    const message = ascii(20_000);
    const payload = Buffer.from(message);
    expect(withSourceBytes(message, payload, () => {})).toBe(false);
    payload.fill("x");
    outbox.sendText(message);
    expect(await client.nextMessage()).toBe(message);
  });

  test("leaves in its own bytes where one text is handed out inside another", async () => {
    const { raw, outbox, client } = await end();
    const [outer, inner] = [ascii(20_000), beyondAscii(30_000)];
    const write = vi.spyOn(raw, "write");
    const payloads = [outer, inner].map((message) => Buffer.from(message));
    withSourceBytes(outer, payloads[0], () => {
      withSourceBytes(inner, payloads[1], () => outbox.sendText(inner));
      outbox.sendText(outer);
    });
    expect(write.mock.calls.map(([bytes]) => bytes)).toEqual(expect.arrayContaining(payloads));
    expect(await nextMessages(client, 2)).toEqual([inner, outer]);
  });

  test("is encoded after the handler of another text has thrown", async () => {
    const { outbox, client } = await end();
    const message = ascii(20_000);
    const handOut = (): never => {
      throw new Error("thrown");
    };
    expect(() => withSourceBytes(message, Buffer.alloc(20_000), handOut)).toThrow("thrown");
    outbox.sendText(message);
    expect(await client.nextMessage()).toBe(message);
  });
});

describe("the bytes", () => {
  const message = ascii(20_000);

  test("are in use until the operating system has taken them", async () => {
    const { raw, outbox, client } = await end();
    client.pause();
    while (raw.writableLength === 0) {
      outbox.sendBytes(Opcode.BINARY, Buffer.alloc(1_000_000));
      await nextTurn();
    }
    expect(withSourceBytes(message, Buffer.from(message), () => outbox.sendText(message))).toBe(true);
  });

  test("are not in use when it has, nor when no socket has sent them", async () => {
    const { outbox } = await end();
    expect(withSourceBytes(message, Buffer.from(message), () => outbox.sendText(message))).toBe(false);
    expect(withSourceBytes(message, Buffer.from(message), () => outbox.sendText("another"))).toBe(false);
  });
});

const sizes = [HEADROOM_FROM_BYTES - 1, HEADROOM_FROM_BYTES, 65_535, 65_536, HEADROOM_TO_BYTES, HEADROOM_TO_BYTES + 1];

describe.each([["ASCII", ascii], ["text beyond ASCII", beyondAscii]])("%s of all sizes", (_name, make) => {
  const messages = sizes.map(make);

  test.each<[string, (message: string) => Uint8Array[]]>([
    ["in one frame", (message) => [text(message)]],
    ["in pieces", (message) => pieces(text(message), 10_007)],
    ["in fragments", (message) => fragmented(opcodes.text, pieces(Buffer.from(message), 9_999))],
  ])("comes back as it was, %s", async (_name, cut) => {
    expect(messages.map((message) => Buffer.byteLength(message))).toEqual(sizes);
    const { socket, client } = await connectPair();
    socket.on("message", (data) => socket.send(data));
    for (const message of messages) client.send(...cut(message));
    expect(await nextMessages(client, messages.length)).toEqual(messages);
  });

  test("goes to all sockets, by a loop and by publish", async () => {
    const app = await listeningApp({}, (app) =>
      app.ws("/", (socket) => {
        socket.subscribe("all");
        socket.on("message", (data) => {
          for (const each of app.sockets) if (each.readyState === 1) each.send(data);
          app.publish("all", data);
        });
      }));
    const clients = [await connectTo(app), await connectTo(app), await connectTo(app)];
    clients[0].send(...messages.map((message) => text(message)));
    const twice = messages.flatMap((message) => [message, message]);
    for (const client of clients) expect(await nextMessages(client, twice.length)).toEqual(twice);
  });
});

test("texts that wait behind a slow reader stay whole, while others come", async () => {
  const { socket, client } = await connectPair();
  socket.on("message", (data) => socket.send(data));
  client.pause();
  const messages = Array.from({ length: 60 }, (_, i) => `${i} ${ascii(20_000 + 7_919 * i)}`);
  for (const message of messages) {
    client.send(text(message));
    await nextTurn();
  }
  client.resume();
  expect(await nextMessages(client, messages.length)).toEqual(messages);
});
