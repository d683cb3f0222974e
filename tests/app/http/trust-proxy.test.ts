/** The option `trustProxy`: who the client is behind proxies, and what a client cannot make the app believe. */

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as startRequest } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { type App, type AppOptions, type AppRequest, createApp, HttpError, type TrustProxy } from "../../../mod.ts";
import { type Client, compileTrustProxy, readClient } from "../../../src/app/http/trust-proxy.ts";
import { attachedApp, connectTo, listeningApp, portOf, recordingLogger, until } from "../../support/app.ts";
import { certificate, connectSecurely } from "../../support/certificate.ts";
import { close } from "../../support/frames.ts";
import { rawRequest, statusOf, upgradeRequest } from "../../support/raw-client.ts";
import { readToEnd } from "../../support/stream-client.ts";

const { logger } = recordingLogger();

function clientOf(trustProxy: TrustProxy, peer: string, headers: IncomingHttpHeaders): Client {
  return readClient(peer, headers, compileTrustProxy(trustProxy, logger));
}

function ipOf(trustProxy: TrustProxy, peer: string, headers: IncomingHttpHeaders): string {
  return clientOf(trustProxy, peer, headers).ip;
}

describe("the proxies that are trusted", () => {
  const forwardedFor = "1.1.1.1, 2.2.2.2, 3.3.3.3";

  test.each<[string, TrustProxy, string, string]>([
    ["none", false, "10.0.0.1", "10.0.0.1"],
    ["none, as a number", 0, "10.0.0.1", "10.0.0.1"],
    ["none, as an empty array", [], "10.0.0.1", "10.0.0.1"],
    ["one", 1, "10.0.0.1", "3.3.3.3"],
    ["two", 2, "10.0.0.1", "2.2.2.2"],
    ["three", 3, "10.0.0.1", "1.1.1.1"],
    ["more than there are", 9, "10.0.0.1", "1.1.1.1"],
    ["one, at a Unix socket", 1, "", "3.3.3.3"],
    ["an address, at a Unix socket", "10.0.0.1", "", ""],
    ["an address", "10.0.0.1", "10.0.0.1", "3.3.3.3"],
    ["another address", "10.0.0.2", "10.0.0.1", "10.0.0.1"],
    ["addresses", ["10.0.0.1", "3.3.3.3"], "10.0.0.1", "2.2.2.2"],
    ["addresses with one between them", ["10.0.0.1", "2.2.2.2"], "10.0.0.1", "3.3.3.3"],
    ["a range", "10.0.0.0/8", "10.200.1.1", "3.3.3.3"],
    ["a range with the bits of an address in it", "10.1.2.3/8", "10.200.1.1", "3.3.3.3"],
    ["a range, outside of it", "10.0.0.0/8", "11.0.0.1", "11.0.0.1"],
    ["all of IPv4", "0.0.0.0/0", "10.0.0.1", "1.1.1.1"],
    ["an IPv4 range, written as IPv6 by a dual-stack socket", "10.0.0.0/8", "::ffff:10.0.0.1", "3.3.3.3"],
    ["an IPv4 range that the peer is not in", "10.0.0.0/8", "::ffff:11.0.0.1", "::ffff:11.0.0.1"],
    ["an IPv6 address", "::1", "::1", "3.3.3.3"],
    ["an IPv6 address in another spelling", "2001:DB8:0:0::1", "2001:db8::1", "3.3.3.3"],
    ["an IPv6 range", "fd00::/8", "fd12::1", "3.3.3.3"],
    ["an IPv6 range, with a zone", "fe80::/10", "fe80::1%eth0", "3.3.3.3"],
    ["a function", (address, hop) => address !== "2.2.2.2" && hop < 5, "10.0.0.1", "2.2.2.2"],
    ["a function that returns a truthy value", (() => 1) as never, "10.0.0.1", "10.0.0.1"],
  ])("%s", (_name, trustProxy, peer, expected) => {
    expect(ipOf(trustProxy, peer, { "x-forwarded-for": forwardedFor })).toBe(expected);
    const forwarded = forwardedFor.replaceAll(/(\S+?)(,|$)/g, "for=$1$2");
    expect(ipOf(trustProxy, peer, { forwarded })).toBe(expected);
  });

  test("a function gets the address of each hop and its number", () => {
    const asked: unknown[] = [];
    const { logger, entries } = recordingLogger();
    const check = compileTrustProxy((...args) => asked.push(args) > 0, logger);
    expect(readClient("", { "x-forwarded-for": forwardedFor }, check).ip).toBe("1.1.1.1");
    expect(asked).toEqual([["", 0], ["3.3.3.3", 1], ["2.2.2.2", 2], ["1.1.1.1", 3]]);
    expect(entries).toEqual([]);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["throws", () => {
      throw new Error("no database");
    }, /trustProxy.*: Error: no database$/],
    ["is async", () => Promise.resolve(true), /trustProxy.*: TypeError: .*a promise$/],
    ["is async and rejects", () => Promise.reject(new Error("x")), /trustProxy.*: TypeError: .*a promise$/],
  ])("a function that %s trusts nobody, and is logged once", (_name, isTrusted, message) => {
    const { logger, entries } = recordingLogger();
    const check = compileTrustProxy(isTrusted as never, logger)!;
    for (let i = 0; i < 3; i++) expect(readClient("10.0.0.1", { forwarded: "for=1.1.1.1" }, check).ip).toBe("10.0.0.1");
    expect(entries).toEqual([{
      level: "error",
      args: [expect.objectContaining({ message: expect.stringMatching(message) })],
    }]);
  });

  test.each<[unknown, string]>([
    [true, "true"],
    [null, "null"],
    [{}, "an object (Object)"],
    ["", '""'],
    ["10.0.0", '"10.0.0"'],
    ["10.0.0.1/33", '"10.0.0.1/33"'],
    ["::1/129", '"::1/129"'],
    ["10.0.0.1/", '"10.0.0.1/"'],
    ["10.0.0.1/8/8", '"10.0.0.1/8/8"'],
    ["10.0.0.1, 10.0.0.2", '"10.0.0.1, 10.0.0.2"'],
    ["fe80::1%eth0", '"fe80::1%eth0"'],
    ["loopback", '"loopback"'],
    [["10.0.0.1", 5], "5"],
  ])("%o is refused", async (trustProxy, shown) => {
    const attempt = createApp({ trustProxy } as AppOptions);
    await expect(attempt).rejects.toThrow(TypeError);
    await expect(attempt).rejects.toThrow(/^trustProxy must be false, a number of proxies/);
    await expect(attempt).rejects.toThrow(new RegExp(`; got ${shown.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`));
  });

  test.each([-1, 1.5, NaN, Infinity])("%d is refused", async (trustProxy) => {
    await expect(createApp({ trustProxy })).rejects.toThrow(RangeError);
    await expect(createApp({ trustProxy })).rejects.toThrow(/^trustProxy must be .*; got /);
  });
});

