/**
 * Decoding the header of a client's frame and encoding that of a server's, each beside a plain version with a DataView.
 *
 *     node bench/micro/header.ts     (or deno run -A, or bun)
 */
import { bench, do_not_optimize, run, summary } from "mitata";
import { decodeHeader, encodeHeader } from "../../src/protocol/frame-header.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { maskedFrame } from "../load/frames.ts";
import { decodePlainly, encodePlainly } from "./references.ts";

for (const payloadLength of [32, 1024, 65_536]) {
  const frame = maskedFrame(Opcode.BINARY, new Uint8Array(payloadLength));
  const frameView = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const target = new Uint8Array(10);
  const targetView = new DataView(target.buffer);
  summary(() => {
    bench(`${payloadLength} B: decodeHeader`, () => do_not_optimize(decodeHeader(frame)));
    bench(`${payloadLength} B: decode by DataView`, () => do_not_optimize(decodePlainly(frameView))).baseline(true);
  });
  summary(() => {
    bench(`${payloadLength} B: encodeHeader`, () => encodeHeader(target, 0, Opcode.BINARY, payloadLength));
    bench(`${payloadLength} B: encode by DataView`, () => encodePlainly(targetView, payloadLength)).baseline(true);
  });
}

await run();
