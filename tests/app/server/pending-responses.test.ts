import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { expect, test, vi } from "vitest";
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

/** Responses to requests that have come on one connection. */
function responsesOn(socket: Socket, count: number): ServerResponse[] {
  return Array.from({ length: count }, () => Object.assign(new EventEmitter(), { req: { socket } }) as ServerResponse);
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
