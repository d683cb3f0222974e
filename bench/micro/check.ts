/**
 * Fails when a function of the protocol has become far slower than it usually is. Each is timed beside a plain way to
 * the same result in the same process, and only the ratio of the two is judged: a slow machine slows down both.
 *
 *     node bench/micro/check.ts
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { table } from "../shared/format.ts";

/**
 * The highest ratio of each case: about twice the usual one on Node 26. `decodeHeader` alone takes a few ns, and its
 * ratio scatters too much for a bound. It is a small part of the cases with `receive`.
 */
const bounds: Record<string, number> = {
  "encodeHeader, 16 frames": 4,
  "unmask, 32 B": 1.2,
  "unmask, 1024 B": 4,
  "unmask, 65536 B": 2.6,
  "Utf8Validator, 250 B": 0.45,
  "receive 16 × binary 32 B": 1.2,
  "receive 16 × text 32 B": 1.2,
  "receive 16 × binary 1024 B": 6.5,
  "send 16 × text 32 B": 0.7,
  "send 16 × text 1024 B": 0.8,
};

/**
 * A ratio above its bound is measured again in a fresh process: something else may have held up the machine, and some
 * processes compile a function in a way that takes twice as long. A plain way must not be one of those functions: its
 * ratio would be above the bound in most processes, although nothing is wrong.
 */
const ATTEMPTS = 5;

const file = new URL("ratios.ts", import.meta.url).pathname;
const lowest: Record<string, number> = {};

function isTooSlow(name: string): boolean {
  return !(lowest[name] <= bounds[name]);
}

for (let attempt = 0; attempt < ATTEMPTS && Object.keys(bounds).some(isTooSlow); attempt += 1) {
  const ratios = JSON.parse(execFileSync(process.execPath, [file], { encoding: "utf8" })) as Record<string, number>;
  for (const [name, ratio] of Object.entries(ratios)) lowest[name] = Math.min(lowest[name] ?? Infinity, ratio);
}
const names = Object.keys({ ...bounds, ...lowest });
const rows = names.map((name) => {
  return [name, lowest[name]?.toFixed(3) ?? "none", `${bounds[name]}`, isTooSlow(name) ? "too slow" : "ok"];
});
console.log("The time of each function divided by that of the plain way to the same result");
console.log(table([["", "ratio", "at most", ""], ...rows]));
if (names.some(isTooSlow)) process.exitCode = 1;
