/**
 * Random visits from a small grammar of handshakes, requests, frames and garbage. A seed always gives the same visits.
 */

import { close, continuation, frame, ping, pong, text } from "./frames.ts";
import { oddities } from "./oddities.ts";
import type { Random } from "./random.ts";
import { upgradeRequest } from "./raw-client.ts";
import type { Visit } from "./visitor.ts";

/** The bytes that a visitor sends, and how and when it leaves. */
export type Manners = Pick<Visit, "writes" | "leave" | "when">;

const methods = ["POST", "HEAD", "OPTIONS", "CONNECT", "BREW", "get", ""];
const versions = ["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", ""];
const paths = ["/", "/?a=b", "/topic", "/much", "/bye", "/iterated", "/late-handler", "/hook", "/late-hook", "/refusal"]
  .concat(["/late-refusal", "/error", "/late-error", "/nobody", "/plain", "/late", "/%zz", "*", "//", "http://a/", ""]);

/** Values that replace or add a header. `undefined` leaves the header out. */
const headers: readonly (readonly [name: string, values: readonly (string | string[] | undefined)[]])[] = [
  ["Content-Length", ["0", "1", "5", "70000", "-1", "x", "5, 5", "99999999999999999999", ["1", "2"]]],
  ["Transfer-Encoding", ["chunked", "gzip", "gzip, chunked", "chunked, chunked", "identity", ""]],
  ["Expect", ["100-continue", "miracles", ""]],
  ["Upgrade", [undefined, "h2c", "websocket, h2c", "WebSocket", "", "TLS/1.2", ["websocket", "h2c"]]],
  ["Connection", [undefined, "close", "keep-alive", "keep-alive, Upgrade", "", "Upgrade, close", "HTTP2-Settings"]],
  ["Host", [undefined, "", "a, b", ["a", "b"], "\xfc"]],
  ["Sec-WebSocket-Version", [undefined, "8", "12, 13", "x", ["13", "13"]]],
  ["Sec-WebSocket-Key", [undefined, "", "short", "x".repeat(2_000), ["a", "b"]]],
  ["Sec-WebSocket-Protocol", ["chat", "a, b", "a b", ",", "\xff", ""]],
  ["Sec-WebSocket-Extensions", ["permessage-deflate", "permessage-deflate; client_max_window_bits=9", 'x; y="z', ";;"]],
  ["Origin", ["https://somewhere.example", "null", "\x9b", ""]],
  ["Cookie", ["a=b", "x".repeat(20_000), "\x01"]],
  ["X-Many", [Array.from({ length: 400 }, () => "x"), Array.from({ length: 1_500 }, () => "x")]],
];

/** Makes the next visit. */
export function randomManners(random: Random): Manners {
  let bytes = chance(random, 40) ? Buffer.concat(pick(random, Object.values(oddities))) : randomOpening(random);
  for (let count = random.below(4); count > 0; count--) bytes = Buffer.concat([bytes, randomPiece(random)]);
  if (chance(random, 10)) bytes = spoil(random, bytes);
  if (chance(random, 15)) bytes = bytes.subarray(0, random.below(bytes.length + 1));
  return { writes: cut(random, bytes), leave: pick(random, ["reset", "end", "destroy"]), when: randomMoment(random) };
}

function randomOpening(random: Random): Buffer {
  if (chance(random, 4)) return random.bytes(random.below(300));
  const chosen: Record<string, string | readonly string[] | undefined> = {};
  for (const [name, values] of headers) if (chance(random, 8)) chosen[name] = pick(random, values);
  const path = chance(random, 50) ? "/" : pick(random, paths);
  const method = chance(random, 90) ? "GET" : pick(random, methods);
  const version = chance(random, 96) ? "HTTP/1.1" : pick(random, versions);
  return Buffer.from(upgradeRequest(path, chosen, `${method} ${path} ${version}`), "latin1");
}

/** Makes bytes that follow a handshake: right or wrong frames, parts of a body, a request, or random bytes. */
function randomPiece(random: Random): Uint8Array {
  const payload = random.bytes(chance(random, 90) ? random.below(200) : random.below(70_000));
  return pick<() => Uint8Array>(random, [
    () => text("well"),
    () => text(payload),
    () => frame(2, payload),
    () => ping(payload.subarray(0, 125)),
    () => pong("pong"),
    () => close(1000, "bye"),
    () => close(pick(random, [0, 999, 1005, 1006, 3000, 5000])),
    () => text("begun", { fin: false }),
    () => continuation("continued"),
    () => frame(2, payload, { rsv: 1 + random.below(7) }),
    () => frame(random.below(16), payload),
    () => text("not masked", { maskingKey: false }),
    () => text("long", { lengthBits: 64, payloadLength: 2n ** 63n }),
    () => text("longer", { payloadLength: 500_000 }),
    () => ping(payload),
    () => Buffer.from("5\r\nabcde\r\n"),
    () => Buffer.from("0\r\n\r\n"),
    () => Buffer.from("abcde"),
    () => Buffer.from(upgradeRequest()),
    () => Buffer.from("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"),
    () => payload,
  ])();
}

/** Replaces one to four bytes by random bytes. */
function spoil(random: Random, bytes: Buffer): Buffer {
  const spoiled = Buffer.from(bytes);
  for (let count = 1 + random.below(4); count > 0 && spoiled.length > 0; count--) {
    spoiled[random.below(spoiled.length)] = random.below(256);
  }
  return spoiled;
}

/** Cuts bytes into writes. */
function cut(random: Random, bytes: Buffer): Uint8Array[] {
  const writes: Uint8Array[] = [];
  let rest: Uint8Array = bytes;
  while (rest.length > 0) {
    const length = chance(random, 60) ? rest.length : 1 + random.below(rest.length);
    writes.push(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  return writes;
}

function randomMoment(random: Random): Visit["when"] {
  if (chance(random, 50)) return "at once";
  return chance(random, 50) ? "response" : random.below(60);
}

function chance(random: Random, percent: number): boolean {
  return random.below(100) < percent;
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.below(items.length)];
}
