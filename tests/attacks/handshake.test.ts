// Attacks on the opening handshake. Many tests name the fault that such a request once caused in some WebSocket server.

import { describe, expect, test } from "vitest";
import { echoServer, expectEcho } from "../support/echo-server.ts";
import { close, pieces } from "../support/frames.ts";
import { usedBytes } from "../support/memory.ts";
import { headerOf, RawClient, rawRequest, statusOf, upgradeRequest } from "../support/raw-client.ts";

const MiB = 1024 * 1024;

type Headers = Record<string, string | readonly string[] | undefined>;

/** Sends a handshake with a Close behind it, so that an accepted connection is closed, too. Returns the response. */
function handshake(port: number, path: string, headers: Headers): Promise<string> {
  return rawRequest(port, upgradeRequest(path, headers) + close(1000).toString("latin1"));
}

describe("names", () => {
  const server = echoServer();
  const names = ["constructor", "__proto__", "prototype", "toString", "hasOwnProperty", "valueOf"];

  test.each(names)("%s as an extension or parameter is ignored (once a crash: GHSA-5v72-xg48-5rpm)", async (name) => {
    const offers = [name, `${name}; ${name}`, `${name}; ${name}=${name}`, `x; ${name}="${name}"`, `${name}, ${name}`];
    for (const offer of offers) {
      const response = await handshake(server.port, "/", { "Sec-WebSocket-Extensions": offer });
      expect(statusOf(response), offer).toBe(101);
      expect(headerOf(response, "Sec-WebSocket-Extensions")).toBeUndefined();
    }
    await expectEcho(server);
  });

  test.each(names)("%s as a subprotocol, header, path or query reaches no object's prototype", async (name) => {
    server.app.ws(`/rooms/${name}/:${name}`, (socket, req) => {
      const { [name]: param } = req.params as Record<string, string>;
      socket.send(JSON.stringify([param, req.query.get(name)]));
    });
    const path = `/rooms/${name}/polluted?${name}=polluted&${name}[polluted]=yes`;
    const client = await RawClient.connect(server.port, {
      path,
      headers: { "Sec-WebSocket-Protocol": name, [name]: "polluted" },
    });
    expect(JSON.parse(await client.nextMessage() as string)).toEqual(["polluted", "polluted"]);
    client.send(close(1000));
    await client.closed();
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(statusOf(await handshake(server.port, `/${name}`, {}))).toBe(404);
  });
});

