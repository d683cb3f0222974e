/** How the client comes back: the pauses, the codes after which it does not, and what it asks for each time. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ClientOptions } from "../../src/client/client.ts";
import { type FakeClient, fakeClient, fakeTimers, passPause, settle } from "../support/client.ts";

beforeEach(() => fakeTimers());
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets a number of attempts fail, one after the other, and returns the pauses that the client has announced. */
async function pausesOf(client: FakeClient, count: number): Promise<number[]> {
  for (let failed = 0; failed < count; failed++) {
    client.newest.end();
    const { delayMs } = client.told.at(-1)! as unknown as { delayMs: number };
    const before = client.made.length;
    await vi.advanceTimersByTimeAsync(Math.max(0, Math.floor(delayMs) - 1));
    if (delayMs > 2) expect(client.made).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(2);
    expect(client.made).toHaveLength(before + 1);
  }
  return client.told.filter(({ type }) => type === "retry").map(({ delayMs }) => delayMs as number);
}

test("reconnect ends a pause or an attempt, and leaves an open connection and the end alone", async () => {
  const { socket, made, told } = await fakeClient();
  made[0]!.end();
  socket.reconnect();
  await settle();
  expect(made).toHaveLength(2);
  socket.reconnect();
  await settle();
  expect(made.map(({ closes }) => closes.length)).toEqual([0, 1, 0]);
  made[1]!.end();
  made[2]!.open();
  socket.reconnect();
  socket.close();
  socket.reconnect();
  made[2]!.end(1000);
  socket.reconnect();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(made).toHaveLength(3);
  expect(told.map(({ type }) => type)).toEqual(["retry", "open", "close"]);
});

describe("the pauses", () => {
  test.each<[string, number, ClientOptions, number[]]>([
    ["longest", 1 - 2 ** -53, {}, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]],
    ["in the middle", 0.5, {}, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]],
    ["shortest", 0, {}, [0, 0, 0, 0, 0, 0]],
    ["longest, with maxRetryMs", 1 - 2 ** -53, { maxRetryMs: 3_000 }, [1_000, 2_000, 3_000, 3_000]],
    ["longest, with maxRetryMs below a second", 1 - 2 ** -53, { maxRetryMs: 100 }, [100, 100]],
  ])("double, up to a bound: the %s ones", async (_name, chance, options, expected) => {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    const pauses = await pausesOf(await fakeClient(options), expected.length);
    pauses.forEach((pause, index) => expect(pause).toBeCloseTo(expected[index]!, 3));
  });

  test("are spread evenly over their time, so that clients that were cut together come back apart", async () => {
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => fakeClient()));
    const tenths = Array(10).fill(0);
    for (const { newest, told } of clients) {
      newest.end();
      tenths[Math.floor(told[0]!.delayMs as number / 100)]++;
    }
    // Each tenth gets 100 on average. The bounds are five standard deviations away: once in a hundred thousand runs.
    expect(tenths.length).toBe(10);
    for (const count of tenths) expect(count).toSatisfy((count: number) => count > 52 && count < 148);
  });

  test("begin anew after a connection that was stable, and not before", async () => {
    vi.spyOn(Math, "random").mockReturnValue(1 - 2 ** -53);
    const client = await fakeClient();
    const open = async (forMs: number): Promise<[number, number]> => {
      client.newest.open();
      await vi.advanceTimersByTimeAsync(forMs);
      client.newest.end(1012);
      const { attempt, delayMs } = client.told.at(-1)!;
      await passPause(client);
      return [attempt as number, Math.round(delayMs as number)];
    };
    expect(await open(4_999)).toEqual([1, 1_000]);
    expect(await open(4_999)).toEqual([2, 2_000]);
    expect(await open(5_000)).toEqual([1, 1_000]);
    expect(await open(0)).toEqual([2, 2_000]);
    client.newest.end();
    expect(client.told.at(-1)).toMatchObject({ attempt: 3, delayMs: expect.closeTo(4_000, 3) });
  });

  test("minStableMs says what is stable", async () => {
    const client = await fakeClient({ minStableMs: 100 });
    for (const [forMs, attempt] of [[99, 1], [99, 2], [100, 1]]) {
      client.newest.open();
      await vi.advanceTimersByTimeAsync(forMs!);
      client.newest.end();
      expect(client.told.at(-1)).toMatchObject({ type: "retry", attempt });
      await passPause(client);
    }
  });
});

