import { describe, expect, test } from "vitest";
import { acceptKey } from "../../src/platform.ts";
import { HandshakeError } from "../../src/protocol/errors.ts";
import {
  chooseSubprotocol,
  encodeHandshakeResponse,
  encodeHeaders,
  listsToken,
  type UpgradeRequest,
  validateUpgrade,
} from "../../src/protocol/handshake.ts";

/** The client's key in the example of RFC 6455 §1.3, and the server's Sec-WebSocket-Accept for it. */
const key = "dGhlIHNhbXBsZSBub25jZQ==";
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Headers = Record<string, string | string[] | undefined>;

/** A valid opening handshake with some headers changed; `undefined` leaves one out. */
function request(headers: Headers = {}, others: Partial<UpgradeRequest> = {}): UpgradeRequest {
  return {
    method: "GET",
    httpVersion: "1.1",
    ...others,
    headers: {
      host: "server.example.com",
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-key": key,
      "sec-websocket-version": "13",
      ...headers,
    },
  };
}

function refusalOf(request: UpgradeRequest): HandshakeError {
  try {
    validateUpgrade(request);
  } catch (error) {
    if (error instanceof HandshakeError) return error;
    throw error;
  }
  throw new Error("The handshake was accepted");
}

test("the example key of §1.3 gives the example's accept value", () => {
  expect(acceptKey(key)).toBe(accept);
});

describe("validateUpgrade accepts, §4.2.1", () => {
  test("a request with only the required headers", () => {
    expect(validateUpgrade(request())).toEqual({ key, subprotocols: [], extensions: [] });
  });

  test("the RFC's example, §1.2", () => {
    const offer = validateUpgrade(
      request({ origin: "http://example.com", "sec-websocket-protocol": "chat, superchat" }),
    );
    expect(offer).toEqual({ key, subprotocols: ["chat", "superchat"], extensions: [] });
  });

  test.each<[name: string, headers: Headers]>([
    ["Upgrade in any case", { upgrade: "WebSocket" }],
    ["Upgrade as one of several", { upgrade: "h2c, websocket" }],
    ["Connection in any case", { connection: "upgrade" }],
    ["Connection as one of several, as Firefox sends it", { connection: "keep-alive, Upgrade" }],
    ["Connection with empty elements", { connection: ",Upgrade\t," }],
    ["headers given several times", { upgrade: ["h2c", "websocket"], connection: ["keep-alive", "Upgrade"] }],
    ["a body of no bytes", { "content-length": "0" }],
    ["a Host with a port", { host: "server.example.com:8080" }],
    ["a key with every kind of digit", { "sec-websocket-key": "AZaz09+/AAAAAAAAAAAAAA==" }],
    ["headers that are not part of the handshake", { "sec-websocket-accept": "?", cookie: "a=b", "__proto__x": "y" }],
  ])("%s", (_name, headers) => {
    expect(validateUpgrade(request(headers))).toMatchObject({ subprotocols: [], extensions: [] });
  });

  test.each<[value: string | string[], subprotocols: string[]]>([
    ["chat", ["chat"]],
    [" b ,a,\tc", ["b", "a", "c"]],
    ["a,,b,", ["a", "b"]],
    [["a", "b, c"], ["a", "b", "c"]],
    ["chat, Chat", ["chat", "Chat"]],
    ["__proto__, constructor, toString", ["__proto__", "constructor", "toString"]],
  ])("the subprotocols %j", (value, subprotocols) => {
    expect(validateUpgrade(request({ "sec-websocket-protocol": value })).subprotocols).toEqual(subprotocols);
  });

  test("extensions from several headers", () => {
    const { extensions } = validateUpgrade(request({ "sec-websocket-extensions": ["a; b=1", "c"] }));
    expect(extensions).toEqual([{ name: "a", parameters: [{ name: "b", value: "1" }] }, { name: "c", parameters: [] }]);
  });
});