describe("headers", () => {
  const server = echoServer({ wsOrigins: ["https://*.mysite.com", "same-origin", /^https:\/\/[a-z]+\.example$/] });
  const most = 12_000;

  const offer = (value: string): Headers => ({ "Sec-WebSocket-Extensions": value });
  test.each<[string, (length: number) => Headers]>([
    ["spaces", (length) => offer(`x;${" ".repeat(length)}y`)],
    ["spaces before the end", (length) => offer(`x${" ".repeat(length)};`)],
    ["tabs", (length) => offer(`x;\t${"\t".repeat(length)}y=1`)],
    ["backslashes in quotes", (length) => offer(`x; y="${"\\".repeat(length)}`)],
    ["escaped letters", (length) => offer(`x; y="${"\\a".repeat(length / 2)}"`)],
    ["quotes", (length) => offer(`x; y=${'"'.repeat(length)}`)],
    ["commas", (length) => offer(`x${",".repeat(length)}y`)],
    ["spaced commas", (length) => offer(`x${" ,".repeat(length / 2)}y`)],
    ["semicolons", (length) => offer(`x${";".repeat(length)}`)],
    ["parameters", (length) => offer(`x${";a".repeat(length / 2)}`)],
    ["offers", (length) => offer(`x${",a".repeat(length / 2)}`)],
    ["one long name", (length) => offer("x".repeat(length))],
    ["subprotocols", (length) => ({
      "Sec-WebSocket-Protocol": Array.from({ length: length / 6 }, (_, i) => `p${10_000 + i}`).join(),
    })],
    ["spaces in a subprotocol", (length) => ({ "Sec-WebSocket-Protocol": `a${" ".repeat(length)}b` })],
    ["commas in Connection", (length) => ({ Connection: `Upgrade${" ,".repeat(length / 2)}` })],
    ["protocols in Upgrade", (length) => ({ Upgrade: `websocket${",h/2".repeat(length / 4)}` })],
    ["an Origin of many labels", (length) => ({ Origin: `https://${"a.".repeat(length / 2)}mysite.com` })],
    ["an Origin of dashes", (length) => ({ Origin: `https://${"-".repeat(length)}.example` })],
    ["a long key", (length) => ({ "Sec-WebSocket-Key": "A".repeat(length) })],
    ["a long version", (length) => ({ "Sec-WebSocket-Version": `13${" ".repeat(length)}1` })],
  ])(
    "a header of four times the length takes less than ten times as long: %s (once quadratic: CVE-2021-32640)",
    async (_name, of) => {
      const timeOnce = async (length: number): Promise<number> => {
        const request = Buffer.from(upgradeRequest("/", of(length)) + close(1000).toString("latin1"), "latin1");
        const before = performance.now();
        for (let i = 0; i < 10; i++) {
          const response = await rawRequest(server.port, request);
          // This test asks only for some response. Other tests say which handshakes are refused.
          expect(statusOf(response), response).toBeGreaterThan(100);
        }
        return performance.now() - before;
      };
      const fastest = async (length: number): Promise<number> =>
        Math.min(await timeOnce(length), await timeOnce(length));
      const few = await fastest(most / 4);
      // The 100 ms allow for pauses of the machine. The quadratic patterns of that CVE took seconds at this length.
      expect(await fastest(most)).toBeLessThan(10 * few + 100);
    },
  );

  test.each([[50, 101], [1100, 431], [1500, 431], [1900, 431]])(
    "a handshake behind %i other headers gets %i (once they hid Upgrade and crashed the server: CVE-2024-37890)",
    async (count, status) => {
      const lines = Array.from({ length: count }, () => "a:b").join("\r\n");
      const [requestLine, ...rest] = upgradeRequest().split("\r\n");
      const request = [requestLine, lines, ...rest].join("\r\n") + close(1000).toString("latin1");
      expect(statusOf(await rawRequest(server.port, request))).toBe(status);
      await expectEcho(server);
    },
  );

  test("20 MB of headers are refused (once they took minutes of CPU: CVE-2023-43669)", async () => {
    const lines = `X-Long: ${"a".repeat(1000)}\r\n`;
    const head = upgradeRequest().slice(0, -2);
    const request = Buffer.from(head + lines.repeat(20_000) + "\r\n");
    expect(request.length).toBeGreaterThan(20_000_000);
    const response = await rawRequest(server.port, pieces(request, 65_536));
    expect(statusOf(response)).toBe(431);
    await expectEcho(server);
  });

  test("one header of 20 MB is refused", async () => {
    const head = upgradeRequest().slice(0, -2);
    const request = Buffer.from(`${head}Sec-WebSocket-Protocol: ${"a".repeat(20_000_000)}`);
    expect(statusOf(await rawRequest(server.port, pieces(request, 65_536)))).toBe(431);
    await expectEcho(server);
  });

  test("a request line of 1 MB is refused", async () => {
    const request = Buffer.from(upgradeRequest(`/${"a".repeat(1_000_000)}`));
    expect([400, 414, 431]).toContain(statusOf(await rawRequest(server.port, pieces(request, 65_536))));
    await expectEcho(server);
  });

  test.each<[string, string]>([
    ["of Latin-1", "ch\xe4t"],
    ["of UTF-8", Buffer.from("чат").toString("latin1")],
    ["of half a character", "\xe2\x82"],
    ["of octets that no text has", "\xff\xfe"],
    ["of an emoji", Buffer.from("👍").toString("latin1")],
  ])("a subprotocol %s gets a 400 (once it crashed the server: CVE-2026-42544)", async (_name, subprotocol) => {
    const response = await rawRequest(server.port, upgradeRequest("/", { "Sec-WebSocket-Protocol": subprotocol }));
    expect(statusOf(response)).toBe(400);
    await expectEcho(server);
  });

  test.each<[string, Headers]>([
    ["every other header", { "X-Name": "ch\xe4t\xff", Cookie: "\xe2\x82" }],
    ["Origin", { Origin: "https://\xfcber.example" }],
    ["Host", { Host: "\xfcber" }],
    ["the extensions", { "Sec-WebSocket-Extensions": "\xfcber" }],
  ])("octets above ASCII in %s do no harm", async (_name, headers) => {
    expect(statusOf(await handshake(server.port, "/", headers))).toBeGreaterThan(100);
    await expectEcho(server);
  });

  test.each([
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=7; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=0",
    "permessage-deflate; client_max_window_bits=-1",
    "permessage-deflate; server_max_window_bits=99999999999999999999999",
    "permessage-deflate; server_max_window_bits=1e1",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1; server_no_context_takeover",
  ])("%s is declined (once invalid window bits threw: CVE-2026-2229)", async (extensions) => {
    const response = await handshake(server.port, "/", { "Sec-WebSocket-Extensions": extensions });
    expect(statusOf(response)).toBe(101);
    expect(headerOf(response, "Sec-WebSocket-Extensions")).toBeUndefined();
  });
});

