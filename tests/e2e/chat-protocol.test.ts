/** The server of the chat example copes with clients that break the rules of its protocol. */

import { once } from "node:events";
import { get } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { RUNTIMES, type ServerProcess, startServer } from "./support/server-process.ts";

const KEY = "0123456789abcdef";
const HELLO = { type: "hello", name: "Ada", key: KEY };
const SAY = { type: "say", id: "message-0000-0001", text: "Hi" };

type Reply = { type: string } & Record<string, unknown>;

/** A client that collects the replies of the server. */
class Client {
  readonly socket: WebSocket;
  readonly received: Reply[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(server: ServerProcess, room: string) {
    this.socket = new WebSocket(`${server.url.replace("http", "ws")}/chat/${room}`);
    this.socket.addEventListener("message", ({ data }) => {
      this.received.push(data === "\x06" ? { type: "alive" } : JSON.parse(data));
    });
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
  }

  /** Connects, says hello, and waits for the welcome. */
  static async join(server: ServerProcess, room: string, hello: object = HELLO): Promise<Client> {
    const client = new Client(server, room);
    await client.opened();
    client.send(hello);
    await client.gets("welcome");
    return client;
  }

  async opened(): Promise<void> {
    await once(this.socket, "open", { signal: AbortSignal.timeout(10_000) });
  }

  send(message: unknown): void {
    this.socket.send(
      typeof message === "string" || message instanceof Uint8Array ? message as string : JSON.stringify(message),
    );
  }

  all(type: string): Reply[] {
    return this.received.filter((reply) => reply.type === type);
  }

  /** Waits for the nth reply of a type. */
  async gets(type: string, nth = 1): Promise<Reply> {
    while (this.all(type).length < nth) await once(this.socket, "message", { signal: AbortSignal.timeout(10_000) });
    return this.all(type)[nth - 1]!;
  }
}

describe.each(RUNTIMES)("the chat's server under %s", (runtime) => {
  let server: ServerProcess;
  let clients: Client[] = [];
  beforeAll(async () => {
    server = await startServer(runtime, "examples/chat/server.ts");
  });
  afterAll(async () => await server?.stop());
  afterEach(async () => {
    for (const client of clients) client.socket.close();
    await Promise.all(clients.map((client) => client.closed));
    clients = [];
  });

  async function join(room: string, hello?: object): Promise<Client> {
    const client = await Client.join(server, room, hello);
    clients.push(client);
    return client;
  }

  async function connect(room: string): Promise<Client> {
    const client = new Client(server, room);
    clients.push(client);
    await client.opened();
    return client;
  }

  test.each([
    ["no JSON", "{", "bad-message", "must be JSON"],
    ["an array", [], "bad-message", "JSON object"],
    ["null", null, "bad-message", "JSON object"],
    ["no type", {}, "bad-message", '"type"'],
    ["an unknown type", { type: "shout" }, "bad-message", "hello, say, rename, typing"],
    ["an inherited name as type", { type: "constructor" }, "bad-message", '"type"'],
    ["a type that is no string", { type: ["say"] }, "bad-message", '"type"'],
    ["a field too few", { type: "say", id: SAY.id }, "bad-message", '"text" that is a string'],
    ["a field too many", { ...SAY, to: "Ben" }, "bad-message", 'no field "to"'],
    ["a __proto__ field", `{"type":"typing","on":true,"__proto__":{"on":true}}`, "bad-message", 'no field "__proto__"'],
    ["a field of the wrong type", { type: "typing", on: 1 }, "bad-message", '"on" that is a boolean'],
    ["an id that is none", { ...SAY, id: "short" }, "bad-message", '"id" must be'],
    ["an empty text", { ...SAY, text: " \n " }, "bad-text", "nothing"],
    ["a text too long", { ...SAY, text: "x".repeat(2_001) }, "bad-text", "2,000 characters; this one has 2,001"],
    ["an empty name", { type: "rename", name: "  " }, "bad-name", "seen"],
    ["an invisible name", { type: "rename", name: "\u200d" }, "bad-name", "seen"],
    ["a name too long", { type: "rename", name: "x".repeat(33) }, "bad-name", "32 characters; this one has 33"],
    ["a name over two lines", { type: "rename", name: "A\nB" }, "bad-name", "control"],
    ["a name that turns the text around", { type: "rename", name: "A\u202eB" }, "bad-name", "control"],
    ["a second hello", HELLO, "bad-message", "before"],
    ["a position that is no text", { ...HELLO, since: 1 }, "bad-message", '"since" that is a string'],
    ["bytes", new Uint8Array([1, 2, 3]), "bad-message", "must be text"],
  ])("%s gets an error, and the connection stays open", async (_name, message, code, words) => {
    const client = await join("errors");
    client.send(message);
    const error = await client.gets("error");
    expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
    client.send("\x05"); // The heartbeat of the client for browsers.
    expect(await client.gets("alive")).toEqual({ type: "alive" });
    expect(client.all("error")).toHaveLength(1);
  });

  test("any message before a hello gets an error", async () => {
    const client = await connect("hello");
    client.send(SAY);
    expect(await client.gets("error")).toMatchObject({
      code: "bad-message",
      message: expect.stringContaining("hello"),
    });
    client.send(HELLO);
    expect(await client.gets("welcome")).toMatchObject({ room: "hello", you: { name: "Ada" }, history: [] });
  });

  test.each(["Lobby", "-", "a%20b", "a%2Fb", "x".repeat(33), "%E2%80%AE"])("the room %j is refused", async (room) => {
    const client = await connect(room);
    client.send(HELLO);
    expect(await client.gets("error")).toMatchObject({ code: "bad-room" });
    expect(await client.closed).toMatchObject({ code: 4004 });
  });

  test("a room's name may be of any script", async () => {
    const client = await join(encodeURIComponent("чай_2"));
    expect(await client.gets("welcome")).toMatchObject({ room: "чай_2" });
  });

  test("a message that is sent twice is said once", async () => {
    const ada = await join("once");
    const ben = await join("once", { ...HELLO, name: "Ben", key: "fedcba9876543210" });
    ada.send(SAY);
    ada.send(SAY);
    ada.send({ ...SAY, id: "message-0000-0002", text: "Bye" });
    const { message } = await ada.gets("message", 2) as unknown as { message: object };
    expect(message).toMatchObject({ id: SAY.id, text: "Hi", from: { name: "Ada" }, at: expect.any(Number) });
    await ben.gets("message", 2);
    const texts = ben.all("message").map((reply) => (reply.message as typeof SAY).text);
    expect(texts).toEqual(["Hi", "Bye"]);
  });

  test("a person who comes back takes the place of the lost connection, and nobody else is told", async () => {
    const ben = await join("back", { ...HELLO, name: "Ben", key: "fedcba9876543210" });
    const lost = await join("back");
    const back = await join("back");
    expect(await lost.closed).toMatchObject({ code: 4001 });
    back.send(SAY);
    await ben.gets("message");
    expect([ben.all("joined").length, ben.all("left").length]).toEqual([1, 0]);
    expect(await back.gets("welcome")).toMatchObject({
      you: { name: "Ada" },
      people: [{ name: "Ben" }, { name: "Ada" }],
    });
  });

  test("the welcome is the first message, also for people who come at the same time", async () => {
    const arrivals = await Promise.all(Array.from({ length: 20 }, () => connect("crowd")));
    for (const [index, client] of arrivals.entries()) client.send({ ...HELLO, key: `the-key-of-guest-${index}` });
    const welcomes = await Promise.all(arrivals.map((client) => client.gets("welcome")));
    expect(arrivals.map(({ received }) => received[0]!.type)).toEqual(arrivals.map(() => "welcome"));
    // Each of the others stands in the welcome, or joins behind it.
    const known = (client: Client, index: number): number =>
      (welcomes[index]!.people as object[]).length + client.all("joined").length;
    await expect.poll(() => arrivals.map(known)).toEqual(arrivals.map(() => arrivals.length));
  });

  test("a person who comes back with a position gets what was said behind it, and no more", async () => {
    const ada = await join("since");
    const ben = await join("since", { ...HELLO, name: "Ben", key: "fedcba9876543210" });
    expect(await ada.gets("welcome")).toMatchObject({ history: [], recovered: true });
    for (const number of [1, 2, 3]) ben.send({ ...SAY, id: `message-0000-000${number}`, text: String(number) });
    const { position } = await ada.gets("message");
    await ada.gets("message", 3);

    const back = await join("since", { ...HELLO, since: position });
    const welcome = await back.gets("welcome") as unknown as { history: (typeof SAY)[]; position: string };
    expect(welcome).toMatchObject({ recovered: true, history: [{ text: "2" }, { text: "3" }] });
    expect(await back.gets("position")).toEqual({ type: "position", position: welcome.position, recovered: true });
    ben.send({ ...SAY, id: "message-0000-0004", text: "4" });
    expect(await back.gets("message")).toMatchObject({ message: { text: "4" } });

    const lost = await join("since", { ...HELLO, key: "x".repeat(16), since: "of-another-server.1" });
    const { history, recovered } = await lost.gets("welcome") as unknown as { history: object[]; recovered: boolean };
    expect([history.length, recovered]).toEqual([4, false]);
  });

  test("a room keeps its last 50 messages", async () => {
    const keys = ["a", "b", "c"].map((letter) => letter.repeat(16));
    for (const key of keys) {
      const client = await join("fifty", { ...HELLO, key });
      for (let number = 1; number <= 19; number++) {
        client.send({ ...SAY, id: `${key}-${number}`, text: `${key[0]}${number}` });
      }
      await client.gets("message", 19);
    }
    const late = await join("fifty", { ...HELLO, key: "d".repeat(16) });
    const { history } = await late.gets("welcome") as unknown as { history: (typeof SAY)[] };
    expect([history.length, history[0]!.text, history.at(-1)!.text]).toEqual([50, "a8", "c19"]);
  });

  test("a flood gets errors that ask to slow down, and is closed when it goes on", async () => {
    const client = await join("flood");
    for (let number = 0; number < 200; number++) {
      client.send({ ...SAY, id: `flood-message-${String(number).padStart(3, "0")}`, text: String(number) });
    }
    expect(await client.closed).toMatchObject({ code: 1008 });
    const error = client.all("error")[0];
    expect(error).toMatchObject({
      code: "slow-down",
      id: expect.stringMatching(/^flood-/),
      retryAfterMs: expect.any(Number),
    });
    expect(client.all("message").length).toBeLessThan(40);
  });

  test("a message of 17 KiB is closed with 1009", async () => {
    const client = await join("big");
    client.send("x".repeat(17 * 1024));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  test("the server serves the page's files and no others, under a strict policy", async () => {
    const page = await fetch(server.url);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    const html = await page.text();
    const files = [...html.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map((match) => match[1]!);
    expect(files).toContain("/chat.js");
    for (const file of files) expect([file, (await fetch(server.url + file)).status]).toEqual([file, 200]);
    for (const path of ["/server.ts", "/public/chat.js", "/..%2fserver.ts", "/chat.js/"]) {
      expect([path, (await fetch(server.url + path)).status]).toEqual([path, 404]);
    }
  });

  test("a page of another site gets a 403", async () => {
    const handshake = {
      "Connection": "Upgrade",
      "Upgrade": "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    const request = get(`${server.url}/chat/lobby`, { headers: { ...handshake, Origin: "https://elsewhere.example" } });
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(403);
  });
});
