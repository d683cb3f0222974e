/** Closing an app that has a broker. */
import { describe, expect, test, vi } from "vitest";
import { createApp } from "../../../mod.ts";
import { recordingLogger } from "../../support/app.ts";
import { FAILURES, newsPair, report } from "../../support/broker-faults.ts";
import { messagesOf } from "../../support/crowd.ts";
import { Hub, type MemoryBroker } from "../../support/memory-broker.ts";

describe("app.close()", () => {
  test("closes the broker once, behind what was published before", async () => {
    const { a, b, hub } = await newsPair();
    const there = await b.member("news");
    a.app.on("leave", (_socket, topic) => void a.app.publish(topic, "somebody has gone"));
    a.app.publish("news", "last words");
    const closings = [a.app.close({ timeoutMs: 20 }), a.app.close(), a.app.close()];
    await Promise.all(closings);
    await hub.settle();
    expect(await messagesOf(there)).toEqual(["last words", "somebody has gone"]);
    expect(a.broker.calls.filter((call) => call === "close")).toHaveLength(1);
    expect(a.broker.calls.at(-1)).toBe("close");
    a.app.publish("news", "too late");
    await hub.settle();
    expect(a.broker.calls.at(-1)).toBe("close");
  });

  test("closes a broker that was never used, without a log line", async () => {
    const { logger, entries } = recordingLogger();
    const broker = new Hub().link();
    const app = await createApp({ broker, logger });
    await app.close();
    expect([broker.calls, entries]).toEqual([["close"], []]);
  });

  test.each(FAILURES)("resolves in time even if the close of the broker %s", async (name, fail) => {
    const { a } = await newsPair();
    vi.spyOn(a.broker, "publish").mockImplementation(fail as MemoryBroker["publish"]);
    const close = vi.spyOn(a.broker, "close").mockImplementation(fail as MemoryBroker["close"]);
    for (const { socket } of [await a.member("news")]) socket.terminate();
    const before = performance.now();
    await expect(a.app.close({ timeoutMs: 100 })).resolves.toMatchObject({ closed: 0 });
    expect(performance.now() - before).toBeLessThan(name === "never settles" ? 5_000 : 2_000);
    expect(close).toHaveBeenCalledOnce();
  });

  test("closes a broker that is away", async () => {
    const { a } = await newsPair();
    a.broker.disconnect();
    await a.app.close({ timeoutMs: 20 });
    expect(a.broker.calls.at(-1)).toBe("close");
    expect(report(a.entries)).toHaveLength(1);
  });

  test("ignores the broker afterwards", async () => {
    const { a, b, hub } = await newsPair();
    b.app.publish("news", "hello");
    await hub.settle();
    const bytes = hub.published.at(-1)!.bytes;
    await a.app.close({ timeoutMs: 20 });
    const { length } = a.entries;
    a.broker.receive("news", bytes);
    a.broker.receive("news", Buffer.from("garbage"));
    a.broker.tell({ isConnected: false });
    expect(a.entries).toHaveLength(length);
    expect(a.app.stats().broker).toMatchObject({ received: 1 });
  });
});
