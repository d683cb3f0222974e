/** The dashboard example in a real browser: it shows what happens on the server, on all screens and after a restart. */

import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import type { Report } from "../../examples/dashboard/figures.ts";
import { sharedBrowser } from "./support/browser.ts";
import { type ServerProcess, startServer } from "./support/server-process.ts";

const SERVER = "tests/e2e/support/dashboard-server.ts";
const WIDE = { viewport: { width: 1440, height: 900 } };
const NARROW = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const browser = sharedBrowser("shell");
const servers: ServerProcess[] = [];
/** Two apps without traffic of their own. One of them will be restarted. */
let quiet: ServerProcess;
let mortal: ServerProcess;

async function start(...args: Parameters<typeof startServer>): Promise<ServerProcess> {
  const server = await startServer(...args);
  servers.push(server);
  return server;
}

beforeAll(async () => {
  [quiet, mortal] = await Promise.all([start("node", SERVER), start("node", SERVER)]);
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
});

/** The page, and what it has logged and received. */
interface Dashboard {
  readonly page: Page;
  readonly faults: string[];
  /** Without the one of a server that has no figures yet. */
  readonly reports: Report[];
}

/** Opens the page, and waits until it shows figures. */
async function open(url: string, options: BrowserContextOptions = {}): Promise<Dashboard> {
  const context = await browser().newContext({ locale: "en-GB", ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  const reports: Report[] = [];
  page.on("pageerror", (error) => faults.push(String(error.stack)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(message.text());
  });
  page.on("websocket", (socket) => {
    socket.on("framereceived", ({ payload }) => {
      const report = JSON.parse(String(payload)) as Report;
      if (report.samples.length > 0) reports.push(report);
    });
  });
  // Chromium measures here how far a page moves what can be seen.
  await page.addInitScript(() => {
    const shifts: number[] = [];
    Object.assign(globalThis, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) shifts.push((entry as PerformanceEntry & { value: number }).value);
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(url);
  await page.locator("body:not(.empty)").waitFor();
  return { page, faults, reports };
}

/** The figure of a tile, by the words that stand with it. */
function figure(page: Page, tile: string, label: string): Locator {
  return page.getByRole("region", { name: tile, exact: true }).locator("dl > div", { hasText: label }).locator("dd");
}

async function cellsOf(page: Page, route: string): Promise<string[]> {
  const header = page.getByRole("rowheader", { name: route, exact: true });
  return await page.getByRole("row").filter({ has: header }).getByRole("cell").allTextContents();
}

/** How often something was counted since the start. */
async function countOf(page: Page, label: string): Promise<string | undefined> {
  const row = page.getByRole("region", { name: "Since the start" }).locator("dl > div", { hasText: label });
  return (await row.locator("dd").allTextContents())[0];
}

async function connectAll(count: number): Promise<WebSocket[]> {
  const sockets = Array.from({ length: count }, () => new WebSocket(`ws://127.0.0.1:${quiet.port}/echo`));
  onTestFinished(() => sockets.forEach((socket) => socket.terminate()));
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("open", resolve))));
  return sockets;
}

// tests/examples.test.ts runs the demo under every runtime, without a browser.
test("the demo shows the traffic of its visitors, and ends when it is told to", async () => {
  const demo = await start("node", "examples/dashboard/demo.ts");
  const { page, faults } = await open(demo.url);
  expect(await page.locator("#process").textContent()).toMatch(/^Node \d/);
  await expect.poll(async () => parseInt(await figure(page, "Connections", "open").innerText())).toBeGreaterThan(20);
  await expect.poll(() => figure(page, "Messages", "sent").innerText()).toMatch(/^[\d,.]+k? \/s$/);
  await expect.poll(() => figure(page, "Bytes", "sent").innerText()).toMatch(/^[\d.]+ [kM]B\/s$/);
  await expect.poll(() => figure(page, "Round trip", "median").innerText()).toMatch(/^[\d.]+ m?s$/);
  await expect.poll(() => figure(page, "Event-loop delay", "longest").innerText()).toMatch(/^[\d.]+ m?s$/);
  expect(faults).toEqual([]);
  expect(await demo.stop("SIGINT")).toBe(0);
});

test("the figures are those of the clients, and a page that opens later has the past too", async () => {
  const first = await open(`${quiet.url}/admin/figures`);
  const { page, reports } = first;
  expect(new URL(page.url()).pathname).toBe("/admin/figures/");
  const clients = await connectAll(5);
  await expect.poll(async () => (await cellsOf(page, "/echo"))[0]).toBe("5");
  expect(await figure(page, "Connections", "open").innerText()).toBe("6");

  for (const client of clients) for (let i = 0; i < 40; i++) client.send("x".repeat(94));
  // A frame from a client has a header of 6 bytes, and one from the server a header of 2 bytes.
  const total = (name: "receivedPerSecond" | "receivedBytesPerSecond"): number =>
    reports.slice(1).reduce((sum, { routes }, i) => {
      const seconds = (reports[i + 1].samples[0].at - reports[i].samples.at(-1)!.at) / 1_000;
      return sum + routes.find(({ path }) => path === "/echo")![name] * seconds;
    }, 0);
  await expect.poll(() => total("receivedPerSecond")).toBeGreaterThan(180);
  expect(total("receivedPerSecond")).toBeLessThan(220);
  expect(total("receivedBytesPerSecond") / total("receivedPerSecond")).toBeCloseTo(100, 0);

  for (const client of clients) client.close(1000);
  const refused = new WebSocket(`ws://127.0.0.1:${quiet.port}/nowhere`);
  refused.on("error", () => {});
  await expect.poll(() => countOf(page, "1000, normal")).toBe("5");
  await expect.poll(() => countOf(page, "refused with 404")).toBe("1");
  await expect.poll(() => figure(page, "Messages", "received").innerText()).toBe("0 /s");
  expect(await figure(page, "Connections", "open").innerText()).toBe("1");

  const later = await open(`${quiet.url}/admin/figures/`);
  expect(later.reports[0].samples.length).toBeGreaterThanOrEqual(reports.length);
  expect(later.reports[0].samples.map(({ at }) => at)).toContain(reports[1].samples[0].at);
  expect([...first.faults, ...later.faults]).toEqual([]);
});

describe("on every screen, in light and dark colours", () => {
  const screens = [["wide", WIDE], ["narrow", NARROW]] as const;
  test.each(screens)("the %s page fits, does not move, and can be read", async (_name, screen) => {
    await Promise.all((["light", "dark"] as const).map(async (colorScheme) => {
      const { page, faults } = await open(`${quiet.url}/admin/figures/`, { ...screen, colorScheme });
      const seen = await page.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
        const rgb = (name: string): number[] => {
          probe.fillStyle = style.getPropertyValue(`--${name}`);
          probe.fillRect(0, 0, 1, 1);
          return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
        };
        const luminance = (name: string): number => {
          const [r, g, b] = rgb(name).map((c) => c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (a: string, b: string): number => {
          const [dark, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
          return (bright + 0.05) / (dark + 0.05);
        };
        return {
          width: document.documentElement.scrollWidth,
          shifts: (globalThis as unknown as { shifts: number[] }).shifts,
          texts: Math.min(contrast("muted", "surface"), contrast("muted", "ground"), contrast("ink", "surface")),
          lines: Math.min(contrast("line-1", "surface"), contrast("line-2", "surface")),
          brightness: rgb("surface")[0],
        };
      });
      expect(seen.width).toBeLessThanOrEqual(screen.viewport.width);
      expect(seen.shifts).toEqual([]);
      expect(seen.texts).toBeGreaterThanOrEqual(4.5);
      expect(seen.lines).toBeGreaterThanOrEqual(3);
      if (colorScheme === "light") expect(seen.brightness).toBeGreaterThan(230);
      else expect(seen.brightness).toBeLessThan(60);
      expect(faults).toEqual([]);
    }));
  });

  test("the lines change with the colours of the system", async () => {
    const { page } = await open(`${quiet.url}/admin/figures/`, WIDE);
    /** How many pixels of the chart have exactly the colour of the line. */
    const pixels = async (): Promise<number> =>
      await page.evaluate(() => {
        const canvas = document.querySelector<HTMLCanvasElement>("#connections canvas")!;
        const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
        const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
        probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--line-1");
        probe.fillRect(0, 0, 1, 1);
        const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] === r && data[i + 1] === g && data[i + 2] === b) count++;
        return count;
      });
    await expect.poll(pixels).toBeGreaterThan(0);
    const blues = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--line-1"));
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--line-1"))).not.toBe(
      blues,
    );
    await expect.poll(pixels).toBeGreaterThan(0);
  });
});

