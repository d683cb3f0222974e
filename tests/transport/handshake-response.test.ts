import { once } from "node:events";
import { connect, type Socket as RawSocket } from "node:net";
import { Duplex } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { HandshakeError } from "../../src/protocol/errors.ts";
import {
  acceptUpgrade,
  destroyAfterWrites,
  refuseUpgrade,
  writeRefusal,
} from "../../src/transport/handshake-response.ts";
import { upgradeServer } from "../support/app.ts";
import { acceptFor, headerOf, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const OFFER = { key: KEY, subprotocols: [], extensions: [] };

describe("a handshake that is accepted", () => {
  test("gets a 101 with the headers that it needs, and nothing else", async () => {
    const { port } = await upgradeServer((raw) => {
      acceptUpgrade(raw, OFFER, {});
      raw.end();
    });
    expect(await rawRequest(port, upgradeRequest("/", { "Sec-WebSocket-Key": KEY }))).toBe([
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${acceptFor(KEY)}`,
      "",
      "",
    ].join("\r\n"));
  });

  test("carries the subprotocol and the headers that were added", async () => {
    const { port } = await upgradeServer((raw) => {
      const headers = [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["X-Name", "Jos\u00e9"]] as const;
      acceptUpgrade(raw, OFFER, { subprotocol: "chat.v2", headers });
      raw.end();
    });
    const response = await rawRequest(port, upgradeRequest());
    expect(headerOf(response, "Sec-WebSocket-Protocol")).toBe("chat.v2");
    expect(response).toContain("\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Name: Jos\u00e9\r\n\r\n");
  });

  test.each<[string, [string, string]]>([
    ["a line break in a value", ["X-Name", "a\r\nX-Evil: 1"]],
    ["a bare line feed in a value", ["X-Name", "a\nb"]],
    ["a NUL in a value", ["X-Name", "a\0b"]],
    ["a character above latin-1 in a value", ["X-Name", "\u20ac"]],
    ["a line break in a name", ["X-Name: a\r\nX-Evil", "1"]],
    ["a space in a name", ["X Name", "1"]],
    ["an empty name", ["", "1"]],
  ])("gets no header with %s: TypeError, and nothing is written", async (_name, header) => {
    let error: unknown;
    const { port } = await upgradeServer((raw) => {
      try {
        acceptUpgrade(raw, OFFER, { headers: [header] });
      } catch (thrown) {
        error = thrown;
      }
      raw.end();
    });
    expect(await rawRequest(port, upgradeRequest())).toBe("");
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).not.toMatch(/[\r\n\0]/);
  });
});

describe("a handshake that is refused", () => {
  test("gets a whole HTTP response that says why, and the connection ends", async () => {
    const { port } = await upgradeServer((raw) => {
      refuseUpgrade(raw, new HandshakeError(426, "Version 13, bitte \u2013 danke", { "Sec-WebSocket-Version": "13" }));
    });
    const response = await rawRequest(port, upgradeRequest());
    const body = Buffer.from("Version 13, bitte \u2013 danke\n");
    expect(response.split("\r\n", 1)).toEqual(["HTTP/1.1 426 Upgrade Required"]);
    expect(headerOf(response, "Connection")).toBe("close");
    expect(headerOf(response, "Content-Type")).toBe("text/plain; charset=utf-8");
    expect(headerOf(response, "Content-Length")).toBe(`${body.length}`);
    expect(headerOf(response, "Sec-WebSocket-Version")).toBe("13");
    expect(Buffer.from(response.split("\r\n\r\n")[1], "latin1")).toEqual(body);
  });

  test("gets a reason phrase even with an unknown status", async () => {
    const { port } = await upgradeServer((raw) => writeRefusal(raw, 499, "Odd"));
    expect((await rawRequest(port, upgradeRequest())).split("\r\n")).toEqual([
      "HTTP/1.1 499 Refused",
      "Connection: close",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Length: 4",
      "",
      "Odd\n",
    ]);
  });

  test("with bytes gets the headers of the caller, except those that frame the response", async () => {
    const { port } = await upgradeServer((raw) => {
      const framing = [["Transfer-Encoding", "chunked"], ["Connection", "keep-alive"], [
        "content-length",
        "9",
      ]] as const;
      const others = [["X-Connection", "a"], ["Connection-Id", "b"]] as const;
      writeRefusal(raw, 403, Buffer.from("No"), [...framing, ...others]);
    });
    expect((await rawRequest(port, upgradeRequest())).split("\r\n")).toEqual([
      "HTTP/1.1 403 Forbidden",
      "Connection: close",
      "Content-Length: 2",
      "X-Connection: a",
      "Connection-Id: b",
      "",
      "No",
    ]);
  });

  test("may get a body of bytes; the caller's headers do not change its length, nor that the connection ends", async () => {
    const { port } = await upgradeServer((raw) => {
      const headers = [["Content-Length", "1"], ["connection", "keep-alive"], ["Content-Type", "image/png"]] as const;
      writeRefusal(raw, 403, new Uint8Array([1, 2, 3]), headers);
    });
    const response = await rawRequest(port, upgradeRequest());
    expect(response.match(/content-length: \d+/gi)).toEqual(["Content-Length: 3"]);
    expect(response.match(/connection: .+/gi)).toEqual(["Connection: close"]);
    expect(headerOf(response, "Content-Type")).toBe("image/png");
    expect(response.endsWith("\r\n\r\n\x01\x02\x03")).toBe(true);
  });

  test("gets the response even while the client goes on sending: no reset overtakes it", async () => {
    const ended = Promise.withResolvers<void>();
    const { port } = await upgradeServer((raw) => {
      raw.once("close", () => ended.resolve());
      refuseUpgrade(raw, new HandshakeError(403, "No"));
    });
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    await once(client, "connect");
    client.write(upgradeRequest());
    for (let i = 0; i < 32; i++) client.write(Buffer.alloc(64 * 1024));
    client.end();
    const response = await textOf(client);
    expect(statusOf(response)).toBe(403);
    expect(response.endsWith("\r\n\r\nNo\n")).toBe(true);
    // The server has read all that the client has sent, and has closed the connection.
    await ended.promise;
  });

  test("whose client has gone already gets nothing, and the connection is closed", async () => {
    const { port } = await upgradeServer((raw) => {
      raw.destroy();
      refuseUpgrade(raw, new HandshakeError(403, "No"));
    });
    expect(await rawRequest(port, upgradeRequest())).toBe("");
  });
});

/** A stream whose writes are taken when the test says so, and which nothing but `destroy` destroys. */
function slowStream(): { raw: RawSocket; takeAll: () => void } {
  const waiting: (() => void)[] = [];
  const write = (_chunk: unknown, _encoding: string, taken: () => void): void => void waiting.push(taken);
  const duplex = new Duplex({ read() {}, write, autoDestroy: false });
  onTestFinished(() => void duplex.destroy());
  return { raw: duplex as RawSocket, takeAll: () => waiting.splice(0).forEach((taken) => taken()) };
}

describe("a connection that is refused is destroyed", () => {
  test("when its client ends its side after the response", async () => {
    const { raw, takeAll } = slowStream();
    writeRefusal(raw, 403, "No");
    takeAll();
    await once(raw, "finish");
    expect(raw.destroyed).toBe(false);
    raw.push(null);
    await once(raw, "close");
    expect(raw.destroyed).toBe(true);
  });

  test("behind the response when its client has ended its side before", async () => {
    const { raw, takeAll } = slowStream();
    raw.push(null);
    await once(raw.resume(), "end");
    writeRefusal(raw, 403, "No");
    expect(raw.destroyed).toBe(false);
    takeAll();
    await once(raw, "close");
    expect(raw.destroyed).toBe(true);
  });
});

describe("destroyAfterWrites", () => {
  test.each<[string, (raw: RawSocket) => void]>([
    ["that is still open is ended", () => {}],
    ["that has been ended is not ended twice", (raw) => void raw.end()],
  ])("a connection %s, and is destroyed once its writes are taken", async (_name, prepare) => {
    const { raw, takeAll } = slowStream();
    raw.write("a");
    prepare(raw);
    destroyAfterWrites(raw);
    expect([raw.writableEnded, raw.destroyed]).toEqual([true, false]);
    const closed = once(raw, "close");
    takeAll();
    await closed;
    expect([raw.writableFinished, raw.destroyed]).toEqual([true, true]);
  });

  test("a connection whose writes have been taken is destroyed at once", async () => {
    const { raw } = slowStream();
    raw.end();
    await once(raw, "finish");
    destroyAfterWrites(raw);
    expect(raw.destroyed).toBe(true);
  });
});
