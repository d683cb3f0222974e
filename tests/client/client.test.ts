/** The client of `spacenode/client`: its size, its states, what it sends and gets, and its end. */
import { transform } from "esbuild";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/client/client.ts";
import { fakeClient, fakeTimers, settle } from "../support/client.ts";
import { fakeNetwork } from "../support/fake-websocket.ts";
import { read } from "../support/repository.ts";

beforeEach(() => fakeTimers());
afterEach(() => void vi.useRealTimers());

const minify = async (target: string): Promise<string> => {
  const { code } = await transform(read("src/client/client.ts"), { loader: "ts", format: "esm", minify: true, target });
  return code;
};

test("the file has at most 2 KB, minified and gzipped", async () => {
  expect(gzipSync(await minify("es2020"), { level: 9 }).length).toBeLessThanOrEqual(2048);
});

test("its syntax is ES2020: there is nothing newer that would have to be rewritten", async () => {
  expect(await minify("es2020")).toBe(await minify("esnext"));
});

describe("an address", () => {
  test.each([
    ["http://server/a?b=c", "ws://server/a?b=c"],
    ["https://server/", "wss://server/"],
    ["ws://server:8080/", "ws://server:8080/"],
    ["https://server/a?b=c#d", "wss://server/a?b=c"],
    [new URL("wss://server/a"), "wss://server/a"],
  ])("%s", async (url, expected) => {
    expect((await fakeClient({}, url)).newest.url).toBe(expected);
  });

  test("of a page is completed by the address of the page", async () => {
    vi.stubGlobal("location", { href: "https://site.example/rooms/?a=b#c" });
    try {
      expect((await fakeClient({}, "tea")).newest.url).toBe("wss://site.example/rooms/tea");
      expect((await fakeClient({}, () => "/chat")).newest.url).toBe("wss://site.example/chat");
    } finally {
      vi.unstubAllGlobals();
    }
  });

  // The second one is a URL: its scheme is "localhost:".
  test.each(["/rooms/tea", "localhost:3000/chat", "ftp://server/", "", "http://"])(
    "that is none, such as %j, is an error at once, which says what it has to be",
    (url) => {
      const message = `url must begin with ws:, wss:, http: or https:, or be a path in a page; got ${url}`;
      expect(() => connect(url)).toThrow(new TypeError(message));
    },
  );

  test("that a function gives and that is none fails the attempt", async () => {
    const errors: unknown[] = [];
    const socket = connect(() => "localhost:3000/chat");
    socket.addEventListener("retry", ({ error }) => errors.push(error));
    await settle();
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringMatching(/^url must begin with ws:/) })]);
    socket.close();
  });
});

describe("the states", () => {
  test("connecting, open, away, open again, closing, closed", async () => {
    const { socket, made, newest } = await fakeClient();
    expect(socket.readyState).toBe(0);
    newest.open("v1.chat");
    expect([socket.readyState, socket.protocol]).toEqual([1, "v1.chat"]);
    newest.end();
    expect([socket.readyState, socket.protocol, socket.bufferedAmount]).toEqual([0, "", 0]);
    await vi.advanceTimersByTimeAsync(1_000);
    made[1]!.open();
    expect(socket.readyState).toBe(1);
    socket.close(4000, "Done");
    expect(socket.readyState).toBe(2);
    expect(made[1]!.closes).toEqual([[4000, "Done"]]);
    made[1]!.end(4000, "Done");
    expect(socket.readyState).toBe(3);
  });

  test("the server is closing: the socket counts as away, and what is sent waits for the next connection", async () => {
    const { socket, made, newest } = await fakeClient();
    newest.open().readyState = 2;
    expect(socket.readyState).toBe(0);
    socket.send("later");
    newest.end(1012);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(made[1]!.open().sent).toEqual(["later"]);
  });
});