test("protocol and host are those of the trusted proxy that is nearest to the client and names them", () => {
  const forwarded = "for=1.1.1.1;proto=https;host=evil.example, for=2.2.2.2;proto=https, for=3.3.3.3;host=a;proto=http";
  const clients = [1, 2, 3].map((count) => clientOf(count, "10.0.0.1", { forwarded }));
  expect(clients).toEqual([
    { ip: "3.3.3.3", protocol: "http", host: "a" },
    { ip: "2.2.2.2", protocol: "https", host: "a" },
    { ip: "1.1.1.1", protocol: "https", host: "evil.example" },
  ]);
});

describe("the X-Forwarded headers", () => {
  test.each<[string, TrustProxy, IncomingHttpHeaders, Client]>([
    ["a list each", 2, {
      "x-forwarded-for": "1.1.1.1, 2.2.2.2, 3.3.3.3",
      "x-forwarded-proto": "http, https, http",
      "x-forwarded-host": "evil.example, mysite.com, inner",
    }, { ip: "2.2.2.2", protocol: "https", host: "mysite.com" }],
    ["shorter lists of protocols and hosts", 3, {
      "x-forwarded-for": "1.1.1.1, 2.2.2.2, 3.3.3.3",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "mysite.com, inner",
    }, { ip: "1.1.1.1", protocol: "https", host: "mysite.com" }],
    ["longer lists of protocols and hosts", 1, {
      "x-forwarded-for": "1.1.1.1",
      "x-forwarded-proto": "http, https",
      "x-forwarded-host": "evil.example,mysite.com:8443",
    }, { ip: "1.1.1.1", protocol: "https", host: "mysite.com:8443" }],
    ["no addresses", 1, { "x-forwarded-proto": "https" }, { ip: "10.0.0.1", protocol: "https" }],
    ["the names of the WebSocket protocols", 1, { "x-forwarded-proto": "WSS" }, { ip: "10.0.0.1", protocol: "https" }],
    ["a protocol and a host that are none", 1, {
      "x-forwarded-for": "1.1.1.1",
      "x-forwarded-proto": "gopher",
      "x-forwarded-host": "my site",
    }, { ip: "1.1.1.1" }],
    ["lines that came as an array", 2, { "x-forwarded-for": ["1.1.1.1", "2.2.2.2"] as never }, { ip: "1.1.1.1" }],
    ["a peer that is not trusted", "10.0.0.2", {
      "x-forwarded-for": "1.1.1.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.example",
    }, { ip: "10.0.0.1" }],
  ])("%s", (_name, trustProxy, headers, expected) => {
    expect(clientOf(trustProxy, "10.0.0.1", headers)).toEqual(expected);
  });
});

