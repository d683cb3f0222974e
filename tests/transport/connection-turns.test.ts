// The reading of one socket is cut into turns, so that the other sockets need not wait, and nothing is lost where it is
// cut.

import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Connection } from "../../src/transport/connection.ts";
import { until, upgradeServer } from "../support/app.ts";
import { type Pair, pair, Recorder, roundTrips, SETTINGS } from "../support/connection.ts";
import { close, text } from "../support/frames.ts";

const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);
const chunkOf = (messages: readonly string[]): Buffer => Buffer.concat(messages.map((each) => text(each)));

/** More than are read in one turn, where each takes a millisecond. */
const many = texts(200);
const MOST_PER_TURN = 2 * 32;

function fakeClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
}

/** A pair whose handler takes a millisecond for each message, Ping and Pong. */
async function slowPair(): Promise<Pair> {
  fakeClock();
  const one = await pair();
  one.recorder.react = ([name]) => name !== "close" && void vi.advanceTimersByTime(1);
  return one;
}

/** Sends messages, calls `act` when their reading has been interrupted, and returns how many had been read then. */
function interrupt({ raw, client, connection, recorder }: Pair, act: () => void): Promise<number> {
  connection.start();
  client.send(chunkOf(many));
  return new Promise((resolve) => {
    const onData = (): void => {
      if (!connection.isBusy) return;
      raw.off("data", onData);
      resolve(recorder.of("message").length);
      act();
    };
    raw.on("data", onData);
  });
}

describe("a socket whose messages take long", () => {
  test("is read a few of them in a turn, in order, and its answers leave in one write each turn", async () => {
    const one = await slowPair();
    const { raw, client, connection, recorder } = one;
    let turn = 0;
    let isOver = false;
    const counting = (async () => {
      for (; !isOver; turn++) await nextTurn();
    })();
    const turns: number[] = [];
    recorder.react = ([name, data]) => {
      if (name !== "message") return;
      turns.push(turn);
      vi.advanceTimersByTime(1);
      connection.send(data as string);
    };
    const write = vi.spyOn(raw, "write");
    connection.start();
    client.send(chunkOf(many));
    expect(await recorder.messages(many.length)).toEqual(many);
    for (const each of many) expect(await client.nextMessage()).toBe(each);
    isOver = true;
    await counting;
    const perTurn = new Map<number, number>();
    for (const each of turns) perTurn.set(each, (perTurn.get(each) ?? 0) + 1);
    expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(MOST_PER_TURN);
    expect(perTurn.size).toBeGreaterThanOrEqual(many.length / MOST_PER_TURN);
    expect(write.mock.calls.length).toBeLessThanOrEqual(perTurn.size + 1);
    expect(connection.isBusy).toBe(false);
  });

  test("lets another one in between", async () => {
    const one = await slowPair();
    const other = await pair();
    other.recorder.react = ([, data]) => other.connection.send(data as string);
    const order: string[] = [];
    one.recorder.react = () => {
      order.push("flood");
      vi.advanceTimersByTime(1);
    };
    other.connection.start();
    one.connection.start();
    one.client.send(chunkOf(texts(9_000)));
    while (order.length < 9_000) {
      other.client.send(text("me too"));
      await other.client.nextMessage();
      order.push("other");
    }
    const between = order.lastIndexOf("flood") - order.indexOf("flood");
    const others = order.slice(order.indexOf("flood"), order.indexOf("flood") + between)
      .filter((each) => each === "other");
    // The flood takes at least 140 turns, and an echo takes a few.
    expect(others.length).toBeGreaterThan(10);
  });

  test("hands out nothing more when it is terminated meanwhile", async () => {
    const one = await slowPair();
    const read = await interrupt(one, () => one.connection.terminate());
    expect(await one.recorder.closed.promise).toEqual(["close", 1006, false]);
    await roundTrips(3);
    expect(one.recorder.events.length).toBe(read + 1);
    expect(one.connection.isBusy).toBe(false);
  });

  test("hands nothing out while it is paused, and all of it afterwards", async () => {
    const one = await slowPair();
    const { raw, connection, recorder } = one;
    const read = await interrupt(one, () => connection.pause());
    await until(() => !connection.isBusy);
    for (let i = 0; i < 10; i++) await nextTurn();
    expect(recorder.events.length).toBe(read);
    expect([connection.isPaused, raw.isPaused()]).toEqual([true, true]);
    connection.resume();
    expect(await recorder.messages(many.length)).toEqual(many);
  });

  test("may be closed meanwhile: the messages that had come are handed out, and the answer to the Close is read", async () => {
    const one = await slowPair();
    await interrupt(one, () => {
      one.connection.close(1000, "");
      one.client.send(close(1000));
    });
    expect(await one.recorder.closed.promise).toEqual(["close", 1000, true]);
    expect(await one.recorder.messages(many.length)).toEqual(many);
  });
});

test("a peer that was silent while the server did not read counts as alive again", async () => {
  const { connection } = await pair();
  connection.start();
  connection.unansweredPings = 1;
  connection.onBusy(true);
  expect(connection.unansweredPings).toBe(1);
  connection.onBusy(false);
  expect(connection.unansweredPings).toBe(0);
});

