/** Publishing to sockets that have agreed on different compressions, or on none. */
import { describe, expect, onTestFinished, test } from "vitest";
import type { App, Socket } from "../../../mod.ts";
import { listeningApp, portOf } from "../../support/app.ts";
import { peer } from "../../support/crowd.ts";
import { DeflateClient } from "../../support/deflate.ts";
import { Hub } from "../../support/memory-broker.ts";
import { Random } from "../../support/random.ts";
import { expectSameMemory, type Line, lines } from "../../support/written.ts";

const random = new Random(6);

/** A random text that compresses to about half. */
function prose(length: number): string {
  return Array.from({ length: length / 8 }, () => `word${1_000 + random.below(9_000)}`).join("");
}

/** Compares messages. This is faster than `toEqual` for many bytes. */
function isSame(a: string | Buffer, b: string | Buffer): boolean {
  return typeof a === "string" ? a === b : a.equals(b as Buffer);
}

interface Member {
  readonly client: DeflateClient;
  readonly socket: Socket;
}

/** An app whose routes have different compressions, and subscribe every socket to "news". */
async function routes(
  options: object = {},
): Promise<{ app: App; member(path: string, offer?: string): Promise<Member> }> {
  let onArrival: (socket: Socket) => void;
  const enter = (socket: Socket): void => {
    socket.subscribe("news");
    onArrival(socket);
  };
  const app = await listeningApp({ compression: true, ...options }, (app) => {
    app.ws("/default", enter)
      .ws("/off", { compression: false }, enter)
      .ws("/large-only", { compression: { threshold: 100_000 } }, enter)
      .ws("/everything", { compression: { threshold: 0 } }, enter)
      .ws("/no-bytes", { compression: { filter: (data) => typeof data === "string" } }, enter)
      .ws("/takeover", { compression: { contextTakeover: true } }, enter);
  });
  return {
    app,
    async member(path, offer) {
      const arrived = new Promise<Socket>((resolve) => onArrival = resolve);
      const client = await DeflateClient.connect(portOf(app), { path, ...(offer === undefined ? {} : { offer }) });
      onTestFinished(() => client.terminate());
      return { client, socket: await arrived };
    },
  };
}

const PATHS = ["/default", "/off", "/large-only", "/everything", "/no-bytes", "/takeover"];

describe("each socket gets a message as its route and its client have agreed", () => {
  test.each<[string, string | Buffer, string[]]>([
    ["a short text", "hello ".repeat(10), ["/everything"]],
    ["a text", prose(5_000), ["/default", "/everything", "/no-bytes", "/takeover"]],
    ["bytes", Buffer.from(prose(5_000)), ["/default", "/everything", "/takeover"]],
    ["a long text", prose(300_000), ["/default", "/everything", "/large-only", "/no-bytes", "/takeover"]],
  ])("%s", async (_name, data, compressed) => {
    const { app, member } = await routes();
    const members: Member[] = [];
    for (const path of PATHS) members.push(await member(path));
    const plain = await member("/default", "x-unknown");
    expect(app.publish("news", data)).toBe(PATHS.length + 1);
    const found: string[] = [];
    for (const [i, { client }] of members.entries()) {
      const received = await client.next();
      expect(received.data).toEqual(data);
      if (received.isCompressed) found.push(PATHS[i]);
    }
    expect(found.sort()).toEqual(compressed);
    expect(await plain.client.next()).toMatchObject({ data, isCompressed: false });
  });

  test("a message of another process too", async () => {
    const hub = new Hub();
    const { app } = await peer(hub);
    const { member } = await routes({ broker: hub.link() });
    const [on, off] = [await member("/default"), await member("/off")];
    await hub.settle();
    const data = prose(5_000);
    app.publish("news", data);
    expect(await on.client.next()).toMatchObject({ data, isCompressed: true });
    expect(await off.client.next()).toMatchObject({ data, isCompressed: false });
  });
});

test("a message that is published while a long one is being compressed keeps its place", async () => {
  const { app, member } = await routes();
  const members = [await member("/default"), await member("/takeover"), await member("/off")];
  const texts = [prose(400_000), "short", prose(5_000), prose(300_000), "last"];
  for (const text of texts) app.publish("news", text);
  const alone = members[0].socket.publish("news", "not to the first");
  expect(alone).toBe(2);
  for (const { client } of members) for (const text of texts) expect(await client.nextMessage()).toBe(text);
  for (const { client } of members.slice(1)) expect(await client.nextMessage()).toBe("not to the first");
});

test("a socket that ends while its message is being compressed does not disturb the others", async () => {
  const { app, member } = await routes();
  const [a, b, c] = [await member("/default"), await member("/default"), await member("/takeover")];
  const text = prose(400_000);
  expect(app.publish("news", text)).toBe(3);
  a.socket.terminate();
  expect(app.publish("news", "next")).toBe(2);
  for (const { client } of [b, c]) {
    expect(await client.nextMessage()).toBe(text);
    expect(await client.nextMessage()).toBe("next");
  }
});

describe("a message is compressed once for all sockets with the same agreement", () => {
  const connect = (port: number): Promise<DeflateClient> => DeflateClient.connect(port);

  test.each<[string, () => string | Buffer]>([
    ["a text", () => prose(5_000)],
    ["bytes", () => Buffer.from(prose(5_000))],
    ["a text whose result is large", () => prose(60_000)],
    ["a text that is compressed on another thread", () => prose(300_000)],
    ["bytes that are compressed on another thread", () => Buffer.from(prose(300_000))],
  ])("%s", async (_name, make) => {
    const { app, all } = await lines(8, ["news"], { compression: true }, connect);
    const data = make();
    expect(app.publish("news", data)).toBe(8);
    for (const { client } of all) {
      const received = await client.next();
      expect([received.isCompressed, isSame(received.data, data)]).toEqual([true, true]);
    }
    // A large result is written behind its header, so only the result is the same object.
    const largest = ({ client, writes }: Line<DeflateClient>): Line<DeflateClient> => ({
      client,
      writes: [writes.reduce((largest, write) => write.length > largest.length ? write : largest)],
    });
    expectSameMemory(all.map(largest));
  });
});

describe("a burst is one write for each socket, even if the agreements differ", () => {
  const BOTH = ["permessage-deflate", "x-unknown"];
  const TWO = ["permessage-deflate", "permessage-deflate; server_max_window_bits=9"];

  test.each<[string, string[], (text: string) => string | Buffer]>([
    ["texts to sockets with and without compression", BOTH, (text) => text],
    ["bytes to sockets with and without compression", BOTH, (text) => Buffer.from(text)],
    ["texts to two agreements", TWO, (text) => text],
    ["bytes to two agreements", TWO, (text) => Buffer.from(text)],
  ])("%s", async (_name, offers, make) => {
    let connected = 0;
    const connect = (port: number): Promise<DeflateClient> =>
      DeflateClient.connect(port, { offer: offers[connected++ % 2] });
    const { app, all } = await lines(60, ["news"], { compression: true }, connect);
    const messages = Array.from({ length: 4 }, () => make(prose(2_000)));
    for (const message of messages) expect(app.publish("news", message)).toBe(60);
    for (const { client } of all) {
      const isCompressed = client.extensions !== "";
      for (const data of messages) expect(await client.next()).toMatchObject({ data, isCompressed });
    }
    expect(all.map(({ writes }) => writes.length)).toEqual(Array(60).fill(1));
  });
});
