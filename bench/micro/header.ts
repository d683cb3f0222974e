/**
 * Decoding the header of a client's frame and encoding that of a server's, each beside a plain version with a DataView.
 *
 *     node bench/micro/header.ts     (or deno run -A, or bun)
 */
import { bench, do_not_optimize, run, summary } from "mitata";
import { decodeHeader, encodeHeader } from "../../src/protocol/frame-header.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import { maskedFrame } from "../load/frames.ts";

function decodePlainly(view: DataView): object {
  const length7 = view.getUint8(1) & 0x7f;
  const lengthBytes = length7 < 126 ? 0 : length7 === 126 ? 2 : 8;
  const payloadLength = lengthBytes === 0
    ? length7
    : lengthBytes === 2
    ? view.getUint16(2)
    : Number(view.getBigUint64(2));
  return {
    fin: (view.getUint8(0) & 0x80) !== 0,
    rsv1: (view.getUint8(0) & 0x40) !== 0,
    opcode: view.getUint8(0) & 0x0f,
    payloadLength,
    maskingKey: view.getUint32(2 + lengthBytes, true),
    byteLength: 6 + lengthBytes,
  };
}

function encodePlainly(view: DataView, payloadLength: number): number {
  view.setUint8(0, 0x82);
  if (payloadLength < 126) {
    view.setUint8(1, payloadLength);
    return 2;
  }
  view.setUint8(1, payloadLength < 65_536 ? 126 : 127);
  if (payloadLength < 65_536) {
    view.setUint16(2, payloadLength);
    return 4;
  }
  view.setBigUint64(2, BigInt(payloadLength));
  return 10;
}

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
