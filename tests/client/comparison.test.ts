/** The table of docs/client.md beside partysocket and reconnecting-websocket: each cell is measured. */
import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fakeTimers, settle } from "../support/client.ts";
import { type FakeNetwork, fakeNetwork } from "../support/fake-websocket.ts";
import { read, root } from "../support/repository.ts";

/** What all three have in common. */
interface Client {
  send(data: string): void;
  addEventListener(type: "open", listener: () => void): void;
}

type Start = (network: FakeNetwork, url?: unknown, protocols?: unknown) => Client;
type Load = () => Promise<Start>;
type Measure = (load: Load, code: string) => Promise<string>;

const page = new EventTarget();
beforeEach(() => {
  fakeTimers();
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const libraries: [name: string, code: string, wrap: (module: { made: never }) => Start][] = [
  [
    "spacenode/client",
    `export { connect as made } from "./src/client/client.ts";`,
    ({ made }) => (network, url = "ws://server/", protocols) =>
      (made as (url: unknown, options: object) => Client)(url, {
        WebSocket: network.WebSocket,
        heartbeat: true,
        recover: true,
        protocols,
      }),
  ],
  ...["partysocket/ws", "reconnecting-websocket"].map((name): typeof libraries[number] => [
    name.replace("/ws", ""),
    `export { default as made } from "${name}";`,
    ({ made }) => (network, url = "ws://server/", protocols) =>
      new (made as new (...args: unknown[]) => Client)(url, protocols, { WebSocket: network.WebSocket }),
  ]),
];

async function bundle(code: string, format: "esm" | "iife" = "esm"): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    format,
    globalName: "library",
    target: "es2020",
    write: false,
  });
  return outputFiles[0]!.text;
}

/** Loads a library anew, because reconnecting-websocket chooses its pause when it is loaded. */
async function load(index: number): Promise<Start> {
  const [, code, wrap] = libraries[index]!;
  return wrap(new Function(`${await bundle(code, "iife")}\nreturn library;`)());
}

/** Lets time pass until there is one more connection, and returns it in milliseconds; Infinity after a minute. */
async function pauseOf({ made }: FakeNetwork): Promise<number> {
  const [count, startMs] = [made.length, performance.now()];
  while (made.length === count) {
    if (performance.now() - startMs > 60_000) return Infinity;
    await vi.advanceTimersByTimeAsync(10);
  }
  return performance.now() - startMs;
}

/** Starts a client, whose first connection is under way. */
async function started(
  load: Load,
  url?: unknown,
  protocols?: unknown,
): Promise<{ client: Client; network: FakeNetwork }> {
  const network = fakeNetwork();
  const client = (await load())(network, url, protocols);
  for (let turn = 0; network.made.length === 0 && turn < 10; turn++) await vi.advanceTimersByTimeAsync(1);
  return { client, network };
}

/** The first pause after a connection that was open for a minute. */
async function firstPause(load: Load, chance: number): Promise<number> {
  vi.spyOn(Math, "random").mockReturnValue(chance);
  const { network } = await started(load);
  network.newest.open();
  await vi.advanceTimersByTimeAsync(20_000);
  network.newest.end();
  return Math.round(await pauseOf(network) / 100) / 10;
}

const yes = (is: boolean): string => is ? "yes" : "no";

