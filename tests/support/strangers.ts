/** What hostile peers do: each attack is a function of the port of a server, which resolves when all of it was sent. */

import { once } from "node:events";
import { connect as connectTcp, type Socket as RawSocket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, deflateRawSync } from "node:zlib";
import { binary, continuation, frame, opcodes, ping, pong, text } from "./frames.ts";
import { upgradeRequest } from "./raw-client.ts";

type Attack = (port: number) => Promise<unknown>;

const KiB = 1024;
const MiB = 1024 * KiB;

/** A server that takes no bytes for this long takes no more. */
const STILL_MS = 400;
/** So many bytes of a flood have been sent when it counts as under way. */
const FLOOD_BYTES = 4 * MiB;
const DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";

async function openTcp(port: number): Promise<RawSocket> {
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  socket.on("error", () => {});
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

/** Connects, and waits for the response to the handshake. Everything that comes behind it is thrown away. */
async function open(port: number, path: string = "/", offer?: string): Promise<RawSocket> {
  const socket = await openTcp(port);
  socket.write(upgradeRequest(path, { "Sec-WebSocket-Extensions": offer }));
  await once(socket, "data");
  socket.on("data", () => {});
  return socket;
}

function many<Result>(count: number, make: (index: number) => Promise<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => make(i)));
}

/** Sends the same bytes again and again, up to that many, as long as the server takes them. */
async function pour(socket: RawSocket, unit: Uint8Array, totalBytes: number): Promise<void> {
  const { promise: isOver, resolve: end } = Promise.withResolvers<void>();
  socket.once("close", end);
  const chunk = repeated(unit, 64 * KiB);
  let takenAtMs = performance.now();
  let [sent, taken] = [0, 0];
  const look = setInterval(() => performance.now() - takenAtMs > STILL_MS && end(), 50);
  const onTaken = (): void => {
    taken += chunk.length;
    takenAtMs = performance.now();
    if (taken >= totalBytes) end();
    else if (sent < totalBytes) write();
  };
  const write = (): void => {
    sent += chunk.length;
    socket.write(chunk, (error) => error ? end() : onTaken());
  };
  for (let i = 0; i < 16 && sent < totalBytes; i++) write();
  await isOver;
  clearInterval(look);
}

function repeated(unit: Uint8Array, leastBytes: number): Buffer {
  return Buffer.alloc(unit.length * Math.ceil(leastBytes / unit.length), unit);
}

/** Sends without end. Resolves when the flood is under way. */
async function flood(socket: RawSocket, unit: Uint8Array): Promise<void> {
  await pour(socket, unit, FLOOD_BYTES);
  void pour(socket, unit, Infinity);
}

/** Does something again and again, that many times at once. Resolves after the first `count` times. */
async function again(atOnce: number, count: number, act: () => Promise<unknown>): Promise<void> {
  let done = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<never> => {
    for (;;) {
      await act();
      if (++done >= count) resolve();
      await nextTurn();
    }
  };
  for (let i = 0; i < atOnce; i++) void run();
  await promise;
}

const compressed = (payload: Uint8Array): Buffer => frame(opcodes.text, payload, { rsv: 4 });

