import { describe, expect, test } from "vitest";
import { Inbox, type InboxOwner, MAX_WAITING_MESSAGES } from "../../../src/app/websocket/inbox.ts";
import { Random } from "../../support/random.ts";

type Message = string | Buffer;

/** A socket without a connection: its wire brings messages whenever it is not paused. */
class FakeSocket implements InboxOwner {
  readonly inbox: Inbox = new Inbox(this);
  isOpen = true;
  dropsUnread = false;
  maxWaitingBytes = 1_000_000;
  isWirePaused = false;
  pauses = 0;
  /** The messages that the listener has had. */
  readonly heard: Message[] = [];
  listener: ((message: Message) => void) | undefined;
  readonly #coming: Message[] = [];
  #isReading = false;

  /** Puts messages on the wire. Those that come during a pause arrive after it. */
  put(...messages: Message[]): void {
    this.#coming.push(...messages);
    this.#read();
  }

  listen(listener: (message: Message) => void = () => {}): void {
    this.listener = listener;
    this.inbox.takeFromLoop();
    this.inbox.drain();
  }

  hasMessageListener(): boolean {
    return this.listener !== undefined;
  }

  emitMessage(message: Message): void {
    if (this.listener === undefined) return;
    this.heard.push(message);
    this.listener(message);
  }

  pauseWire(): void {
    if (!this.isOpen) return;
    this.isWirePaused = true;
    this.pauses++;
  }

  resumeWire(): void {
    this.isWirePaused = false;
    this.#read();
  }

  pause(): void {
    this.inbox.pause();
    this.pauseWire();
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (!this.isWirePaused && this.#coming.length > 0) this.inbox.push(this.#coming.shift()!);
    this.#isReading = false;
  }
}

async function take(socket: FakeSocket, count: number): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of socket.inbox) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

const value = (message: Message): IteratorResult<Message> => ({ done: false, value: message });
const done = { done: true, value: undefined };
const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

describe("a loop", () => {
  test("gets the messages in order, whether the messages or the loop came first", async () => {
    const socket = new FakeSocket();
    socket.put("a", "b");
    const taken = take(socket, 4);
    socket.put("c", "d");
    expect(await taken).toEqual(["a", "b", "c", "d"]);
    expect(socket.pauses).toBe(0);
  });

  test("gets messages that are empty", async () => {
    const socket = new FakeSocket();
    socket.put("", "x", "");
    socket.inbox.finish(undefined);
    expect(await take(socket, 4)).toEqual(["", "x", ""]);
  });

  test("gives each message to the call that has waited longest", async () => {
    const socket = new FakeSocket();
    const asked = [socket.inbox.next(), socket.inbox.next()];
    socket.put("a", "b");
    expect(await Promise.all(asked)).toEqual([value("a"), value("b")]);
  });

  test.each<[string, (socket: FakeSocket) => Promise<unknown>]>([
    ["by break", (socket) => take(socket, 1)],
    ["by an exception", async (socket) => {
      const failing = (async () => {
        for await (const message of socket.inbox) throw new Error(`not ${message}`);
      })();
      await expect(failing).rejects.toThrow("not a");
    }],
    ["after one call of next()", (socket) => socket.inbox.next()],
  ])("that is left %s loses nothing: the next loop goes on", async (_name, leave) => {
    const socket = new FakeSocket();
    socket.put("a", "b");
    await leave(socket);
    socket.put("c");
    expect(await take(socket, 2)).toEqual(["b", "c"]);
  });
});

