// A message that drips in on a real connection has its time, and no more: `messageTimeoutMs`.

import { describe, expect, test } from "vitest";
import { ConnectionTimers } from "../../src/transport/timers/connection-timers.ts";
import { pair } from "../support/connection.ts";
import { binary, continuation, ping, text } from "../support/frames.ts";

const TIMEOUT_MS = 500;

/** Every drop is behind the echo of a Ping where a Ping may stand, and in a turn of its own elsewhere. */
describe.each<[string, Uint8Array, (at: number) => Uint8Array]>([
  ["the payload of one frame", binary(Buffer.alloc(1_000_000)).subarray(0, 14), () => Uint8Array.of(0)],
  ["fragments of one byte", text("x", { fin: false }), () => continuation("x", { fin: false })],
  ["empty fragments", text("", { fin: false }), () => continuation("", { fin: false })],
  [
    "fragments with Pings between them",
    text("x", { fin: false }),
    (at) => at % 2 ? ping() : continuation("x", { fin: false }),
  ],
])("a message that drips in as %s", (_name, begin, drop) => {
  test("is cut with 1008 when its time is over, though it never stops", async () => {
    const timers = new ConnectionTimers({ heartbeat: false, messageTimeoutMs: TIMEOUT_MS, closeTimeoutMs: 5_000 });
    const { client, connection, recorder } = await pair({ timers, maxFragments: 1_000_000 });
    connection.start();
    const beginMs = performance.now();
    client.send(begin);
    let drops = 0;
    const drip = setInterval(() => client.send(drop(drops++)), 2);
    try {
      expect((await client.closed()).code).toBe(1008);
    } finally {
      clearInterval(drip);
    }
    expect(performance.now() - beginMs).toBeGreaterThan(TIMEOUT_MS - 5);
    expect(drops).toBeGreaterThan(10);
    expect(recorder.of("error")).toEqual([["error", 1008]]);
    expect([timers.messages.size, recorder.of("message")]).toEqual([0, []]);
  });
});

test("a client whose every message is quick may drip for ever", async () => {
  const timers = new ConnectionTimers({ heartbeat: false, messageTimeoutMs: TIMEOUT_MS, closeTimeoutMs: 5_000 });
  const { client, connection, recorder } = await pair({ timers });
  connection.start();
  const message = text("drip");
  const endMs = performance.now() + 3 * TIMEOUT_MS;
  let sent = 0;
  // The end of each message comes in one chunk with the beginning of the next one: some message is always under way.
  client.send(message.subarray(0, 5));
  while (performance.now() < endMs) {
    client.send(Buffer.concat([message.subarray(5), message.subarray(0, 5)]));
    await recorder.messages(++sent);
  }
  expect(recorder.of("error")).toEqual([]);
  expect(recorder.of("message").length).toBe(sent);
});