function deflated(bytes: Uint8Array): Buffer {
  return deflateRawSync(bytes, { level: 9, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** A message that goes on for ever, in fragments that are all alike. The connection is made again when it is closed. */
async function endlessMessage(port: number, payload: string): Promise<void> {
  const unit = continuation(payload, { fin: false });
  await again(4, 20, async () => {
    const socket = await open(port);
    socket.write(text(payload, { fin: false }));
    await pour(socket, unit, 2 * MiB);
    socket.destroy();
  });
}

/** Requests whose responses are never complete, for one of the reasons. */
async function pipeline(port: number, path: string): Promise<void> {
  await Promise.all(
    await many(4, async () => {
      const socket = await openTcp(port);
      socket.pause();
      return pour(socket, Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`), 16 * MiB);
    }),
  );
}

/** Sends the bytes a few times a second, until the server ends the connection. */
function drip(socket: RawSocket, bytes: string): void {
  const timer = setInterval(() => socket.write(bytes), 200);
  socket.once("close", () => clearInterval(timer));
}

/** Resolves when the server has ended the connection. The end is not seen by a socket that is not read. */
async function ended(socket: RawSocket): Promise<void> {
  if (!socket.destroyed) await once(socket, "close");
}

/** Reads and throws away what comes, and ends its side when the server does. */
function read(socket: RawSocket): RawSocket {
  return socket.resume().once("end", () => socket.end());
}

/** Connections that do nothing, in one of several ways. Resolves when the server has ended all of them. */
async function waitForDeadlines(port: number): Promise<void> {
  const silent = await many(200, () => openTcp(port));
  const unfinished = await many(200, () => openTcp(port));
  for (const socket of unfinished) socket.write(upgradeRequest().slice(0, -2));
  const dripping = await many(50, () => openTcp(port));
  for (const socket of dripping) drip(socket, "G");
  const unanswered = await many(100, () => open(port, "/close"));
  for (const socket of unanswered) socket.write(text("close"));
  await Promise.all([...silent, ...unfinished, ...dripping, ...unanswered].map((socket) => ended(read(socket))));
}

export const attacks: Readonly<Record<string, Attack>> = {
  // Floods, which cost time.
  "Pings": async (port) => flood(await open(port), ping()),
  "Pongs": async (port) => flood(await open(port), pong()),
  "messages of one byte": async (port) => flood(await open(port), text("x")),
  "messages of one byte to a route without a listener": async (port) => flood(await open(port, "/deaf"), text("x")),
  "compressed messages of one byte": async (port) =>
    flood(await open(port, "/deflate", DEFLATE), compressed(deflated(Buffer.from("x")))),
  "compressed messages of one byte with context takeover": async (port) =>
    flood(await open(port, "/takeover", "permessage-deflate"), compressed(deflated(Buffer.from("x")))),
  "compressed messages of eight final blocks": async (port) =>
    flood(await open(port, "/deflate", DEFLATE), compressed(Buffer.from("0300".repeat(8) + "00", "hex"))),
  "compressed messages of very many final blocks": (port) =>
    again(1, 20, async () => {
      const socket = await open(port, "/deflate", DEFLATE);
      socket.write(compressed(Buffer.from("0300".repeat(250_000) + "00", "hex")));
      await ended(read(socket));
    }),
  "fragments of one byte": (port) => endlessMessage(port, "x"),
  "empty fragments": (port) => endlessMessage(port, ""),
  "handshakes that are refused": (port) =>
    again(8, 500, async () => {
      const socket = await openTcp(port);
      socket.end(upgradeRequest("/nowhere"));
      socket.resume();
      await once(socket, "close");
    }),
  "handshakes that are reset": (port) =>
    again(8, 500, async () => {
      const socket = await openTcp(port);
      socket.write(upgradeRequest(), () => socket.resetAndDestroy());
      await once(socket, "close");
    }),

  // What the server could keep, which costs memory.
  "Pings, with Pongs that are never read": async (port) => {
    const socket = await open(port);
    socket.pause();
    await pour(socket, ping("p".repeat(125)), 64 * MiB);
  },
  "messages, with echoes that are never read": async (port) => {
    const socket = await open(port);
    socket.pause();
    await pour(socket, binary(Buffer.alloc(64 * KiB)), 128 * MiB);
  },
  "messages, with publications that are never read": async (port) => {
    const [publisher, silent] = await many(2, () => open(port, "/publish"));
    silent.pause();
    await pour(publisher, binary(Buffer.alloc(64 * KiB)), 128 * MiB);
  },
  "messages to a route whose handler is not done": async (port) =>
    pour(await open(port, "/pending"), binary(Buffer.alloc(64 * KiB)), 128 * MiB),
  "tiny messages to a route whose handler is not done": async (port) =>
    pour(await open(port, "/pending"), text("x"), 16 * MiB),
  "large messages to a route without a listener": async (port) =>
    pour(await open(port, "/deaf"), binary(Buffer.alloc(MiB - 1)), 256 * MiB),
  "topics that the client chooses": async (port) => {
    await many(4, async (index) => {
      const names = Array.from({ length: 40_000 }, (_, i) => text(`${index} ${i} ${"t".repeat(200)}`));
      const socket = await open(port, "/topics");
      await pour(socket, Buffer.concat(names), 8 * MiB);
    });
  },
  "bombs": async (port) => {
    const bomb = frame(opcodes.binary, deflated(Buffer.alloc(256 * MiB)), { rsv: 4 });
    await many(8, async () => {
      const socket = await open(port, "/deflate", DEFLATE);
      socket.end(bomb);
      await once(socket, "close");
    });
  },
  "messages whose length is announced and that never come": async (port) => {
    const begin = binary(Buffer.alloc(MiB)).subarray(0, 15);
    for (let i = 0; i < 10; i++) await many(50, async () => (await open(port)).write(begin));
  },
  "messages of the largest size that never end": async (port) => {
    const whole = binary(Buffer.alloc(MiB));
    const sockets = await many(64, () => open(port));
    await Promise.all(sockets.map(async (socket) => {
      await new Promise((resolve) => socket.write(whole.subarray(0, -1), resolve));
    }));
  },
  "requests whose responses never come": (port) => pipeline(port, "/never"),
  "requests whose responses are not read": (port) => pipeline(port, "/large"),
  "heads that never end": (port) =>
    again(8, 100, async () => {
      const socket = await openTcp(port);
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nX: ");
      socket.resume();
      await pour(socket, Buffer.from("x"), 4 * MiB);
      socket.destroy();
    }),
  "bodies that never end": async (port) => {
    await many(4, async () => {
      const socket = await openTcp(port);
      socket.resume();
      socket.write("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      await pour(
        socket,
        Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000), Buffer.from("\r\n")]),
        64 * MiB,
      );
    });
  },
  "bodies that nobody reads": async (port) => {
    await many(4, async () => {
      const socket = await openTcp(port);
      socket.resume();
      socket.write("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
      await pour(socket, Buffer.alloc(64 * KiB), 64 * MiB);
    });
  },
  "bytes behind a handshake that waits for its hook": async (port) => {
    const socket = await openTcp(port);
    socket.write(upgradeRequest("/hook"));
    await pour(socket, binary(Buffer.alloc(64 * KiB)), 128 * MiB);
  },

  // Connections that wait for ever, which a deadline ends.
  "connections and handshakes that never end, and Closes that are never answered": waitForDeadlines,
  "half-closes with replies that are never read": async (port) => {
    await many(10, async () => {
      const socket = await open(port);
      socket.pause();
      for (let i = 0; i < 10; i++) socket.write(binary(Buffer.alloc(MiB - 1)));
      socket.end();
    });
  },
};