describe("when both kinds of headers are there", () => {
  test.each<[string, IncomingHttpHeaders, Client]>([
    ["and agree, they count", {
      "x-forwarded-for": "1.1.1.1",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "mysite.com",
      forwarded: "for=1.1.1.1;proto=https;host=mysite.com",
    }, { ip: "1.1.1.1", protocol: "https", host: "mysite.com" }],
    ["what only one of them says does not count", {
      "x-forwarded-for": "1.1.1.1",
      forwarded: "for=1.1.1.1;proto=https;host=evil.example",
    }, { ip: "1.1.1.1" }],
  ])("%s", (_name, headers, expected) => {
    expect(clientOf(1, "10.0.0.1", headers)).toEqual(expected);
  });
});

test.each<[string, IncomingHttpHeaders]>([
  ["name different clients", { "x-forwarded-for": "1.1.1.1", forwarded: "for=6.6.6.6" }],
  ["name a client, and none", { "x-forwarded-for": "1.1.1.1", forwarded: "for=" }],
  ["name none, and a client", { "x-forwarded-proto": "https", forwarded: "for=6.6.6.6" }],
])("both kinds of headers that %s are refused with 400, if the peer is a trusted proxy", async (_name, headers) => {
  const refusal = expect.objectContaining({
    status: 400,
    message: "Forwarded and X-Forwarded-For name different clients",
  });
  expect(() => clientOf(1, "10.0.0.1", headers)).toThrow(refusal);
  expect(ipOf("10.0.0.2", "10.0.0.1", headers)).toBe("10.0.0.1");
  const app = await listeningApp({ trustProxy: 1 }, (app) => app.get("/", () => "in").ws("/", () => {}));
  const lines = Object.entries({ Host: "localhost", ...headers, Connection: "close" })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  expect(statusOf(await rawRequest(portOf(app), `GET / HTTP/1.1\r\n${lines.join("")}\r\n`))).toBe(400);
  const handshake = upgradeRequest("/", headers as Record<string, string>);
  expect(statusOf(await rawRequest(portOf(app), handshake))).toBe(400);
});

