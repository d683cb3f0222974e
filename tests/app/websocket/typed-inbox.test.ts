import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { MAX_WAITING_MESSAGES } from "../../../src/app/websocket/inbox.ts";
import { MessageReader } from "../../../src/app/websocket/message-reader.ts";
import type { StandardIssue, StandardResult } from "../../../src/app/websocket/standard-schema.ts";
import { TypedInbox, type TypedInboxOwner } from "../../../src/app/websocket/typed-inbox.ts";

type Result = StandardResult<unknown>;

/** A socket without a connection, with a schema that the test answers for. */
class FakeSocket implements TypedInboxOwner {
  readonly inbox: TypedInbox;
  isOpen = true;
  dropsUnread = false;
  maxWaitingBytes = 1_000;
  isWirePaused = false;
  listener: ((value: unknown) => void) | undefined;
  readonly heard: unknown[] = [];
  readonly misfits: string[] = [];
  readonly errors: unknown[] = [];
  /** The messages that the schema has been asked about. */
  readonly asked: unknown[] = [];

  constructor(validate: (value: unknown) => Result | PromiseLike<Result>, isPaused = false) {
    const reader = new MessageReader((value) => {
      this.asked.push(value);
      return validate(value);
    });
    this.inbox = new TypedInbox(this, isPaused, reader);
  }

  listen(listener: (value: unknown) => void = () => {}): this {
    this.listener = listener;
    this.inbox.takeFromLoop();
    this.inbox.drain();
    return this;
  }

  put(...values: unknown[]): void {
    for (const value of values) this.inbox.push(JSON.stringify(value));
  }

  hasMessageListener(): boolean {
    return this.listener !== undefined;
  }

  emitMessage(value: unknown): void {
    if (this.listener === undefined) return;
    this.heard.push(value);
    this.listener(value);
  }

  pauseWire(): void {
    this.isWirePaused = true;
  }

  resumeWire(): void {
    this.isWirePaused = false;
  }

  onMisfit(issues: readonly StandardIssue[]): void {
    this.misfits.push(issues[0].message);
  }

  onSchemaError(error: unknown): void {
    this.errors.push(error);
  }
}

const value = (value: unknown): IteratorResult<unknown> => ({ done: false, value });
const done = { done: true, value: undefined };

describe("a schema that answers at once", () => {
  const validate = (value: unknown): Result =>
    Number(value) < 0 ? { issues: [{ message: `negative ${value}` }] } : { value: `v${value}` };

  test("gives its values to the listener, in order and at once", () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1, 2, 3);
    expect(socket.heard).toEqual(["v1", "v2", "v3"]);
  });

  test("gives its values to a loop, and a message that does not fit is passed over", async () => {
    const socket = new FakeSocket(validate);
    const first = socket.inbox.next();
    socket.put(-1, 2, -3, 4);
    expect(await first).toEqual(value("v2"));
    expect(await socket.inbox.next()).toEqual(value("v4"));
    expect(socket.misfits).toEqual(["negative -1", "negative -3"]);
    socket.inbox.finish(undefined);
    expect(await socket.inbox.next()).toEqual(done);
  });

  test("is not asked about messages that wait, and neither about those that nobody reads", async () => {
    const socket = new FakeSocket(validate);
    socket.put(1, -1);
    expect(socket.asked).toEqual([]);
    expect(await socket.inbox.next()).toEqual(value("v1"));
    expect(socket.asked).toEqual([1]);
    await socket.inbox.return();
    socket.dropsUnread = true;
    socket.inbox.drain();
    socket.put(-2);
    expect(socket.inbox.isEmpty).toBe(true);
    expect(socket.asked).toEqual([1]);
    expect(socket.misfits).toEqual([]);
  });

  test("gives a value that is a promise as it is", () => {
    const promise = Promise.resolve(1);
    const socket = new FakeSocket(() => ({ value: promise })).listen();
    socket.put(1);
    expect(socket.heard).toEqual([promise]);
  });

  test.each<[unknown]>([[undefined], [null], [7]])("is at fault if it answers %o", (answer) => {
    const socket = new FakeSocket(() => answer as Result).listen();
    socket.put(1);
    expect(String(socket.errors)).toBe(`TypeError: The schema must give { value } or { issues }; got ${answer}`);
  });

  test("is at fault if it throws", () => {
    const error = new Error("broken");
    const socket = new FakeSocket(() => {
      throw error;
    }).listen();
    socket.put(1);
    expect(socket.errors).toEqual([error]);
    expect(socket.heard).toEqual([]);
  });
});