describe("validateUpgrade refuses", () => {
  test.each<[name: string, status: number, request: UpgradeRequest]>([
    ["a POST", 405, request({}, { method: "POST" })],
    ["a method in lower case", 405, request({}, { method: "get" })],
    ["no method", 405, request({}, { method: undefined })],
    ["HTTP/1.0", 400, request({}, { httpVersion: "1.0" })],
    ["no Host", 400, request({ host: undefined })],
    ["an empty Host", 400, request({ host: "" })],
    ["two Hosts", 400, request({ host: ["a", "b"] })],
    ["two Hosts in one line", 400, request({ host: "a, b" })],
    ["a Host with a path", 400, request({ host: "a/b" })],
    ["no Upgrade", 400, request({ upgrade: undefined })],
    ["an empty Upgrade", 400, request({ upgrade: "" })],
    ["another Upgrade", 400, request({ upgrade: "h2c" })],
    ["an Upgrade that only contains the word", 400, request({ upgrade: "websockets" })],
    ["an Upgrade to a version", 400, request({ upgrade: "websocket/13" })],
    ["no Connection", 400, request({ connection: undefined })],
    ["another Connection", 400, request({ connection: "keep-alive" })],
    ["a Connection that only contains the word", 400, request({ connection: "keep-alive Upgrade" })],
    ["a body", 400, request({ "content-length": "5" })],
    ["a body of a length that is no number", 400, request({ "content-length": "none" })],
    ["a body in chunks", 400, request({ "transfer-encoding": "chunked" })],
    ["no version", 426, request({ "sec-websocket-version": undefined })],
    ["version 8", 426, request({ "sec-websocket-version": "8" })],
    ["version 14", 426, request({ "sec-websocket-version": "14" })],
    ["version 013", 426, request({ "sec-websocket-version": "013" })],
    ["two versions", 426, request({ "sec-websocket-version": "13, 8" })],
    ["the version twice", 426, request({ "sec-websocket-version": ["13", "13"] })],
    ["no key", 400, request({ "sec-websocket-key": undefined })],
    ["an empty key", 400, request({ "sec-websocket-key": "" })],
    ["a key of 15 bytes", 400, request({ "sec-websocket-key": Buffer.alloc(15).toString("base64") })],
    ["a key of 17 bytes", 400, request({ "sec-websocket-key": Buffer.alloc(17).toString("base64") })],
    ["a key of 18 bytes", 400, request({ "sec-websocket-key": Buffer.alloc(18).toString("base64") })],
    ["a key without its padding", 400, request({ "sec-websocket-key": key.slice(0, -2) })],
    ["a key in base64url", 400, request({ "sec-websocket-key": "-_-_-_-_-_-_-_-_-_-_-A==" })],
    ["a key with a space in it", 400, request({ "sec-websocket-key": "dGhlIHNhbXBs SBub25jZQ==" })],
    ["a key and a line break", 400, request({ "sec-websocket-key": `${key}\n` })],
    ["two keys", 400, request({ "sec-websocket-key": `${key}, ${key}` })],
    ["two headers with a key", 400, request({ "sec-websocket-key": [key, key] })],
    ["an empty list of subprotocols", 400, request({ "sec-websocket-protocol": "" })],
    ["a list of empty subprotocols", 400, request({ "sec-websocket-protocol": " , ," })],
    ["a subprotocol with a space", 400, request({ "sec-websocket-protocol": "chat room" })],
    ["a quoted subprotocol", 400, request({ "sec-websocket-protocol": '"chat"' })],
    ["a subprotocol beyond ASCII", 400, request({ "sec-websocket-protocol": "chät" })],
    ["a subprotocol with a line break", 400, request({ "sec-websocket-protocol": "chat\r\nSet-Cookie: a" })],
    ["a subprotocol with a space behind a good one", 400, request({ "sec-websocket-protocol": "chat, chat room" })],
    ["a subprotocol twice", 400, request({ "sec-websocket-protocol": "a, b, a" })],
    ["a subprotocol twice, over two headers", 400, request({ "sec-websocket-protocol": ["a", "a"] })],
    ["malformed extensions", 400, request({ "sec-websocket-extensions": "foo;" })],
  ])("%s with its status", (_name, status, request) => {
    expect(refusalOf(request).status).toBe(status);
  });

  test("a wrong version, and names the right one, §4.4", () => {
    const { headers } = refusalOf(request({ "sec-websocket-version": "8" }));
    expect(headers).toMatchObject({ "Sec-WebSocket-Version": "13", Upgrade: "websocket" });
  });

  test.each([[undefined, "it is missing"], ["8", "got another one"]])(
    "the version %s, and says why",
    (version, why) => {
      const { message } = refusalOf(request({ "sec-websocket-version": version }));
      expect(message).toBe(`Sec-WebSocket-Version must be 13; ${why}`);
    },
  );

  test("another method, and names the right one", () => {
    expect(refusalOf(request({}, { method: "POST" })).headers).toEqual({ Allow: "GET" });
  });

  test("a header without repeating its text, which anybody can have written", () => {
    const secret = "stranger\r\nX: y";
    for (const name of Object.keys(request().headers).concat("content-length", "sec-websocket-protocol")) {
      if (name === "host") continue;
      expect(refusalOf(request({ [name]: secret })).message).not.toContain("stranger");
    }
  });
});