describe("for any headers", () => {
  const anyAddress = fc.oneof(fc.ipV4(), fc.ipV6());
  /** What a client may send: text of the characters that matter, or of any. */
  const anyHeader = fc.oneof(
    fc.string({ unit: "binary-ascii" }),
    fc.string({
      unit: fc.constantFrom('"', "\\", ",", ";", "=", " ", "for", "1.2.3.4", "[::1]", "host", "proto", "x"),
    }),
  );
  const anyHeaders = fc.record(
    {
      "x-forwarded-for": anyHeader,
      "x-forwarded-proto": anyHeader,
      "x-forwarded-host": anyHeader,
      forwarded: anyHeader,
    },
    { requiredKeys: [] },
  );

  test("of one kind, reading never throws, and gives an address", () => {
    fc.assert(fc.property(anyHeaders, fc.boolean(), fc.nat(5), ({ forwarded, ...others }, isStandard, count) => {
      const headers = isStandard ? { forwarded } : others;
      expect(isIP(ipOf(count, "10.0.0.1", headers))).toBeGreaterThan(0);
    }));
  });

  test("of both kinds, the client is the one that each of them names alone, or the request is refused", () => {
    fc.assert(fc.property(anyHeaders, fc.nat(5), ({ forwarded, ...others }, count) => {
      const [one, other] = [{ forwarded }, others].map((headers) => ipOf(count, "10.0.0.1", headers));
      const hasBoth = forwarded !== undefined && Object.keys(others).length > 0;
      const both = (): string => ipOf(count, "10.0.0.1", { forwarded, ...others });
      if (hasBoth && one !== other) expect(both).toThrow(HttpError);
      else expect([one, other]).toContain(both());
    }));
  });

  /** Adds an element to a header that a client or another proxy has sent. */
  const append = (sent: string | undefined, element: string): string =>
    sent === undefined ? element : `${sent}, ${element}`;

  test.each<["x-forwarded-for" | "forwarded", (address: string) => string]>([
    ["x-forwarded-for", (address) => address],
    [
      "forwarded",
      (address) => `for="${isIP(address) === 6 ? `[${address}]` : address}:80";host="a,\\"b\\\\";proto=http`,
    ],
  ])("behind proxies that add to %s, the client is the peer of the outermost, whatever it has sent", (name, write) => {
    fc.assert(
      fc.property(fc.option(anyHeader, { nil: undefined }), fc.array(anyAddress, { minLength: 1 }), (sent, peers) => {
        const header = peers.reduce((header: string | undefined, peer) => append(header, write(peer)), sent);
        expect(ipOf(peers.length, "10.0.0.1", { [name]: header })).toBe(peers[0].toLowerCase());
      }),
    );
  });
});

/** The kinds of headers that a proxy writes. */
const KINDS: Record<string, (headers: IncomingHttpHeaders, peer: string) => Record<string, string>> = {
  "X-Forwarded": (headers, peer) => ({
    "X-Forwarded-For": [headers["x-forwarded-for"], peer].filter(Boolean).join(", "),
    "X-Forwarded-Proto": [headers["x-forwarded-proto"], "https"].filter(Boolean).join(", "),
    "X-Forwarded-Host": [headers["x-forwarded-host"], headers.host].filter(Boolean).join(", "),
  }),
  "Forwarded": (headers, peer) => ({
    "Forwarded": [headers.forwarded, `for="${peer}:4711";host="${headers.host}";proto=https`].filter(Boolean).join(
      ", ",
    ),
  }),
};

/**
 * A proxy of node:http in front of a port. It passes requests and handshakes on, to the host "inner", and says that
 * they came from `peer` over TLS.
 */
