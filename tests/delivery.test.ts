/** The code of docs/delivery.md works as it stands there: its server, its client for browsers, and its frame. */
import { expect, onTestFinished, test } from "vitest";
import { type App, createApp, type HistoryOptions, type TopicOptions } from "../mod.ts";
import { Program } from "./support/program.ts";
import { read } from "./support/repository.ts";
import { TcpProxy } from "./support/tcp-proxy.ts";

const page = read("docs/delivery.md");

/** The blocks of code of a language, in their order. */
function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(([, code]) => code!);
}

/** Replaces a text that the code must have, so that the code runs here. */
function replaced(code: string, replacements: Record<string, string>): string {
  for (const [before, after] of Object.entries(replacements)) {
    expect(code).toContain(before);
    code = code.replace(before, after);
  }
  return code;
}

async function startServer(): Promise<number> {
  const program = Program.source(replaced(blocks("ts")[0]!, {
    '"spacenode"': '"{root}mod.ts"',
    "app.listen(3000)": "app.listen(0);\nconsole.log(app.url)",
  }));
  const [url] = await program.line(/https?:\/\/localhost:\d+/);
  return Number(new URL(url).port);
}

/** What the page shows that runs the client. */
interface Screen {
  readonly texts: string[];
  /** How often everything was loaded. */
  loads: number;
}

/** Runs the client as a page does that has come from this port. */
function openPage(port: number): Screen {
  const screen: Screen = { texts: [], loads: 0 };
  const sockets: WebSocket[] = [];
  class PageSocket extends WebSocket {
    constructor(path: string) {
      super(new URL(path, `ws://127.0.0.1:${port}`));
      sockets.push(this);
      // Node 22 emits `error` alone when it could not connect. A browser emits `close` in any case.
      let isClosed = false;
      this.addEventListener("close", () => void (isClosed = true));
      this.addEventListener(
        "error",
        () => setTimeout(() => void (isClosed || this.dispatchEvent(new Event("close"))), 50),
      );
    }
  }
  let isOpen = true;
  const globals = {
    WebSocket: PageSocket,
    fetch: (path: string) => fetch(new URL(path, `http://127.0.0.1:${port}`), { headers: { Connection: "close" } }),
    setTimeout: (task: () => void) => setTimeout(() => void (isOpen && task()), 20),
    showAll: (texts: string[]) => {
      screen.texts.splice(0, Infinity, ...texts);
      screen.loads++;
    },
    show: (text: string) => screen.texts.push(text),
  };
  new Function(...Object.keys(globals), blocks("js")[0]!)(...Object.values(globals));
  onTestFinished(() => {
    isOpen = false;
    for (const socket of sockets) socket.close();
  });
  return screen;
}

async function openWriter(port: number): Promise<(from: number, to: number) => void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rooms/tea`);
  onTestFinished(() => socket.close());
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  return (from, to) => numbered(from, to).forEach((text) => socket.send(text));
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `message ${from + index}`);
}

const SOON = { timeout: 10_000 };

test("a page that was away shows what it has missed, once and in order, or loads all anew", async () => {
  const port = await startServer();
  const proxy = await TcpProxy.start(port);
  onTestFinished(() => proxy.dispose());
  const write = await openWriter(port);
  const [far, near] = [openPage(proxy.port), openPage(port)];
  await expect.poll(() => [far.loads, near.loads], SOON).toEqual([1, 1]);
  write(0, 10);
  await expect.poll(() => far.texts, SOON).toEqual(numbered(0, 10));

  for (const first of [10, 110]) {
    proxy.isDown = true;
    proxy.cut();
    write(first, first + 100);
    await expect.poll(() => near.texts, SOON).toEqual(numbered(0, first + 100));
    proxy.isDown = false;
    await expect.poll(() => far.texts, SOON).toEqual(numbered(0, first + 100));
  }
  expect(far.loads).toBe(1);

  proxy.isDown = true;
  proxy.cut();
  write(210, 600);
  await expect.poll(() => near.texts, SOON).toEqual(numbered(0, 600));
  proxy.isDown = false;
  await expect.poll(() => far.texts, SOON).toEqual(numbered(550, 600));
  write(600, 601);
  await expect.poll(() => far.texts, SOON).toEqual(numbered(550, 601));
  expect([far.loads, near.loads]).toEqual([2, 1]);
});

test("the frame of the page makes texts of messages and notices", async () => {
  const declared: [string, TopicOptions][] = [];
  const app = { topic: (pattern: string, options: TopicOptions) => declared.push([pattern, options]) };
  new Function("app", blocks("ts").find((code) => code.includes("frame:"))!)(app);
  const [[pattern, options]] = declared;
  const real: App = await createApp({ logger: false });
  onTestFinished(async () => void await real.close());
  real.topic(pattern, options);
  real.ws("/", (socket, req) => socket.follow("prices/eur", { since: req.query.get("since") }));
  const client = await real.inject("/");
  const notice = await client.next();
  expect(notice).toMatch(/^load anew [\w-]+\.0$/);
  const id = await real.append("prices/eur", "1.08");
  expect(await client.next()).toBe(`${id} 1.08`);
  const other = await real.inject(`/?since=${id}`);
  expect(await other.next()).toBe(`go on ${id}`);
  expect((options.history as HistoryOptions).maxAgeMs).toBe(10_000);
});

test("the frames that the page shows are those that a follower gets", async () => {
  const app = await createApp({ logger: false });
  onTestFinished(async () => void await app.close());
  app.topic("room/tea", { history: true });
  app.ws("/", (socket) => socket.follow("room/tea", { since: "" }));
  const client = await app.inject("/");
  await app.append("room/tea", "Is anybody here?");
  await app.append("room/tea", new TextEncoder().encode("hello"));
  const shown = blocks("json")[0]!.trim().split("\n").map((line) => JSON.parse(line));
  const got = [await client.next(), await client.next(), await client.next()].map((text) => JSON.parse(String(text)));
  const withoutId = ({ id: _, ...rest }: { id: string }): object => rest;
  expect(got.map(withoutId)).toEqual(shown.map(withoutId));
  expect(got.map(({ id }) => id)).toEqual(shown.map(() => expect.stringMatching(/^[\w-]+\.\d+$/)));
});