const rows: [name: string, measure: Measure][] = [
  ["size, minified and gzipped", async (_load, code) => {
    return `${(gzipSync(await bundle(code), { level: 9 }).length / 1000).toFixed(1)} KB`;
  }],
  ["first pause", async (load) => {
    const [least, most] = [await firstPause(load, 0), await firstPause(load, 0.999)];
    return least === most ? `${least} s` : `${least}–${most} s`;
  }],
  ["pauses of two sockets of a page", async (load) => {
    const start = await load();
    const chances = vi.spyOn(Math, "random");
    const pauses: number[] = [];
    for (const chance of [0.1, 0.9]) {
      chances.mockReturnValue(chance);
      const { network } = await started(() => Promise.resolve(start));
      network.newest.open().end();
      pauses.push(await pauseOf(network));
    }
    return Math.abs(pauses[0]! - pauses[1]!) > 100 ? "differ" : "are equal";
  }],
  ["longest pause", async (load) => {
    vi.spyOn(Math, "random").mockReturnValue(0.999);
    const { network } = await started(load);
    let longest = 0;
    for (let attempt = 0; attempt < 15; attempt++) {
      network.newest.end();
      longest = Math.max(longest, await pauseOf(network));
    }
    return `${Math.round(longest / 1_000)} s`;
  }],
  ["comes back at once when online", async (load) => {
    vi.spyOn(Math, "random").mockReturnValue(0.9);
    const { network } = await started(load);
    network.newest.end();
    await settle();
    page.dispatchEvent(new Event("online"));
    await settle();
    return yes(network.made.length === 2);
  }],
  ["gives up after 4401, by default", async (load) => {
    const { network } = await started(load);
    network.newest.open().end(4401);
    return yes(await pauseOf(network) === Infinity);
  }],
  ["asks for the subprotocols anew", async (load) => {
    let count = 0;
    const { network } = await started(load, undefined, () => [`token.${++count}`]);
    network.newest.open().end();
    await pauseOf(network);
    return yes(JSON.stringify(network.made.map(({ protocols }) => protocols)) === '[["token.1"],["token.2"]]');
  }],
  ["goes on when the address function hangs", async (load) => {
    let count = 0;
    const { network } = await started(load, () => count++ === 0 ? new Promise(() => {}) : "ws://server/");
    expect(count).toBe(1);
    return yes(await pauseOf(network) !== Infinity);
  }],
  ["bounds what waits, by default", async (load) => {
    const { client, network } = await started(load);
    let sent = 0;
    try {
      for (; sent < 2_000; sent++) client.send("x".repeat(1_000));
    } catch {
      // The client says that it is full.
    }
    return yes(network.newest.open().sent.length < 2_000);
  }],
  ["sends what `open` listeners send first", async (load) => {
    const { client, network } = await started(load);
    client.addEventListener("open", () => client.send("hello"));
    client.send("waiting");
    expect(network.newest.open().sent).toHaveLength(2);
    return yes(network.newest.sent[0] === "hello");
  }],
  ["finds a dead connection, when asked to", async (load) => {
    const { network } = await started(load);
    network.newest.open();
    return yes(await pauseOf(network) !== Infinity);
  }],
  ["asks for missed messages, when asked to", async (load) => {
    const { network } = await started(load);
    network.newest.open().receive(JSON.stringify({ topic: "tea", id: "E-1.7", data: "seven" }));
    network.newest.end();
    await pauseOf(network);
    return yes(network.newest.url.includes("E-1.7"));
  }],
];

/** The cells of the table, by the name of the row. */
const table = new Map(
  read("docs/client.md").split("\n").filter((line) => line.startsWith("|")).map((line) => {
    const [name, ...cells] = line.split("|").slice(1, -1).map((cell) => cell.trim());
    return [name!, cells];
  }),
);

test("the table has these columns and rows, and the page names these versions", () => {
  expect([...table.keys()].slice(2)).toEqual(rows.map(([name]) => name));
  expect(table.get("behaviour")).toEqual(libraries.map(([name]) => name));
  for (const name of ["partysocket", "reconnecting-websocket"]) {
    const { version } = JSON.parse(read(`node_modules/${name}/package.json`));
    expect(read("docs/client.md").replace(/\s+/g, " ")).toContain(`${name} ${version}`);
  }
});

test.each(rows)("%s", async (name, measure) => {
  const measured: string[] = [];
  for (const [index, [, code]] of libraries.entries()) measured.push(await measure(() => load(index), code));
  expect(measured).toEqual(table.get(name));
});
