/** permessage-deflate works between a real browser and every runtime, as a proxy between the two counts on the wire. */

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type MeteredProxy, meteredProxy } from "../support/metered-proxy.ts";
import { sharedBrowser } from "./support/browser.ts";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const SERVER = "tests/support/compressing-server.ts";

/** Sizes around the limits of frames, of zlib's threads and of the compression threshold. */
const SIZES = [0, 1, 125, 126, 1_023, 1_024, 5_000, 65_535, 65_536, 131_071, 131_072, 300_000, 1_048_576];

interface Visit {
  url: string;
  sizes: number[];
  isBinary: boolean;
}

interface Report {
  extensions: string;
  /** One line for each size: "same" or "different". */
  results: string[];
  sentBytes: number;
  close: { code: number; wasClean: boolean };
}

/** Runs in the page: sends messages of each size, all at once, and compares the echoes. */
async function echo({ url, sizes, isBinary }: Visit): Promise<Report> {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const received: (string | ArrayBuffer)[] = [];
  const closed = new Promise<CloseEvent>((resolve) => (socket.onclose = resolve));
  socket.onmessage = ({ data }) => {
    received.push(data);
    if (received.length === sizes.length) socket.close(1000);
  };
  await new Promise((resolve) => (socket.onopen = resolve));
  const texts = sizes.map((size) => {
    const items = Array.from({ length: Math.ceil(size / 30) }, (_, id) => `{"id":${id},"price":${id % 97}}`);
    return items.join(",").slice(0, size).padEnd(size);
  });
  for (const text of texts) socket.send(isBinary ? new TextEncoder().encode(text) : text);
  const { code, wasClean } = await closed;
  const decoder = new TextDecoder();
  const results = sizes.map((size, i) => {
    const data = received[i];
    const back = typeof data === "string" ? data : decoder.decode(data);
    return `${size} ${back === texts[i] && typeof data === (isBinary ? "object" : "string") ? "same" : "different"}`;
  });
  return {
    extensions: socket.extensions,
    results,
    sentBytes: sizes.reduce((a, b) => a + b),
    close: { code, wasClean },
  };
}

const browser = sharedBrowser("browser");

describe.each(RUNTIMES)("a browser's WebSocket and the engine under %s", (runtime) => {
  let server: ServerProcess;
  let proxy: MeteredProxy;
  let page: Page;

  beforeAll(async () => {
    server = await startServer(runtime, SERVER);
    proxy = await meteredProxy(server.port);
    page = await browser().newPage();
    await page.goto(server.url);
  });
  afterAll(async () => {
    await page?.close();
    proxy?.close();
    expect(await server?.stop()).toBe(0);
  });

  const routes: [path: string, extensions: string][] = [
    ["/echo", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
    ["/takeover", "permessage-deflate"],
    ["/small", "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"],
    ["/off", ""],
  ];

  test.each(routes.flatMap(([path, extensions]) => [
    [path, extensions, "texts", false] as const,
    [path, extensions, "bytes", true] as const,
  ]))('%s agrees on "%s", and %s of every size come back the same', async (path, extensions, _kind, isBinary) => {
    const { toServer, toClients } = proxy;
    const url = `ws://127.0.0.1:${proxy.port}${path}`;
    const report = await page.evaluate(echo, { url, sizes: SIZES, isBinary });
    expect(report.extensions).toBe(extensions);
    expect(report.results).toEqual(SIZES.map((size) => `${size} same`));
    expect(report.close).toEqual({ code: 1000, wasClean: true });
    for (const wireBytes of [proxy.toServer - toServer, proxy.toClients - toClients]) {
      if (extensions === "") expect(wireBytes).toBeGreaterThan(report.sentBytes);
      else expect(wireBytes).toBeLessThan(report.sentBytes / 2);
    }
  });
});
