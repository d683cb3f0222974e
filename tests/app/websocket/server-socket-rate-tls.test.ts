/** The option `rateLimit` under TLS, in real time: Deno stops the reading of a TLS socket in a way of its own. */

import { expect, test } from "vitest";
import { eventOf, listeningApp, portOf } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { binary, close } from "../../support/frames.ts";
import { flood, StreamClient } from "../../support/stream-client.ts";

/** 32 MiB in all. The system of a busy machine took 10 MiB while the server did not read. */
const MESSAGES = 512;
const MESSAGE_BYTES = 64 * 1024;

test("a client that sends 32 MiB is slowed down, and loses nothing", async () => {
  const rateLimit = { messages: 32, perMs: 100 };
  const app = await listeningApp({ tls: certificate(), rateLimit, maxBufferedBytes: 1024 * 1024 }, (app) => {
    app.ws("/", () => {});
  });
  const client = await StreamClient.connect(connectSecurely(portOf(app)));
  const socket = [...app.sockets][0]!;
  const closed = eventOf(socket, "close");
  const numbers: number[] = [];
  let mostAhead = 0;
  socket.on("message", (data) => {
    numbers.push((data as Buffer).readUInt32BE());
    mostAhead = Math.max(mostAhead, sending.takenBytes / MESSAGE_BYTES - numbers.length);
  });
  const startedAtMs = performance.now();
  const sending = flood(client.stream, MESSAGES, (index) => {
    const payload = Buffer.alloc(MESSAGE_BYTES);
    payload.writeUInt32BE(index);
    return binary(payload);
  });
  await sending.done;
  client.send(close(1000));
  expect(await closed).toEqual([1000, "", true]);
  expect(numbers).toEqual(Array.from({ length: MESSAGES }, (_, i) => i));
  // 32 messages are read at once, and the others at 320 in a second.
  expect(performance.now() - startedAtMs).toBeGreaterThan(1_490);
  expect(mostAhead).toBeLessThan(MESSAGES / 2);
});
