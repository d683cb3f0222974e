import { describe, expect, test } from "vitest";
import { Inbox } from "../../../src/app/websocket/inbox.ts";

/** A source of messages that can be paused: messages that are put into it during a pause come after the pause. */
class Wire {
  readonly inbox: Inbox = new Inbox(this);
  isPaused = false;
  readonly #waiting: string[] = [];

  put(...messages: string[]): void {
    this.#waiting.push(...messages);
    this.#run();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#run();
  }

  #run(): void {
    while (!this.isPaused && this.#waiting.length > 0) this.inbox.push(this.#waiting.shift()!);
  }
}

async function take(wire: Wire, count: number): Promise<(string | Buffer)[]> {
  const messages: (string | Buffer)[] = [];
  for await (const message of wire.inbox) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

describe("messages", () => {
  test("come in order, whether the messages or the loop came first", async () => {
    const wire = new Wire();
    wire.put("a", "b");
    const taken = take(wire, 4);
    wire.put("c", "d");
    expect(await taken).toEqual(["a", "b", "c", "d"]);
  });

  test("may be empty", async () => {
    const wire = new Wire();
    wire.put("", "x", "");
    wire.inbox.finish(undefined);
    expect(await wire.inbox.next()).toEqual({ done: false, value: "" });
  });

  test("pause the wire until the loop asks for the next one, so that at most one waits", async () => {
    const wire = new Wire();
    wire.put("a", "b", "c");
    expect(wire.isPaused).toBe(true);
    expect(await wire.inbox.next()).toEqual({ done: false, value: "a" });
    expect(wire.isPaused).toBe(true);
    expect(await wire.inbox.next()).toEqual({ done: false, value: "b" });
    expect(await wire.inbox.next()).toEqual({ done: false, value: "c" });
    const last = wire.inbox.next();
    expect(wire.isPaused).toBe(false);
    wire.put("d");
    expect(await last).toEqual({ done: false, value: "d" });
  });

  test("are given to the call that has waited longest", async () => {
    const wire = new Wire();
    const asked = [wire.inbox.next(), wire.inbox.next()];
    wire.put("a", "b");
    expect(await Promise.all(asked)).toEqual([{ done: false, value: "a" }, { done: false, value: "b" }]);
  });
});

describe("leaving a loop", () => {
  test("pauses the wire and loses nothing: the next loop goes on", async () => {
    const wire = new Wire();
    wire.put("a", "b", "c", "d");
    expect(await take(wire, 2)).toEqual(["a", "b"]);
    expect(wire.isPaused).toBe(true);
    expect(await take(wire, 2)).toEqual(["c", "d"]);
  });

  test("pauses the wire also when nothing has come behind the last message", async () => {
    const wire = new Wire();
    const taken = take(wire, 1);
    wire.put("a");
    expect(await taken).toEqual(["a"]);
    expect(wire.isPaused).toBe(true);
  });

  test("by an exception is the same", async () => {
    const wire = new Wire();
    wire.put("a", "b");
    const failing = (async () => {
      for await (const message of wire.inbox) throw new Error(`not ${message}`);
    })();
    await expect(failing).rejects.toThrow("not a");
    expect(await take(wire, 1)).toEqual(["b"]);
  });
});

describe("the end", () => {
  test("comes after the last message", async () => {
    const wire = new Wire();
    wire.put("a");
    wire.inbox.finish(undefined);
    expect(await take(wire, 10)).toEqual(["a"]);
    expect(await wire.inbox.next()).toEqual({ done: true, value: undefined });
  });

  test("reaches every call that waits", async () => {
    const wire = new Wire();
    const asked = [wire.inbox.next(), wire.inbox.next()];
    wire.inbox.finish(undefined);
    expect(await Promise.all(asked)).toEqual(Array(2).fill({ done: true, value: undefined }));
  });

  test("that was not clean is thrown after the last message, once", async () => {
    const wire = new Wire();
    const error = new Error("ended with 1006");
    wire.put("a");
    wire.inbox.finish(error);
    const messages: (string | Buffer)[] = [];
    const loop = (async () => {
      for await (const message of wire.inbox) messages.push(message);
    })();
    await expect(loop).rejects.toBe(error);
    expect(messages).toEqual(["a"]);
    expect(await wire.inbox.next()).toEqual({ done: true, value: undefined });
  });

  test("that was not clean is thrown to the call that has waited longest", async () => {
    const wire = new Wire();
    const error = new Error("ended with 1006");
    const asked = [wire.inbox.next(), wire.inbox.next()];
    wire.inbox.finish(error);
    await expect(asked[0]).rejects.toBe(error);
    expect(await asked[1]).toEqual({ done: true, value: undefined });
  });
});
