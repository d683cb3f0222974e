/** The bench of the brokers: what their own servers are asked for, and what is counted. */
import { connect } from "@nats-io/transport-node";
import { createClient } from "redis";
import { describe, expect, onTestFinished, test } from "vitest";
import { clients, type DaemonName } from "../../bench/brokers/clients.ts";
import { Daemon, versionOf } from "../../bench/brokers/daemon.ts";
import { Fan, measureFans } from "../../bench/brokers/fan.ts";
import { keptBytes } from "../../bench/brokers/kept.ts";
import { BURST, measureClient, medians } from "../../bench/brokers/measure-client.ts";
import { fanTable } from "../../bench/brokers/tables.ts";
import { slabBytes } from "../../bench/shared/kernel.ts";
import { findRuntime } from "../../bench/shared/machine.ts";

async function start(name: DaemonName): Promise<Daemon> {
  const daemon = await Daemon.start(name);
  onTestFinished(() => daemon.stop());
  return daemon;
}

/** Counts what a client of the library gets that is subscribed beside those of the bench. */
const listeners: Record<DaemonName, (port: number, onMessage: (bytes: Uint8Array) => void) => Promise<void>> = {
  "redis-server": async (port, onMessage) => {
    const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
    onTestFinished(() => client.destroy());
    await client.subscribe("fan", onMessage, true);
  },
  "nats-server": async (port, onMessage) => {
    const client = await connect({ servers: `127.0.0.1:${port}` });
    onTestFinished(() => client.close());
    client.subscribe("fan", { callback: (_error, message) => onMessage(message.data) });
    await client.flush();
  },
};

describe.each(["redis-server", "nats-server"] as const)("%s", (name) => {
  const isMissing = versionOf(name) === undefined;

  test.skipIf(isMissing)("delivers what the fan counts, to another client too", async () => {
    const daemon = await start(name);
    const lengths: number[] = [];
    let onMessage = (): void => {};
    await listeners[name](daemon.port, (bytes) => {
      lengths.push(bytes.length);
      onMessage();
    });
    const fan = await Fan.open(daemon, 3);
    onTestFinished(() => fan.close());
    const counts = [await fan.drive(0.05), await fan.drive(0.05)];
    const count = counts[0]! + counts[1]!;
    await new Promise<void>((resolve) => {
      onMessage = () => void (lengths.length >= count && resolve());
      onMessage();
    });
    expect(counts.map((each) => each > 0 && each % BURST === 0)).toEqual([true, true]);
    expect(lengths.length).toBe(count);
    expect(new Set(lengths)).toEqual(new Set([128]));
  });

  test.skipIf(isMissing)("is measured with each number of processes", async () => {
    const daemon = await start(name);
    const fans = await measureFans(daemon, 1, { pairs: 1, seconds: 0.05, warmUpSeconds: 0.01 });
    expect(fans.map(({ daemon: server, processes, samples }) => [server, processes, samples.length]))
      .toEqual([1, 4, 16, 64].map((processes) => [name, processes, 1]));
  });

  test.skipIf(isMissing)("carries messages between two processes, with a history and without one", async () => {
    const daemon = await start(name);
    const client = clients.find((each) => each.daemon === name)!;
    const times = { pairs: 2, seconds: 0.05, warmUpSeconds: 0.02 };
    const figures = await measureClient(client, daemon, findRuntime("node")!, times);
    const { single, bursts, appendedSingle, appendedBursts, kept, latency } = figures;
    for (const { perSecond, publisherMicros } of [single, bursts, appendedSingle, appendedBursts]) {
      expect([perSecond > 0, publisherMicros > 0]).toEqual([true, true]);
    }
    expect(latency.remoteP50Ms).toBeGreaterThan(0);
    // A message has 128 bytes. NATS keeps messages in files.
    expect(kept.bytes === undefined).toBe(name === "nats-server");
    expect(Math.round((kept.bytes ?? 150) / 100)).toBeOneOf([1, 2]);
    expect(Object.keys(medians([figures]))).toEqual(Object.keys(figures));
  });
});

test.skipIf(versionOf("redis-server") === undefined)(
  "a message that Redis keeps takes its bytes and some more",
  async () => {
    const daemon = await start("redis-server");
    const client = await createClient({ url: `redis://127.0.0.1:${daemon.port}` }).connect();
    onTestFinished(() => client.destroy());
    for (let message = 0; message < 500; message += 1) {
      await client.xAdd("spacenode:history:kept-0", "*", { epoch: "x".repeat(128) });
    }
    const bytes = await keptBytes(daemon, "kept-0");
    expect([bytes! > 128, bytes! < 256]).toEqual([true, true]);
    await expect(keptBytes(daemon, "kept-1")).rejects.toThrow("redis-server keeps no message of kept-1");
    expect(await keptBytes({ ...daemon, name: "nats-server" } as Daemon, "kept-0")).toBeUndefined();
  },
);

test("the table shows the servers that were measured, by the number of subscribers", () => {
  const fans = [1, 4, 16].map((processes) => ({
    daemon: "nats-server" as const,
    processes,
    brokerMicros: processes / 2,
    samples: [],
  }));
  expect(fanTable({ fans, payloadBytes: 128 }).split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["CPU broker for a message of 128 B, by subscribers", "1", "4", "16", "64"],
    ["nats-server", "0.5 µs", "2 µs", "8 µs"],
  ]);
});

test("the memory of the kernel is the sum of its slabs", () => {
  expect(slabBytes("MemTotal:       100 kB\nSlab:             374664 kB\nSReclaimable:     1 kB\n")).toBe(
    374_664 * 1024,
  );
  expect(slabBytes("MemTotal:       100 kB\n")).toBeUndefined();
});
