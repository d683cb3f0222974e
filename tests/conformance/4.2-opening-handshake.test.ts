// The server's side of the opening handshake, §4.2, with the grammar of extensions (§9.1) and the headers (§11.3).

import { beforeAll, describe, expect, test } from "vitest";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { close, pieces, text } from "../support/frames.ts";
import { acceptFor, headerOf, RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

type Headers = Record<string, string | readonly string[] | undefined>;

const server = echoServer();

beforeAll(() => {
  server.app.get("/page", () => "a page");
});

/** The response to a handshake. A Close is sent behind the handshake, so that an accepted connection ends too. */
function handshake(headers: Headers, requestLine?: string): Promise<string> {
  return rawRequest(server.port, upgradeRequest("/", headers, requestLine) + close(1000).toString("latin1"));
}

describe("accepts", () => {
  test.each<[string, Headers]>([
    ["only the headers that the RFC requires", {}],
    ["Upgrade: WebSocket", { Upgrade: "WebSocket" }],
    ["Upgrade: WEBSOCKET", { Upgrade: "WEBSOCKET" }],
    ["websocket behind another protocol", { Upgrade: "example/2, websocket" }],
    ["websocket before another protocol", { Upgrade: "websocket,example/2" }],
    ["Upgrade in two lines", { Upgrade: ["example/2", "websocket"] }],
    ["Connection: upgrade", { Connection: "upgrade" }],
    ["Connection: UPGRADE", { Connection: "UPGRADE" }],
    ["Connection: keep-alive, Upgrade", { Connection: "keep-alive, Upgrade" }],
    ["Connection: Upgrade,keep-alive", { Connection: "Upgrade,keep-alive" }],
    ["Connection with a tab and empty elements", { Connection: ", ,keep-alive ,\tUpgrade," }],
    ["Connection in two lines", { Connection: ["keep-alive", "Upgrade"] }],
    ["a Host with a port", { Host: "localhost:8080" }],
    ["a Host that is an IPv6 address", { Host: "[::1]:8080" }],
    ["any Origin, since wsOrigins is not set", { Origin: "https://anywhere.example" }],
    ["the Origin null", { Origin: "null" }],
    ["cookies", { Cookie: 'a=b; c="d, e"' }],
    ["a key of nothing but A", { "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==" }],
    ["a key with + and /", { "Sec-WebSocket-Key": "+/+/+/+/+/+/+/+/+/+/+w==" }],
    ["spaces around the key", { "Sec-WebSocket-Key": " \t c3BhY2Vub2RlLWtleS0wMQ== \t " }],
    ["spaces around the version", { "Sec-WebSocket-Version": "  13  " }],
    ["a body of no octets", { "Content-Length": "0" }],
    ["a subprotocol", { "Sec-WebSocket-Protocol": "chat" }],
    ["subprotocols", { "Sec-WebSocket-Protocol": "chat, superchat,v2.chat" }],
    ["subprotocols in two lines", { "Sec-WebSocket-Protocol": ["chat", "superchat"] }],
    ["a subprotocol of every character of a token", { "Sec-WebSocket-Protocol": "!#$%&'*+-.^_`|~09AZaz" }],
    ["an extension", { "Sec-WebSocket-Extensions": "x-unknown" }],
    ["an extension with parameters", { "Sec-WebSocket-Extensions": "x-unknown; a; b=1; c=two" }],
    ["a quoted value", { "Sec-WebSocket-Extensions": 'x-unknown; a="b"' }],
    ["a quoted value with an escaped character", { "Sec-WebSocket-Extensions": 'x-unknown; a="\\b"' }],
    ["several extensions", { "Sec-WebSocket-Extensions": "one; a, two;b=2 ,three" }],
    ["the same extension twice, as alternatives", { "Sec-WebSocket-Extensions": "one; a=1, one; a=2, one" }],
    ["extensions in two lines", { "Sec-WebSocket-Extensions": ["one; a", "two"] }],
    ["spaces around everything", { "Sec-WebSocket-Extensions": " one ; a\t= 1 ,\ttwo " }],
    ["an offer of compression", { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }],
  ])("%s", async (_name, headers) => {
    const response = await handshake(headers);
    expect(statusOf(response), response).toBe(101);
    const key = headers["Sec-WebSocket-Key"] ?? "c3BhY2Vub2RlLWtleS0wMQ==";
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBe(acceptFor((key as string).trim()));
    expect(headerOf(response, "Upgrade")?.toLowerCase()).toBe("websocket");
    expect(headerOf(response, "Connection")?.toLowerCase()).toBe("upgrade");
    expect(headerOf(response, "Sec-WebSocket-Extensions"), "an extension that the server does not have")
      .toBeUndefined();
    expect(headerOf(response, "Sec-WebSocket-Protocol"), "a subprotocol that the server did not choose")
      .toBeUndefined();
  });

  test("the key of §1.3, with the accept value given there", async () => {
    const response = await handshake({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" });
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });

  test.each([
    ["in upper case", (request: string) => request.replace(/^[\w-]+:/gm, (name) => name.toUpperCase())],
    ["in lower case", (request: string) => request.replace(/^[\w-]+:/gm, (name) => name.toLowerCase())],
    ["without a space behind the colon", (request: string) => request.replaceAll(": ", ":")],
    ["in the opposite order", (request: string) => {
      const [requestLine, ...lines] = request.trimEnd().split("\r\n");
      return [requestLine, ...lines.reverse(), "", ""].join("\r\n");
    }],
  ])("headers %s", async (_name, change) => {
    const response = await rawRequest(server.port, change(upgradeRequest()) + close(1000).toString("latin1"));
    expect(statusOf(response), response).toBe(101);
  });

  test.each([
    ["a query", "GET /?a=b&c=%20 HTTP/1.1"],
    ["an absolute target, as clients send it to a proxy", "GET http://localhost/ HTTP/1.1"],
    ["an absolute target with a query", "GET http://localhost:80/?a=b HTTP/1.1"],
  ])("%s", async (_name, requestLine) => {
    expect(statusOf(await handshake({}, requestLine))).toBe(101);
  });

  test("a request that comes octet by octet", async () => {
    const request = Buffer.concat([Buffer.from(upgradeRequest()), close(1000)]);
    expect(statusOf(await rawRequest(server.port, pieces(request, 1)))).toBe(101);
  });
});

describe("ignores the Upgrade header, and asks for a WebSocket with 426 (RFC 9110 §7.8), given", () => {
  test.each<[string, Headers]>([
    ["an Upgrade to something else", { Upgrade: "example/2" }],
    ["an Upgrade to h2c", { Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" }],
    ["an Upgrade to TLS", { Upgrade: "TLS/1.2" }],
    ["an Upgrade that only begins with websocket", { Upgrade: "websockets" }],
    ["an Upgrade that only ends with websocket", { Upgrade: "x-websocket" }],
    ["an Upgrade to a version of websocket", { Upgrade: "websocket/13" }],
  ])("%s", async (_name, headers) => {
    const response = await rawRequest(server.port, upgradeRequest("/", headers));
    expect(statusOf(response), response).toBe(426);
    expect(headerOf(response, "Upgrade")).toBe("websocket");
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBeUndefined();
  });
});

describe("refuses with 400", () => {
  const key = "c3BhY2Vub2RlLWtleS0wMQ==";

  test.each<[string, Headers]>([
    ["no Host", { Host: undefined }],
    ["an empty Host", { Host: "" }],
    ["two Hosts", { Host: ["localhost", "localhost"] }],
    ["two Hosts in one line", { Host: "localhost, localhost" }],
    ["a Host with a user", { Host: "user@localhost" }],
    ["a Host with a path", { Host: "localhost/" }],
    ["no key", { "Sec-WebSocket-Key": undefined }],
    ["an empty key", { "Sec-WebSocket-Key": "" }],
    ["a key of 15 bytes", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0w" }],
    ["a key of 17 bytes", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMTI=" }],
    ["a key of 18 bytes", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMTIz" }],
    ["a key of 1 byte", { "Sec-WebSocket-Key": "cw==" }],
    ["a key of 21 characters and padding", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wM==" }],
    ["a key that is no base64", { "Sec-WebSocket-Key": "this is not base64 at==" }],
    ["a key in base64url", { "Sec-WebSocket-Key": "-_-_-_-_-_-_-_-_-_-_-w==" }],
    ["a key without its padding", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMQ" }],
    ["a key with half its padding", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLWtleS0wMQ=" }],
    ["a key with padding inside", { "Sec-WebSocket-Key": "c3BhY2Vub2RlLW==eS0wMQ==" }],
    ["a key and something behind it", { "Sec-WebSocket-Key": `${key}=` }],
    ["a quoted key", { "Sec-WebSocket-Key": `"${key}"` }],
    ["two keys in one line", { "Sec-WebSocket-Key": `${key}, ${key}` }],
    ["the same key in two lines", { "Sec-WebSocket-Key": [key, key] }],
    ["two different keys", { "Sec-WebSocket-Key": [key, "AAAAAAAAAAAAAAAAAAAAAA=="] }],
    ["a subprotocol with a space", { "Sec-WebSocket-Protocol": "my chat" }],
    ["a subprotocol with a semicolon", { "Sec-WebSocket-Protocol": "chat; v=2" }],
    ["a subprotocol with a slash", { "Sec-WebSocket-Protocol": "chat/2" }],
    ["a quoted subprotocol", { "Sec-WebSocket-Protocol": '"chat"' }],
    ["a subprotocol that is not ASCII", { "Sec-WebSocket-Protocol": "ch\xe4t" }],
    ["a subprotocol twice", { "Sec-WebSocket-Protocol": "chat, superchat, chat" }],
    ["a subprotocol twice, in two lines", { "Sec-WebSocket-Protocol": ["chat", "chat"] }],
    ["an extension with a space", { "Sec-WebSocket-Extensions": "one two" }],
    ["an extension with a slash", { "Sec-WebSocket-Extensions": "one/two" }],
    ["an extension that is not ASCII", { "Sec-WebSocket-Extensions": "\xfcber" }],
    ["a quoted extension", { "Sec-WebSocket-Extensions": '"one"' }],
    ["a semicolon alone", { "Sec-WebSocket-Extensions": ";" }],
    ["a semicolon with nothing behind it", { "Sec-WebSocket-Extensions": "one;" }],
    ["two semicolons", { "Sec-WebSocket-Extensions": "one;;a" }],
    ["an equals sign alone", { "Sec-WebSocket-Extensions": "=" }],
    ["a value without a name", { "Sec-WebSocket-Extensions": "one; =1" }],
    ["a name without its value", { "Sec-WebSocket-Extensions": "one; a=" }],
    ["two values", { "Sec-WebSocket-Extensions": "one; a=1=2" }],
    ["a value with a space", { "Sec-WebSocket-Extensions": "one; a=1 2" }],
    ["an extension with a value", { "Sec-WebSocket-Extensions": "one=1" }],
    ["a quoted value that does not end", { "Sec-WebSocket-Extensions": 'one; a="b' }],
    ["a quoted value that ends in a backslash", { "Sec-WebSocket-Extensions": 'one; a="b\\' }],
    ["a quoted value that is no token", { "Sec-WebSocket-Extensions": 'one; a="b c"' }],
    ["an empty quoted value", { "Sec-WebSocket-Extensions": 'one; a=""' }],
    ["something behind a quoted value", { "Sec-WebSocket-Extensions": 'one; a="b"c' }],
    ["a comma inside an extension", { "Sec-WebSocket-Extensions": "one,;a" }],
    ["a good extension before a bad one", { "Sec-WebSocket-Extensions": "one; a=1, two;" }],
    ["a body", { "Content-Length": "7" }],
    ["a chunked body", { "Transfer-Encoding": "chunked" }],
  ])("%s", async (_name, headers) => {
    const response = await rawRequest(server.port, upgradeRequest("/", headers));
    expect(statusOf(response), response).toBe(400);
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBeUndefined();
  });

  test.each([
    ["HTTP/1.0", "GET / HTTP/1.0"],
    ["a version of HTTP that does not exist", "GET / HTTP/1.2"],
    ["HTTP/2.0 in text", "GET / HTTP/2.0"],
    ["a method in lower case", "get / HTTP/1.1"],
    ["a request without a version", "GET /"],
  ])("%s", async (_name, requestLine) => {
    const response = await rawRequest(server.port, upgradeRequest("/", {}, requestLine));
    expect(statusOf(response), response).toBe(400);
  });

  test("octets that are not HTTP", async () => {
    expect(statusOf(await rawRequest(server.port, Buffer.concat([text("Hello"), text("Hello")])))).toBe(400);
  });

  test("a request with a body, and serves other clients afterwards", async () => {
    const request = upgradeRequest("/", { "Content-Length": "5" });
    expect(statusOf(await rawRequest(server.port, `${request}Hello`))).toBe(400);
    await expectEcho(server);
  });
});

describe("refuses with 426, and names the version that the server speaks,", () => {
  test.each<[string, string | readonly string[] | undefined]>([
    ["no version", undefined],
    ["version 8", "8"],
    ["version 7", "7"],
    ["version 0", "0"],
    ["version 12", "12"],
    ["version 14", "14"],
    ["version 130", "130"],
    ["version -13", "-13"],
    ["version +13", "+13"],
    ["version 013", "013"],
    ["version 13.0", "13.0"],
    ["a word", "thirteen"],
    ["nothing", ""],
    ["several versions", "13, 8"],
  ])("%s", async (_name, version) => {
    const response = await rawRequest(server.port, upgradeRequest("/", { "Sec-WebSocket-Version": version }));
    expect(statusOf(response), response).toBe(426);
    expect(headerOf(response, "Sec-WebSocket-Version")).toBe("13");
    expect(headerOf(response, "Upgrade")?.toLowerCase()).toBe("websocket");
  });
});

describe("on the path of a WebSocket,", () => {
  test.each<[string, Headers]>([
    ["a plain GET", { Upgrade: undefined, Connection: "close" }],
    ["a GET whose Connection does not name Upgrade", { Connection: "close" }],
    ["a GET without the Upgrade header", { Upgrade: undefined, Connection: "close, Upgrade" }],
  ])("%s gets 426 with Upgrade: websocket", async (_name, headers) => {
    const response = await rawRequest(server.port, upgradeRequest("/", headers));
    expect(statusOf(response), response).toBe(426);
    expect(headerOf(response, "Upgrade")?.toLowerCase()).toBe("websocket");
  });

  test.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("a handshake by %s gets 405", async (method) => {
    const response = await rawRequest(server.port, upgradeRequest("/", {}, `${method} / HTTP/1.1`));
    expect(statusOf(response), response).toBe(405);
    expect(headerOf(response, "Allow")).toBe("GET");
  });

  test("a handshake by HEAD gets 405 without a body", async () => {
    const response = await rawRequest(server.port, upgradeRequest("/", {}, "HEAD / HTTP/1.1"));
    expect(statusOf(response), response).toBe(405);
  });
});

describe("a handshake on a path without a WebSocket:", () => {
  test.each([
    ["a path that does not exist", "/nothing-here"],
    ["a path below one that exists", "/page/below"],
    ["a path that differs only in case", "/PAGE"],
    ["a page", "/page"],
  ])("%s gets 404", async (_name, path) => {
    const response = await rawRequest(server.port, upgradeRequest(path));
    expect(statusOf(response), response).toBe(404);
    expect(headerOf(response, "Sec-WebSocket-Accept")).toBeUndefined();
  });
});

describe("every refusal", () => {
  test.each<[string, string]>([
    ["400", upgradeRequest("/", { "Sec-WebSocket-Key": "no" })],
    ["404", upgradeRequest("/nothing-here")],
    ["405", upgradeRequest("/", {}, "POST / HTTP/1.1")],
    ["426", upgradeRequest("/", { "Sec-WebSocket-Version": "8" })],
  ])("with %s is a whole HTTP response that closes the connection", async (status, request) => {
    const response = await rawRequest(server.port, request);
    expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`));
    expect(headerOf(response, "Connection")?.toLowerCase()).toBe("close");
    const body = response.slice(response.indexOf("\r\n\r\n") + 4);
    expect(headerOf(response, "Content-Length")).toBe(String(Buffer.byteLength(body, "latin1")));
    expect(body.length).toBeGreaterThan(0);
  });

  test("drops the frames that came with the request", async () => {
    const before = server.app.stats().accepted;
    const request = upgradeRequest("/", { "Sec-WebSocket-Version": "8" });
    const response = await rawRequest(server.port, request + text("Hello").toString("latin1"));
    expect(statusOf(response)).toBe(426);
    expect(response).not.toContain("Hello");
    expect(server.app.stats().accepted).toBe(before);
  });
});

describe("early frames", () => {
  test("in the same chunk as the handshake are answered", async () => {
    const { client, reported } = await server.connect({ early: Buffer.concat([text("one"), text("two")]) });
    expect(await client.nextMessage()).toBe("one");
    expect(await client.nextMessage()).toBe("two");
    client.send(close(1000));
    await client.closed();
    await reported;
  });

  test.each([1, 2, 5, 6, 8])("of which %i octets came with the handshake are answered", async (size) => {
    const bytes = text("early");
    const { client, reported } = await server.connect({ early: bytes.subarray(0, size) });
    client.send(bytes.subarray(size), close(1000));
    expect(await client.nextMessage()).toBe("early");
    await client.closed();
    await reported;
  });

  test("of 300,000 octets are read whole and in order", async () => {
    const messages = Array.from({ length: 300 }, (_, i) => `${i} `.repeat(1000).slice(0, 1000));
    const { client, reported } = await server.connect({ early: Buffer.concat(messages.map((each) => text(each))) });
    for (const message of messages) expect(await client.nextMessage()).toBe(message);
    client.send(close(1000));
    await client.closed();
    await reported;
  });

  test("that break a rule fail the connection like later ones", async () => {
    const { client, report, reported } = await server.connect({ early: text("Hello", { rsv: 7 }) });
    expect((await client.closed()).code).toBe(1002);
    await reported;
    expect(report.errors).toHaveLength(1);
  });
});

describe("connections", () => {
  const small = echoServer({ maxConnections: 2 });
  const perAddress = echoServer({ maxConnectionsPerIp: 2 });

  test.each(
    [
      ["maxConnections", 503, small],
      ["maxConnectionsPerIp", 429, perAddress],
    ] as const,
  )("above %s get %i, and one more may come after one has left", async (_name, status, limited) => {
    const first = await limited.connect();
    const second = await limited.connect();
    expect(statusOf(await rawRequest(limited.port, upgradeRequest()))).toBe(status);
    first.client.send(close(1000));
    await first.client.closed();
    await first.reported;
    const third = await limited.connect();
    for (const { client, reported } of [second, third]) {
      client.send(text("here"), close(1000));
      expect(await client.nextMessage()).toBe("here");
      await client.closed();
      await reported;
    }
  });
});

describe("the response to a client", () => {
  test("has only the headers that the client needs", async () => {
    const { client, reported } = await server.connect();
    expect(client).toBeInstanceOf(RawClient);
    const lines = client.response.trimEnd().split("\r\n");
    expect(lines[0]).toBe("HTTP/1.1 101 Switching Protocols");
    expect(lines.slice(1).map((line) => line.split(":")[0].toLowerCase()).sort())
      .toEqual(["connection", "sec-websocket-accept", "upgrade"]);
    client.send(close(1000));
    await client.closed();
    await reported;
  });
});
