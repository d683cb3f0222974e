import { describe, expect, test } from "vitest";
import type { Soak, TimedSample } from "../../bench/soak/result.ts";
import type { Sample } from "../../bench/soak/sample.ts";
import { checksOf, failuresOf } from "../../bench/soak/verdict.ts";

const MIB = 2 ** 20;

const empty: Sample = {
  heapBytes: 10 * MIB,
  reservedBytes: 20 * MIB,
  externalBytes: MIB,
  residentBytes: 60 * MIB,
  connections: 0,
  topics: 0,
  accepted: 0,
  aliveSockets: 0,
  listeners: 3,
  timers: 1,
  files: 20,
};

/** Twenty samples over ten minutes. */
function samplesOf(change: (minutes: number) => Partial<Sample>): TimedSample[] {
  return Array.from({ length: 20 }, (_, index) => {
    const minutes = (index + 1) / 2;
    return { ...empty, connections: 100, listeners: 103, topics: 10, minutes, ...change(minutes) };
  });
}

/** A soak in which all is well, apart from the changes. */
function soakOf(changes: Partial<Soak> = {}): Soak {
  return {
    runtime: "node",
    version: "26",
    subject: "spacenode",
    plan: { idle: 80, busy: 20, minutes: 10, hours: 1, storm: 50, heartbeatMs: 1_000 },
    leak: undefined,
    before: empty,
    samples: samplesOf(() => ({})),
    traffic: { messages: 9_000, pings: 10, sent: 7_000, ended: 90, bursts: 3, late: 0, faults: 0, reasons: [] },
    cpuShare: 0.1,
    storms: [{ openMs: 90, goneMs: 20 }, { openMs: 80, goneMs: 30 }],
    heartbeat: { pings: 240, cpuMs: 10, seconds: 3 },
    emptied: { ...empty, accepted: 1_000 },
    closed: empty,
    exitCode: 0,
    ...changes,
  };
}

test("a soak in which nothing grows and nothing is left has no failure", () => {
  expect(failuresOf(soakOf())).toEqual([]);
});

test("memory that stops growing with the warm-up is no failure", () => {
  const samples = samplesOf((minutes) => ({ residentBytes: (60 + 20 * Math.min(minutes, 2.5)) * MIB }));
  expect(failuresOf(soakOf({ samples }))).toEqual([]);
});

test("room that the engine takes for its heap is no failure", () => {
  const samples = samplesOf((at) => ({ residentBytes: (60 + 4 * at) * MIB, reservedBytes: (20 + 4 * at) * MIB }));
  expect(failuresOf(soakOf({ samples }))).toEqual([]);
});

test("what a system cannot tell is not checked", () => {
  const unknown = { timers: undefined, files: undefined };
  const soak = soakOf({
    before: { ...empty, ...unknown },
    samples: samplesOf(() => unknown),
    closed: { ...empty, ...unknown },
  });
  expect(failuresOf(soak)).toEqual([]);
  expect(checksOf(soak)).toHaveLength(checksOf(soakOf()).length - 3);
});

test("too few samples are a failure", () => {
  const samples = samplesOf(() => ({})).slice(0, 3);
  expect(failuresOf(soakOf({ samples }))).toEqual([
    "heap, MiB a minute",
    "external, MiB a minute",
    "RSS outside the heap, MiB a minute",
  ]);
});

describe("a failure is", () => {
  test.each<[name: string, changes: Partial<Soak>, failure: string]>([
    ["a heap that grows", growing("heapBytes", 1), "heap, MiB a minute"],
    ["memory outside the heap that grows", growing("externalBytes", 1), "external, MiB a minute"],
    ["resident memory that grows", growing("residentBytes", 4), "RSS outside the heap, MiB a minute"],
    [
      "a load that hardly ran",
      { traffic: { ...soakOf().traffic, sent: 700 } },
      "share of the planned messages that were sent",
    ],
    [
      "a listener too many",
      { samples: samplesOf((at) => ({ listeners: 103 + 10 * at })) },
      "listeners without a connection",
    ],
    ["a timer too many", { samples: samplesOf((at) => ({ timers: 10 * at })) }, "timers under traffic"],
    ["a topic that nobody is in", { samples: samplesOf((at) => ({ topics: 10 * at })) }, "topics under traffic"],
    ["a connection that broke", { traffic: { ...soakOf().traffic, faults: 1 } }, "faults of the load"],
    ["a slow storm", { storms: [{ openMs: 30_000, goneMs: 1 }] }, "storm of 50, slowest of 1"],
    [
      "a connection that was cut and stays",
      { storms: [{ openMs: 1, goneMs: Infinity }] },
      "25 cut at once, gone after",
    ],
    ["a costly heartbeat", { heartbeat: { pings: 240, cpuMs: 600, seconds: 3 } }, "heartbeat, CPU of a core"],
    ["a connection that is left", { emptied: { ...empty, connections: 1 } }, "connections at the end"],
    ["a topic that is left", { emptied: { ...empty, topics: 1 } }, "topics at the end"],
    [
      "sockets that are kept",
      { emptied: { ...empty, accepted: 1_000, aliveSockets: 11 } },
      "sockets that something still refers to",
    ],
    ["a listener that is left", { closed: { ...empty, listeners: 4 } }, "listeners after close"],
    ["timers that are left", { closed: { ...empty, timers: 12 } }, "timers after close"],
    ["files that are left open", { closed: { ...empty, files: 31 } }, "open files after close"],
    ["a process that has to be killed", { exitCode: undefined }, "the process ends by itself"],
    ["a process that ends with an error", { exitCode: 1 }, "the process ends by itself"],
  ])("%s", (_name, changes, failure) => {
    expect(failuresOf(soakOf(changes))).toEqual([failure]);
  });

  function growing(name: keyof Sample, mibPerMinute: number): Partial<Soak> {
    const start = empty[name] as number;
    return { samples: samplesOf((minutes) => ({ [name]: start + mibPerMinute * minutes * MIB })) };
  }
});