describe("the wire", () => {
  test.each<[string, Message[], number]>([
    ["messages", texts(MAX_WAITING_MESSAGES + 1), MAX_WAITING_MESSAGES],
    ["empty messages", Array(MAX_WAITING_MESSAGES + 1).fill(""), MAX_WAITING_MESSAGES],
    ["bytes", Array(11).fill("x".repeat(100)), 10],
    ["bytes of one message", ["", "x".repeat(1_001)], 1],
  ])("is paused when too many %s wait, and read again when half of them are taken", async (_name, messages, fit) => {
    const socket = new FakeSocket();
    if (messages.length < 1_000) socket.maxWaitingBytes = 1_000;
    socket.put(...messages.slice(0, fit));
    expect(socket.isWirePaused).toBe(false);
    socket.put(...messages.slice(fit));
    expect(socket.isWirePaused).toBe(true);
    socket.put("last");
    let taken = 0;
    for (; socket.isWirePaused; taken++) expect(await socket.inbox.next()).toEqual(value(messages[taken]));
    expect(taken).toBeGreaterThanOrEqual(messages.length / 2);
    for (; taken < messages.length; taken++) expect(await socket.inbox.next()).toEqual(value(messages[taken]));
    expect(await socket.inbox.next()).toEqual(value("last"));
    expect(socket.pauses).toBe(1);
  });

  test("is paused once for a loop that takes ten thousand messages one by one", async () => {
    const socket = new FakeSocket();
    socket.put(...texts(10_000));
    expect(await take(socket, 10_000)).toEqual(texts(10_000));
    expect(socket.pauses).toBeLessThan(30);
  });

  test("is not paused while a closing socket waits for the peer's Close: what does not fit is dropped", async () => {
    const socket = new FakeSocket();
    socket.isOpen = false;
    socket.put(...texts(MAX_WAITING_MESSAGES + 500));
    socket.inbox.finish(undefined);
    expect(await take(socket, Infinity)).toEqual(texts(MAX_WAITING_MESSAGES + 1));
  });
});

describe("listeners", () => {
  test("get each message at once while no loop was begun", () => {
    const socket = new FakeSocket();
    socket.listen();
    socket.put("a", "b");
    expect(socket.heard).toEqual(["a", "b"]);
  });

  test("get what has waited, also behind one message that a loop or a call of next() has taken", async () => {
    for (const begin of [(socket: FakeSocket) => take(socket, 1), (socket: FakeSocket) => socket.inbox.next()]) {
      const socket = new FakeSocket();
      socket.put("a", "b");
      await begin(socket);
      socket.listen();
      socket.put("c");
      expect(socket.heard).toEqual(["b", "c"]);
    }
  });

  test("get each message together with a loop, at the moment at which the loop takes the message", async () => {
    const socket = new FakeSocket();
    socket.listen();
    const first = socket.inbox.next();
    socket.put("a", "b", "c");
    expect(socket.heard).toEqual(["a"]);
    expect(await first).toEqual(value("a"));
    expect(await socket.inbox.next()).toEqual(value("b"));
    expect(socket.heard).toEqual(["a", "b"]);
  });

  test("go on alone when the loop is left", async () => {
    const socket = new FakeSocket();
    socket.listen();
    const taken = take(socket, 2);
    socket.put("a", "b", "c");
    expect(await taken).toEqual(["a", "b"]);
    socket.put("d");
    expect(socket.heard).toEqual(["a", "b", "c", "d"]);
  });

  test("that are added while a loop is busy get the next messages, until the loop asks again", async () => {
    const socket = new FakeSocket();
    const first = socket.inbox.next();
    socket.put("a");
    expect(await first).toEqual(value("a"));
    socket.listen();
    socket.put("b");
    const next = socket.inbox.next();
    socket.put("c", "d");
    expect(await next).toEqual(value("c"));
    expect(socket.heard).toEqual(["b", "c"]);
    expect(await socket.inbox.next()).toEqual(value("d"));
  });

  test("may pause, ask for a message or leave in the middle of what has waited, and keep the order", async () => {
    const socket = new FakeSocket();
    socket.put(...texts(6));
    const asked: Promise<unknown>[] = [];
    socket.listen((message) => {
      if (message === "1") asked.push(socket.inbox.next());
      if (message === "3") socket.pause();
      if (message === "4") socket.listener = undefined;
    });
    expect(socket.heard).toEqual(["0", "1", "2"]);
    expect(await Promise.all(asked)).toEqual([value("2")]);
    socket.listen(socket.listener);
    expect(socket.heard).toEqual(["0", "1", "2", "3"]);
    socket.inbox.resume();
    expect(socket.heard).toEqual(["0", "1", "2", "3", "4"]);
    expect(await socket.inbox.next()).toEqual(value("5"));
  });

  test("that are missing make messages wait, unless the socket drops what nobody reads", async () => {
    const socket = new FakeSocket();
    socket.put("a");
    socket.dropsUnread = true;
    socket.inbox.drain();
    socket.put("b");
    socket.dropsUnread = false;
    socket.put("c");
    expect(await socket.inbox.next()).toEqual(value("c"));
  });
});

