import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { describe, expect, test, vi } from "vitest";
import { PendingResponses } from "../../../src/app/server/pending-responses.ts";

const PAUSE_FROM = 32;
const RESUME_AT = 16;
const MAX_PENDING = 4_096;

/** The members of a connection that are needed here. It emits `resume` as a stream does. */
class FakeSocket extends EventEmitter {
  isPaused = false;
  destroyed = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.emit("resume");
  }

  destroy(): void {
    this.destroyed = true;
  }
}

function connection(): FakeSocket & Socket {
  return new FakeSocket() as FakeSocket & Socket;
}

/** The members of a response that are needed here. */
class FakeResponse extends EventEmitter {
  readonly req: { socket: Socket };
  headersSent = false;
  destroyed = false;

  constructor(socket: Socket) {
    super();
    this.req = { socket };
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** Responses to requests that have come on one connection. */
function responsesOn(socket: Socket, count: number): (FakeResponse & ServerResponse)[] {
  return Array.from({ length: count }, () => new FakeResponse(socket) as FakeResponse & ServerResponse);
}

test("a connection has a pending response until the last of its responses is complete", () => {
  const pendingResponses = new PendingResponses();
  const [raw, other] = [connection(), connection()];
  const [first, second] = responsesOn(raw, 2);
  expect(pendingResponses.has(raw)).toBe(false);
  pendingResponses.count(first);
  pendingResponses.bound(second, () => {});
  first.emit("close");
  expect([pendingResponses.has(raw), pendingResponses.has(other)]).toEqual([true, false]);
  second.emit("close");
  expect(pendingResponses.has(raw)).toBe(false);
});

test("a connection is paused from 32 pending responses on, until 16 are left", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  const responses = responsesOn(raw, PAUSE_FROM);
  for (const response of responses) {
    expect(raw.isPaused).toBe(false);
    pendingResponses.bound(response, () => {});
  }
  expect(raw.isPaused).toBe(true);
  for (const response of responses.splice(RESUME_AT)) {
    expect(raw.isPaused).toBe(true);
    response.emit("close");
  }
  expect(raw.isPaused).toBe(false);
});

test("a connection that the runtime resumes by itself is paused again", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  const responses = responsesOn(raw, PAUSE_FROM);
  for (const response of responses) pendingResponses.bound(response, () => {});
  raw.resume();
  expect(raw.isPaused).toBe(true);
  for (const response of responses) response.emit("close");
  expect([raw.isPaused, raw.listenerCount("resume")]).toEqual([false, 0]);
});

test("a connection with more than 4,096 pending responses is cut", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  for (const response of responsesOn(raw, MAX_PENDING)) pendingResponses.bound(response, () => {});
  expect(raw.destroyed).toBe(false);
  pendingResponses.bound(responsesOn(raw, 1)[0], () => {});
  expect(raw.destroyed).toBe(true);
});

test("responses of somebody else's server are counted, but their connection is neither paused nor cut", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  for (const response of responsesOn(raw, MAX_PENDING + 1)) pendingResponses.count(response);
  expect([pendingResponses.has(raw), raw.isPaused, raw.destroyed]).toEqual([true, false, false]);
});

test("onIdle is called with the connection after its last response, unless the connection is gone", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  const onIdle = vi.fn();
  const [first, second, third] = responsesOn(raw, 3);
  for (const response of [first, second]) pendingResponses.bound(response, onIdle);
  first.emit("close");
  expect(onIdle).not.toHaveBeenCalled();
  second.emit("close");
  expect(onIdle.mock.calls).toEqual([[raw]]);
  pendingResponses.bound(third, onIdle);
  raw.destroy();
  third.emit("close");
  expect(onIdle).toHaveBeenCalledTimes(1);
});

describe("a connection that has closed", () => {
  test("ends the responses whose end the runtime does not report, once, and no other ones", () => {
    const pendingResponses = new PendingResponses();
    const raw = connection();
    const responses = responsesOn(raw, 3);
    const [complete, , destroyed] = responses;
    const closes = responses.map((response) => {
      pendingResponses.bound(response, () => {});
      const onClose = vi.fn();
      response.on("close", onClose);
      return onClose;
    });
    complete.emit("close");
    // The runtime has destroyed this response, and will emit its `close` itself.
    destroyed.destroy();
    raw.emit("close");
    expect(responses.map((response) => response.destroyed)).toEqual([false, true, true]);
    expect(closes.map((onClose) => onClose.mock.calls.length)).toEqual([1, 1, 0]);
  });

  test("is not waited for, even if the end of a response is never reported", () => {
    const pendingResponses = new PendingResponses();
    const raw = connection();
    const [response] = responsesOn(raw, 1);
    pendingResponses.bound(response, () => {});
    response.destroy();
    raw.emit("close");
    expect(pendingResponses.terminateBegun()).toBe(true);
  });
});

test.each([
  ["is cut if its response has begun", ["begun"], true],
  ["is cut if all of its responses have begun", ["begun", "begun"], true],
  ["is cut if all of its responses have begun that are not complete", ["complete", "begun"], true],
  ["is left if its response has not begun", ["awaited"], false],
  ["is left if the first of its responses has not begun", ["awaited", "begun"], false],
  ["is left if the last of its responses has not begun", ["begun", "awaited"], false],
])("when the time of the responses is over, a connection %s", (_name, states, isCut) => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  const responses = responsesOn(raw, states.length);
  for (const response of responses) pendingResponses.bound(response, () => {});
  for (const [i, response] of responses.entries()) {
    response.headersSent = states[i] !== "awaited";
    if (states[i] === "complete") response.emit("close");
  }
  expect(pendingResponses.terminateBegun()).toBe(isCut);
  expect(raw.destroyed).toBe(isCut);
});

test("when the time of the responses is over, a connection without any is left: it may be a WebSocket by now", () => {
  const pendingResponses = new PendingResponses();
  const raw = connection();
  const [response] = responsesOn(raw, 1);
  pendingResponses.bound(response, () => {});
  response.headersSent = true;
  response.emit("close");
  expect(pendingResponses.terminateBegun()).toBe(true);
  expect(raw.destroyed).toBe(false);
});
