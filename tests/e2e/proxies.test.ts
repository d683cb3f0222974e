/** Apps of each runtime behind nginx, HAProxy and Caddy, with the configurations that docs/behind-a-proxy.md prints. */

import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { prose } from "../support/compression.ts";
import { certificate, makeCertificate } from "../support/certificate.ts";
import { meteredProxy } from "../support/metered-proxy.ts";
import { Program } from "../support/program.ts";
import { isInstalled } from "../support/server-program.ts";
import { sharedBrowser } from "./support/browser.ts";
import type { Identity } from "./support/proxied-server.ts";
import { Follower } from "./support/follower.ts";
import {
  blockOfPage,
  IDLE_LIMIT_MS,
  PROXIES,
  type ProxyKind,
  type RunningProxy,
  startProxy,
} from "./support/proxies.ts";
import { CLIENT_ADDRESS, get, ProxyClient } from "./support/proxy-client.ts";
import { type RuntimeName, RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const SERVER = "tests/e2e/support/proxied-server.ts";
const HEARTBEAT_MS = 200;

/** An app that proxies are in front of. */
interface Upstream {
  readonly runtime: RuntimeName;
  readonly server: ServerProcess;
  readonly socketPath: string;
}

const upstreams = new Map<RuntimeName | "without heartbeat", Upstream>();
let folder: string;

async function startUpstream(name: RuntimeName | "without heartbeat", heartbeat: unknown): Promise<void> {
  const runtime = name === "without heartbeat" ? "node" : name;
  const socketPath = join(folder, `${upstreams.size}-${name.replaceAll(" ", "-")}.sock`);
  const variables = { HEARTBEAT: JSON.stringify(heartbeat), SOCKET_PATH: socketPath };
  upstreams.set(name, { runtime, socketPath, server: await startServer(runtime, SERVER, 0, variables) });
}

const installed = PROXIES.filter((kind) => isInstalled(kind.server(0)));
const proxies = new Map<ProxyKind, Map<RuntimeName, RunningProxy>>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "spacenode-"));
  const heartbeat = { intervalMs: HEARTBEAT_MS, timeoutMs: 20_000 };
  await Promise.all([
    startUpstream("without heartbeat", false),
    ...RUNTIMES.map((runtime) => startUpstream(runtime, heartbeat)),
  ]);
  await Promise.all(installed.map(async (kind) => {
    const running = new Map<RuntimeName, RunningProxy>();
    proxies.set(kind, running);
    await Promise.all(RUNTIMES.map(async (runtime) => {
      running.set(runtime, await startProxy(kind, upstreams.get(runtime)!.server.port));
    }));
  }));
});

