/** The blocks of code of docs/client.md: pages that use the built client, and their server. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished } from "vitest";
import type { ClientOptions, ClientUrl, ReconnectingSocket } from "../../../src/client/client.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { BrowserPage } from "../browser-page.ts";
import { APP, type Examples, type Values } from "../example.ts";
import { folder, startBlock, startProgram } from "../program.ts";

/** Runs the code of a page that has come from this port. Its pauses are short. */
async function openPage(code: string, port: number, names: Record<string, unknown>): Promise<void> {
  const { connect } = await import(
    /* @vite-ignore */ pathToFileURL(join(folder, "node_modules/spacenode/dist/src/client/client.js")).href
  );
  const at = (url: ClientUrl): URL => new URL(url, `http://127.0.0.1:${port}`);
  const connectHere = (url: ClientUrl | (() => Promise<ClientUrl>), options?: ClientOptions): ReconnectingSocket => {
    const target = typeof url === "function" ? async () => at(await url()) : at(url);
    const socket = connect(target, { maxRetryMs: 20, ...options });
    onTestFinished(() => socket.close());
    return socket;
  };
  const line = 'import { connect } from "spacenode/client";\n';
  expect(code).toContain(line);
  new BrowserPage(port).run(code.replace(line, ""), { connect: connectHere, ...names });
}

/** The first page, with the server that stands below it. */
async function talks(code: string): Promise<void> {
  const { app } = await startBlock("docs/client.md", "the-client ts");
  const [states, texts]: string[][] = [[], []];
  const names = { status: (text: string) => states!.push(text), show: (text: string) => texts!.push(text) };
  await openPage(code, app.address!.port, names);
  await expect.poll(() => texts).toEqual(["hello"]);
  for (const socket of app.sockets) socket.terminate();
  await expect.poll(() => states).toEqual(["Here", "Back in 1 s", "Here"]);
  for (const socket of app.sockets) socket.close(4400, "Enough");
  await expect.poll(() => states.at(-1)).toBe("Ended with 4400");
}

/** The route of the first page answers heartbeats. */
async function answers({ app }: Values): Promise<void> {
  const client = await app.inject("/rooms/tea");
  client.send("\x05");
  client.send("hello");
  expect([await client.next(), await client.next()]).toEqual(["\x06", "hello"]);
}

async function asksForTokens(code: string): Promise<void> {
  const tokens: string[] = [];
  let logins = 0;
  const { app } = await startProgram(`${APP}app.ws("/account", (socket, req) => {
  socket.close(req.query.get("token") === "token3" ? 4401 : 4001);
});
await app.listen({ port: 0, host: "127.0.0.1" });
`);
  await openPage(code, app.address!.port, {
    freshToken: () => Promise.resolve(tokens[tokens.push(`token${tokens.length + 1}`) - 1]),
    logIn: () => logins++,
  });
  await expect.poll(() => logins).toBe(1);
  expect(tokens).toEqual(["token1", "token2", "token3"]);
}

/** The page shows what it has missed, once and in order, or loads all anew. */
async function missesNothing(code: string): Promise<void> {
  const { app } = await startBlock("docs/delivery.md", "what-arrives ts");
  const proxy = await TcpProxy.start(app.address!.port);
  onTestFinished(() => proxy.dispose());
  const [shown, said]: string[][] = [[], []];
  let loads = 0;
  const say = async (count: number): Promise<void> => {
    for (let more = 0; more < count; more++) await app.append("room/tea", said![said!.push(`${said!.length}`) - 1]!);
  };
  await say(3);
  await openPage(code, proxy.port, {
    showAll: (texts: string[]) => {
      shown!.splice(0, Infinity, ...texts);
      loads++;
    },
    show: (text: string) => shown!.push(text),
  });
  await expect.poll(() => shown).toEqual(said);
  for (const count of [100, 100]) {
    await expect.poll(() => app.sockets.size).toBe(1);
    proxy.isDown = true;
    proxy.cut();
    await say(count);
    proxy.isDown = false;
    await expect.poll(() => shown).toEqual(said);
  }
  expect(loads).toBe(1);
  await expect.poll(() => app.sockets.size).toBe(1);
  proxy.isDown = true;
  proxy.cut();
  await say(400);
  proxy.isDown = false;
  await expect.poll(() => shown).toEqual(said.slice(-50));
  await expect.poll(() => app.sockets.size).toBe(1);
  await say(1);
  await expect.poll(() => shown).toEqual(said.slice(-51));
  expect(loads).toBe(2);
}

export const client: Examples = {
  "the-client js": { run: (_values, code) => talks(code) },
  "the-client ts": { run: answers },
  "a-fresh-token js": { run: (_values, code) => asksForTokens(code) },
  "miss-nothing js": { run: (_values, code) => missesNothing(code) },
};