describe("messages", () => {
  test("binary messages come as ArrayBuffers, and all come as they are", async () => {
    const { told, newest } = await fakeClient();
    expect(newest.binaryType).toBe("arraybuffer");
    newest.open();
    const bytes = new ArrayBuffer(2);
    const frame = JSON.stringify({ topic: "a", id: "b", recovered: false });
    for (const data of ["text", "", bytes, "\x06", frame]) newest.receive(data);
    expect(told).toEqual([
      { type: "open" },
      ...["text", "", bytes, "\x06", frame].map((data) => ({ type: "message", data })),
    ]);
    expect(told[3]!.data).toBe(bytes);
  });

  test("are sent at once while the connection is open, and the bytes that wait in it are counted", async () => {
    const { socket, newest } = await fakeClient();
    newest.open();
    const bytes = new Uint8Array([1, 2]);
    socket.send("a");
    socket.send(bytes);
    expect(newest.sent).toEqual(["a", bytes]);
    expect(newest.sent[1]).toBe(bytes);
    newest.bufferedAmount = 7;
    expect(socket.bufferedAmount).toBe(7);
  });

  test("a listener that is removed gets none any more, and one that is added once gets one", async () => {
    const { socket, newest } = await fakeClient();
    const [always, once] = [vi.fn(), vi.fn()];
    socket.addEventListener("message", always);
    socket.addEventListener("message", once, { once: true });
    newest.open().receive("1");
    newest.receive("2");
    socket.removeEventListener("message", always);
    newest.receive("3");
    expect([always.mock.calls.length, once.mock.calls.length]).toEqual([2, 1]);
  });
});

describe("the queue", () => {
  test("keeps order, and leaves behind what a listener of open sends", async () => {
    const { socket, newest } = await fakeClient();
    socket.addEventListener("open", () => socket.send("hello"));
    socket.send("1");
    socket.send("2");
    expect(socket.bufferedAmount).toBe(2);
    expect(newest.open().sent).toEqual(["hello", "1", "2"]);
    expect(socket.bufferedAmount).toBe(0);
  });

  test("has copies of bytes, of which the caller may change its own", async () => {
    const { socket, newest } = await fakeClient();
    const memory = new Uint8Array([0, 1, 2, 3, 4]);
    socket.send(memory.subarray(1, 3));
    socket.send(new DataView(memory.buffer, 3, 2));
    socket.send(memory.buffer);
    socket.send(Buffer.from(memory.buffer, 0, 1));
    socket.send(new Uint16Array([513]));
    memory.fill(9);
    newest.open();
    const sent = newest.sent.map((data) => [...new Uint8Array(data as ArrayBuffer)]);
    expect(sent).toEqual([[1, 2], [3, 4], [0, 1, 2, 3, 4], [0], [1, 2]]);
  });

  test("takes Blobs", async () => {
    const { socket, newest } = await fakeClient();
    socket.send(new Blob(["abc"]));
    expect(socket.bufferedAmount).toBe(3);
    newest.open();
    expect(await (newest.sent[0] as Blob).text()).toBe("abc");
  });

  test("counts bytes in UTF-8, and refuses what does not fit, without losing what does", async () => {
    const { socket, newest } = await fakeClient({ maxQueuedBytes: 5 });
    socket.send("é€");
    expect(socket.bufferedAmount).toBe(5);
    expect(() => socket.send("a")).toThrow("No more than 5 bytes may wait, got 6");
    expect(() => socket.send(new Uint8Array(1))).toThrow("No more than 5 bytes may wait, got 6");
    expect(newest.open().sent).toEqual(["é€"]);
    newest.end();
    socket.send("again");
    expect(socket.bufferedAmount).toBe(5);
  });

  test("holds a mebibyte by default", async () => {
    const { socket } = await fakeClient();
    socket.send("x".repeat(1_048_576));
    expect(() => socket.send("x")).toThrow("No more than 1048576 bytes may wait");
  });

  test("can be an error instead: before the first connection, and while away", async () => {
    const { socket, newest } = await fakeClient({ queue: false });
    expect(() => socket.send("a")).toThrow("There is no connection");
    newest.open();
    socket.send("b");
    newest.end();
    expect(() => socket.send("c")).toThrow("There is no connection");
    expect(newest.sent).toEqual(["b"]);
  });

  test("stays when a listener of open closes the socket, and bufferedAmount tells what was not sent", async () => {
    const { socket, newest } = await fakeClient();
    socket.addEventListener("open", () => socket.close());
    socket.send("abc");
    expect(newest.open().sent).toEqual([]);
    newest.end(1000);
    expect(socket.bufferedAmount).toBe(3);
  });
});

