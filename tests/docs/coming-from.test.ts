/** What the pages for those who come from another library say of it, found out from the library itself. */
import { expect, test } from "vitest";
import { commandOf } from "./program.ts";
import type { Runtime } from "./example.ts";
import { Program } from "../support/program.ts";

const MiB = 1024 * 1024;

async function factsOf(runtime: Runtime, name: string): Promise<unknown> {
  const program = Program.command([...commandOf(runtime), `tests/docs/facts/${name}.js`]);
  const [line] = await program.line(/^\{.*\}$/);
  return JSON.parse(line);
}

test("ws", async () => {
  expect(await factsOf("node", "ws")).toEqual({
    defaults: { maxPayload: 100 * MiB, maxFragments: 16_384, closeTimeout: 30_000, perMessageDeflate: false },
    anyOrigin: true,
    // The message that came before there was a listener is lost.
    messages: [["Buffer", "text", false], ["Buffer", "\0", true]],
    sendReturns: "undefined",
    numberArrivesAs: "5",
    close: { code: 1005, reason: "Buffer" },
    sendAfterClose: "WebSocket is not open: readyState 3 (CLOSED)",
    tooLong: 1009,
    slowReader: { waits: true, readyState: WebSocket.OPEN },
    afterServerClose: "still here",
    exception: "of a listener",
    faultWithoutListener: "Invalid WebSocket frame: MASK must be set",
  });
});

test("Socket.IO", async () => {
  expect(await factsOf("node", "socket-io")).toEqual({
    defaults: {
      pingInterval: 25_000,
      pingTimeout: 20_000,
      maxHttpBufferSize: 1_000_000,
      transports: ["polling", "websocket"],
      perMessageDeflate: false,
    },
    recovery: false,
    reconnection: [1_000, 5_000, 0.5],
    emitReturns: [true, true, true],
    acknowledgement: 2,
    // `socket.to` leaves out the socket itself.
    heard: ["socket.emit", "io.to"],
    binary: "Buffer",
    tooLong: { reason: "transport error", rooms: 0 },
    keptWhileAway: 1,
    slowReader: { emitReturns: [true], isConnected: true },
    // Although the option `cors` names one origin.
    anyOrigin: true,
    plainWebSocket: "refused",
    exception: "of a listener",
  });
});

test("Bun.serve", async () => {
  expect(await factsOf("bun", "bun")).toEqual({
    anyOrigin: true,
    messageWhileOpenRuns: true,
    messages: ["String", "Buffer"],
    publishedToSelf: "by server",
    // The bytes, and not the receivers.
    publishReturns: [0, "by server".length, 0],
    sendReturns: "abc".length,
    goesOnAfterException: true,
    compressesByDefault: false,
    slowReader: [MiB, -1, 0],
    stateOfSlowReader: WebSocket.OPEN,
    closes: [
      { code: 1006, reason: "", isSubscribed: false, sent: 0 },
      { code: 1006, reason: "Received too big message", isSubscribed: false, sent: 0 },
    ],
    tooLong: 1009,
    stateAfterStop: WebSocket.OPEN,
    forcedStop: { code: 1001, reason: "Server closed" },
  });
});

test("Deno.upgradeWebSocket", async () => {
  expect(await factsOf("deno", "deno")).toEqual({
    anyOrigin: true,
    sendBeforeOpen: "InvalidStateError",
    messages: ["String", "ArrayBuffer"],
    sendReturns: "undefined",
    exception: "of a listener",
    tooLong: { wasClean: false, errors: ["Frame too large"] },
    compresses: false,
    slowReader: { bufferedMiB: 50, readyState: WebSocket.OPEN },
    shutdown: 1001,
  });
});
