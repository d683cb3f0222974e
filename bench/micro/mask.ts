/**
 * Unmasking payloads of different sizes: with the function that the engine calls, in JavaScript alone, byte by byte,
 * and with the native add-on that `ws` can use.
 *
 *     node bench/micro/mask.ts     (or deno run -A, or bun)
 */
import { Buffer } from "node:buffer";
import { bench, run, summary } from "mitata";
import { unmask, unmaskBytes, unmaskInto, unmaskSmall } from "../../src/protocol/mask.ts";
import { KEY, keyBytes, unmaskPlainly } from "./references.ts";

for (const byteLength of [8, 32, 64, 128, 1024, 2048, 4096, 16 * 1024, 64 * 1024, 1024 * 1024]) {
  // The payload begins one byte behind a word's boundary, because a payload behind its header is seldom aligned.
  const bytes = Buffer.alloc(byteLength + 1, "x");
  const payload = bytes.subarray(1);
  const target = Buffer.alloc(byteLength + 100);
  const copied = target.subarray(100);
  summary(() => {
    bench(`${byteLength} B: unmask`, () => unmask(bytes, 1, bytes.length, KEY));
    bench(`${byteLength} B: in JavaScript`, () => unmaskSmall(bytes, 1, bytes.length, KEY));
    bench(`${byteLength} B: byte by byte`, () => unmaskBytes(bytes, 1, bytes.length, KEY)).baseline(true);
    bench(`${byteLength} B: bufferutil`, () => unmaskPlainly(payload, keyBytes));
    bench(`${byteLength} B: unmaskInto, a copy`, () => unmaskInto(target, 100, payload, KEY));
    bench(`${byteLength} B: a copy, then bufferutil`, () => {
      target.set(payload, 100);
      unmaskPlainly(copied, keyBytes);
    });
  });
}

await run();