describe("a schema that answers later", () => {
  /** The promises of the schema, the oldest first. */
  let pending: PromiseWithResolvers<Result>[];
  const validate = (): Promise<Result> => {
    const answer = Promise.withResolvers<Result>();
    pending.push(answer);
    return answer.promise;
  };
  const answer = async (result: Result): Promise<void> => {
    pending.shift()!.resolve(result);
    await nextTurn();
  };

  beforeEach(() => {
    pending = [];
  });

  test("holds the next messages back, so that their order stays", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1, 2, 3);
    expect(socket.asked).toEqual([1]);
    expect(socket.inbox.isEmpty).toBe(false);
    await answer({ value: "a" });
    expect(socket.heard).toEqual(["a"]);
    expect(socket.asked).toEqual([1, 2]);
    await answer({ issues: [{ message: "no" }] });
    await answer({ value: "c" });
    expect(socket.heard).toEqual(["a", "c"]);
    expect(socket.misfits).toEqual(["no"]);
    expect(socket.inbox.isEmpty).toBe(true);
  });

  test("lets no more wait than may wait, and then pauses the wire", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(..."x".repeat(MAX_WAITING_MESSAGES - 30));
    socket.maxWaitingBytes = 10_000;
    expect(socket.isWirePaused).toBe(true);
    for (let i = 0; i < 600; i++) await answer({ value: i });
    expect(socket.isWirePaused).toBe(false);
    socket.put(..."x".repeat(MAX_WAITING_MESSAGES));
    expect(socket.isWirePaused).toBe(true);
    expect(pending.length).toBe(1);
  });

  test("keeps its value during a pause", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1, 2);
    socket.inbox.pause();
    await answer({ value: "a" });
    expect(socket.heard).toEqual([]);
    expect(socket.inbox.isEmpty).toBe(false);
    socket.inbox.resume();
    expect(socket.heard).toEqual(["a"]);
    await answer({ value: "b" });
    expect(socket.heard).toEqual(["a", "b"]);
  });

  test("keeps its value for the next reader when its reader has gone", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1, 2);
    socket.listener = undefined;
    await answer({ value: "a" });
    expect(pending).toEqual([]);
    expect(await socket.inbox.next()).toEqual(value("a"));
    const second = socket.inbox.next();
    await answer({ value: "b" });
    expect(await second).toEqual(value("b"));
  });

  test("does not hand out a message inside of the call of a listener", async () => {
    const socket = new FakeSocket(validate);
    const order: string[] = [];
    socket.listen((value) => {
      order.push(`begin ${value}`);
      socket.inbox.drain();
      socket.inbox.resume();
      order.push(`end ${value}`);
    });
    socket.put(1, 2);
    await answer({ value: 1 });
    await answer({ value: 2 });
    expect(order).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
  });

  test("delivers what came before the end, and the loop ends behind it", async () => {
    const socket = new FakeSocket(validate);
    const first = socket.inbox.next();
    socket.put(1, 2);
    socket.isOpen = false;
    const error = new Error("The socket has ended");
    socket.inbox.finish(error);
    expect(socket.inbox.isEmpty).toBe(false);
    await answer({ value: "a" });
    expect(await first).toEqual(value("a"));
    const second = socket.inbox.next();
    await answer({ value: "b" });
    expect(await second).toEqual(value("b"));
    await expect(socket.inbox.next()).rejects.toBe(error);
    expect(await socket.inbox.next()).toEqual(done);
  });

  test("ends a loop whose last message does not fit", async () => {
    const socket = new FakeSocket(validate);
    const first = socket.inbox.next();
    socket.put(1);
    socket.inbox.finish(undefined);
    await answer({ issues: [{ message: "no" }] });
    expect(await first).toEqual(done);
  });

  test("is not waited for when its messages are discarded, and nothing is read any more", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1, 2);
    socket.inbox.discard();
    expect(socket.inbox.isEmpty).toBe(true);
    await answer({ value: "a" });
    socket.put(3);
    expect(socket.heard).toEqual([]);
    expect(socket.asked).toEqual([1]);
  });

  test("has its value discarded during a pause", async () => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1);
    socket.inbox.pause();
    await answer({ value: "a" });
    socket.inbox.discard();
    socket.inbox.resume();
    expect(socket.heard).toEqual([]);
  });

  test.each<[string, () => PromiseLike<Result>, string]>([
    ["is rejected", () => Promise.reject(new Error("broken")), "Error: broken"],
    ["resolves to nothing", () => Promise.resolve(undefined as unknown as Result), "got undefined"],
  ])("is at fault if its promise %s", async (_name, validate, shown) => {
    const socket = new FakeSocket(validate).listen();
    socket.put(1);
    await nextTurn();
    expect(String(socket.errors)).toContain(shown);
    expect(socket.heard).toEqual([]);
  });

  test("may be a thenable that calls back twice", async () => {
    const thenable = {
      then(resolve: (result: Result) => void): void {
        resolve({ value: "once" });
        resolve({ value: "twice" });
      },
    };
    const socket = new FakeSocket(() => thenable as unknown as Promise<Result>).listen();
    socket.put(1);
    await nextTurn();
    expect(socket.heard).toEqual(["once"]);
  });
});
