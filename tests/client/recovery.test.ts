/** Topics with a history: the client hands in the last id by itself, and says when messages are lost. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/client/client.ts";
import { type FakeClient, fakeClient, fakeTimers, passPause, recordEvents, settle } from "../support/client.ts";
import { fakeNetwork, type FakeWebSocket } from "../support/fake-websocket.ts";

beforeEach(() => fakeTimers());
afterEach(() => void vi.useRealTimers());

const notice = (recovered: boolean, id: string, topic = "tea"): string => JSON.stringify({ topic, id, recovered });
const frame = (data: string, id: string, topic = "tea"): string => JSON.stringify({ topic, id, data });
const sinceOf = ({ url }: FakeWebSocket): string | null => new URL(url).searchParams.get("since");

/** Ends the newest connection, and waits for the next attempt. */
async function lose(client: FakeClient): Promise<void> {
  client.newest.end();
  await passPause(client);
}

describe("with recover: true,", () => {
  test("the last id comes with the address, and messages are as they were published", async () => {
    const client = await fakeClient({ recover: true }, "ws://server/rooms/tea?a=b");
    expect(client.newest.url).toBe("ws://server/rooms/tea?a=b");
    client.newest.open().receive(notice(false, "E-1.0"));
    client.newest.receive(frame("one", "E-1.1"));
    client.newest.receive(frame("two", "E-1.2"));
    expect(client.socket.since("tea")).toBe("E-1.2");
    await lose(client);
    expect(client.newest.url).toBe("ws://server/rooms/tea?a=b&since=E-1.2");
    client.newest.open().receive(notice(true, "E-1.2"));
    client.newest.receive(frame("three", "E-1.3"));
    expect(client.told.filter(({ type }) => type !== "open" && type !== "retry")).toEqual([
      { type: "message", data: "one", topic: "tea", id: "E-1.1" },
      { type: "message", data: "two", topic: "tea", id: "E-1.2" },
      { type: "message", data: "three", topic: "tea", id: "E-1.3" },
    ]);
  });

  test("a notice counts as a place, too", async () => {
    const client = await fakeClient({ recover: true });
    client.newest.open().receive(notice(false, "E-1.7"));
    await lose(client);
    expect(sinceOf(client.newest)).toBe("E-1.7");
  });

  test("bytes come as an ArrayBuffer", async () => {
    const { told, newest } = await fakeClient({ recover: true });
    const data = Buffer.from([0, 127, 128, 255]).toString("base64");
    newest.open().receive(JSON.stringify({ topic: "tea", id: "E-1.1", data, encoding: "base64" }));
    newest.receive(JSON.stringify({ topic: "tea", id: "E-1.2", data: "", encoding: "base64" }));
    const [bytes, none] = [told[1]!.data, told[2]!.data] as ArrayBuffer[];
    expect(bytes).toBeInstanceOf(ArrayBuffer);
    expect([...new Uint8Array(bytes!)]).toEqual([0, 127, 128, 255]);
    expect(none!.byteLength).toBe(0);
  });

  test("an id that the address begins with is handed in until there is a newer one", async () => {
    const client = await fakeClient({ recover: true }, "ws://server/?since=E-1.4");
    expect(sinceOf(client.newest)).toBe("E-1.4");
    await lose(client);
    expect(sinceOf(client.newest)).toBe("E-1.4");
    client.newest.open().receive(notice(true, "E-1.4"));
    client.newest.receive(frame("five", "E-1.5"));
    await lose(client);
    expect(client.newest.url).toBe("ws://server/?since=E-1.5");
  });

  test("a gap is told when an id was handed in, and also later, and the client goes on from there", async () => {
    const client = await fakeClient({ recover: true }, "ws://server/?since=E-1.4");
    client.newest.open().receive(notice(false, "F-1.0"));
    client.newest.receive(frame("a", "F-1.1"));
    client.newest.receive(notice(false, "F-1.9"));
    expect(client.told).toEqual([
      { type: "open" },
      { type: "gap", topic: "tea", id: "F-1.0" },
      { type: "message", data: "a", topic: "tea", id: "F-1.1" },
      { type: "gap", topic: "tea", id: "F-1.9" },
    ]);
    await lose(client);
    expect(sinceOf(client.newest)).toBe("F-1.9");
  });

  test("the first notice of a client that had no id is no gap", async () => {
    const { told, newest } = await fakeClient({ recover: true });
    newest.open().receive(notice(false, "E-1.0"));
    expect(told).toEqual([{ type: "open" }]);
  });

  test("several topics have an id each, for a client that asks for them by itself", async () => {
    const { WebSocket, made } = fakeNetwork();
    const socket = connect("ws://server/", { WebSocket, recover: true });
    const told = recordEvents(socket);
    socket.addEventListener("open", () => {
      for (const topic of ["tea", "coffee"]) socket.send(`${topic} ${socket.since(topic)}`);
    });
    await settle();
    made[0]!.open().receive(notice(false, "E-1.0"));
    made[0]!.receive(notice(false, "F-1.0", "coffee"));
    made[0]!.receive(frame("black", "F-1.1", "coffee"));
    made[0]!.end();
    await vi.advanceTimersByTimeAsync(1_000);
    made[1]!.open().receive(notice(true, "E-1.0"));
    made[1]!.receive(notice(false, "F-1.5", "coffee"));
    expect(made.map(({ sent }) => sent)).toEqual([
      ["tea undefined", "coffee undefined"],
      ["tea E-1.0", "coffee F-1.1"],
    ]);
    expect(made.map(sinceOf)).toEqual([null, null]);
    expect(told.filter(({ type }) => type === "gap")).toEqual([{ type: "gap", topic: "coffee", id: "F-1.5" }]);
    socket.close();
  });

  test.each(["", "tea", '{"topic":"tea"}', '{"topic":"tea","id":5}', '{"topic":"tea', '{"id":"E-1.1","topic":"tea"}'])(
    "other texts come as they are: %s",
    async (text) => {
      const { socket, told, newest } = await fakeClient({ recover: true });
      newest.open().receive(text);
      expect(told[1]).toEqual({ type: "message", data: text });
      expect(socket.since("tea")).toBe(undefined);
    },
  );
});

