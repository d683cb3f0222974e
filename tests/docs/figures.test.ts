/** The figures of the pages are those of the committed results of the benches. */
import { expect, test } from "vitest";
import type { DaemonName } from "../../bench/brokers/clients.ts";
import { PROCESSES } from "../../bench/brokers/fan.ts";
import type { RuntimeName } from "../../bench/shared/machine.ts";
import { OURS } from "../../bench/sockets/peers.ts";
import { read } from "../support/repository.ts";
import { brokers, fanMicros, kernelKiB, ours, ratio, resultOf, rowsUnder, short, sockets, spanOf } from "./figures.ts";

/** The rows of docs/speed.md: the label, the cell of SpaceNode, and that of a peer that has no such cell. */
const rows: [label: string, cell: string, loop?: string][] = [
  ["echo 32 B, 1 in flight", "echo-32-1"],
  ["echo 32 B, 16 in flight", "echo-32-16"],
  ["echo 1 KiB, 16 in flight", "echo-1k-16"],
  ["echo 64 KiB, 4 in flight", "echo-64k-4"],
  ["the same as text", "text-64k-4"],
  ["echo 1 MiB, 2 in flight", "echo-1m-2"],
  ["fan-out 1 to 200, 1 in flight", "fan-loop-1"],
  ["fan-out 1 to 200, bursts of 16", "fan-loop-16"],
  ["the same by `publish`", "fan-publish-16", "fan-loop-16"],
  ["handshake and close", "handshake"],
  ["JSON of 2 KB, compressed", "deflate-2k-4"],
  ["memory of an idle connection", "idle"],
];

/** The peers of each table of docs/speed.md, and which of them stands for another in the row with compression. */
const tables: Record<RuntimeName, { peers: string[]; compressed: string[]; publishes: boolean }> = {
  node: { peers: ["ws", "ws-addon"], compressed: ["–", ratio("node", "ws-3", "deflate-2k-4")], publishes: false },
  deno: { peers: ["native"], compressed: [`${ratio("deno", "ws-3", "deflate-2k-4")} (\`ws\`)`], publishes: false },
  bun: { peers: ["native"], compressed: [ratio("bun", "native", "deflate-2k-4")], publishes: true },
};

test.each([["node", "Node"], ["deno", "Deno"], ["bun", "Bun"]] as const)(
  "docs/speed.md has the figures of %s",
  (runtime, heading) => {
    const { peers, compressed, publishes } = tables[runtime];
    const expected = rows.map(([label, cell, loop]) => {
      if (cell === "deflate-2k-4") return [label, ours(runtime, cell), ...compressed];
      return [label, ours(runtime, cell), ...peers.map((peer) => ratio(runtime, peer, cell, publishes ? cell : loop))];
    });
    expect(rowsUnder("docs/speed.md", heading)).toEqual(expected);
  },
);

test("docs/speed.md has the latencies, and the machine and the day of the results", () => {
  const page = read("docs/speed.md").replaceAll(/\s+/g, " ");
  const [own, ws] = [OURS, "ws"].map((peer) => resultOf("node", peer, "latency-32"));
  const inMs = (value: number | undefined): string => value!.toFixed(2);
  const latencies = `p50 ${inMs(own!.p50Ms)} against ${inMs(ws!.p50Ms)} ms, p99 ${inMs(own!.p99Ms)} against ${
    inMs(ws!.p99Ms)
  }.`;
  expect(page).toContain(latencies);
  const { node, deno, bun, ws: versionOfWs } = sockets.machine.versions;
  const runtimes = `Node ${node}, Deno ${deno}, Bun ${bun} and ws ${versionOfWs}`;
  const day = sockets.date.slice(0, 10);
  expect(page).toContain(`Measured with ${runtimes} on two cores of an ${sockets.machine.cpu}, ${day}:`);
  expect([sockets.machine.cores, sockets.rounds, sockets.lowest, sockets.times.seconds]).toEqual([2, 2, true, 1]);
});

test("README.md has the figures of the three runtimes", () => {
  const cells = [
    ["echo, one message in flight", "echo-32-1"],
    ["echo, 16 in flight", "echo-32-16"],
    ["one sends to 200, in bursts of 16", "fan-loop-16"],
  ] as const;
  const peers = [["node", "ws"], ["deno", "native"], ["bun", "native"]] as const;
  const expected = cells.map(([label, cell]) => [
    label,
    ...peers.map(([runtime, peer]) => `${ours(runtime, cell)}, ${ratio(runtime, peer, cell)}`),
  ]);
  expect(rowsUnder("README.md", "Speed")).toEqual(expected);
  expect(read("README.md")).toContain(`Its own \`publish\`: ${ratio("bun", "native", "fan-publish-16")}.`);
});

