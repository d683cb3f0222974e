/** The client in a real browser: the network off and on, a server that is killed, a stopped page, expired tokens. */

import { existsSync } from "node:fs";
import { build } from "esbuild";
import type { CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { ClientOptions, ReconnectingSocket } from "../../src/client/client.ts";
import { root } from "../support/repository.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { sharedBrowser } from "./support/browser.ts";
import { type ServerProcess, startServer } from "./support/server-process.ts";

const SERVER = "tests/e2e/support/client-server.ts";

/** What the page has in its globals. */
interface PageGlobals {
  spacenode: typeof import("../../src/client/client.ts");
  socket: ReconnectingSocket;
  /** The types of the events so far; of a message, its data too. */
  told: string[];
  /** The pause that was announced last, and when. */
  pause: { delayMs: number; atMs: number };
  openedAtMs: number;
  tokens: number;
}

declare const globalThis: PageGlobals;

const browser = sharedBrowser("browser");
let script: string;
let server: ServerProcess;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [`${root}/src/client/client.ts`],
    bundle: true,
    format: "iife",
    globalName: "spacenode",
    target: "es2020",
    write: false,
  });
  script = outputFiles[0]!.text;
  server = await startServer("node", SERVER);
});
afterAll(async () => void await server?.stop());

/** A page behind a network that the test controls. */
interface Distant {
  readonly page: Page;
  readonly proxy: TcpProxy;
  readonly devTools: CDPSession;
}