test("small chunks are timed under TLS, where one turn of the event loop may bring thousands of them", async () => {
  fakeClock();
  const { raw, head } = await (await upgradeServer()).connect();
  Object.defineProperty(raw, "encrypted", { value: true });
  const recorder = new Recorder();
  const connection = new Connection(raw, head, SETTINGS, recorder);
  recorder.react = () => void vi.advanceTimersByTime(1);
  connection.start();
  for (const message of many) connection.receive(text(message));
  expect(recorder.of("message").length).toBeLessThanOrEqual(MOST_PER_TURN);
  expect(await recorder.messages(many.length)).toEqual(many);
});

test.each([[0, true], [100, false]])(
  "large chunks with %i ms between them count together, unless the others have had their turn: %s",
  async (restMs, countTogether) => {
    fakeClock();
    const { connection, recorder } = await pair();
    connection.start();
    // Each chunk takes a millisecond, and has enough frames to be asked for the time.
    const chunk = Buffer.concat(Array.from({ length: 40 }, () => text("x".repeat(1_000))));
    let wasBusy = false;
    for (let i = 0; i < 12; i++) {
      recorder.react = () => {
        recorder.react = () => {};
        vi.advanceTimersByTime(1);
      };
      connection.receive(Buffer.from(chunk));
      wasBusy ||= connection.isBusy;
      vi.advanceTimersByTime(restMs);
    }
    expect(wasBusy).toBe(countTogether);
    expect((await recorder.messages(12 * 40)).length).toBe(12 * 40);
  },
);

test("small chunks are not timed without TLS, and large ones are", async () => {
  const { connection, recorder } = await pair();
  connection.start();
  const now = vi.spyOn(performance, "now");
  onTestFinished(() => now.mockRestore());
  for (let i = 0; i < 8; i++) connection.receive(text("small"));
  expect(recorder.of("message").length).toBe(8);
  expect(now).not.toHaveBeenCalled();
  connection.receive(text("large".repeat(10_000)));
  expect(now).toHaveBeenCalled();
});

describe("the peer's end that comes while bytes are still to be read", () => {
  test.each<[string, (client: Pair["client"]) => void, code: number]>([
    ["a FIN", (client) => client.end(), 1006],
    ["a Close and a FIN", (client) => (client.send(close(1000)), client.end()), 1000],
  ])("%s waits until they are read, and is reported once", async (_name, end, code) => {
    const { client, connection, recorder } = await slowPair();
    connection.start();
    client.send(chunkOf(many));
    end(client);
    expect((await recorder.closed.promise).slice(0, 2)).toEqual(["close", code]);
    expect(recorder.of("message").map(([, data]) => data)).toEqual(many);
    await nextTurn();
    expect(recorder.events.at(-1)![0]).toBe("close");
    expect(recorder.of("close").length).toBe(1);
  });

  test("a TCP connection that is gone waits too, and takes nothing more meanwhile", async () => {
    const one = await slowPair();
    const { raw, connection, recorder } = one;
    const read = await interrupt(one, () => raw.destroy());
    let isGone = false;
    raw.once("close", () => isGone = true);
    const answers: unknown[] = [];
    const onClosing = vi.spyOn(recorder, "onClosing");
    let isTold = false;
    recorder.react = ([name]) => {
      vi.advanceTimersByTime(1);
      if (name !== "message" || !isGone) return;
      isTold = onClosing.mock.calls.length > 0;
      answers.push(connection.send("too late"), connection.isOpen);
    };
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(read).toBeLessThan(many.length);
    expect(recorder.of("message").map(([, data]) => data)).toEqual(many);
    expect([answers.length > 0, isTold]).toEqual([true, true]);
    expect(answers.filter((each) => each !== "refused" && each !== false)).toEqual([]);
    expect(recorder.of("close").length).toBe(1);
  });

  test.each<[string, Buffer, number, boolean]>([
    ["a fault", text("bad", { rsv: 1 }), 1002, false],
    ["the peer's Close", close(1000), 1000, true],
  ])("%s behind those bytes ends the wait for a TCP connection that is gone", async (_name, last, code, wasClean) => {
    const { raw, client, connection, recorder } = await slowPair();
    connection.start();
    raw.on("data", () => connection.isBusy && raw.destroy());
    client.send(Buffer.concat([chunkOf(many), last]));
    expect(await recorder.closed.promise).toEqual(["close", code, wasClean]);
    expect(recorder.of("message").map(([, data]) => data)).toEqual(many);
  });

  test("a TCP connection that is gone during a pause does not wait for what was not read before it", async () => {
    const { raw, client, connection, recorder } = await slowPair();
    recorder.react = ([name]) => name === "message" && connection.pause();
    connection.start();
    client.send(chunkOf(["1", "2"]));
    await recorder.messages(1);
    raw.destroy();
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    connection.resume();
    expect(recorder.events).toEqual([["message", "1"], ["close", 1006, false]]);
  });

  test("waits for a handler that pauses after each message, as a loop over the messages does", async () => {
    const { client, connection, recorder } = await slowPair();
    recorder.react = ([name]) => {
      if (name !== "message") return;
      vi.advanceTimersByTime(1);
      connection.pause();
      void nextTurn().then(() => connection.resume());
    };
    connection.start();
    client.send(chunkOf(many));
    client.end();
    expect(await recorder.closed.promise).toEqual(["close", 1006, false]);
    expect(recorder.of("message").map(([, data]) => data)).toEqual(many);
  });
});
