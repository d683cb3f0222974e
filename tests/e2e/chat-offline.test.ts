/** A tab whose network was switched off gets what was said meanwhile, or says that it could not. */

import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { sharedBrowser } from "./support/browser.ts";
import { ChatPage } from "./support/chat-page.ts";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const CHAT = "examples/chat/server.ts";

const browser = sharedBrowser("shell");

/** A page of the chat, and the network between it and the server. */
interface Distant {
  readonly chat: ChatPage;
  /** Switches the network off, or on again. Resolves once the page has noticed. */
  switchNetwork(isOn: boolean): Promise<void>;
}

function numbered(from: number, to: number, name = "Ben"): string[] {
  return Array.from({ length: to - from }, (_, index) => `${name}: Number ${from + index}`);
}

/** Says as many messages as one person may say at once. Resolves once all of them are said. */
async function sayAtOnce(server: ServerProcess, room: string, from: number, to: number): Promise<void> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/chat/${room}`);
  const signal = AbortSignal.timeout(20_000);
  const missing = new Set(Array.from({ length: to - from }, (_, index) => `Number ${from + index}`));
  const said = new Promise<void>((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      const { type, message } = JSON.parse(data);
      if (type === "message" && missing.delete(message.text) && missing.size === 0) resolve();
    });
  });
  await once(socket, "open", { signal });
  socket.send(JSON.stringify({ type: "hello", name: "Cid", key: `the-key-of-cid-${from}` }));
  for (const text of missing) {
    socket.send(JSON.stringify({ type: "say", id: `the-id-of-${text.replace(" ", "-")}`, text }));
  }
  await said;
  socket.close();
  await once(socket, "close", { signal });
}

describe.each(RUNTIMES)("the chat under %s", (runtime) => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer(runtime, CHAT);
  });
  afterAll(async () => void await server?.stop());

  async function open(url: string, room: string, name: string): Promise<ChatPage> {
    const chat = await ChatPage.open(browser(), url, { room, name });
    onTestFinished(() => chat.leave());
    return chat;
  }

  /** Opens a page through a proxy. */
  async function openDistant(room: string, name: string): Promise<Distant> {
    const proxy = await TcpProxy.start(server.port);
    onTestFinished(() => proxy.dispose());
    const chat = await open(`http://localhost:${proxy.port}`, room, name);
    const devTools = await chat.context.newCDPSession(chat.page);
    await devTools.send("Network.enable");
    return {
      chat,
      switchNetwork: async (isOn) => {
        // Chromium only tells the page, and begins no new connections: the proxy cuts the one that is open. A page that
        // hears of a network connects at once, so the proxy is up before Chromium tells the page.
        if (isOn) proxy.isDown = false;
        const conditions = { offline: !isOn, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
        await devTools.send("Network.emulateNetworkConditions", conditions);
        proxy.isDown = !isOn;
        if (isOn) return await chat.connected();
        proxy.cut();
        await chat.status(/^Reconnecting in \d+ s$/).waitFor();
        expect(await chat.page.evaluate(() => navigator.onLine)).toBe(false);
      },
    };
  }

  test("a tab whose network was off gets the messages that it has missed, once and in order", async () => {
    const room = "tunnel";
    const { chat: ada, switchNetwork } = await openDistant(room, "Ada");
    const ben = await open(server.url, room, "Ben");
    const expected: string[] = [];
    for (let absence = 0; absence < 2; absence++) {
      const first = absence * 10;
      await ben.say(`Number ${first}`);
      expected.push(...numbered(first, first + 1));
      await expect.poll(() => ada.messages()).toEqual(expected);

      await switchNetwork(false);
      for (let number = first + 1; number < first + 9; number++) await ben.say(`Number ${number}`);
      await expect.poll(() => ben.page.locator(".waiting").count()).toBe(0);
      await ada.say(`From the tunnel ${absence}`);
      expect(await ada.messages()).toEqual([...expected, `You: From the tunnel ${absence}`]);

      await switchNetwork(true);
      expected.push(...numbered(first + 1, first + 9), `You: From the tunnel ${absence}`);
      await ben.sees(`From the tunnel ${absence}`);
      await ben.say(`Number ${first + 9}`);
      expected.push(...numbered(first + 9, first + 10));
      await expect.poll(() => ada.messages()).toEqual(expected);
    }
    expect(await ada.gaps()).toBe(0);
    ada.forgiveLostConnections();
    expect([...ada.faults, ...ben.faults]).toEqual([]);
  });

  test(
    "a page that loses two connections in a row is not told that those have joined who were there before",
    async () => {
      const room = "twice";
      let restarted = await startServer(runtime, CHAT);
      const proxies = await Promise.all([TcpProxy.start(restarted.port), TcpProxy.start(restarted.port)]);
      try {
        const [toAda, toBen] = proxies;
        const ada = await open(`http://localhost:${toAda.port}`, room, "Ada");
        const ben = await open(`http://localhost:${toBen.port}`, room, "Ben");
        let welcomes = 0;
        ben.page.on("websocket", (socket) => {
          socket.on("framereceived", ({ payload }) => void (String(payload).includes('"welcome"') && welcomes++));
        });

        await restarted.stop("SIGKILL");
        toAda.isDown = true;
        restarted = await startServer(runtime, CHAT, restarted.port);
        await expect.poll(() => welcomes).toBe(1);
        toBen.cut();
        await expect.poll(() => welcomes).toBe(2);
        expect(await ben.people()).toEqual(["Ben"]);
        toAda.isDown = false;
        await ada.page.evaluate(() => dispatchEvent(new Event("online"))); // Ends her pause, if she is in one.
        await expect.poll(() => ben.people()).toEqual(["Ben", "Ada"]);
        expect([await ada.notices(), await ben.notices()]).toEqual([["Ben joined"], []]);
        for (const chat of [ada, ben]) {
          chat.forgiveLostConnections();
          expect(chat.faults).toEqual([]);
        }
      } finally {
        for (const proxy of proxies) proxy.dispose();
        await restarted.stop("SIGKILL");
      }
      // Two restarts, and the pauses of two pages.
    },
    60_000,
  );

  test("a tab that has missed more than the room keeps says so, and shows the last messages", async () => {
    const room = "long-tunnel";
    const { chat: ada, switchNetwork } = await openDistant(room, "Ada");
    const ben = await open(server.url, room, "Ben");
    await ben.say("Number 0");
    await ada.sees("Number 0");

    await switchNetwork(false);
    for (const from of [1, 20, 39]) await sayAtOnce(server, room, from, from + 19);
    await switchNetwork(true);
    // The room keeps 50 messages, and 57 were said.
    const expected = [...numbered(0, 1), ...numbered(8, 58, "Cid")];
    await expect.poll(() => ada.messages()).toEqual(expected);
    expect(await ada.gaps()).toBe(1);
    const order = await ada.log.locator(".message, .gap").evaluateAll((items) => items.map((item) => item.className));
    expect(order.findIndex((name) => name === "gap")).toBe(1);

    await ben.say("Number 58");
    expected.push(...numbered(58, 59));
    await expect.poll(() => ada.messages()).toEqual(expected);

    await switchNetwork(false);
    await ben.say("Number 59");
    await ben.sees("Number 59");
    await switchNetwork(true);
    expected.push(...numbered(59, 60));
    await expect.poll(() => ada.messages()).toEqual(expected);
    expect(await ada.gaps()).toBe(1);
    ada.forgiveLostConnections();
    expect([...ada.faults, ...ben.faults]).toEqual([]);
  });
});
