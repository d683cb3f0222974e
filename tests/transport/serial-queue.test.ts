import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { SerialQueue } from "../../src/transport/serial-queue.ts";

/** A task that is done when the test says so, and tells when it has begun. */
function slowTask(log: string[], name: string): { run: () => Promise<void>; done: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = (): Promise<void> => {
    log.push(name);
    return promise;
  };
  return { run, done: resolve };
}

test("a task that takes no time is run at once, and the queue stays idle", () => {
  const onIdle = vi.fn();
  const queue = new SerialQueue(onIdle);
  const task = vi.fn();
  queue.run(task, 10, 10);
  expect(task).toHaveBeenCalledOnce();
  expect([queue.isIdle, queue.bufferedAmount, queue.cost]).toEqual([true, 0, 0]);
  expect(onIdle).not.toHaveBeenCalled();
});

test("tasks wait behind one that takes time, are run in order, and onIdle is called once after the last", async () => {
  const log: string[] = [];
  const queue = new SerialQueue(() => log.push("idle"));
  const [first, third] = [slowTask(log, "first"), slowTask(log, "third")];
  queue.run(first.run, 0, 0);
  queue.run(() => void log.push("second"), 0, 0);
  queue.run(third.run, 0, 0);
  queue.run(() => void log.push("fourth"), 0, 0);
  expect([log, queue.isIdle]).toEqual([["first"], false]);
  first.done();
  await nextTurn();
  expect([log, queue.isIdle]).toEqual([["first", "second", "third"], false]);
  third.done();
  await nextTurn();
  expect([log, queue.isIdle]).toEqual([["first", "second", "third", "fourth", "idle"], true]);
});

test("a task may run another, which waits behind all that are there", async () => {
  const log: string[] = [];
  const queue = new SerialQueue(() => log.push("idle"));
  const first = slowTask(log, "first");
  queue.run(first.run, 0, 0);
  queue.run(
    () => {
      log.push("second");
      queue.run(() => void log.push("inner"), 0, 0);
    },
    0,
    0,
  );
  queue.run(() => void log.push("third"), 0, 0);
  first.done();
  await nextTurn();
  expect(log).toEqual(["first", "second", "third", "inner", "idle"]);
});

test("the bytes and the memory of each task count until it is done", async () => {
  const queue = new SerialQueue(() => {});
  const first = slowTask([], "first");
  const second = slowTask([], "second");
  queue.run(first.run, 100, 200);
  queue.run(second.run, 10, 20);
  expect(queue.bufferedAmount).toBe(110);
  const overhead = (queue.cost - 220) / 2;
  expect(overhead).toBeGreaterThan(0);
  first.done();
  await nextTurn();
  expect([queue.bufferedAmount, queue.cost]).toEqual([10, 20 + overhead]);
  second.done();
  await nextTurn();
  expect([queue.bufferedAmount, queue.cost]).toEqual([0, 0]);
});

test("discard drops the waiting tasks and lets the running one finish", async () => {
  const log: string[] = [];
  const queue = new SerialQueue(() => log.push("idle"));
  const first = slowTask(log, "first");
  queue.run(first.run, 0, 0);
  queue.run(() => void log.push("dropped"), 0, 0);
  queue.discard();
  first.done();
  await nextTurn();
  expect(log).toEqual(["first", "idle"]);
  queue.run(() => void log.push("afterwards"), 0, 0);
  expect(log).toEqual(["first", "idle", "afterwards"]);
});

test("a hundred thousand tasks behind a slow one are run in order, without growing the stack", async () => {
  const order: number[] = [];
  const queue = new SerialQueue(() => {});
  const first = slowTask([], "first");
  queue.run(first.run, 0, 0);
  for (let i = 0; i < 100_000; i++) queue.run(() => void order.push(i), 0, 0);
  first.done();
  await nextTurn();
  expect(order.length).toBe(100_000);
  expect(order.every((each, i) => each === i)).toBe(true);
});
