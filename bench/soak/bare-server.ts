/**
 * The control: a node:http upgrade without SpaceNode, under the same load. It answers each
 * frame with as many bytes, so what grows here grows in the runtime itself. It has no topics, no compression and no
 * heartbeat.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { header, OPCODE } from "../load/frames.ts";
import { announce, track } from "./sample.ts";
import { BURST_BYTES } from "./traffic.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const block = Buffer.concat([header(OPCODE.binary, BURST_BYTES, false), Buffer.alloc(BURST_BYTES, "x")]);
/** A client that reads too slowly is cut, as SpaceNode closes it. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const sockets = new Set<Socket>();
let accepted = 0;

/** The frames of a chunk. A frame that continues in the next chunk is given once, with the bytes that are there. */
function* framesOf(chunk: Buffer, unread: { bytes: number }): Generator<Buffer> {
  let at = unread.bytes;
  while (at + 2 <= chunk.length) {
    const short = chunk[at + 1] & 0x7f;
    const length = short === 126 ? 8 + chunk.readUInt16BE(at + 2) : 6 + short;
    yield chunk.subarray(at, at + length);
    at += length;
  }
  unread.bytes = Math.max(0, at - chunk.length);
}

/** The words of a short message, unmasked. */
function wordsOf(frame: Buffer): string[] {
  const payload = frame.subarray(6, 6 + 24).map((byte, index) => byte ^ frame[2 + (index & 3)]);
  return Buffer.from(payload).toString("latin1").split(" ");
}

function answer(socket: Socket, frame: Buffer): void {
  const opcode = frame[0] & 0x0f;
  if (opcode === OPCODE.close) return void socket.end(header(OPCODE.close, 0, false));
  if (opcode === OPCODE.pong) return;
  const [word, count] = wordsOf(frame);
  if (word === "close") return void socket.end(header(OPCODE.close, 0, false));
  if (word === "cut") return void socket.destroy();
  if (word === "burst") {
    for (let left = parseInt(count); left > 0 && socket.writableLength < MAX_BUFFERED_BYTES; left--) {
      socket.write(block);
    }
    if (socket.writableLength >= MAX_BUFFERED_BYTES) socket.destroy();
    return;
  }
  socket.write(header(OPCODE.text, frame.length, false));
  socket.write(frame);
}

const server = createServer();
server.on("upgrade", (request, stream) => {
  const socket = stream as Socket;
  accepted += 1;
  sockets.add(socket);
  track(socket);
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${GUID}`).digest("base64");
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
  socket.on("end", () => socket.end());
  const unread = { bytes: 0 };
  socket.on("data", (chunk: Buffer) => {
    for (const frame of framesOf(chunk, unread)) answer(socket, frame);
  });
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
});
server.listen(0, "127.0.0.1", () =>
  announce((server.address() as AddressInfo).port, {
    counts: () => ({ connections: sockets.size, topics: 0, accepted, listeners: server.listenerCount("upgrade") }),
    close: () => new Promise((resolve) => server.close(resolve)),
  }));
