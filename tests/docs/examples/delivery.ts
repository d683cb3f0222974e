/** The blocks of code of docs/delivery.md: its server, its client for browsers, and its frames. */
import { expect, onTestFinished } from "vitest";
import { natsServer } from "../../support/nats-server.ts";
import { redisServer } from "../../support/redis-server.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { BrowserPage } from "../browser-page.ts";
import { APP, type Examples, type Values } from "../example.ts";
import { startBlock, startProgram } from "../program.ts";

/** What a page shows that runs the client. */
interface Screen {
  readonly texts: string[];
  /** How often everything was loaded. */
  loads: number;
}

/** Runs the client as a page does that has come from this port. */
function openPage(code: string, port: number): Screen {
  const screen: Screen = { texts: [], loads: 0 };
  new BrowserPage(port).run(code, {
    showAll: (texts: string[]) => {
      screen.texts.splice(0, Infinity, ...texts);
      screen.loads++;
    },
    show: (text: string) => screen.texts.push(text),
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

/** A page that was away shows what it has missed, once and in order, or loads all anew. */
async function comesBack(code: string): Promise<void> {
  const { app } = await startBlock("docs/delivery.md", "what-arrives ts");
  const { port } = app.address!;
  const proxy = await TcpProxy.start(port);
  onTestFinished(() => proxy.dispose());
  const write = await openWriter(port);
  const [far, near] = [openPage(code, proxy.port), openPage(code, port)];
  await expect.poll(() => [far.loads, near.loads]).toEqual([1, 1]);
  write(0, 10);
  await expect.poll(() => far.texts).toEqual(numbered(0, 10));

  for (const first of [10, 110]) {
    proxy.isDown = true;
    proxy.cut();
    write(first, first + 100);
    await expect.poll(() => near.texts).toEqual(numbered(0, first + 100));
    proxy.isDown = false;
    await expect.poll(() => far.texts).toEqual(numbered(0, first + 100));
  }
  expect(far.loads).toBe(1);

  proxy.isDown = true;
  proxy.cut();
  write(210, 600);
  await expect.poll(() => near.texts).toEqual(numbered(0, 600));
  proxy.isDown = false;
  await expect.poll(() => far.texts).toEqual(numbered(550, 600));
  write(600, 601);
  await expect.poll(() => far.texts).toEqual(numbered(550, 601));
  expect([far.loads, near.loads]).toEqual([2, 1]);
}

/** The frames that the page shows are those that a follower gets. */
async function framesAreThese(_values: Values, code: string): Promise<void> {
  const { app } = await startProgram(`${APP}app.topic("room/tea", { history: true });
app.ws("/", (socket) => socket.follow("room/tea", { since: "" }));
`);
  const client = await app.inject("/");
  await app.append("room/tea", "Is anybody here?");
  await app.append("room/tea", new TextEncoder().encode("hello"));
  const shown = code.trim().split("\n").map((line) => JSON.parse(line));
  const got = [await client.next(), await client.next(), await client.next()].map((text) => JSON.parse(String(text)));
  const withoutId = ({ id: _, ...rest }: { id: string }): object => rest;
  expect(got.map(withoutId)).toEqual(shown.map(withoutId));
  expect(got.map(({ id }) => id)).toEqual(shown.map(() => expect.stringMatching(/^[\w-]+\.\d+$/)));
}

async function isConnected({ app }: Values): Promise<void> {
  await expect.poll(() => app.stats().broker?.isConnected).toBe(true);
  app.topic("room/*", { history: true });
  expect(await app.append("room/tea", "hello")).toMatch(/\.1$/);
}

export const delivery: Examples = {
  "what-arrives ts": {
    run: async ({ app }) => {
      const response = await app.inject(new Request("http://app/rooms/tea"));
      expect(await response.json()).toEqual({ texts: [], id: expect.stringMatching(/\.0$/) });
    },
  },
  "what-arrives js": { run: (_values, code) => comesBack(code) },
  "frames json": { run: framesAreThese },
  "frames ts": {
    before: APP,
    run: async ({ app }) => {
      app.ws("/", (socket, req) => socket.follow("prices/eur", { since: req.query.get("since") }));
      const client = await app.inject("/");
      expect(await client.next()).toMatch(/^load anew [\w-]+\.0$/);
      const id = await app.append("prices/eur", "1.08");
      expect(await client.next()).toBe(`${id} 1.08`);
      const other = await app.inject(`/?since=${id}`);
      expect(await other.next()).toBe(`go on ${id}`);
    },
  },
  "brokers ts": { server: { kind: redisServer, address: "localhost:6379" }, run: isConnected },
  "brokers ts 2": {
    server: { kind: natsServer, address: "localhost:4222" },
    run: async (values) => {
      await isConnected(values);
      await values.app.close();
      await (await values.connection).close();
    },
  },
};