describe("the codes", () => {
  test.each([1000, 1001, 1005, 1006, 1011, 1012, 1013, 3000, 4000, 4399, 4500])(
    "it comes back after %i",
    async (code) => {
      const { told, newest, made } = await fakeClient();
      newest.open().end(code, "a reason");
      expect(told[1]).toMatchObject({ type: "retry", code, reason: "a reason" });
      await vi.advanceTimersByTimeAsync(1_000);
      expect(made).toHaveLength(2);
    },
  );

  test("a connection that could not be made is retried, also where no close follows the error", async () => {
    const { told, newest, made } = await fakeClient();
    const error = new Error("Refused");
    newest.fail(error);
    expect(told).toEqual([{ type: "retry", attempt: 1, delayMs: expect.any(Number), code: 1006, reason: "", error }]);
    newest.end();
    expect(told).toHaveLength(1);
    await passPause({ told });
    made[1]!.open().fail();
    expect(told).toHaveLength(2);
    made[1]!.end(1006, "broken");
    expect(told[2]).toMatchObject({ type: "retry", code: 1006, reason: "broken" });
  });

  test("a connection that fails has 1006, also where the runtime tells 0", async () => {
    const { told, newest } = await fakeClient();
    newest.end(0);
    expect(told).toEqual([expect.objectContaining({ type: "retry", code: 1006 })]);
  });

  test.each<[number, number[]]>([[1008, []], [4400, []], [4401, []], [4499, []], [1000, [1000]], [4000, [1000, 4000]]])(
    "it does not come back after %i, with giveUpCodes %j",
    async (code, giveUpCodes) => {
      const { socket, told, newest, made } = await fakeClient({ giveUpCodes });
      newest.open().end(code, "Go away");
      expect(told.slice(1)).toEqual([{ type: "close", code, reason: "Go away" }]);
      await vi.advanceTimersByTimeAsync(100_000);
      expect([made.length, socket.readyState]).toEqual([1, 3]);
    },
  );
});

describe("each time,", () => {
  test("the address and the subprotocols are asked for anew", async () => {
    let count = 0;
    const { made, newest } = await fakeClient(
      { protocols: () => Promise.resolve([`token.${count}`]) },
      () => Promise.resolve(`wss://server/?token=${++count}`),
    );
    newest.open().end();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(made.map(({ url, protocols }) => [url, protocols])).toEqual([
      ["wss://server/?token=1", ["token.1"]],
      ["wss://server/?token=2", ["token.2"]],
    ]);
  });

  test("a list of subprotocols is offered again", async () => {
    const { made, newest } = await fakeClient({ protocols: ["v2", "v1"] });
    newest.end();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(made.map(({ protocols }) => protocols)).toEqual([["v2", "v1"], ["v2", "v1"]]);
  });
});

describe("a failed attempt is told, and retried:", () => {
  const error = new Error("No token");
  // A pause of no length would end at once, and bring the next attempt into the picture.
  beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));

  test.each<[string, () => string | Promise<string>, ClientOptions]>([
    ["the function for the address rejects", () => Promise.reject(error), {}],
    ["the function for the address throws", () => {
      throw error;
    }, {}],
    ["the function for the subprotocols rejects", () => "ws://server/", { protocols: () => Promise.reject(error) }],
    ["the function for the first messages rejects", () => "ws://server/", { recover: () => Promise.reject(error) }],
  ])("%s", async (_name, url, options) => {
    const { told, made } = await fakeClient(options, url);
    expect(told).toEqual([
      { type: "retry", attempt: 1, delayMs: expect.any(Number), code: 1006, reason: "", error },
    ]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(told[1]).toMatchObject({ attempt: 2, error });
    expect(made).toHaveLength(0);
  });

  test("the address is none", async () => {
    const { told } = await fakeClient({}, () => "http://");
    expect(told).toEqual([expect.objectContaining({ type: "retry", error: expect.any(TypeError) })]);
  });

  test("the class throws", async () => {
    class Refusing {
      constructor() {
        throw error;
      }
    }
    const { told } = await fakeClient({ WebSocket: Refusing as never });
    expect(told).toEqual([expect.objectContaining({ type: "retry", error })]);
  });

  test.each<[string, ClientOptions, boolean]>([
    ["the server does not answer", {}, false],
    ["the function for the address does not return", {}, true],
    ["nothing happens, and connectTimeoutMs is 500", { connectTimeoutMs: 500 }, false],
  ])("%s", async (_name, options, isAddressLate) => {
    const late = Promise.withResolvers<string>();
    const { told, made } = await fakeClient(options, () => isAddressLate ? late.promise : "ws://server/");
    const { connectTimeoutMs = 10_000 } = options;
    await vi.advanceTimersByTimeAsync(connectTimeoutMs - 1);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual([expect.objectContaining({ type: "retry", code: 1006, reason: "Timed out" })]);
    const before = made.length;
    // What comes too late is ignored.
    if (isAddressLate) late.resolve("ws://server/");
    else made[0]!.open().receive("late");
    await settle();
    expect([made.length, told.length]).toEqual([before, 1]);
    if (!isAddressLate) expect(made[0]!.closes).toHaveLength(1);
  });
});

