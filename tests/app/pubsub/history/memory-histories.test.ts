import { describe, expect, test } from "vitest";
import type { App, FollowOptions, InjectedClient, TopicOptions } from "../../../../mod.ts";
import { createApp } from "../../../../mod.ts";

/** A frame of a follower, as a page reads it. */
interface Frame {
  readonly topic: string;
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
  readonly encoding?: string;
}

async function appWith(options: TopicOptions = { history: true }, limits: object = {}): Promise<App> {
  const app = await createApp({ logger: false, ...limits });
  app.topic("news", options);
  app.ws("/", async (socket, req) => {
    const since = req.query.get("since");
    const follow: FollowOptions = since === null ? {} : { since };
    await socket.follow("news", follow);
  });
  return app;
}

async function nextFrame(client: InjectedClient): Promise<Frame> {
  return JSON.parse(String(await client.next()));
}

async function frames(client: InjectedClient, count: number): Promise<Frame[]> {
  const all: Frame[] = [];
  while (all.length < count) all.push(await nextFrame(client));
  return all;
}

function publish(app: App, ...texts: string[]): void {
  for (const text of texts) app.publish("news", text);
}

describe("follow", () => {
  test("begins at now without an id, and gives the id of now", async () => {
    await using app = await appWith();
    publish(app, "before");
    const client = await app.inject("/");
    const notice = await nextFrame(client);
    expect(notice).toEqual({ topic: "news", id: expect.stringMatching(/^[\w-]+\.1$/), recovered: false });
    publish(app, "a", "b");
    const [epoch] = notice.id.split(".");
    expect(await frames(client, 2)).toEqual([
      { topic: "news", id: `${epoch}.2`, data: "a" },
      { topic: "news", id: `${epoch}.3`, data: "b" },
    ]);
  });

  test("brings all that was missed behind an id, and then what is new", async () => {
    await using app = await appWith();
    const first = await app.inject("/");
    await nextFrame(first);
    publish(app, "seen");
    const { id } = await nextFrame(first);
    first.terminate();
    publish(app, "missed 1", "missed 2");
    const second = await app.inject(`/?since=${id}`);
    publish(app, "new");
    const [notice, ...messages] = await frames(second, 4);
    expect(notice).toEqual({ topic: "news", id, recovered: true });
    expect(messages.map(({ data }) => data)).toEqual(["missed 1", "missed 2", "new"]);
  });

  test("begins at the oldest message with an empty id", async () => {
    await using app = await appWith({ history: { size: 2 } });
    publish(app, "1", "2", "3");
    const [notice, ...messages] = await frames(await app.inject("/?since="), 3);
    expect(notice!.recovered).toBe(true);
    expect(messages.map(({ data }) => data)).toEqual(["2", "3"]);
  });

  test("recovers nothing when a part of it is gone", async () => {
    await using app = await appWith({ history: { size: 2 } });
    publish(app, "1");
    const first = await app.inject("/");
    const { id } = await nextFrame(first);
    publish(app, "2", "3", "4");
    const [notice] = await frames(await app.inject(`/?since=${id}`), 1);
    expect(notice).toEqual({ topic: "news", id: id.replace(/1$/, "4"), recovered: false });
  });

  test("recovers nothing when more than maxRecover was missed", async () => {
    await using app = await appWith({ history: { maxRecover: 2 } });
    publish(app, "1");
    const { id } = await nextFrame(await app.inject("/"));
    publish(app, "2", "3");
    expect((await frames(await app.inject(`/?since=${id}`), 3)).map(({ recovered, data }) => recovered ?? data))
      .toEqual([true, "2", "3"]);
    publish(app, "4");
    const client = await app.inject(`/?since=${id}`);
    expect((await nextFrame(client)).recovered).toBe(false);
    publish(app, "5");
    expect((await nextFrame(client)).data).toBe("5");
  });

  test.each([
    ["of another epoch", (id: string) => `x${id}`],
    ["ahead of the newest message", (id: string) => id.replace(/1$/, "2")],
    ["that is none", () => "?"],
    ["that is too long", (id: string) => "x".repeat(100_000) + id],
    ["with a number that is none", (id: string) => id.replace(/1$/, "9999999999999999")],
  ])("recovers nothing behind an id %s", async (_name, change) => {
    await using app = await appWith();
    publish(app, "1");
    const { id } = await nextFrame(await app.inject("/"));
    const client = await app.inject(`/?since=${encodeURIComponent(change(id))}`);
    expect(await nextFrame(client)).toEqual({ topic: "news", id, recovered: false });
  });

  test("recovers from a time at which the topic had no message", async () => {
    await using app = await appWith();
    const first = await app.inject("/");
    const { id } = await nextFrame(first);
    first.terminate();
    expect((await nextFrame(await app.inject(`/?since=${id}`))).recovered).toBe(true);
    publish(app, "1", "2");
    const found = await frames(await app.inject(`/?since=${id}`), 3);
    expect(found.map(({ recovered, data }) => recovered ?? data)).toEqual([true, "1", "2"]);
  });

  test("gives bytes in base64", async () => {
    await using app = await appWith();
    const client = await app.inject("/");
    await nextFrame(client);
    app.publish("news", Uint8Array.of(1, 2, 255));
    expect(await nextFrame(client)).toMatchObject({ data: "AQL/", encoding: "base64" });
  });
});
