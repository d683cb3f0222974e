/**
 * Sending into a socket that does nothing: frames encoded into the shared slab, beside a new Buffer for each frame.
 *
 *     node bench/micro/encode.ts     (or deno run -A, or bun)
 */
import { Buffer } from "node:buffer";
import { bench, run, summary } from "mitata";
import { encodeHeader, headerBytes } from "../../src/protocol/frame-header.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { cork, Outbox, uncork } from "../../src/transport/outbox.ts";
import { nowhere } from "./nowhere.ts";

const outbox = new Outbox(nowhere, { onWritten() {} });

function writeFrame(opcode: Opcode, payload: Uint8Array): void {
  const frame = Buffer.allocUnsafe(headerBytes(payload.length) + payload.length);
  frame.set(payload, encodeHeader(frame, 0, opcode, payload.length));
  nowhere.write(frame);
}

const MESSAGES = 16;

function inOneTurn(send: () => void): () => void {
  return () => {
    cork();
    for (let message = 0; message < MESSAGES; message += 1) send();
    uncork();
  };
}

for (const byteLength of [32, 1024, 8 * 1024, 64 * 1024]) {
  for (const [kind, unit] of [["ASCII", "x"], ["non-ASCII", "ü"]]) {
    // Two texts in turn: a text that is sent twice in a row is not encoded the second time.
    const texts = [unit, `${unit}y`].map((part) => part.repeat(byteLength / Buffer.byteLength(part)));
    let turn = 0;
    const next = (): string => texts[turn++ & 1];
    summary(() => {
      bench(`${MESSAGES} × text ${kind} ${byteLength} B: outbox`, inOneTurn(() => outbox.sendText(next())));
      bench(
        `${MESSAGES} × text ${kind} ${byteLength} B: a buffer each`,
        inOneTurn(() => writeFrame(Opcode.TEXT, Buffer.from(next()))),
      ).baseline(true);
    });
  }
  // Five payloads in turn: the outbox remembers the last four, and does not encode those again.
  const payloads = [1, 2, 3, 4, 5].map((octet) => Buffer.alloc(byteLength, octet));
  let turn = 0;
  const next = (): Buffer => payloads[turn++ % payloads.length];
  summary(() => {
    bench(`${MESSAGES} × binary ${byteLength} B: outbox`, inOneTurn(() => outbox.sendBytes(Opcode.BINARY, next())));
    bench(
      `${MESSAGES} × binary ${byteLength} B: a buffer each`,
      inOneTurn(() => writeFrame(Opcode.BINARY, next())),
    ).baseline(true);
  });
}

await run();
