/** The client of `app.inject`, with a server's end that the test plays itself, byte by byte. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { connect, InjectedClient, InjectError, makeKey } from "../../../src/app/inject/client.ts";
import { MemorySocket } from "../../../src/app/inject/memory-socket.ts";
import { acceptFor } from "../../support/raw-client.ts";
import { close, frame, type FrameOptions, opcodes } from "../../support/frames.ts";

const UNMASKED: FrameOptions = { maskingKey: false };
const KEY = makeKey();

function accepting(key: string = KEY): string {
  return `HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n` +
    "Sec-WebSocket-Protocol: v2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";
}

/** A client whose handshake is done, the server's end, and the bytes that the client has sent. */
function connected(early: Buffer = Buffer.alloc(0)): { client: InjectedClient; server: MemorySocket; sent: Buffer[] } {
  const { client, server } = MemorySocket.pair();
  const sent: Buffer[] = [];
  server.on("data", (chunk: Buffer) => sent.push(chunk));
  return { client: new InjectedClient(client, new Headers(), early), server, sent };
}

/** Undoes the mask of a client's frame with a payload of fewer than 126 bytes. */
function unmasked(bytes: Buffer): Buffer {
  const key = bytes.subarray(2, 6);
  return bytes.subarray(6).map((octet, index) => octet ^ key[index % 4]) as Buffer;
}

describe("the handshake", () => {
  test("gives a client with the headers and the subprotocol of the response, and with the frames behind it", async () => {
    const { client, server } = MemorySocket.pair();
    server.write(Buffer.concat([Buffer.from(accepting()), frame(opcodes.text, "early", UNMASKED)]));
    const injected = await connect(client, KEY);
    expect(injected.protocol).toBe("v2");
    expect(injected.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await injected.next()).toBe("early");
  });

  test("may arrive in pieces", async () => {
    const { client, server } = MemorySocket.pair();
    const injected = connect(client, KEY);
    for (const octet of Buffer.from(accepting())) {
      server.write(Uint8Array.of(octet));
      await nextTurn();
    }
    expect(await injected).toBeInstanceOf(InjectedClient);
  });

  test("fails when the server accepts another key", async () => {
    const { client, server } = MemorySocket.pair();
    server.write(accepting(makeKey()));
    await expect(connect(client, KEY)).rejects.toThrow("Sec-WebSocket-Accept is not what the key asks for");
  });

  test("that is refused is an InjectError with the response", async () => {
    const { client, server } = MemorySocket.pair();
    server.end("HTTP/1.1 401 Unauthorized\r\nX-Name: value\r\nContent-Length: 14\r\n\r\nPlease log in\n");
    const error: InjectError = await connect(client, KEY).then(() => undefined, (error) => error);
    expect(error).toBeInstanceOf(InjectError);
    expect(error.message).toBe("The handshake was refused with 401: Please log in");
    expect([error.response.status, error.response.headers.get("X-Name")]).toEqual([401, "value"]);
    expect(await error.response.text()).toBe("Please log in");
  });
});

describe("frames", () => {
  test.each([[0], [1], [125], [126], [65_535], [65_536]])(
    "of %i bytes are read, cut at any place",
    async (byteLength) => {
      const { client, server } = connected();
      const bytes = Buffer.concat([
        frame(opcodes.binary, Buffer.alloc(byteLength, "x"), UNMASKED),
        frame(opcodes.text, "behind", UNMASKED),
      ]);
      for (const at of [1, 2, 3, 9]) {
        server.write(bytes.subarray(0, at));
        await nextTurn();
        server.write(bytes.subarray(at));
        expect(await client.next()).toEqual(Buffer.alloc(byteLength, "x"));
        expect(await client.next()).toBe("behind");
      }
    },
  );

  test("that the client sends are masked", async () => {
    const { client, sent } = connected();
    client.send("hello");
    client.send(Uint8Array.of(1, 2, 3));
    await nextTurn();
    expect(sent.map((bytes) => [bytes[0], bytes[1]])).toEqual([[0x81, 0x85], [0x82, 0x83]]);
    expect(sent.map(unmasked)).toEqual([Buffer.from("hello"), Buffer.from([1, 2, 3])]);
    expect(() => client.send(42 as unknown as string)).toThrow(TypeError);
  });

  test("that are Pings are answered", async () => {
    const { server, sent } = connected(frame(opcodes.ping, "ping", UNMASKED));
    server.write(frame(opcodes.ping, "again", UNMASKED));
    await nextTurn();
    await nextTurn();
    expect(sent.map((bytes) => bytes[0] & 0x0f)).toEqual([opcodes.pong, opcodes.pong]);
    expect(sent.map(unmasked)).toEqual([Buffer.from("ping"), Buffer.from("again")]);
  });
});

describe("the end", () => {
  test("of a closing handshake that the server began has the server's code and reason", async () => {
    const { client, server, sent } = connected();
    server.end(close(4000, "bis bald", UNMASKED));
    expect(await client.closed).toEqual({ code: 4000, reason: "bis bald" });
    expect(unmasked(sent[0])).toEqual(close(4000, "bis bald", UNMASKED).subarray(2));
    await expect(client.next()).rejects.toThrow("ended with 4000 (bis bald), and no message came");
  });

  test("of a closing handshake that the client began comes with the server's Close", async () => {
    const { client, server, sent } = connected();
    const closed = client.close(4001, "enough");
    await nextTurn();
    expect(unmasked(sent[0])).toEqual(close(4001, "enough", UNMASKED).subarray(2));
    server.end(close(4001, "enough", UNMASKED));
    await closed;
    // RFC 6455 §5.5.1: only an end that has sent no Close answers one.
    expect(sent.length).toBe(1);
    expect(await closed).toEqual({ code: 4001, reason: "enough" });
  });

  test.each<[string, (pair: { client: InjectedClient; server: MemorySocket }) => void]>([
    ["the server destroys its end", ({ server }) => void server.destroy()],
    ["the client terminates", ({ client }) => client.terminate()],
    ["the server ends its side", ({ server }) => void server.end()],
  ])("without a Close frame is 1006: %s", async (_name, end) => {
    const pair = connected();
    end(pair);
    expect(await pair.client.closed).toEqual({ code: 1006, reason: "" });
    await expect(pair.client.next()).rejects.toThrow("ended with 1006, and no message came");
    pair.client.send("nobody reads this");
  });

  test("ends a loop over the messages", async () => {
    const { client, server } = connected();
    server.write(frame(opcodes.text, "one", UNMASKED));
    server.end(close(1000, "", UNMASKED));
    const messages = [];
    for await (const message of client) messages.push(message);
    expect(messages).toEqual(["one"]);
  });
});

test("a key is 16 random bytes in base64", () => {
  const keys = [makeKey(), makeKey()];
  for (const key of keys) expect(Buffer.from(key, "base64").length).toBe(16);
  expect(keys[0]).not.toBe(keys[1]);
});
