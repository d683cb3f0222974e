/** The WebSocket of a real browser talks to a SpaceNode server on every runtime. */

import { randomUUID } from "node:crypto";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sharedBrowser } from "./support/browser.ts";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const ECHO = "tests/e2e/support/echo-server.ts";

/** A connection that a page makes. */
interface Visit {
  url: string;
  protocols?: string[];
  /** The messages that the page sends once the socket is open. */
  send?: string[];
  /** The page closes the socket with these after as many messages have come back. By default the server closes it. */
  close?: { code?: number; reason?: string };
}

/** A connection as the browser reports it. */
interface Report {
  opened: boolean;
  protocol: string;
  extensions: string;
  received: string[];
  error: boolean;
  close: { code: number; reason: string; wasClean: boolean };
}

/** Runs in the page: makes one connection, and resolves when it is closed. */
function visit({ url, protocols, send = [], close }: Visit): Promise<Report> {
  return new Promise((resolve) => {
    const socket = protocols === undefined ? new WebSocket(url) : new WebSocket(url, protocols);
    const received: string[] = [];
    let opened = false;
    let error = false;
    const leave = (): void => {
      if (close && received.length === send.length) socket.close(close.code, close.reason);
    };
    socket.onopen = () => {
      opened = true;
      for (const message of send) socket.send(message);
      leave();
    };
    socket.onmessage = (event) => {
      received.push(event.data);
      leave();
    };
    socket.onerror = () => (error = true);
    socket.onclose = ({ code, reason, wasClean }) => {
      const { protocol, extensions } = socket;
      resolve({ opened, protocol, extensions, received, error, close: { code, reason, wasClean } });
    };
  });
}

/** Runs in the page: sends bytes of each size, and compares the echoes with them. */
async function echoBytes({ url, sizes, asBlob }: { url: string; sizes: number[]; asBlob: boolean }): Promise<string[]> {
  const socket = new WebSocket(url);
  socket.binaryType = asBlob ? "blob" : "arraybuffer";
  await new Promise((resolve) => (socket.onopen = resolve));
  const results: string[] = [];
  for (const size of sizes) {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 31 + size) & 255);
    const echo = new Promise<MessageEvent>((resolve) => (socket.onmessage = resolve));
    socket.send(asBlob ? new Blob([bytes]) : bytes);
    const { data } = await echo;
    const back = new Uint8Array(asBlob ? await (data as Blob).arrayBuffer() : data);
    const same = back.length === size && back.every((byte, index) => byte === bytes[index]);
    results.push(`${size} ${same ? "same" : "different"}`);
  }
  socket.close();
  return results;
}

/** Runs in the page: sends texts of each length with characters of one to four bytes, and compares the echoes. */
async function echoTexts({ url, lengths }: { url: string; lengths: number[] }): Promise<string[]> {
  const socket = new WebSocket(url);
  await new Promise((resolve) => (socket.onopen = resolve));
  const results: string[] = [];
  for (const length of lengths) {
    const text = "aé漢🛰".repeat(Math.ceil(length / 4)).slice(0, length).toWellFormed();
    const echo = new Promise<MessageEvent>((resolve) => (socket.onmessage = resolve));
    socket.send(text);
    results.push(`${length} ${(await echo).data === text ? "same" : "different"}`);
  }
  socket.close();
  return results;
}

const SIZES = [0, 1, 2, 125, 126, 127, 1_000, 65_535, 65_536, 65_537, 262_144, 1_048_576];

const browser = sharedBrowser("browser");