async function proxyOf(target: number, kind: string, peer: string): Promise<number> {
  const server = createServer();
  const headersOf = ({ headers }: IncomingMessage): Record<string, string | string[] | undefined> => {
    const added = KINDS[kind](headers, peer);
    const names = Object.keys(added).map((name) => name.toLowerCase());
    const kept = Object.entries(headers).filter(([name]) => !names.includes(name));
    return { ...Object.fromEntries(kept), host: "inner", ...added };
  };
  server.on("request", (message, response) => {
    const { url: path, method } = message;
    startRequest({ host: "127.0.0.1", port: target, path, method, headers: headersOf(message), agent: false })
      .on("response", (reply) => void reply.pipe(response.writeHead(reply.statusCode!, reply.headers)))
      .end();
  });
  server.on("upgrade", (message, raw) => {
    const upstream = connectTcp(target, "127.0.0.1");
    onTestFinished(() => void upstream.destroy());
    for (const end of [raw, upstream]) end.on("error", () => {});
    const lines = Object.entries(headersOf(message)).map(([name, value]) => `${name}: ${value}\r\n`);
    upstream.write(`GET ${message.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
    upstream.pipe(raw).pipe(upstream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const at = (port: number): Pick<App, "address"> => ({ address: { port, address: "127.0.0.1", family: "IPv4" } });

const describeRequest = ({ ip, protocol, host }: AppRequest): unknown[] => [ip, protocol, host];

describe.each(Object.keys(KINDS))("behind two proxies that write %s", (kind) => {
  const forged = {
    "X-Forwarded": { "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example" },
    "Forwarded": { "Forwarded": "for=6.6.6.6;proto=http;host=evil.example" },
  }[kind]!;

  /** An app behind two proxies. The outer one says which client it serves, in turn for each address given. */
  const chain = async (options: AppOptions, ...clients: string[]): Promise<[App, ...Pick<App, "address">[]]> => {
    const app = await listeningApp(options, (app) =>
      app.get("/", describeRequest).ws("/", (socket, req) => {
        socket.send(JSON.stringify([socket.remoteAddress, ...describeRequest(req)]));
      }));
    const inner = await proxyOf(portOf(app), kind, "10.0.0.2");
    return [app, ...await Promise.all(clients.map(async (peer) => at(await proxyOf(inner, kind, peer))))];
  };

  test.each<[TrustProxy, unknown[]]>([
    [false, ["127.0.0.1", "http", "inner"]],
    [1, ["10.0.0.2", "https", "inner"]],
    [2, ["203.0.113.7", "https", "mysite.com"]],
    [["127.0.0.0/8", "10.0.0.0/8"], ["203.0.113.7", "https", "mysite.com"]],
    [3, ["6.6.6.6", "http", "evil.example"]],
  ])("with trustProxy %o, requests and sockets have the client that it leads to", async (trustProxy, expected) => {
    const [, outer] = await chain({ trustProxy }, "203.0.113.7");
    const headers = { Host: "mysite.com", ...forged };
    const client = await connectTo(outer as App, { headers });
    expect(JSON.parse(await client.nextMessage() as string)).toEqual([expected[0], ...expected]);
    const lines = Object.entries({ ...headers, Connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
    const response = await rawRequest(portOf(outer as App), `GET / HTTP/1.1\r\n${lines.join("")}\r\n`);
    expect(response).toContain(JSON.stringify(expected));
  });

  test("maxConnectionsPerIp counts the connections of each client, and counts them down", async () => {
    const [app, one, other] = await chain({ trustProxy: 2, maxConnectionsPerIp: 1 }, "203.0.113.7", "203.0.113.8");
    const client = await connectTo(one as App);
    await connectTo(other as App);
    expect(statusOf(await rawRequest(portOf(one as App), upgradeRequest("/")))).toBe(429);
    client.terminate();
    await until(() => app.sockets.size === 1);
    await connectTo(one as App);
  });

  test('wsOrigins: "same-origin" compares with the host and the protocol that the client speaks', async () => {
    const [, outer] = await chain({ trustProxy: 2, wsOrigins: "same-origin" }, "203.0.113.7");
    const statusFor = async (Origin: string): Promise<number> =>
      statusOf(await rawRequest(portOf(outer as App), upgradeRequest("/", { Host: "mysite.com", Origin, ...forged })));
    expect(await statusFor("http://mysite.com")).toBe(403);
    expect(await statusFor("https://evil.example")).toBe(403);
    expect(await statusFor("https://inner")).toBe(403);
    const client = await connectTo(outer as App, {
      headers: { Host: "mysite.com", Origin: "https://mysite.com", ...forged },
    });
    expect(await client.nextMessage()).toContain("203.0.113.7");
  });
});

test("over TLS without a proxy, the protocol is https, and headers that name another one are ignored", async () => {
  const app = await listeningApp({ tls: certificate() }, (app) => app.get("/", describeRequest));
  const stream = connectSecurely(portOf(app));
  stream.write("GET / HTTP/1.1\r\nHost: mysite.com\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n");
  expect(await readToEnd(stream)).toContain(JSON.stringify(["127.0.0.1", "https", "mysite.com"]));
});

test("an attached server of node:https has the protocol https too", async () => {
  const protocols: string[] = [];
  const { port } = await attachedApp(
    createTlsServer(certificate()),
    (app) => app.ws("/", (_socket, req) => void protocols.push(req.protocol)),
  );
  const stream = connectSecurely(port);
  stream.write(Buffer.concat([Buffer.from(upgradeRequest("/")), close(1000)]));
  expect(statusOf(await readToEnd(stream))).toBe(101);
  expect(protocols).toEqual(["https"]);
});

test("an injected handshake and an injected request follow the option too", async () => {
  const app = await createApp({ trustProxy: 1, logger: false });
  app.get("/", describeRequest).ws("/", (socket) => void socket.send(socket.remoteAddress));
  const headers = { "X-Forwarded-For": "203.0.113.7" };
  const client = await app.inject("/", { headers });
  expect(await client.next()).toBe("203.0.113.7");
  const response = await app.inject(new Request("http://localhost/", { headers }));
  expect(await response.json()).toEqual(["203.0.113.7", "http", "localhost"]);
  await client.close();
  await app.close();
});