describe("the 101 response, §4.2.2", () => {
  test("is the RFC's example, §1.2", () => {
    expect(encodeHandshakeResponse({ accept, subprotocol: "chat" })).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
    );
  });

  test("carries extensions and the headers of the application", () => {
    const headers: [string, string][] = [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]];
    const lines = encodeHandshakeResponse({ accept, extensions: "foo; a=1", headers }).split("\r\n");
    expect(lines.slice(4)).toEqual([
      "Sec-WebSocket-Extensions: foo; a=1",
      "Set-Cookie: a=1",
      "Set-Cookie: b=2",
      "",
      "",
    ]);
  });

  test("refuses a header that could begin another line", () => {
    const headers: [string, string][] = [["X-Fine", "fine"], ["X-Name", "a\r\nSet-Cookie: b"]];
    expect(() => encodeHandshakeResponse({ accept, headers })).toThrow(TypeError);
  });
});

describe("encodeHeaders", () => {
  test("writes a line for each header", () => {
    expect(encodeHeaders([["A", "1"], ["B", ""], ["C", "ÿ\tz"]])).toBe("A: 1\r\nB: \r\nC: ÿ\tz\r\n");
    expect(encodeHeaders([])).toBe("");
  });

  test.each<[name: string, header: [string, string]]>([
    ["a line break in a value", ["A", "b\r\nC: d"]],
    ["a carriage return in a value", ["A", "b\r"]],
    ["a line feed in a value", ["A", "\nb"]],
    ["a NUL in a value", ["A", "b\0"]],
    ["a character above latin-1 in a value", ["A", "Ā"]],
    ["a line break in a name", ["A\r\nB", "c"]],
    ["a colon in a name", ["A: b\r\nC", "d"]],
    ["a space in a name", ["A ", "b"]],
    ["an empty name", ["", "a"]],
    ["a name beyond ASCII", ["Ä", "b"]],
  ])("refuses %s", (_name, header) => {
    expect(() => encodeHeaders([header])).toThrow(TypeError);
  });

  test("shows a bad name escaped, and a bad value not at all", () => {
    expect(() => encodeHeaders([["A\r\nB", "c"]])).toThrow('"A\\r\\nB" is not a header name');
    expect(() => encodeHeaders([["A", "secret\r\n"]])).toThrow(/^The value of the header A has (?!.*secret)/);
  });
});

describe("listsToken", () => {
  test.each<[value: string | string[] | undefined, isListed: boolean]>([
    ["websocket", true],
    ["WEBSOCKET", true],
    ["h2c , websocket", true],
    [["h2c", "WebSocket"], true],
    ["", false],
    [undefined, false],
    [[], false],
    ["websocket2", false],
    ["web, socket", false],
    ["websocket;q=1", false],
  ])("looks for websocket in %j", (value, isListed) => {
    expect(listsToken(value, "websocket")).toBe(isListed);
  });
});

describe("chooseSubprotocol, §4.2.2", () => {
  test.each<[name: string, supported: string[], offered: string[], chosen: string | undefined]>([
    ["the only one that both sides have", ["a"], ["a"], "a"],
    ["the server's first, whatever the client prefers", ["a", "b"], ["b", "a"], "a"],
    ["the server's second, when the client does not offer the first", ["a", "b"], ["c", "b"], "b"],
    ["none, when the client offers none", ["a"], [], undefined],
    ["none, when the server has none", [], ["a"], undefined],
    ["none, when neither side has any", [], [], undefined],
  ])("chooses %s", (_name, supported, offered, chosen) => {
    expect(chooseSubprotocol(supported, offered)).toBe(chosen);
  });

  test.each<[name: string, supported: string[], offered: string[]]>([
    ["only others", ["a", "b"], ["c", "d"]],
    ["the same name in another case", ["chat"], ["Chat"]],
    ["a name that begins alike", ["chat"], ["chat.v2"]],
    ["a name that every object has", ["chat"], ["constructor"]],
  ])("refuses a client that offers %s", (_name, supported, offered) => {
    const refusal = expect(() => chooseSubprotocol(supported, offered));
    refusal.toThrow(HandshakeError);
    refusal.toThrow(expect.objectContaining({ status: 400 }));
  });

  test("names the server's subprotocols in the refusal, and not the client's", () => {
    expect(() => chooseSubprotocol(["a", "b"], ["stranger"])).toThrow(/^(?!.*stranger).* these are: a, b$/);
  });
});