describe.each(RUNTIMES)("a browser's WebSocket and the engine under %s", (runtime) => {
  let server: ServerProcess;
  let page: Page;
  let origin: string;

  beforeAll(async () => {
    server = await startServer(runtime, ECHO);
    origin = server.url.replace("http", "ws");
    page = await browser().newPage();
    await page.goto(server.url);
  });
  afterAll(async () => {
    await page?.close();
    expect(await server?.stop()).toBe(0);
  });

  test.each([["ArrayBuffer", false], ["Blob", true]])("bytes of every size come back as %s", async (_name, asBlob) => {
    const results = await page.evaluate(echoBytes, { url: `${origin}/echo/bytes`, sizes: SIZES, asBlob });
    expect(results).toEqual(SIZES.map((size) => `${size} same`));
  });

  test("texts of every size and script come back the same", async () => {
    const results = await page.evaluate(echoTexts, { url: `${origin}/echo/texts`, lengths: SIZES });
    expect(results).toEqual(SIZES.map((size) => `${size} same`));
  });

  test("a thousand messages sent at once come back in order", async () => {
    const send = Array.from({ length: 1_000 }, (_, index) => `${index} ${"x".repeat(index)}`);
    const report = await page.evaluate(visit, { url: `${origin}/echo/order`, send, close: {} });
    expect(report.received).toEqual(send);
  });

  test("a server without compression and subprotocols agrees on neither", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/echo/plain`, close: { code: 1000 } });
    expect(report).toMatchObject({ opened: true, protocol: "", extensions: "", error: false });
  });

  test("the browser fails the connection when the route has none of its subprotocols, as it must", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/echo/none`, protocols: ["v1.chat"] });
    expect(report).toMatchObject({ opened: false, error: true, close: { code: 1006 } });
  });

  test.each([
    ["no code", {}, 1005, ""],
    ["1000", { code: 1000 }, 1000, ""],
    ["1000 and a reason", { code: 1000, reason: "done" }, 1000, "done"],
    ["3000", { code: 3000, reason: "" }, 3000, ""],
    ["4999 and the longest reason", { code: 4999, reason: "é".repeat(61) + "!" }, 4999, "é".repeat(61) + "!"],
  ])("the server gets the page's Close with %s, and sends the same back", async (_name, close, code, reason) => {
    const id = randomUUID();
    const report = await page.evaluate(visit, { url: `${origin}/echo/${id}`, send: ["last"], close });
    expect(report.received).toEqual(["last"]);
    expect(report.close).toEqual({ code, reason, wasClean: true });
    const closed = await (await fetch(`${server.url}/closes/${id}`)).json();
    expect(closed).toEqual({ code, reason, wasClean: true });
  });

  test.each([
    [1000, ""],
    [1001, "going away"],
    [1011, "schade um die Tränen"],
    [1012, "back soon"],
    [1013, "later"],
    [3000, ""],
    [4999, "x".repeat(123)],
  ])("the page gets the server's Close with %i %j, after the messages before it", async (code, reason) => {
    const url = `${origin}/close?code=${code}&reason=${encodeURIComponent(reason)}`;
    const report = await page.evaluate(visit, { url });
    expect(report).toMatchObject({ received: ["before"], error: false, close: { code, reason, wasClean: true } });
  });

  test("the page gets 1005 for a Close without a code", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/close?code=1005` });
    expect(report.close).toEqual({ code: 1005, reason: "", wasClean: true });
  });

  test("the server closes with 1009 on a message above the limit of its route", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/small`, send: ["x".repeat(1_001)] });
    expect(report.close).toMatchObject({ code: 1009, wasClean: true });
  });

  test("the page gets 1006 when the server cuts the connection", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/terminate`, send: ["cut"] });
    expect(report.close).toEqual({ code: 1006, reason: "", wasClean: false });
  });

  test("the server gets 1001 when the page goes away", async () => {
    const id = randomUUID();
    const other = await browser().newPage();
    await other.goto(server.url);
    await other.evaluate((url) =>
      new Promise((resolve) => {
        new WebSocket(url).onopen = resolve;
      }), `${origin}/echo/${id}`);
    await other.goto("about:blank");
    const closed = await (await fetch(`${server.url}/closes/${id}`)).json();
    expect(closed).toMatchObject({ code: 1001 });
    await other.close();
  });

  test("the browser answers a Ping of the server", async () => {
    const reply = await page.evaluate((url) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(url);
        socket.onmessage = ({ data }) => {
          resolve(data);
          socket.close();
        };
      }), `${origin}/ping`);
    expect(reply).toBe("pong are you there?");
  });

  test("a route for the same origin accepts the server's own page, and no page of another origin", async () => {
    const ours = await page.evaluate(visit, { url: `${origin}/ours`, send: ["?"], close: {} });
    expect(ours).toMatchObject({ opened: true, received: ["welcome"] });

    // The same server under another name is another origin.
    const other = await browser().newPage();
    await other.goto(server.url.replace("127.0.0.1", "localhost"));
    const report = await other.evaluate(visit, { url: `${origin}/ours` });
    expect(report).toMatchObject({ opened: false, error: true, close: { code: 1006 } });
    await other.close();
  });

  test("the server agrees on the subprotocol that it lists first", async () => {
    const report = await page.evaluate(visit, {
      url: `${origin}/chat`,
      protocols: ["v1.chat", "v2.chat"],
      send: ["?"],
      close: {},
    });
    expect(report).toMatchObject({ opened: true, protocol: "v2.chat", received: ["v2.chat"] });
  });

  test("the upgrade hook gets the page's cookies, and the page keeps a cookie that comes with the 101", async () => {
    const url = `${origin}/account`;
    expect(await page.evaluate(visit, { url })).toMatchObject({ opened: false, close: { code: 1006 } });

    await page.evaluate(() => (document.cookie = "session=ada"));
    const report = await page.evaluate(visit, { url, send: ["?"], close: {} });
    expect(report).toMatchObject({ opened: true, received: ["Hello, Ada"] });
    expect(await page.evaluate(() => document.cookie)).toContain("seen=yes");
  });

  test("the server refuses a path that has no WebSocket route", async () => {
    const report = await page.evaluate(visit, { url: `${origin}/nowhere` });
    expect(report).toMatchObject({ opened: false, error: true, close: { code: 1006, wasClean: false } });
  });
});