test("docs/scaling.md has the figures of one process", () => {
  const kept = rowsUnder("docs/scaling.md", "One process");
  const messages = ["echo-32-1", "echo-32-16", "fan-loop-1", "fan-loop-16"];
  expect(kept.slice(0, 4).map(([, cpu]) => cpu)).toEqual(messages.map((cell) => ours("node", cell)));
  for (const [index, [, , carried]] of kept.slice(0, 4).entries()) {
    const perSecond = Number(carried!.replace(" a second", "").replaceAll(",", ""));
    const exact = 1_000_000 / resultOf("node", OURS, messages[index]!).figure;
    // These are rounded, downwards as a rule.
    expect([perSecond > exact * 0.97, perSecond < exact * 1.005]).toEqual([true, true]);
  }
  const idle = (["node", "deno", "bun"] as const).map((runtime) =>
    `${Number(short(resultOf(runtime, OURS, "idle").figure))} KiB`
  );
  expect(kept.slice(4, 7).map(([, memory]) => memory)).toEqual(idle);
});

test("docs/scaling.md has the figures of a broker's clients", () => {
  const clients = [["Redis, node-redis", "node-redis"], ["Redis, ioredis", "ioredis"], ["NATS", "nats"]] as const;
  const added = clients.map(([label, client]) => [
    label,
    `${spanOf(client, ({ latency }) => 1_000 * latency.addedP50Ms!)} µs`,
    `${spanOf(client, ({ latency }) => 1_000 * latency.addedP99Ms!)} µs`,
  ]);
  const publishers = clients.map(([label, client]) => [
    label,
    `${spanOf(client, ({ single }) => single.publisherMicros!)} µs`,
    `${spanOf(client, ({ bursts }) => bursts.perSecond / 1_000)} thousand`,
  ]);
  expect(rowsUnder("docs/scaling.md", "Many machines").slice(2)).toEqual([...added, ...publishers]);
  expect(brokers.results.length).toBe(12);
});

test("docs/scaling.md has the figures of a broker's server", () => {
  const expected = [["Redis 7", "redis-server"], ["NATS 2", "nats-server"]].map(([label, daemon]) => [
    label,
    ...PROCESSES.map((processes) => `${short(fanMicros(daemon as DaemonName, processes))} µs`),
  ]);
  expect(rowsUnder("docs/scaling.md", "Many machines").slice(0, 2)).toEqual(expected);
  expect(brokers.payloadBytes).toBe(128);

  const page = read("docs/scaling.md").replaceAll(/\s+/g, " ");
  const limits = /At 16 processes that is about ([\d,]+) messages a second, and at 64 about ([\d,]+)\./.exec(page)!;
  for (const [index, processes] of [16, 64].entries()) {
    const exact = 1_000_000 / fanMicros("redis-server", processes);
    expect(Math.abs(Number(limits[index + 1]!.replaceAll(",", "")) / exact - 1)).toBeLessThan(0.03);
  }
});

test("docs/scaling.md has the figures of histories", () => {
  const clients = [["Redis, node-redis", "node-redis"], ["Redis, ioredis", "ioredis"], ["NATS", "nats"]] as const;
  const expected = clients.map(([label, client]) => [
    label,
    `${spanOf(client, ({ appendedSingle }) => appendedSingle.brokerMicros!)} µs`,
    `${spanOf(client, ({ appendedBursts }) => appendedBursts.brokerMicros!)} µs`,
  ]);
  expect(rowsUnder("docs/scaling.md", "Histories")).toEqual(expected);
  const page = read("docs/scaling.md").replaceAll(/\s+/g, " ");
  expect(page).toContain(`takes ${spanOf("node-redis", ({ kept }) => kept.bytes!)} bytes of the memory of Redis`);
});

test("docs/scaling.md has the memory of the kernel", () => {
  const lowest = Math.min(...kernelKiB).toPrecision(2);
  const highest = Math.max(...kernelKiB).toPrecision(2);
  expect(rowsUnder("docs/scaling.md", "One process").at(7)).toEqual([
    "of the kernel, one end, buffers empty",
    `${[...new Set([lowest, highest])].join(" to ")} KiB`,
  ]);
  expect(kernelKiB.length).toBe(3);
});

test.each([
  ["docs/scaling.md", "about 250 KiB", "idle-1000-takeover"],
  ["docs/scaling.md", "`contextTakeover` takes 130 KiB on Node", "idle-1000-python"],
  ["docs/compression.md", "some 250 KiB more", "idle-1000-takeover"],
  ["docs/compression.md", "On Node it takes 130 KiB", "idle-1000-python"],
])("%s has the memory of context takeover: %s", (path, text, cell) => {
  expect(read(path)).toContain(text);
  const more = resultOf("node", OURS, cell).figure - resultOf("node", OURS, "idle-1000").figure;
  expect(Math.round(more / 10) * 10).toBe(Number(/(\d+) KiB/.exec(text)![1]));
});

test("a figure that differs would be found", () => {
  const page = "# One\n\n| a | b |\n| --- | --- |\n| echo | 1 µs |\n\n# Two\n\n| c |\n| --- |\n| d |\n";
  expect(rowsUnder("page", "One", page)).toEqual([["echo", "1 µs"]]);
  expect(() => rowsUnder("page", "Three", page)).toThrow('page has 0 headings "Three"');
  expect(() => resultOf("node", OURS, "none")).toThrow("no figure of spacenode in none on node");
  expect([0.3305, 8.87, 57.6, 99.7, 1188.4].map(short)).toEqual(["0.33", "8.9", "58", "100", "1,188"]);
});
