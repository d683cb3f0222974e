// Binary data of another realm, such as that of a vm context or of a test in Jest, go wherever bytes go.

import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { createApp, type Socket } from "../../../mod.ts";
import { connectPair } from "../../support/app.ts";
import { deflatePair } from "../../support/compression.ts";
import { nextMessages } from "../../support/outbox.ts";

describe("binary data of another realm", () => {
  const kinds: [string, string][] = [
    ["an ArrayBuffer", "Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer"],
    ["a SharedArrayBuffer", "const b = new SharedArrayBuffer(8); new Uint8Array(b).set([1, 2, 3, 4, 5, 6, 7, 8]); b"],
    ["a Uint8Array", "Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8).subarray(1)"],
    ["a DataView", "new DataView(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9).buffer, 1, 8)"],
    ["a Uint16Array", "new Uint16Array(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer)"],
    [
      "a view of a SharedArrayBuffer",
      "const v = new Uint8Array(new SharedArrayBuffer(8)); v.set([1, 2, 3, 4, 5, 6, 7, 8]); v",
    ],
  ];
  const expected = Buffer.of(1, 2, 3, 4, 5, 6, 7, 8);

  test.each(kinds)("is sent, published and taken as the payload of a Ping and Pong: %s", async (_name, code) => {
    const data = runInNewContext(code) as ArrayBuffer;
    const { app, client, socket } = await connectPair({}, (socket: Socket) => void socket.subscribe("topic"));
    socket.send(data);
    app.publish("topic", data);
    const writer = socket.writable.getWriter();
    await writer.write(data);
    expect(await nextMessages(client, 3)).toEqual([expected, expected, expected]);
    socket.ping(data);
    socket.pong(data);
    expect([(await client.nextFrame()).payload, (await client.nextFrame()).payload]).toEqual([expected, expected]);
  });

  test.each(["ArrayBuffer", "SharedArrayBuffer"])("is sent in any size, also compressed: %s", async (kind) => {
    const { client, socket } = await deflatePair();
    const expected = [100, 20_000, 200_000].map((size) => Buffer.alloc(size, "message"));
    for (const bytes of expected) {
      const data = runInNewContext(`new ${kind}(${bytes.length})`) as ArrayBuffer;
      new Uint8Array(data).set(bytes);
      for (const compress of [true, false]) {
        socket.send(data, { compress });
        const received = await client.next();
        expect([received.isCompressed, Buffer.compare(received.data as Buffer, bytes)]).toEqual([compress, 0]);
      }
    }
  });

  test.each(kinds)("is the result of a controller, and sent by a client of app.inject: %s", async (_name, code) => {
    const app = await createApp({ logger: false });
    onTestFinished(async () => void await app.close({ timeoutMs: 500 }));
    app.get("/bytes", () => runInNewContext(code) as ArrayBuffer);
    app.ws("/", (socket) => void socket.on("message", (data) => socket.send(data)));
    await app.listen({ port: 0, host: "127.0.0.1" });
    const responses = [
      await app.inject(new Request("http://localhost/bytes")),
      await fetch(`http://127.0.0.1:${app.address!.port}/bytes`),
    ];
    for (const response of responses) expect(Buffer.from(await response.arrayBuffer())).toEqual(expected);
    const client = await app.inject("/");
    client.send(runInNewContext(code));
    expect(await client.next()).toEqual(expected);
  });
});
