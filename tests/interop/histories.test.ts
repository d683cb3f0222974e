// WebSocket clients of other projects follow a topic, are cut off, and come back with the last id that they have.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type App, createApp } from "../../mod.ts";
import { type ClientConnection, ClientProcess } from "./client-process.ts";
import { clientKinds, isInstalled } from "./clients.ts";

interface Frame {
  readonly topic: string;
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
}

const kinds = clientKinds.filter(({ name }) => name === "ws" || name === "undici's WebSocket");
const PAD = "x".repeat(20_000);

describe.each(kinds.filter(isInstalled))("$name", (kind) => {
  let app: App;
  let program: ClientProcess;

  beforeAll(async () => {
    app = await createApp({ logger: false, compression: true });
    app.topic("room/*", { history: { maxRecover: 2_000, size: 2_000 } });
    app.ws("/rooms/:room", async (socket, req) => {
      const topic = `room/${req.params.room}`;
      socket.on("message", (text) => void socket.publish(topic, text));
      await socket.follow(topic, { since: req.query.get("since") });
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    program = new ClientProcess(kind.command);
  });

  afterAll(async () => {
    await program.kill();
    await app.close({ timeoutMs: 500 });
  });

  /** Connects, and takes the notice. */
  async function enter(room: string, since?: string): Promise<{ client: ClientConnection; notice: Frame }> {
    const query = since === undefined ? "" : `?since=${encodeURIComponent(since)}`;
    const client = program.connect(`${app.url.replace("http:", "ws:")}/rooms/${room}${query}`);
    expect(await client.events.next()).toMatchObject({ event: "open" });
    return { client, notice: (await take(client, 1))[0] };
  }

  async function take(client: ClientConnection, count: number): Promise<Frame[]> {
    const events = await client.events.take(count);
    return events.map((event) => JSON.parse((event as { text: string }).text) as Frame);
  }

  test("a client that comes back gets what it missed, then what is new", async () => {
    const first = await enter("a");
    expect(first.notice.recovered).toBe(false);
    first.client.send("1");
    const [{ id, data }] = await take(first.client, 1);
    expect(data).toBe("1");
    first.client.close(1000);
    expect(await first.client.events.next()).toMatchObject({ event: "close" });
    for (let i = 2; i <= 50; i++) app.publish("room/a", String(i));
    const second = await enter("a", id);
    expect(second.notice).toEqual({ topic: "room/a", id, recovered: true });
    second.client.send("51");
    const texts = (await take(second.client, 50)).map(({ data }) => data);
    expect(texts).toEqual(Array.from({ length: 50 }, (_, i) => String(i + 2)));
  });

  test("a recovery of many megabytes arrives whole and in order, while more is published", async () => {
    for (let i = 0; i < 500; i++) app.publish("room/b", `${i} ${PAD}`);
    const { client, notice } = await enter("b", "");
    expect(notice.recovered).toBe(true);
    for (let i = 500; i < 600; i++) app.publish("room/b", `${i} ${PAD}`);
    const frames = await take(client, 600);
    expect(frames.map(({ data }) => Number(data!.split(" ", 1)[0]))).toEqual(Array.from({ length: 600 }, (_, i) => i));
    const offsets = frames.map(({ id }) => Number(id.split(".")[1]));
    expect(offsets).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
    client.close(1000);
  });

  test("a client whose history is gone is told, and goes on", async () => {
    const { client, notice } = await enter("c", "another-epoch.7");
    expect(notice).toMatchObject({ topic: "room/c", recovered: false });
    client.send("hello");
    expect((await take(client, 1))[0].data).toBe("hello");
    client.close(1000);
  });
});