describe("with a function for recover,", () => {
  test("it is called before the first connection, and its id is handed in", async () => {
    const recover = vi.fn(() => Promise.resolve("E-1.4"));
    const client = await fakeClient({ recover });
    expect(sinceOf(client.newest)).toBe("E-1.4");
    client.newest.open().receive(notice(true, "E-1.4"));
    client.newest.receive(frame("five", "E-1.5"));
    await lose(client);
    expect(sinceOf(client.newest)).toBe("E-1.5");
    expect(recover).toHaveBeenCalledTimes(1);
  });

  test("an empty id asks for all that is kept", async () => {
    expect(new URL((await fakeClient({ recover: () => "" })).newest.url).search).toBe("?since=");
  });

  test("it is called again when the server could not recover: no message comes in between", async () => {
    const ids = ["E-1.4", "F-1.9"];
    const client = await fakeClient({ recover: () => ids.shift()! });
    const first = client.newest.open();
    first.receive(notice(false, "F-1.0"));
    first.receive(frame("between", "F-1.1"));
    expect(first.closes).toHaveLength(1);
    expect(client.told).toEqual([
      { type: "open" },
      { type: "gap", topic: "tea", id: "F-1.0" },
      expect.objectContaining({ type: "retry", reason: "Not recovered", attempt: 1 }),
    ]);
    expect(client.socket.since("tea")).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sinceOf(client.newest)).toBe("F-1.9");
    client.newest.open().receive(notice(true, "F-1.9"));
    expect(client.told.slice(3)).toEqual([{ type: "open" }]);
  });

  test("losses in the middle of a connection count, too", async () => {
    const recover = vi.fn(() => "E-1.4");
    const client = await fakeClient({ recover });
    client.newest.open().receive(notice(true, "E-1.4"));
    client.newest.receive(notice(false, "E-1.8"));
    await vi.advanceTimersByTimeAsync(1_000);
    expect([client.made.length, recover.mock.calls.length]).toEqual([2, 2]);
  });

  test("a server that never recovers is not asked without pauses that grow", async () => {
    const client = await fakeClient({ recover: () => "E-1.4" });
    for (let attempt = 1; attempt < 4; attempt++) {
      client.newest.open().receive(notice(false, "F-1.0"));
      expect(client.told.at(-1)).toMatchObject({ type: "retry", attempt });
      await passPause(client);
    }
  });

  test("a listener of gap may close the socket", async () => {
    const client = await fakeClient({ recover: () => "E-1.4" });
    client.socket.addEventListener("gap", () => client.socket.close());
    client.newest.open().receive(notice(false, "F-1.0"));
    client.newest.end(1000);
    expect(client.told.map(({ type }) => type)).toEqual(["open", "gap", "close"]);
  });

  test("what it returns too late is ignored", async () => {
    const ids = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    let calls = 0;
    const client = await fakeClient({ recover: () => ids[calls++]!.promise });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(calls).toBe(2);
    ids[0]!.resolve("old");
    await settle();
    expect(client.made).toHaveLength(0);
    ids[1]!.resolve("new");
    await settle();
    expect(client.made.map(sinceOf)).toEqual(["new"]);
  });
});