test("after a restart the page goes on behind a gap, and the keyboard reads the past", async () => {
  const { page, faults } = await open(`${mortal.url}/admin/figures/`);
  const name = await page.locator("#process").textContent();
  const chart = page.getByRole("slider", { name: "Connections" });
  await chart.focus();
  await page.keyboard.press("Home");
  const valueText = await chart.getAttribute("aria-valuetext");
  expect(valueText).toMatch(/^\d\d:\d\d:\d\d, open \d+$/);
  const moment = page.getByRole("region", { name: "Messages", exact: true }).locator(".moment");
  expect(await moment.textContent()).toBe(valueText!.slice(0, 8));
  await page.keyboard.press("Escape");
  expect([await moment.textContent(), await chart.getAttribute("aria-valuetext")]).toEqual(["", "now"]);

  await mortal.stop();
  await expect.poll(async () => await page.locator("#status-text").textContent()).toMatch(/^(Reconn|Conn)ecting/);
  await expect.poll(async () => await page.locator("body.away").count()).toBe(1);
  await start("node", SERVER, mortal.port);
  await expect.poll(async () => await page.locator("#status-text").textContent()).toBe("Live");
  await expect.poll(async () => await page.locator("body.away").count()).toBe(0);
  await expect.poll(async () => await page.locator("#process").textContent()).not.toBe(name);
  await page.keyboard.press("Home");
  expect((await chart.getAttribute("aria-valuetext"))!.slice(0, 8)).toBe(valueText!.slice(0, 8));
  await page.keyboard.press("End");
  expect((await chart.getAttribute("aria-valuetext"))!.slice(0, 8) > valueText!.slice(0, 8)).toBe(true);
  expect(faults.filter((fault) => !/^WebSocket connection to 'ws:.*' failed/.test(fault))).toEqual([]);
});
