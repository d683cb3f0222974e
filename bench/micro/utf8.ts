/**
 * Validating and decoding text: the functions of the engine beside the plain way to the same result.
 *
 *     node bench/micro/utf8.ts     (or deno run -A, or bun)
 */
import { Buffer, isUtf8 } from "node:buffer";
import { bench, do_not_optimize, run, summary } from "mitata";
import { codec } from "../../src/platform.ts";
import { Utf8Validator } from "../../src/protocol/utf8.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Text of whole characters, so that one validator can check it again and again. */
function textOf(byteLength: number, unit: string): Buffer {
  const unitBytes = Buffer.byteLength(unit);
  const count = Math.floor(byteLength / unitBytes);
  return Buffer.from(unit.repeat(count) + "x".repeat(byteLength - count * unitBytes));
}

for (const byteLength of [16, 64, 256, 4096]) {
  for (const [kind, unit] of [["ASCII", "x"], ["mixed", "ab ü 美 "]]) {
    const bytes = textOf(byteLength, unit);
    const validator = new Utf8Validator(isUtf8);
    summary(() => {
      bench(`${byteLength} B ${kind}, a piece: Utf8Validator`, () => do_not_optimize(validator.push(bytes)));
      bench(
        `${byteLength} B ${kind}, a piece: TextDecoder stream`,
        () => do_not_optimize(decoder.decode(bytes, { stream: true })),
      ).baseline(true);
    });
  }
  const ascii = textOf(byteLength, "x");
  summary(() => {
    bench(
      `${byteLength} B, known to be ASCII: decodeAscii`,
      () => do_not_optimize(codec.decodeAscii(ascii, 0, byteLength)),
    );
    bench(
      `${byteLength} B, not known: decodeUtf8`,
      () => do_not_optimize(codec.decodeUtf8(ascii, 0, byteLength)),
    ).baseline(true);
  });
}

await run();