async function openDistant(): Promise<Distant> {
  const proxy = await TcpProxy.start(server.port);
  onTestFinished(() => proxy.dispose());
  const context = await browser().newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${proxy.port}/`);
  await page.addScriptTag({ content: script });
  return { page, proxy, devTools: await context.newCDPSession(page) };
}

/** Stops the processes of all pages. The function that is returned lets them go on. */
async function stopPages(): Promise<() => void> {
  const devTools = await browser().newBrowserCDPSession();
  const { processInfo } = await devTools.send("SystemInfo.getProcessInfo");
  const pages = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  // Chromium may have ended a process that it kept in reserve.
  const goOn = (): void => pages.filter((id) => existsSync(`/proc/${id}`)).forEach((id) => process.kill(id, "SIGCONT"));
  onTestFinished(goOn);
  for (const id of pages) process.kill(id, "SIGSTOP");
  expect(pages).not.toEqual([]);
  return goOn;
}

/** Connects the page's socket, and records its events. */
async function connect({ page }: Distant, path: string, options: ClientOptions = {}): Promise<void> {
  await page.evaluate(({ path, options }) => {
    globalThis.tokens = 0;
    const url = path.includes("?") ? () => Promise.resolve(path + ++globalThis.tokens) : path;
    const socket = globalThis.spacenode.connect(url, options);
    const told: string[] = [];
    socket.addEventListener("open", () => {
      globalThis.openedAtMs = performance.now();
      told.push("open");
    });
    socket.addEventListener("message", ({ data }) => told.push(`message ${data}`));
    socket.addEventListener("retry", ({ delayMs, code }) => {
      globalThis.pause = { delayMs, atMs: performance.now() };
      told.push(`retry ${code}`);
    });
    socket.addEventListener("gap", () => told.push("gap"));
    socket.addEventListener("close", ({ code, reason }) => told.push(`close ${code} ${reason}`));
    Object.assign(globalThis, { socket, told });
  }, { path, options });
  await expect.poll(() => toldBy({ page })).toContain("open");
}

const toldBy = ({ page }: Pick<Distant, "page">): Promise<string[]> => page.evaluate(() => globalThis.told);

/** Waits until the page's socket has told this, retries left out. */
async function tells(distant: Pick<Distant, "page">, expected: string[]): Promise<void> {
  await expect.poll(async () => (await toldBy(distant)).filter((each) => !each.startsWith("retry"))).toEqual(expected);
}

const post = (path: string, body = ""): Promise<Response> => fetch(`${server.url}${path}`, { method: "POST", body });

test("the network is off and on again: the page comes back at once, however long its pause would be", async () => {
  const distant = await openDistant();
  const { page, proxy, devTools } = distant;
  await connect(distant, "/echo");
  const setOffline = (offline: boolean): Promise<unknown> =>
    devTools.send("Network.emulateNetworkConditions", {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
  await devTools.send("Network.enable");
  // The first pauses are short, so that the test does not wait until they are long.
  await page.evaluate(() => void (Math.random = () => globalThis.told.length < 7 ? 0 : 0.9));
  proxy.isDown = true;
  await setOffline(true);
  // Chromium only tells the page, and begins no new connections: the proxy cuts the one that is open.
  proxy.cut();
  await expect.poll(() => page.evaluate(() => globalThis.pause?.delayMs)).toBeGreaterThan(20_000);
  expect(await page.evaluate(() => [navigator.onLine, globalThis.socket.readyState])).toEqual([false, 0]);
  await page.evaluate(() => globalThis.socket.send("from the tunnel"));
  proxy.isDown = false;
  await setOffline(false);
  await tells(distant, ["open", "open", "message from the tunnel"]);
  expect(await page.evaluate(() => globalThis.openedAtMs - globalThis.pause.atMs)).toBeLessThan(15_000);
});

test("a connection that is dead without a sign is found by the heartbeat", async () => {
  const distant = await openDistant();
  const { page, proxy } = distant;
  await connect(distant, "/echo", {
    heartbeat: { intervalMs: 100, timeoutMs: 2_000 },
    maxRetryMs: 100,
    connectTimeoutMs: 2_000,
  });
  proxy.isMute = true;
  await expect.poll(() => toldBy(distant)).toContain("retry 1006");
  proxy.isMute = false;
  await page.evaluate(() => globalThis.socket.send("alive"));
  await tells(distant, ["open", "open", "message alive"]);
});

test("the server is killed and started again: what was said meanwhile is sent", async () => {
  const distant = await openDistant();
  const { page } = distant;
  await connect(distant, "/echo");
  await page.evaluate(() => globalThis.socket.send("before"));
  await tells(distant, ["open", "message before"]);
  await server.stop("SIGKILL");
  await expect.poll(() => toldBy(distant)).toContain("retry 1006");
  await page.evaluate(() => globalThis.socket.send("meanwhile"));
  server = await startServer("node", SERVER, server.port);
  await tells(distant, ["open", "message before", "open", "message meanwhile"]);
});

test("a page whose process was stopped, as phones stop it, gets what it has missed, once and in order", async () => {
  const distant = await openDistant();
  const { proxy } = distant;
  await connect(distant, "/rooms/ice", { recover: true, heartbeat: true });
  await post("/rooms/ice", "before");
  await tells(distant, ["open", "message before"]);

  // A page that is visible cannot be frozen through the DevTools, and the pages of a headless Chromium always are.
  const goOn = await stopPages();
  proxy.cut();
  const texts = Array.from({ length: 20 }, (_, index) => `meanwhile ${index}`);
  for (const text of texts) await post("/rooms/ice", text);
  await expect.poll(async () => (await (await fetch(`${server.url}/connections`)).json()).open).toBe(0);

  goOn();
  await tells(distant, ["open", "message before", "open", ...texts.map((text) => `message ${text}`)]);
  await post("/rooms/ice", "after");
  await tells(distant, ["open", "message before", "open", ...[...texts, "after"].map((text) => `message ${text}`)]);
});

test("a token that expires: the page asks for another one, and gives up when there is none", async () => {
  const distant = await openDistant();
  await connect(distant, "/account?token=");
  await tells(distant, ["open", "message Hello, 1"]);
  await post("/expire/1/4001");
  await tells(distant, ["open", "message Hello, 1", "open", "message Hello, 2"]);
  await post("/expire/2/4401");
  await expect.poll(() => toldBy(distant)).toEqual([
    "open",
    "message Hello, 1",
    "retry 4001",
    "open",
    "message Hello, 2",
    "close 4401 The token has expired",
  ]);
  expect(await distant.page.evaluate(() => [globalThis.socket.readyState, globalThis.tokens])).toEqual([3, 2]);
});