describe("line breaks and control characters", () => {
  const messages: unknown[][] = [];
  const log = (...args: unknown[]): void => void messages.push(args);
  const server = echoServer({ logger: { debug: log, info: log, warn: log, error: log } });

  test.each<[string, string]>([
    ["CR and LF in the path", "/%0d%0aX-Injected:%20yes%0d%0a%0d%0aowned"],
    ["CR and LF in the query", "/?id=%0d%0aX-Injected:%20yes"],
    ["CR and LF twice encoded", "/%250d%250aX-Injected:%20yes"],
    ["LF as UTF-8 of two octets", "/%c0%8aX-Injected:%20yes"],
    ["a bad percent-encoding", "/%zz%0d%0aX-Injected:%20yes"],
  ])("no header is injected into the response by %s", async (_name, path) => {
    const response = await handshake(server.port, path, {});
    expect(statusOf(response)).toBeGreaterThan(100);
    expect(response.split("\r\n").filter((line) => line.startsWith("X-Injected"))).toEqual([]);
    expect(response).not.toContain("\r\n\r\nowned");
  });

  test.each<[string, string]>([
    ["a bare CR", "a\rX-Injected: yes"],
    ["a bare LF", "a\nX-Injected: yes"],
    ["a NUL", "a\0b"],
    ["an escape", "a\x1b[2J"],
    ["a bare CR at the end", "a\r"],
  ])("%s in a subprotocol is refused", async (_name, subprotocol) => {
    const response = await rawRequest(server.port, upgradeRequest("/", { "Sec-WebSocket-Protocol": subprotocol }));
    expect(statusOf(response)).toBe(400);
    expect(response).not.toContain("X-Injected");
  });

  test("CR and LF in a close reason arrive as they are, and go back in a Close frame only", async () => {
    const { client, report, reported } = await server.connect();
    client.send(close(1000, "bye\r\nX-Injected: yes"));
    expect(await client.closed()).toMatchObject({ code: 1000, reason: "bye\r\nX-Injected: yes" });
    await reported;
    expect(report.closes).toEqual([{ code: 1000, reason: "bye\r\nX-Injected: yes", wasClean: true }]);
  });

  test("no control character of a request appears in a log line", async () => {
    server.app.get("/broken/:name", () => {
      throw new Error("thrown");
    });
    // C1 control characters count, too: a terminal takes U+009B for the beginning of an escape sequence.
    const origin = `https://evil.example\x9b31m\x85forged`;
    await handshake(server.port, "/", { Origin: origin });
    await rawRequest(
      server.port,
      "GET /broken/%0d%0aforged?\x85forged HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    await rawRequest(server.port, `GET /broken/\x9bforged HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(messages.length).toBeGreaterThan(0);
    for (const [message] of messages) {
      // deno-lint-ignore no-control-regex
      expect(message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    }
  });
});

describe("requests that are no handshake of a WebSocket route", () => {
  const server = echoServer();

  test.each<[string, string]>([
    ["an Upgrade on a plain path, which once crashed the server (CVE-2020-7693)", upgradeRequest("/plain")],
    ["an Upgrade on an unknown path", upgradeRequest("/nowhere")],
    ["an Upgrade of a star", upgradeRequest("*", {}, "OPTIONS * HTTP/1.1")],
    ["an Upgrade of an empty absolute target", upgradeRequest("/", {}, "GET http:// HTTP/1.1")],
    ["an Upgrade of a target that is no address", upgradeRequest("/", {}, "GET //// HTTP/1.1")],
    ["an Upgrade of a target with a bad encoding", upgradeRequest("/%")],
    ["an Upgrade of a target of dots", upgradeRequest("/../../../etc/passwd")],
    ["a CONNECT", upgradeRequest("/", {}, "CONNECT localhost:80 HTTP/1.1")],
    ["a CONNECT without a port", upgradeRequest("/", {}, "CONNECT / HTTP/1.1")],
    ["a TRACE", upgradeRequest("/", {}, "TRACE / HTTP/1.1")],
    ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["the greeting of TLS", Buffer.from("16030100c8010000c403037f", "hex").toString("latin1")],
    [
      "a body with a length and with chunks",
      upgradeRequest("/", { "Content-Length": "4", "Transfer-Encoding": "chunked" }),
    ],
    ["a body with two lengths", upgradeRequest("/", { "Content-Length": ["4", "5"] })],
    ["a body with a negative length", upgradeRequest("/", { "Content-Length": "-1" })],
  ])("the server refuses this request and stays well: %s", async (_name, request) => {
    server.app.get(`/${encodeURIComponent(_name)}`, () => "plain");
    const response = await rawRequest(server.port, request);
    expect(response).not.toMatch(/^HTTP\/1\.1 [123]/);
    await expectEcho(server);
  });

  test("a second handshake behind the first is read as frames and fails the connection", async () => {
    const { client, reported } = await server.connect({ early: Buffer.from(upgradeRequest()) });
    expect((await client.closed()).code).toBe(1002);
    await reported;
  });

  test.each<[string, Headers, string]>([
    ["a length", { "Content-Length": `${50 * MiB}` }, "b".repeat(65_536)],
    ["chunks", { "Transfer-Encoding": "chunked" }, `10000\r\n${"b".repeat(65_536)}\r\n`],
  ])(
    "an Upgrade with a large body of %s takes no memory (once it filled memory: CVE-2018-12541)",
    async (_name, headers, piece) => {
      const before = await usedBytes();
      const request = [upgradeRequest("/", headers), ...Array.from({ length: 320 }, () => piece)];
      const response = await rawRequest(server.port, request.map((each) => Buffer.from(each)));
      expect(statusOf(response)).toBe(400);
      expect(await usedBytes() - before).toBeLessThan(4 * MiB);
      await expectEcho(server);
    },
  );
});