afterAll(async () => {
  await Promise.all([...proxies.values()].flatMap((running) => [...running.values()].map((proxy) => proxy.stop())));
  await Promise.all([...upstreams.values()].map(({ server }) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

const browser = sharedBrowser("browser");

/** The headers in which a client can say that it is somebody else. */
const forgeries: [name: string, headers: Record<string, string>][] = [
  ["X-Forwarded-For", { "X-Forwarded-For": "6.6.6.6" }],
  ["all X-Forwarded headers", {
    "X-Forwarded-For": "6.6.6.6, 7.7.7.7",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
  }],
  ["Forwarded", { Forwarded: 'for=6.6.6.6;proto=http;host="evil.example"' }],
  ["X-Forwarded-For, named as a header of this connection only", {
    "X-Forwarded-For": "6.6.6.6",
    Connection: "Upgrade, X-Forwarded-For, X-Forwarded-Host",
  }],
];

/** A client whose answer to a Ping comes behind the time of the next Ping. */
async function openLate(port: number): Promise<ProxyClient> {
  const client = await ProxyClient.open(port, "/echo", { autoPong: false });
  client.socket.on("ping", (data) => setTimeout(() => client.socket.pong(data), 1.5 * HEARTBEAT_MS));
  return client;
}

test.skipIf(installed.length === 0)(
  "the heartbeat keeps idle connections, also of clients that answer late, which proxies with a limit end",
  async () => {
    await Promise.all(installed.map(async (kind) => {
      const quiet = await startProxy(kind, upstreams.get("without heartbeat")!.server.port);
      onTestFinished(() => quiet.stop());
      const alone = await ProxyClient.open(quiet.port, "/echo");
      const clients = await Promise.all(RUNTIMES.flatMap((runtime) => {
        const { port } = proxies.get(kind)!.get(runtime)!;
        return [ProxyClient.open(port, "/echo"), openLate(port)];
      }));
      const talk = async (client: ProxyClient): Promise<void> => {
        client.socket.send("still here");
        expect(await client.message()).toBe("still here");
      };
      // The connections are idle for one and a half times the limit.
      const pings = Math.ceil(1.5 * IDLE_LIMIT_MS / HEARTBEAT_MS) + 1;
      await Promise.all(clients.map((client) => client.has(0, pings)));
      for (const client of clients) await talk(client);
      if (kind.hasIdleLimit) {
        const { code, afterMs } = await alone.closed;
        expect(code).toBe(1006);
        expect(afterMs).toBeGreaterThanOrEqual(IDLE_LIMIT_MS);
      } else await talk(alone);
      expect(alone.pings).toBe(0);
    }));
  },
);

test.skipIf(installed.length === 0)("the app of the page knows its client behind each proxy", async () => {
  const app = Program.source(
    blockOfPage("ts", {
      '"spacenode"': '"{root}mod.ts"',
      "listen({ port: 3000": "listen({ port: 0",
    }) + "console.log(app.url);",
  );
  const [, port] = await app.line(/^http:\/\/127\.0\.0\.1:(\d+)$/);
  for (const kind of installed) {
    const proxy = await startProxy(kind, Number(port));
    onTestFinished(() => proxy.stop());
    const origin = `https://localhost:${proxy.port}`;
    expect(await get(proxy.port, "/address")).toBe(`${origin} for ${CLIENT_ADDRESS}`);
    const client = await ProxyClient.open(proxy.port, "/echo", { origin });
    client.socket.send("hello");
    expect(await client.message()).toBe("hello");
  }
  // A message can come before a line that was printed earlier.
  await app.end();
  expect(app.lines.filter((line) => line === `${CLIENT_ADDRESS} is here`)).toHaveLength(installed.length);
});

describe.each(PROXIES)("behind $name", (kind) => {
  describe.skipIf(!isInstalled(kind.server(0)))("the app", () => {
    const portOf = (runtime: RuntimeName): number => proxies.get(kind)!.get(runtime)!.port;

    test.each(RUNTIMES)("under %s agrees on compression, which both directions have on the wire", async (runtime) => {
      const metered = await meteredProxy(portOf(runtime));
      onTestFinished(() => metered.close());
      const client = await ProxyClient.open(metered.port, "/echo");
      expect(client.socket.extensions).toMatch(/^permessage-deflate/);
      const { toServer, toClients } = metered;
      const text = prose(200_000);
      client.socket.send(text);
      expect(await client.message()).toBe(text);
      for (const bytes of [metered.toServer - toServer, metered.toClients - toClients]) {
        expect(bytes).toBeLessThan(text.length / 2);
      }
    });

    test.each(RUNTIMES)("under %s agrees on a subprotocol, and closes with its own code", async (runtime) => {
      const chat = await ProxyClient.open(portOf(runtime), "/chat", { protocols: ["v1.chat", "v2.chat"] });
      expect([chat.socket.protocol, await chat.message()]).toEqual(["v2.chat", "v2.chat"]);
      const closing = await ProxyClient.open(portOf(runtime), "/close");
      expect(await closing.closed).toMatchObject({ code: 4001, reason: "the end" });
      expect(closing.messages).toEqual(["before"]);
    });

    test.each(RUNTIMES)("under %s knows the address, the protocol and the host of its client", async (runtime) => {
      const port = portOf(runtime);
      const real: Identity = { ip: CLIENT_ADDRESS, protocol: "https", host: `localhost:${port}` };
      for (const [name, headers] of [["no forgery", {}] as const, ...forgeries]) {
        const client = await ProxyClient.open(port, "/who", { headers });
        expect(JSON.parse(await client.message()), name).toEqual(real);
        const { Connection: _, ...ofRequest } = headers as Record<string, string>;
        expect(JSON.parse(await get(port, "/who", ofRequest)), name).toEqual(real);
      }
    });

    test.each(RUNTIMES)('under %s lets pages of "same-origin" in, and no others', async (runtime) => {
      const port = portOf(runtime);
      const ours = await ProxyClient.open(port, "/ours", { origin: `https://localhost:${port}` });
      expect(await ours.message()).toBe("welcome");
      for (const origin of [`http://localhost:${port}`, "https://localhost", "https://evil.example"]) {
        await expect(ProxyClient.open(port, "/ours", { origin })).rejects.toThrow("403");
      }
    });

    test.each(RUNTIMES)("under %s can listen at a unix socket", async (runtime) => {
      const proxy = await startProxy(kind, upstreams.get(runtime)!.socketPath);
      onTestFinished(() => proxy.stop());
      const client = await ProxyClient.open(proxy.port, "/who", { headers: { "X-Forwarded-For": "6.6.6.6" } });
      const real: Identity = { ip: CLIENT_ADDRESS, protocol: "https", host: `localhost:${proxy.port}` };
      expect(JSON.parse(await client.message())).toEqual(real);
    });

    test("gets the WebSockets of a browser whose page has come over HTTP/2", async () => {
      const port = portOf("node");
      const session = connectHttp2(`https://localhost:${port}`, { ca: certificate().cert });
      onTestFinished(() => session.destroy());
      const settings = await new Promise<{ enableConnectProtocol?: boolean }>((resolve, reject) => {
        session.once("remoteSettings", resolve).once("error", reject);
      });
      expect(settings.enableConnectProtocol ?? false).toBe(kind.hasExtendedConnect);

      const context = await browser().newContext({ ignoreHTTPSErrors: true });
      onTestFinished(() => context.close());
      const page = await context.newPage();
      await page.goto(`https://localhost:${port}/`);
      const inspector = await context.newCDPSession(page);
      await inspector.send("Network.enable");
      const status = new Promise<number>((resolve) => {
        inspector.once("Network.webSocketHandshakeResponseReceived", ({ response }) => resolve(response.status));
      });
      const report = await page.evaluate(async () => {
        const socket = new WebSocket("/ours");
        const { data } = await new Promise<MessageEvent>((resolve) => (socket.onmessage = resolve));
        const [{ nextHopProtocol }] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
        return { data, nextHopProtocol, extensions: socket.extensions };
      });
      expect(report).toMatchObject({ data: "welcome", nextHopProtocol: "h2" });
      expect(report.extensions).toMatch(/^permessage-deflate/);
      // An extended CONNECT of HTTP/2 is answered with 200, and a handshake of HTTP/1.1 with 101.
      expect(await status).toBe(kind.hasExtendedConnect ? 200 : 101);
    });

    test(`misses no message when the proxy gets a new certificate, and connections ${kind.onReload}`, async () => {
      // Caddy sends 1001. This Close is lost when the client's next bytes find its connection closed, which resets it.
      // Caddy 2.6.2 also sends an unmasked Close to the app, whose answer may be with the client before Caddy's Close.
      const closedByProxy: number = expect.toBeOneOf([1001, 1002, 1006]);
      const renewed = makeCertificate();
      const trusted = [certificate(), renewed];
      const followers = RUNTIMES.flatMap((runtime) =>
        Array.from({ length: 5 }, () => new Follower(portOf(runtime), trusted))
      );
      // Each echo makes the client send the next number.
      const talkers = await Promise.all(RUNTIMES.map((runtime) => {
        return ProxyClient.open(portOf(runtime), "/echo", { trusted });
      }));
      for (const { socket } of talkers) {
        socket.on("message", (data) => socket.send(String(Number(data) + 1)));
        socket.send("0");
      }
      await Promise.all(followers.map((follower) => follower.hasNumbers(20)));
      await Promise.all([...proxies.get(kind)!.values()].map((proxy) => proxy.renew(renewed)));
      for (const runtime of RUNTIMES) {
        await expect.poll(() => ProxyClient.open(portOf(runtime), "/chat", { trusted: [renewed] })).toBeDefined();
      }
      const before = followers.map(({ numbers }) => numbers.length);
      await Promise.all(followers.map((follower, i) => follower.hasNumbers(before[i]! + 50)));
      for (const { numbers, closeCodes, recoveries } of followers) {
        expect(numbers).toEqual(numbers.map((_, i) => numbers[0]! + i));
        expect(closeCodes).toEqual(kind.onReload === "live on" ? [] : [closedByProxy]);
        expect(recoveries).toEqual([false, ...closeCodes.map(() => true)]);
      }
      for (const talker of talkers) {
        expect(talker.isOpen).toBe(kind.onReload === "live on");
        if (talker.isOpen) await talker.has(talker.messages.length + 50);
        else expect(await talker.closed).toMatchObject({ code: closedByProxy });
        expect(talker.messages).toEqual(talker.messages.map((_, i) => String(i)));
      }
    });
  });
});