describe("close", () => {
  test("waits for the answer of the server, and tells its code", async () => {
    const { socket, told, newest } = await fakeClient();
    newest.open();
    socket.close();
    socket.close(4000);
    expect(newest.closes).toEqual([[1000, ""]]);
    newest.receive("still here");
    newest.end(1000, "");
    expect(told).toEqual([
      { type: "open" },
      { type: "message", data: "still here" },
      { type: "close", code: 1000, reason: "" },
    ]);
    await vi.advanceTimersByTimeAsync(100_000);
    expect(told).toHaveLength(3);
  });

  test.each([[{}], [{ heartbeat: { intervalMs: 60_000 } }]])(
    "does not wait for a server that is gone: %j",
    async (options) => {
      const { socket, told, newest } = await fakeClient(options);
      newest.open();
      socket.close();
      await vi.advanceTimersByTimeAsync(9_999);
      expect(told).toEqual([{ type: "open" }]);
      await vi.advanceTimersByTimeAsync(1);
      expect(told.slice(1)).toEqual([{ type: "close", code: 1006, reason: "Timed out" }]);
      newest.end();
      expect(told).toHaveLength(2);
    },
  );

  test("before the first attempt: there is none", async () => {
    const { WebSocket, made } = fakeNetwork();
    const socket = connect("ws://server/", { WebSocket });
    const closed = vi.fn();
    socket.close();
    socket.addEventListener("close", closed);
    await settle();
    expect([made.length, closed.mock.calls.length, socket.readyState]).toEqual([0, 1, 3]);
  });

  test("while it connects: the connection is given up", async () => {
    const { socket, told, made, newest } = await fakeClient();
    socket.close(4000, "No more");
    expect(socket.readyState).toBe(2);
    await settle();
    expect(newest.closes).toEqual([[4000, "No more"]]);
    newest.end();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(told).toEqual([{ type: "close", code: 4000, reason: "No more" }]);
    expect(made).toHaveLength(1);
  });

  test("while it waits: there is no further attempt", async () => {
    const { socket, told, made, newest } = await fakeClient();
    newest.end();
    socket.close();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(told.map(({ type }) => type)).toEqual(["retry", "close"]);
    expect(made).toHaveLength(1);
  });

  test("inside of a listener of retry", async () => {
    const { socket, told, made, newest } = await fakeClient();
    socket.addEventListener("retry", () => socket.close());
    newest.end();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(told.map(({ type }) => type)).toEqual(["retry", "close"]);
    expect(made).toHaveLength(1);
  });

  test("while the function for the address runs: no connection is made", async () => {
    const address = Promise.withResolvers<string>();
    const { socket, told, made } = await fakeClient({}, () => address.promise);
    socket.close();
    address.resolve("ws://server/");
    await vi.advanceTimersByTimeAsync(100_000);
    expect(told).toEqual([{ type: "close", code: 1000, reason: "" }]);
    expect(made).toHaveLength(0);
  });

  test("with a code that is not allowed throws, and the socket lives on", async () => {
    const { socket, newest } = await fakeClient();
    newest.open();
    expect(() => socket.close(1001)).toThrow("1001");
    expect(socket.readyState).toBe(1);
  });

  test("nothing can be sent after it", async () => {
    const { socket, newest } = await fakeClient();
    newest.open();
    socket.close();
    expect(() => socket.send("a")).toThrow("The socket is closed");
    newest.end(1000);
    expect(() => socket.send("a")).toThrow("The socket is closed");
  });
});