describe("a pause", () => {
  test("holds back what waits from loops and listeners", async () => {
    const socket = new FakeSocket();
    socket.put("a", "b");
    socket.pause();
    const asked = socket.inbox.next();
    socket.listen();
    socket.put("c");
    expect(socket.heard).toEqual([]);
    socket.inbox.resume();
    expect(await asked).toEqual(value("a"));
    expect(socket.isWirePaused).toBe(false);
    expect(await take(socket, 2)).toEqual(["b", "c"]);
    expect(socket.heard).toEqual(["a", "b", "c"]);
  });

  test("because too much waits is not ended by resume()", () => {
    const socket = new FakeSocket();
    socket.maxWaitingBytes = 1_000;
    socket.put("x".repeat(2_000), "y");
    socket.pause();
    socket.inbox.resume();
    expect(socket.isWirePaused).toBe(true);
    socket.listen();
    expect(socket.heard.length).toBe(2);
    expect(socket.isWirePaused).toBe(false);
  });

  test("outlasts the pause because too much waits", async () => {
    const socket = new FakeSocket();
    socket.maxWaitingBytes = 1_000;
    socket.put("x".repeat(2_000), "y");
    const taking = take(socket, 1);
    socket.pause();
    expect((await taking).length).toBe(1);
    expect(socket.isWirePaused).toBe(true);
    socket.inbox.resume();
    expect(await socket.inbox.next()).toEqual(value("y"));
  });
});

describe("the end", () => {
  test("comes after the last message", async () => {
    const socket = new FakeSocket();
    socket.put("a");
    socket.inbox.finish(undefined);
    expect(await take(socket, 10)).toEqual(["a"]);
    expect(await socket.inbox.next()).toEqual(done);
  });

  test("reaches every call that waits, also during a pause and behind what waits", async () => {
    const socket = new FakeSocket();
    socket.put("a");
    socket.pause();
    const asked = [socket.inbox.next(), socket.inbox.next(), socket.inbox.next()];
    socket.inbox.finish(undefined);
    expect(await Promise.all(asked)).toEqual([value("a"), done, done]);
  });

  test("that was not clean is thrown after the last message, once", async () => {
    const socket = new FakeSocket();
    const error = new Error("ended with 1006");
    socket.put("a");
    socket.inbox.finish(error);
    const messages: Message[] = [];
    const loop = (async () => {
      for await (const message of socket.inbox) messages.push(message);
    })();
    await expect(loop).rejects.toBe(error);
    expect(messages).toEqual(["a"]);
    expect(await socket.inbox.next()).toEqual(done);
  });

  test("that was not clean is thrown to the call that has waited longest", async () => {
    const socket = new FakeSocket();
    const error = new Error("ended with 1006");
    const asked = [socket.inbox.next(), socket.inbox.next()];
    socket.inbox.finish(error);
    await expect(asked[0]).rejects.toBe(error);
    expect(await asked[1]).toEqual(done);
  });

  test("comes at once after what waits was discarded", async () => {
    const socket = new FakeSocket();
    socket.put("a", "b");
    socket.inbox.discard();
    socket.inbox.finish(undefined);
    expect(await socket.inbox.next()).toEqual(done);
  });
});

test("in any mix of loops, listeners and pauses, no message is lost, and each reader gets its messages in order", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const socket = new FakeSocket();
    socket.maxWaitingBytes = 20;
    const looped: Message[] = [];
    const loops: Promise<unknown>[] = [];
    let sent = 0;
    const steps: (() => unknown)[] = [
      () => socket.put(...Array.from({ length: random.below(8) }, () => `${sent++}`)),
      () => loops.push(socket.inbox.next().then((result) => result.done || looped.push(result.value))),
      () => socket.inbox.return(),
      () => socket.listen(),
      () => socket.listener = undefined,
      () => socket.pause(),
      () => socket.inbox.resume(),
    ];
    for (let step = 0; step < 100; step++) await steps[random.below(steps.length)]();
    socket.inbox.resume();
    socket.inbox.finish(undefined);
    await Promise.all(loops);
    socket.listen();
    const inOrder = (messages: Message[]): Message[] => messages.toSorted((a, b) => Number(a) - Number(b));
    expect([seed, looped]).toEqual([seed, inOrder(looped)]);
    expect([seed, socket.heard]).toEqual([seed, inOrder(socket.heard)]);
    const all = new Set([...looped, ...socket.heard]);
    expect([seed, all.size, socket.heard.length]).toEqual([seed, sent, new Set(socket.heard).size]);
  }
});