describe("in a page,", () => {
  let page: EventTarget & { hidden?: boolean };
  beforeEach(() => {
    page = new EventTarget();
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
  });
  afterEach(() => void vi.unstubAllGlobals());
  const tell = async (type: string): Promise<void> => {
    page.dispatchEvent(new Event(type));
    await settle();
  };

  test.each(["online", "pageshow", "resume", "visibilitychange"])("%s ends the pause", async (type) => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { made, newest } = await fakeClient();
    newest.end();
    await tell(type);
    expect(made).toHaveLength(2);
    // The timer of the pause is gone.
    await vi.advanceTimersByTimeAsync(9_000);
    expect(made).toHaveLength(2);
  });

  test("the pauses after it go on to grow", async () => {
    const { told, made, newest } = await fakeClient();
    newest.end();
    for (const attempt of [2, 3]) {
      await tell("online");
      made.at(-1)!.end();
      expect(told.at(-1)).toMatchObject({ type: "retry", attempt });
    }
  });

  test("a page that becomes hidden does not end it", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    page.hidden = true;
    const { made, newest } = await fakeClient();
    newest.end();
    await tell("visibilitychange");
    expect(made).toHaveLength(1);
    await tell("online");
    expect(made).toHaveLength(2);
  });

  test("an attempt that was begun on the old network is begun anew, and only by online", async () => {
    const { told, made } = await fakeClient();
    await tell("visibilitychange");
    expect(made).toHaveLength(1);
    await tell("online");
    expect(made).toHaveLength(2);
    expect(made[0]!.closes).toHaveLength(1);
    made[0]!.end();
    made[1]!.open();
    expect(told).toEqual([{ type: "open" }]);
  });

  test("an open connection stays, and has to prove that it is alive when there is a heartbeat", async () => {
    const plain = await fakeClient();
    const beating = await fakeClient({ heartbeat: true });
    for (const { newest } of [plain, beating]) newest.open();
    for (const type of ["online", "pageshow", "resume", "visibilitychange"]) await tell(type);
    expect([plain.made.length, beating.made.length]).toEqual([1, 1]);
    expect(plain.newest.sent).toEqual([]);
    expect(beating.newest.sent).toEqual(Array(4).fill("\x05"));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(beating.told.at(-1)).toMatchObject({ type: "retry", reason: "No heartbeat" });
    expect(plain.socket.readyState).toBe(1);
  });

  test("a socket that is closing or closed does not wake up", async () => {
    const closing = await fakeClient({ heartbeat: true });
    const closed = await fakeClient();
    closing.newest.open();
    closing.socket.close();
    closed.newest.open().end(4400);
    for (const type of ["online", "pageshow"]) await tell(type);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([closing.made.length, closed.made.length]).toEqual([1, 1]);
  });

  test("a socket that has ended leaves no listener behind", async () => {
    const add = vi.fn(page.addEventListener.bind(page));
    const remove = vi.fn(page.removeEventListener.bind(page));
    vi.stubGlobal("addEventListener", add);
    vi.stubGlobal("removeEventListener", remove);
    const { socket } = await fakeClient();
    expect(add).toHaveBeenCalledTimes(4);
    socket.close();
    await settle();
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });
});

describe("the heartbeat", () => {
  const heartbeat = { intervalMs: 1_000, timeoutMs: 300 };

  test("asks after a silence, swallows the answer, and goes on", async () => {
    const { told, newest } = await fakeClient({ heartbeat });
    newest.open();
    for (let beat = 1; beat <= 3; beat++) {
      await vi.advanceTimersByTimeAsync(999);
      expect(newest.sent).toHaveLength(beat - 1);
      await vi.advanceTimersByTimeAsync(1);
      expect(newest.sent).toEqual(Array(beat).fill("\x05"));
      await vi.advanceTimersByTimeAsync(299);
      newest.receive("\x06");
    }
    expect(told).toEqual([{ type: "open" }]);
  });

  test("does not ask while messages come, and takes any message for an answer", async () => {
    const { newest, told } = await fakeClient({ heartbeat });
    newest.open();
    for (let count = 0; count < 10; count++) {
      await vi.advanceTimersByTimeAsync(900);
      newest.receive("news");
    }
    expect(newest.sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_200);
    newest.receive("late news");
    await vi.advanceTimersByTimeAsync(900);
    expect(newest.sent).toEqual(["\x05"]);
    expect(told.filter(({ type }) => type === "retry")).toEqual([]);
  });

  test("replaces a dead connection without waiting for its end, and ignores what it still brings", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { told, made, newest } = await fakeClient({ heartbeat });
    newest.open();
    await vi.advanceTimersByTimeAsync(1_300);
    expect(newest.closes).toHaveLength(1);
    expect(told[1]).toMatchObject({ type: "retry", code: 1006, reason: "No heartbeat", attempt: 1 });
    await vi.advanceTimersByTimeAsync(500);
    made[1]!.open();
    newest.receive("from the dead");
    newest.end();
    expect(told.slice(2)).toEqual([{ type: "open" }]);
  });

  test("has times of 25 and 10 seconds by default, and is off by default", async () => {
    const plain = await fakeClient();
    const beating = await fakeClient({ heartbeat: true });
    for (const { newest } of [plain, beating]) newest.open();
    await vi.advanceTimersByTimeAsync(24_999);
    expect(beating.newest.sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(beating.newest.sent).toEqual(["\x05"]);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(beating.told).toEqual([{ type: "open" }]);
    await vi.advanceTimersByTimeAsync(1);
    expect(beating.told[1]).toMatchObject({ type: "retry" });
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect([plain.newest.sent, plain.told]).toEqual([[], [{ type: "open" }]]);
  });
});
