/** People use the chat example in a real browser, against a real server on every runtime. */

import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { sharedBrowser } from "./support/browser.ts";
import { ChatPage, type ChatPageOptions } from "./support/chat-page.ts";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const CHAT = "examples/chat/server.ts";

const browser = sharedBrowser("shell");
let opened: ChatPage[] = [];

afterEach(async () => {
  const faults = opened.flatMap((chat) => chat.faults);
  await Promise.all(opened.map((chat) => chat.leave()));
  opened = [];
  expect(faults).toEqual([]);
});

async function open(server: ServerProcess, options: ChatPageOptions = {}): Promise<ChatPage> {
  const chat = await ChatPage.open(browser(), server.url, options);
  opened.push(chat);
  return chat;
}

describe.each(RUNTIMES)("the chat under %s", (runtime) => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startServer(runtime, CHAT);
  });
  afterAll(async () => {
    expect(await server.stop("SIGINT")).toBe(0);
  });

  test("two people meet, see each other type, talk, and one leaves", async () => {
    const room = "talk";
    const ada = await open(server, { room });
    await ada.introduce("Ada");
    const ben = await open(server, { room });
    await ben.introduce("Ben");

    await expect.poll(() => ada.notices()).toEqual(["Ben joined"]);
    await expect.poll(() => ada.people()).toEqual(["Ada", "Ben"]);
    await expect.poll(() => ben.people()).toEqual(["Ben", "Ada"]);
    expect(await ada.page.locator("#people-count").textContent()).toBe("2 people are here");

    await ada.textBox.pressSequentially("Hello, Be");
    await expect.poll(() => ben.typing()).toBe("Ada is typing");
    expect(await ada.typing()).toBe("");

    await ada.say("Hello, Ben!");
    await expect.poll(() => ben.messages()).toEqual(["Ada: Hello, Ben!"]);
    await expect.poll(() => ben.typing()).toBe("");

    await ben.say("Good to see you. Really.");
    const talk = ["Hello, Ben!", "Good to see you. Really."];
    await expect.poll(() => ada.messages()).toEqual([`You: ${talk[0]}`, `Ben: ${talk[1]}`]);
    await expect.poll(() => ben.messages()).toEqual([`Ada: ${talk[0]}`, `You: ${talk[1]}`]);

    await ben.leave();
    await expect.poll(() => ada.notices()).toEqual(["Ben joined", "Ben left"]);
    await expect.poll(() => ada.people()).toEqual(["Ada"]);
    expect(await ada.page.locator("#people-count").textContent()).toBe("Only you are here");
  });

  test("a message with HTML in it is shown as text", async () => {
    const room = "text";
    const ada = await open(server, { room, name: "Ada" });
    const ben = await open(server, { room, name: '<b onclick="x">' });
    const text = '<img src=x onerror="document.title=1"> & https://example.com/?a=1&b=2. 🛰️ שלום';

    await ben.say(text);
    await expect.poll(() => ada.messages()).toEqual([`<b onclick="x">: ${text}`]);
    const bubble = ada.log.locator(".bubble");
    expect(await bubble.evaluate((element) => [...element.children].map((child) => child.tagName))).toEqual(["A"]);
    expect(await bubble.getByRole("link").getAttribute("href")).toBe("https://example.com/?a=1&b=2");
    expect(await bubble.getByRole("link").getAttribute("rel")).toContain("noopener");

    await ben.textBox.fill("one");
    await ben.textBox.press("Shift+Enter");
    await ben.textBox.pressSequentially("two");
    await ben.textBox.press("Enter");
    await expect.poll(() => ada.messages()).toContain('<b onclick="x">: one\ntwo');
  });

  test("a person who comes later sees the last messages, and a reload loses nothing", async () => {
    const room = "history";
    const ada = await open(server, { room, name: "Ada" });
    await ada.say("First");
    await ada.say("Second");
    await expect.poll(() => ada.page.locator(".waiting").count()).toBe(0);

    const ben = await open(server, { room, name: "Ben" });
    await expect.poll(() => ben.messages()).toEqual(["Ada: First", "Ada: Second"]);

    await ada.page.reload();
    await ada.connected();
    await expect.poll(() => ada.messages()).toEqual(["You: First", "You: Second"]);
    await expect.poll(() => ada.people()).toEqual(["Ada", "Ben"]);
  });

  test("a name that is taken gets a number, and a name can be changed", async () => {
    const room = "names";
    const first = await open(server, { room, name: "Ada" });
    const second = await open(server, { room, name: "ada" });
    await expect.poll(() => second.people()).toEqual(["ada 2", "Ada"]);
    await expect.poll(() => second.page.locator("#toast").textContent()).toContain("“ada” is taken");

    await second.page.getByRole("button", { name: "Change your name" }).click();
    await second.page.getByRole("textbox", { name: "Your name" }).fill("Grace");
    await second.page.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => first.people()).toEqual(["Ada", "Grace"]);
    await expect.poll(() => first.notices()).toEqual(["ada 2 joined", "ada 2 is now Grace"]);
    await expect.poll(() => second.notices()).toEqual(["You are now Grace"]);
  });

  test("rooms are separate, have addresses, and can be opened and left", async () => {
    const ada = await open(server, { room: "garden", name: "Ada" });
    const ben = await open(server, { room: "garden", name: "Ben" });
    await ben.say("In the garden");
    await ada.sees("In the garden");

    await ada.page.getByRole("button", { name: "New room" }).click();
    await ada.page.getByLabel("Name of the room").fill("Tea & Biscuits");
    await expect.poll(() => ada.page.locator("#room-address").textContent()).toMatch(/\/#\/tea-biscuits$/);
    await ada.page.getByRole("button", { name: "Open" }).click();
    await expect.poll(() => ada.page.url()).toBe(`${server.url}/#/tea-biscuits`);
    await expect.poll(() => ben.people()).toEqual(["Ben"]);
    await expect.poll(() => ada.people()).toEqual(["Ada"]);
    expect(await ada.messages()).toEqual([]);

    await ben.page.getByRole("link", { name: "tea-biscuits" }).click();
    await expect.poll(() => ada.notices()).toEqual(["Ben joined"]);
    await ben.page.goBack();
    await expect.poll(() => ben.messages()).toEqual(["You: In the garden"]);
    await expect.poll(() => ada.notices()).toEqual(["Ben joined", "Ben left"]);
  });

  test("many messages at once are slowed down, and all arrive in order", async () => {
    const room = "much";
    const ada = await open(server, { room, name: "Ada" });
    const ben = await open(server, { room, name: "Ben" });
    const numbers = Array.from({ length: 30 }, (_, index) => `Number ${index + 1}`);
    for (const number of numbers) await ada.say(number);

    await expect.poll(() => ben.messages()).toEqual(numbers.map((number) => `Ada: ${number}`));
    await expect.poll(() => ada.page.locator(".waiting").count()).toBe(0);
    expect(await ada.messages()).toEqual(numbers.map((number) => `You: ${number}`));
  });

  test("a copied tab becomes a second person, and the two do not push each other out", async () => {
    const room = "copies";
    const ada = await open(server, { room, name: "Ada" });
    const key = await ada.page.evaluate(() => sessionStorage.getItem("chat.key")!);
    const copy = await open(server, { room });
    await copy.page.evaluate((key) => sessionStorage.setItem("chat.key", key), key);
    await copy.page.reload();
    await copy.introduce("Ada");

    await expect.poll(() => copy.people()).toEqual(["Ada", "Ada 2"]);
    await expect.poll(() => ada.people()).toEqual(["Ada 2", "Ada"]);
  });

  test("a page that a full room refuses does not come back by itself, and gets in with the button", async () => {
    const room = "full";
    const guests = Array.from({ length: 100 }, () => new WebSocket(`${server.url.replace("http", "ws")}/chat/${room}`));
    await Promise.all(guests.map(async (guest, index) => {
      await once(guest, "open", { signal: AbortSignal.timeout(10_000) });
      guest.send(JSON.stringify({ type: "hello", name: "Guest", key: `the-key-of-guest-${index}` }));
      await once(guest, "message", { signal: AbortSignal.timeout(10_000) });
    }));

    const ada = await open(server, { room });
    await ada.answerName("Ada");
    await ada.status(/^Not connected$/).waitFor();
    expect(await ada.page.locator("#toast").textContent()).toBe("This room is full: it holds 100 people.");

    for (const guest of guests) guest.close();
    await Promise.all(guests.map((guest) => once(guest, "close", { signal: AbortSignal.timeout(10_000) })));
    await ada.page.getByRole("button", { name: "Try now" }).click();
    await ada.connected();
    expect(await ada.people()).toContain("Ada");
    expect(await ada.page.locator("#retry").isVisible()).toBe(false);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("after a restart (%s), both people come back", async (signal) => {
    const room = `restart-${signal.toLowerCase()}`;
    let restarted = await startServer(runtime, CHAT);
    try {
      const ada = await open(restarted, { room, name: "Ada" });
      const ben = await open(restarted, { room, name: "Ben" });
      await ada.say("Before");
      await ben.sees("Before");

      expect(await restarted.stop(signal)).toBe(signal === "SIGTERM" ? 0 : null);
      await ada.status(/^Reconnecting in \d+ s$/).waitFor();
      await ben.status(/^Reconnecting in \d+ s$/).waitFor();
      await ada.say("While it was away");
      await ada.say("And once more");
      expect(await ada.page.locator(".waiting").count()).toBe(2);

      restarted = await startServer(runtime, CHAT, restarted.port);
      await ada.connected();
      await ben.connected();
      const fromAda = ["Before", "While it was away", "And once more"];
      await expect.poll(() => ben.messages()).toEqual(fromAda.map((text) => `Ada: ${text}`));
      await ben.say("There you are");
      await expect.poll(() => ada.messages())
        .toEqual([...fromAda.map((text) => `You: ${text}`), "Ben: There you are"]);
      await expect.poll(() => ada.people()).toEqual(["Ada", "Ben"]);
      expect(await ada.page.locator(".waiting").count()).toBe(0);
      // The new process does not know what was said before, so nobody can be sure to have all of it.
      expect([await ada.gaps(), await ben.gaps()]).toEqual([1, 1]);
      // Nobody was told that they had left.
      expect([await ada.notices(), await ben.notices()]).toEqual([["Ben joined"], []]);
      for (const chat of [ada, ben]) chat.forgiveLostConnections();
    } finally {
      await restarted.stop("SIGKILL");
    }
  });
});
