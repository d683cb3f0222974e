/** The order of an inbox when its listener calls it again, and what it asks of the wire. */

import { expect, test } from "vitest";
import { Inbox, type InboxOwner, MAX_WAITING_MESSAGES } from "../../../src/app/websocket/inbox.ts";

type Message = string | Buffer;

/** A socket whose wire brings a message also while it is paused, as the rest of a chunk that was read already. */
class Owner implements InboxOwner {
  readonly inbox: Inbox = new Inbox(this);
  readonly calls: string[] = [];
  readonly maxWaitingBytes = 1_000_000;
  readonly dropsUnread = false;
  isOpen = true;
  listener: ((message: Message) => void) | undefined;

  hasMessageListener(): boolean {
    return this.listener !== undefined;
  }

  emitMessage(message: Message): void {
    if (this.listener === undefined) return;
    this.calls.push(`begin ${message}`);
    this.listener(message);
    this.calls.push(`end ${message}`);
  }

  pauseWire(): void {
    this.calls.push("pause");
  }

  resumeWire(): void {
    this.calls.push("resume");
  }

  listen(listener: (message: Message) => void = () => {}): void {
    this.listener = listener;
    this.inbox.drain();
  }

  push(count: number): void {
    for (let i = 0; i < count; i++) this.inbox.push(`${i}`);
  }

  /** What the wire was asked for. */
  get wire(): string[] {
    return this.calls.filter((call) => call === "pause" || call === "resume");
  }
}

test("a message that comes from inside of a listener is handed out behind those that wait", () => {
  const owner = new Owner();
  for (const message of ["a", "b"]) owner.inbox.push(message);
  owner.listen((message) => {
    if (message === "a") owner.inbox.push("c");
    if (message === "c") owner.inbox.push("d");
  });
  expect(owner.calls).toEqual(["a", "b", "c", "d"].flatMap((message) => [`begin ${message}`, `end ${message}`]));
});

test("a listener that resumes the socket gets the next message when it has returned", () => {
  const owner = new Owner();
  for (const message of ["a", "b", "c"]) owner.inbox.push(message);
  owner.listen(() => owner.inbox.resume());
  expect(owner.calls.filter((call) => call !== "resume")).toEqual(
    ["a", "b", "c"].flatMap((message) => [`begin ${message}`, `end ${message}`]),
  );
});

test("messages that come although the wire is paused wait too, and the wire is paused once", () => {
  const owner = new Owner();
  owner.push(MAX_WAITING_MESSAGES + 50);
  expect(owner.calls).toEqual(["pause"]);
  owner.listen();
  expect(owner.calls.filter((call) => call.startsWith("end"))).toHaveLength(MAX_WAITING_MESSAGES + 50);
  expect(owner.wire).toEqual(["pause", "resume"]);
});

test("what comes above the limit is dropped once the socket is closing: the wire is read on then", () => {
  const owner = new Owner();
  owner.push(MAX_WAITING_MESSAGES + 1);
  owner.isOpen = false;
  owner.push(50);
  owner.listen();
  expect(owner.calls.filter((call) => call.startsWith("end"))).toHaveLength(MAX_WAITING_MESSAGES + 1);
});

test("an inbox that was full is paused again when too much waits again", () => {
  const owner = new Owner();
  for (let round = 0; round < 2; round++) {
    owner.listener = undefined;
    owner.push(MAX_WAITING_MESSAGES + 1);
    owner.listen();
  }
  expect(owner.wire).toEqual(["pause", "resume", "pause", "resume"]);
});

test("a listener that pauses the socket when half has been taken keeps the wire paused", () => {
  const owner = new Owner();
  owner.push(MAX_WAITING_MESSAGES + 1);
  let taken = 0;
  owner.listen(() => {
    if (++taken > MAX_WAITING_MESSAGES / 2) owner.inbox.pause();
  });
  expect(taken).toBe(MAX_WAITING_MESSAGES / 2 + 1);
  expect(owner.wire).toEqual(["pause"]);
  owner.listener = () => {};
  owner.inbox.resume();
  expect(owner.wire).toEqual(["pause", "resume"]);
  expect(owner.inbox.isEmpty).toBe(true);
});

test("the end of the connection ends a loop behind the messages that wait, also after a pause", async () => {
  const { inbox } = new Owner();
  inbox.pause();
  const [first, second] = [inbox.next(), inbox.next()];
  inbox.push("a");
  expect(inbox.isEmpty).toBe(false);
  inbox.finish(undefined);
  expect(await first).toEqual({ done: false, value: "a" });
  expect(await second).toEqual({ done: true, value: undefined });
  expect(inbox.isEmpty).toBe(true);
  expect(await inbox.return()).toEqual({ done: true, value: undefined });
});

test("an inbox without a socket keeps any number of messages for its loops, and nobody else gets them", async () => {
  const inbox = new Inbox();
  for (let i = 0; i <= 2 * MAX_WAITING_MESSAGES; i++) inbox.push(`${i}`);
  inbox.drain();
  for (let i = 0; i <= 2 * MAX_WAITING_MESSAGES; i++) {
    expect(await inbox.next()).toEqual({ done: false, value: `${i}` });
  }
  expect(inbox.isEmpty).toBe(true);
});
