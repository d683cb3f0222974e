import { describe, expect, test, vi } from "vitest";
import { Emitter } from "../../../src/app/common/emitter.ts";

interface Events {
  message: [text: string, count: number];
  close: [];
  error: [error: Error];
}

class TestEmitter extends Emitter<Events> {
  protected readonly owner = "A test";
  readonly failures: [event: string, error: unknown][] = [];

  protected get events(): readonly ["message", "close", "error"] {
    return ["message", "close", "error"];
  }

  override emit<Event extends keyof Events>(event: Event, ...args: Events[Event]): void {
    super.emit(event, ...args);
  }

  override removeListeners(event?: keyof Events): void {
    super.removeListeners(event);
  }

  protected onListenerError(event: string, error: unknown): void {
    this.failures.push([event, error]);
  }
}

describe("listeners", () => {
  test("are called with the arguments, in the order in which they were added", () => {
    const emitter = new TestEmitter();
    const calls: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      expect(emitter.listenerCount("message")).toBe(i);
      expect(emitter.on("message", (...args) => calls.push([i, ...args]))).toBe(emitter);
      calls.length = 0;
      emitter.emit("message", "hello", i);
      expect(calls).toEqual(Array.from({ length: i + 1 }, (_, at) => [at, "hello", i]));
    }
  });

  test("are called for their own event only", () => {
    const emitter = new TestEmitter();
    const onClose = vi.fn();
    emitter.on("close", onClose);
    emitter.emit("message", "hello", 1);
    expect(onClose).not.toHaveBeenCalled();
    emitter.emit("close");
    expect(onClose).toHaveBeenCalledExactlyOnceWith();
  });

  test("are not required, not even for error", () => {
    const emitter = new TestEmitter();
    emitter.emit("error", new Error("nobody listens"));
    expect(emitter.failures).toEqual([]);
  });

  test("that were added with once are called once", () => {
    const emitter = new TestEmitter();
    const [once, always] = [vi.fn(), vi.fn()];
    expect(emitter.once("message", once)).toBe(emitter);
    emitter.on("message", always);
    expect(emitter.listenerCount("message")).toBe(2);
    emitter.emit("message", "a", 1);
    emitter.emit("message", "b", 2);
    expect(once).toHaveBeenCalledExactlyOnceWith("a", 1);
    expect(always).toHaveBeenCalledTimes(2);
    expect(emitter.listenerCount("message")).toBe(1);
  });

  test("that were added with once are removed before they are called", () => {
    const emitter = new TestEmitter();
    let calls = 0;
    emitter.once("close", () => {
      if (++calls < 5) emitter.emit("close");
    });
    emitter.emit("close");
    expect(calls).toBe(1);
  });

  test("can be removed, also those that were added with once", () => {
    const emitter = new TestEmitter();
    const listeners = [vi.fn(), vi.fn(), vi.fn()];
    emitter.on("close", listeners[0]).once("close", listeners[1]).on("close", listeners[2]);
    expect(emitter.off("close", listeners[1])).toBe(emitter);
    emitter.emit("close");
    expect(listeners.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 1]);
    emitter.off("close", listeners[0]).off("close", listeners[2]);
    emitter.emit("close");
    expect(listeners.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 1]);
    expect(emitter.listenerCount("close")).toBe(0);
  });

  test("that were added twice are called twice, and removed one at a time, the newest first", () => {
    const emitter = new TestEmitter();
    const calls: string[] = [];
    const twice = (): unknown => calls.push("twice");
    emitter.on("close", twice).on("close", () => calls.push("other")).on("close", twice);
    emitter.off("close", twice);
    emitter.emit("close");
    expect(calls).toEqual(["twice", "other"]);
  });

  test("that were never added can be removed without effect", () => {
    const emitter = new TestEmitter();
    const there = vi.fn();
    emitter.off("close", there);
    emitter.on("close", there).off("close", () => {}).off("message", there);
    emitter.emit("close");
    expect(there).toHaveBeenCalledOnce();
  });

  test("may remove themselves and others during a call: all that were there are still called", () => {
    const emitter = new TestEmitter();
    const calls: string[] = [];
    const first = (): void => {
      calls.push("first");
      emitter.off("close", first).off("close", second).on("close", () => calls.push("added"));
    };
    const second = (): unknown => calls.push("second");
    emitter.on("close", first).on("close", second);
    emitter.emit("close");
    expect(calls).toEqual(["first", "second"]);
    emitter.emit("close");
    expect(calls).toEqual(["first", "second", "added"]);
  });

  test("can be removed all at once, for one event or for all", () => {
    const emitter = new TestEmitter();
    const [onClose, onMessage] = [vi.fn(), vi.fn()];
    emitter.removeListeners("close");
    emitter.on("close", onClose).on("message", onMessage).on("message", onMessage);
    emitter.removeListeners("message");
    emitter.emit("message", "a", 1);
    emitter.emit("close");
    expect([emitter.listenerCount("message"), onMessage.mock.calls.length]).toEqual([0, 0]);
    emitter.removeListeners();
    emitter.emit("close");
    expect([emitter.listenerCount("close"), onClose.mock.calls.length]).toEqual([0, 1]);
  });
});

describe("a listener that fails", () => {
  const failure = new Error("failed");

  test("is reported with its event, and the others are still called", () => {
    const emitter = new TestEmitter();
    const after = vi.fn();
    emitter.on("message", () => {
      throw failure;
    }).on("message", after);
    emitter.emit("message", "a", 1);
    expect(emitter.failures).toEqual([["message", failure]]);
    expect(after).toHaveBeenCalledOnce();
  });

  test("is reported when its promise is rejected, whatever class the promise has", async () => {
    const emitter = new TestEmitter();
    const thenable = { then: (_resolve: unknown, reject: (error: Error) => void) => reject(failure) };
    emitter.on("message", async () => await Promise.reject(failure)).on("message", () => thenable);
    emitter.emit("message", "a", 1);
    await vi.waitFor(() => expect(emitter.failures).toEqual([["message", failure], ["message", failure]]));
  });

  test("is removed if it was added with once", () => {
    const emitter = new TestEmitter();
    emitter.once("close", () => {
      throw failure;
    });
    emitter.emit("close");
    emitter.emit("close");
    expect(emitter.failures).toEqual([["close", failure]]);
  });
});

test.each(["mesage", "data", "constructor", "__proto__", "toString", ""])(
  "an event %j does not exist: the error names it and all events",
  (event) => {
    const emitter = new TestEmitter();
    for (const add of ["on", "once", "off"] as const) {
      const attempt = (): unknown => emitter[add](event as "message", () => {});
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(`no event ${JSON.stringify(event)}; it has message, close, error`);
    }
  },
);

test.each([[undefined, "undefined"], [null, "null"], ["log", '"log"'], [{}, "an object (Object)"]])(
  "%o is not a listener, and the error says so",
  (listener, shown) => {
    const emitter = new TestEmitter();
    for (const add of ["on", "once", "off"] as const) {
      const attempt = (): unknown => emitter[add]("message", listener as never);
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(`The listener of "message" must be a function; got ${shown}`);
    }
  },
);
