import { once } from "node:events";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { Connection } from "../../src/transport/connection.ts";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { until, upgradeServer } from "../support/app.ts";
import { block, type Pair, pair, Recorder, roundTrips, SETTINGS, stall } from "../support/connection.ts";
import { binary, close, opcodes, ping, text } from "../support/frames.ts";
import { upgradeRequest } from "../support/raw-client.ts";

const blockFrame = binary(block);

describe("reading", () => {
  test("begins with start, and loses nothing that came before it", async () => {
    const { client, connection, recorder } = await pair({}, { early: Buffer.concat([text("1"), text("2")]) });
    client.send(text("3"), text("4"));
    await roundTrips(3);
    expect(recorder.events).toEqual([]);
    expect([connection.isStarted, connection.isPaused]).toEqual([false, false]);
    connection.start();
    connection.start();
    expect(await recorder.messages(4)).toEqual(["1", "2", "3", "4"]);
    expect([connection.isStarted, connection.isPaused]).toEqual([true, false]);
  });

  test("does not begin with start after a pause", async () => {
    const { client, connection, recorder } = await pair({}, { early: text("1") });
    connection.pause();
    connection.start();
    client.send(text("2"));
    await roundTrips(3);
    expect([recorder.events.length, connection.isPaused]).toEqual([0, true]);
    connection.resume();
    expect(await recorder.messages(2)).toEqual(["1", "2"]);
  });

  test("stops in the middle of a chunk, and goes on where it stopped", async () => {
    const { raw, client, connection, recorder } = await pair();
    recorder.react = () => connection.pause();
    connection.start();
    const texts = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(i)}`);
    client.send(Buffer.concat(texts.slice(0, 150).map((each) => text(each))));
    client.send(Buffer.concat(texts.slice(150).map((each) => text(each))));
    for (let count = 1; count <= 200; count++) {
      await recorder.messages(count);
      await nextTurn();
      expect(recorder.events.length).toBe(count);
      expect(raw.isPaused()).toBe(true);
      connection.resume();
    }
    expect(await recorder.messages(200)).toEqual(texts);
  });

  test("goes on at once when the handler pauses and resumes", async () => {
    const { client, connection, recorder } = await pair();
    recorder.react = () => {
      connection.pause();
      connection.resume();
    };
    connection.start();
    client.send(Buffer.concat([text("1"), text("2"), text("3")]));
    expect(await recorder.messages(3)).toEqual(["1", "2", "3"]);
  });

  test("once paused, stops the peer by TCP itself, and loses nothing", async () => {
    const { raw, client, connection, recorder } = await pair();
    connection.start();
    client.send(text("first"));
    await recorder.messages(1);
    connection.pause();
    const count = 480;
    for (let i = 0; i < count; i++) client.send(blockFrame);
    client.send(text("last"));
    await roundTrips(20);
    expect(recorder.events.length).toBe(1);
    expect(raw.bytesRead, "bytes read while paused").toBeLessThan(8_000_000);
    connection.resume();
    const messages = await recorder.messages(count + 2);
    expect(messages.at(-1)).toBe("last");
    expect(messages.slice(1, -1).filter((data) => !block.equals(data as Buffer))).toEqual([]);
    expect(raw.bytesRead).toBeGreaterThan(count * block.length);
  });

  test("once paused, fails with 1013 above maxBufferedBytes where the runtime reads on into memory", async () => {
    const { raw, client, connection, recorder } = await pair({ maxBufferedBytes: 1_000 });
    let bytesRead = 0;
    Object.defineProperty(raw, "bytesRead", { get: () => bytesRead });
    connection.pause();
    bytesRead = 1_000;
    connection.checkPause();
    expect(connection.isOpen).toBe(true);
    // Only what comes during a pause counts.
    connection.resume();
    bytesRead = 1_001;
    connection.checkPause();
    expect(connection.isOpen).toBe(true);
    connection.pause();
    connection.checkPause();
    expect(await client.closed()).toMatchObject({ code: 1013 });
    expect(recorder.of("error")).toEqual([["error", 1013]]);
  });

  test("is resumed by close, so that the peer's answer is read", async () => {
    const { client, connection, recorder } = await pair();
    connection.start();
    connection.pause();
    client.send(text("unread"));
    connection.close(1000, "");
    expect((await client.nextFrame()).opcode).toBe(opcodes.close);
    client.send(close(1000));
    expect(await recorder.closed.promise).toEqual(["close", 1000, true]);
    expect(recorder.events).toEqual([["message", "unread"], ["close", 1000, true]]);
  });

  test("ends with terminate, also for the messages that are left in the chunk", async () => {
    const { client, connection, recorder } = await pair();
    recorder.react = (event) => event[0] === "message" && connection.terminate();
    connection.start();
    client.send(Buffer.concat([text("1"), text("2"), ping("3"), close(1000)]));
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(recorder.events).toEqual([["message", "1"], ["close", 1006, false]]);
    expect((await client.closed()).code).toBe(1006);
  });
});

test("a message is handed out with its kind, however large it is", async () => {
  const { client, connection, recorder } = await pair();
  const onMessage = vi.spyOn(recorder, "onMessage");
  connection.start();
  const large = "x".repeat(200_000);
  client.send(text("a"), text(large), binary("b"), binary(large));
  await recorder.messages(4);
  expect((onMessage.mock.calls as unknown[][]).map(([data, isBinary]) => [data!.toString() === large, isBinary]))
    .toEqual([[false, false], [true, false], [false, true], [true, true]]);
});

test("a time-out that the HTTP server has set for its connections does not apply to a WebSocket", async () => {
  const server = await upgradeServer();
  const { raw, head, client } = await server.connect();
  const setTimeOut = (socket: typeof raw): unknown => socket.setTimeout(50, () => socket.destroy());
  setTimeOut(raw);
  const recorder = new Recorder();
  const connection = new Connection(raw, head, SETTINGS, recorder);
  recorder.react = ([, data]) => connection.send(data as string);
  connection.start();
  const { raw: later } = await server.connect();
  setTimeOut(later);
  await once(later, "close");
  client.send(text("still here"));
  expect(await client.nextMessage()).toBe("still here");
});

describe("answers", () => {
  test("all answers to one chunk leave in one write", async () => {
    // The clock stands still: on a slow machine, other sockets would have their turn in the middle of the chunk.
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { raw, client, connection, recorder } = await pair();
    recorder.react = ([name, data]) => name === "message" && connection.send(data as string);
    connection.start();
    const write = vi.spyOn(raw, "write");
    const frames = Array.from({ length: 40 }, (_, i) => text(`${i}`));
    client.send(Buffer.concat([...frames.slice(0, 20), ping("between"), ...frames.slice(20)]));
    for (let i = 0; i < 40; i++) expect(await client.nextMessage()).toBe(`${i}`);
    expect(client.frames[20]).toMatchObject({ opcode: opcodes.pong, payload: Buffer.from("between") });
    expect(write).toHaveBeenCalledOnce();
  });

  test("a Ping is answered before the handler is called for it", async () => {
    const { client, connection, recorder } = await pair();
    recorder.react = ([name]) => name === "ping" && connection.send("heard");
    connection.start();
    client.send(ping("p"));
    expect((await client.nextFrame()).opcode).toBe(opcodes.pong);
    expect(await client.nextMessage()).toBe("heard");
  });

  test("the Pings of a peer that does not read cost no memory beyond maxBufferedBytes", async () => {
    const one = await pair({ slowConsumer: "drop" });
    const { client, connection, recorder } = one;
    connection.start();
    await stall(one, SETTINGS.maxBufferedBytes - block.length);
    const before = connection.bufferedAmount;
    const pings = Buffer.concat(Array.from({ length: 8_000 }, () => ping("x".repeat(125))));
    for (let i = 0; i < 3; i++) client.send(pings);
    await until(() => recorder.of("ping").length === 24_000);
    expect(before).toBeLessThan(connection.bufferedAmount);
    expect(connection.bufferedAmount).toBeLessThan(SETTINGS.maxBufferedBytes + 64 * 1024);
    expect(recorder.of("error")).toEqual([]);
  });
});

describe("a connection ends", () => {
  test("a peer that ends its side without a Close still gets all that was sent", async () => {
    const one = await pair({ maxBufferedBytes: 100_000_000 });
    const { client, connection, recorder } = one;
    connection.start();
    const sent = await stall(one, 3_000_000);
    client.end();
    await until(() => !connection.isOpen);
    client.resume();
    expect(await client.closed()).toMatchObject({ code: 1006, ended: "fin" });
    expect(client.frames.length).toBe(sent);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
  });

  test("what is sent at the moment of the peer's FIN goes out too", async () => {
    const { raw, client, connection } = await pair();
    connection.start();
    raw.prependListener("end", () => void connection.send("last"));
    client.end();
    expect(await client.nextMessage()).toBe("last");
    expect(await client.closed()).toMatchObject({ code: 1006, ended: "fin" });
  });

  test.each<[string, (pair: Pair) => unknown]>([
    ["terminate", ({ connection }) => connection.terminate()],
    ["a Close of the server", ({ connection }) => connection.close(1000, "")],
    ["a Close of the peer", ({ client }) => client.send(close(1000))],
    ["a fault of the peer", ({ client }) => client.send(text("bad", { rsv: 1 }))],
    ["the peer's FIN", ({ client }) => client.end()],
  ])("the handler is told that nothing more can be sent as soon as that is so: %s", async (_name, end) => {
    const one = await pair({ maxBufferedBytes: 100_000_000 });
    const { client, connection, recorder } = one;
    const onClosing = vi.spyOn(recorder, "onClosing");
    connection.start();
    // The TCP connection stays as long as the client has still to read.
    await stall(one, 3_000_000);
    end(one);
    await until(() => !connection.isOpen);
    expect([onClosing.mock.calls.length > 0, connection.isClosed]).toEqual([true, false]);
    client.reset();
    await recorder.closed.promise;
  });

  test("the handler is told so before the close too, when the peer resets", async () => {
    const { client, connection, recorder } = await pair();
    const order: string[] = [];
    vi.spyOn(recorder, "onClosing").mockImplementation(() => void order.push("closing"));
    recorder.react = ([name]) => order.push(name);
    connection.start();
    client.reset();
    await recorder.closed.promise;
    expect([order[0], order.at(-1)]).toEqual(["closing", "close"]);
  });

  test("a fault is reported as error, then as close, once each", async () => {
    const { client, connection, recorder } = await pair();
    connection.start();
    client.send(text("bad", { rsv: 1 }), text("ignored"));
    expect((await client.closed()).code).toBe(1002);
    await recorder.closed.promise;
    expect(recorder.events).toEqual([["error", 1002], ["close", 1002, false]]);
  });

  test("a peer that has sent a Close but keeps TCP open is cut after closeTimeoutMs", async () => {
    const timers = new ConnectionTimers({ heartbeat: false, messageTimeoutMs: 60_000, closeTimeoutMs: 100 });
    const recorder = new Recorder();
    const { port } = await upgradeServer((raw, _request, head) => {
      raw.write("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      new Connection(raw, head, { ...SETTINGS, timers }, recorder).start();
    });
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void client.destroy());
    client.on("error", () => {}).resume();
    client.write(Buffer.concat([Buffer.from(upgradeRequest()), close(1000)]));
    await once(client, "end");
    const endedMs = performance.now();
    expect(recorder.events).toEqual([]);
    expect(await recorder.closed.promise).toEqual(["close", 1000, true]);
    expect(performance.now() - endedMs).toBeGreaterThan(50);
  });

  test("terminate after terminate, close and fail changes nothing", async () => {
    const { client, connection, recorder } = await pair();
    connection.start();
    connection.terminate();
    connection.terminate();
    connection.close(1000, "");
    connection.fail(new ProtocolError(1002, "late"));
    expect(connection.isOpen).toBe(false);
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect((await client.closed()).code).toBe(1006);
    await nextTurn();
    expect(recorder.events).toEqual([["close", 1006, false]]);
  });
});
