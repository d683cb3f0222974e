/** Bytes that clients may send to a server: right and wrong handshakes, plain requests, and bytes that are neither. */

import { close, frame, ping, text } from "./frames.ts";
import { upgradeRequest } from "./raw-client.ts";

type Headers = Record<string, string | readonly string[] | undefined>;

const bytes = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part, "latin1") : part));

const request = (line: string, headers: string = "", body: string = ""): string =>
  `${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n${body}`;

const handshake = (headers: Headers = {}, path: string = "/", line?: string): string =>
  upgradeRequest(path, headers, line);

/** The writes of each oddity, by its name. */
export const oddities: Readonly<Record<string, readonly Uint8Array[]>> = {
  "nothing": [],
  "half a request line": [bytes("GET / HT")],
  "half a head": [bytes(handshake().slice(0, -30))],
  "a handshake in two writes": [bytes(handshake().slice(0, 40)), bytes(handshake().slice(40))],
  "a handshake": [bytes(handshake())],
  "a handshake, and frames": [bytes(handshake()), bytes(text("one"), ping("two"), text("three"))],
  "a handshake with frames behind it in the same write": [bytes(handshake(), text("one"), ping("two"), close(1000))],
  "a handshake with half a frame behind it": [bytes(handshake(), text("one").subarray(0, 5))],
  "a handshake with garbage behind it": [bytes(handshake(), "no frame at all")],
  "a handshake with compressed garbage behind it": [
    bytes(handshake({ "Sec-WebSocket-Extensions": "permessage-deflate" }), frame(1, "\xff\xff", { rsv: 4 })),
  ],
  "Content-Length: 0": [bytes(handshake({ "Content-Length": "0" }))],
  "Content-Length: 5": [bytes(handshake({ "Content-Length": "5" }))],
  "Content-Length: 5, and two bytes": [bytes(handshake({ "Content-Length": "5" }), "ab")],
  "Content-Length: 5, and two bytes later": [bytes(handshake({ "Content-Length": "5" })), bytes("ab")],
  "Content-Length: 5, and five bytes": [bytes(handshake({ "Content-Length": "5" }), "abcde")],
  "Content-Length: 5, and seven bytes": [bytes(handshake({ "Content-Length": "5" }), "abcdefg")],
  "Content-Length: 5 for an unknown path": [bytes(handshake({ "Content-Length": "5" }, "/nobody"))],
  "Content-Length: 5 for an async hook": [bytes(handshake({ "Content-Length": "5" }, "/late-hook"))],
  "Content-Length: 5 for a controller": [bytes(handshake({ "Content-Length": "5" }, "/plain"))],
  "Content-Length: 5 and POST": [bytes(handshake({ "Content-Length": "5" }, "/", "POST / HTTP/1.1"))],
  "Content-Length: x": [bytes(handshake({ "Content-Length": "x" }))],
  "two lengths": [bytes(handshake({ "Content-Length": ["4", "5"] }))],
  "chunks, and none": [bytes(handshake({ "Transfer-Encoding": "chunked" }))],
  "chunks, and half of one": [bytes(handshake({ "Transfer-Encoding": "chunked" }), "5\r\nab")],
  "chunks, and the last": [bytes(handshake({ "Transfer-Encoding": "chunked" }), "0\r\n\r\n")],
  "chunks, and a bad one": [bytes(handshake({ "Transfer-Encoding": "chunked" }), "xyz\r\nab\r\n")],
  "chunks, and a bad one later": [bytes(handshake({ "Transfer-Encoding": "chunked" })), bytes("xyz\r\nab\r\n")],
  "a length and chunks": [bytes(handshake({ "Content-Length": "5", "Transfer-Encoding": "chunked" }))],
  "another transfer coding": [bytes(handshake({ "Transfer-Encoding": "gzip" }))],
  "Expect: 100-continue": [bytes(handshake({ Expect: "100-continue" }))],
  "Expect: 100-continue and a length": [bytes(handshake({ Expect: "100-continue", "Content-Length": "5" }))],
  "another expectation": [bytes(handshake({ Expect: "miracles" }))],
  "Expect: 100-continue without an upgrade": [
    bytes(request("POST /body", "Expect: 100-continue\r\nContent-Length: 5\r\n")),
  ],
  "another expectation without an upgrade": [bytes(request("POST /body", "Expect: miracles\r\nContent-Length: 5\r\n"))],
  "CONNECT": [bytes(handshake({}, "/", "CONNECT localhost:80 HTTP/1.1"))],
  "CONNECT without an upgrade": [bytes("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  "CONNECT with a length": [bytes("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")],
  "Upgrade: h2c": [bytes(handshake({ Upgrade: "h2c" }))],
  "Upgrade: h2c and a length": [bytes(handshake({ Upgrade: "h2c", "Content-Length": "5" }))],
  "Upgrade: h2c for a controller": [bytes(request("GET /plain", "Connection: Upgrade\r\nUpgrade: h2c\r\n"))],
  "Upgrade: h2c for a controller with a body": [
    bytes(request("POST /body", "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n")),
  ],
  "the preface of HTTP/2": [bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  "a handshake behind a request": [bytes(request("GET /plain"), handshake())],
  "a handshake behind a request whose response is pending": [bytes(request("GET /late"), handshake())],
  "a handshake with a length behind a request whose response is pending": [
    bytes(request("GET /late"), handshake({ "Content-Length": "5" })),
  ],
  "a handshake for an async hook, behind a request whose response comes meanwhile": [
    bytes(request("GET /late"), handshake({}, "/later-hook")),
  ],
  "two requests, and a handshake later": [
    bytes(request("GET /late"), request("GET /plain")),
    bytes(handshake({ "Content-Length": "5" })),
  ],
  "a handshake before two requests": [bytes(handshake(), request("GET /plain"), request("GET /plain"))],
  "a handshake with a length before a request": [bytes(handshake({ "Content-Length": "5" }), request("GET /plain"))],
  "two handshakes": [bytes(handshake(), handshake())],
  "two handshakes with lengths": [bytes(handshake({ "Content-Length": "5" }), handshake({ "Content-Length": "5" }))],
  "POST": [bytes(handshake({}, "/", "POST / HTTP/1.1"))],
  "an unknown method": [bytes(handshake({}, "/", "BREW / HTTP/1.1"))],
  "HTTP/1.0": [bytes(handshake({}, "/", "GET / HTTP/1.0"))],
  "HTTP/9.9": [bytes(handshake({}, "/", "GET / HTTP/9.9"))],
  "another version of the protocol": [bytes(handshake({ "Sec-WebSocket-Version": "8" }))],
  "no key": [bytes(handshake({ "Sec-WebSocket-Key": undefined }))],
  "no Connection": [bytes(handshake({ Connection: undefined }))],
  "no Host": [bytes(handshake({ Host: undefined }))],
  "1,200 headers": [bytes(handshake({ "X-Many": Array.from({ length: 1_200 }, () => "x") }))],
  "headers of 100 KB": [bytes(handshake({ "X-Long": "x".repeat(100_000) }))],
  "an unknown path": [bytes(handshake({}, "/nobody"))],
  "a path with a bad encoding": [bytes(handshake({}, "/%zz"))],
  "a target that is a star": [bytes(handshake({}, "*"))],
  "a hook": [bytes(handshake({}, "/hook"))],
  "an async hook": [bytes(handshake({}, "/late-hook"))],
  "an async hook, with frames behind the handshake": [bytes(handshake({}, "/late-hook"), text("one"), close(1000))],
  "a hook that refuses by a Response": [bytes(handshake({}, "/refusal"))],
  "a hook that refuses by a Response later": [bytes(handshake({}, "/late-refusal"))],
  "a hook that refuses by an error": [bytes(handshake({}, "/error"))],
  "a hook that refuses by an error later": [bytes(handshake({}, "/late-error"))],
  "a handler that is still busy": [bytes(handshake({}, "/late-handler"), text("one"))],
  "a handler that iterates": [bytes(handshake({}, "/iterated"), text("one"), text("two"))],
  "a handler that sends much": [bytes(handshake({}, "/much"))],
  "a handler that closes": [bytes(handshake({}, "/bye"))],
  "a handler that subscribes": [bytes(handshake({}, "/topic"), text("one"))],
  "a controller": [bytes(request("GET /plain"))],
  "a controller whose response is pending": [bytes(request("GET /late"))],
  "a controller that streams": [bytes(request("GET /stream"))],
  "many requests at once": [bytes(request("GET /late").repeat(20))],
  "a body that is still coming": [bytes(request("POST /body", "Content-Length: 500000\r\n"), "x".repeat(5_000))],
  "a body that nobody reads and is still coming": [
    bytes(request("POST /unread", "Content-Length: 500000\r\n"), "x".repeat(5_000)),
  ],
  "a body in chunks that is still coming": [bytes(request("POST /body", "Transfer-Encoding: chunked\r\n"), "5\r\nab")],
  "a body in bad chunks": [bytes(request("POST /body", "Transfer-Encoding: chunked\r\n")), bytes("xyz\r\n")],
  "a body in bad chunks that nobody reads": [
    bytes(request("POST /unread", "Transfer-Encoding: chunked\r\n")),
    bytes("xyz\r\n"),
  ],
  "an unknown path without an upgrade": [bytes(request("GET /nothing"))],
  "garbage": [bytes("\x00\x01\x02 garbage \xff\r\n\r\n")],
  "garbage behind a request": [bytes(request("GET /late")), bytes("\x00\x01\x02 garbage \xff\r\n\r\n")],
  "the greeting of TLS": [bytes(Buffer.from("16030100c8010000c403037f", "hex"))],
  "empty lines": [bytes("\r\n".repeat(50))],
};

/** The writes of each oddity where the server expects TLS. `greeting` is a right ClientHello. */
export function tlsOddities(greeting: Uint8Array): Record<string, readonly Uint8Array[]> {
  const half = greeting.length >> 1;
  return {
    "no greeting": [],
    "a plain handshake": [bytes(handshake())],
    "a plain handshake with a length": [bytes(handshake({ "Content-Length": "5" }))],
    "garbage instead of a greeting": [bytes("\x00\x01\x02 garbage \xff\r\n\r\n")],
    "half a greeting": [greeting.subarray(0, half)],
    "a greeting in two writes": [greeting.subarray(0, half), greeting.subarray(half)],
    "a greeting and no more": [greeting],
    "a greeting, then garbage": [greeting, bytes("\x00\x01\x02 garbage \xff\r\n\r\n")],
    "a greeting, then an alert": [greeting, Buffer.from("15030300020228", "hex")],
    "a greeting, then a record of a wrong key": [greeting, Buffer.from(`1703030020${"5a".repeat(32)}`, "hex")],
    "a greeting twice": [greeting, greeting],
    "a record that is too long": [Buffer.from("1603037fff", "hex")],
  };
}
