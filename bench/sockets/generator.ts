/** The generator's program: makes the loads that the runner asks for over IPC, one call after the other. */
import process from "node:process";
import { quantileSorted } from "simple-statistics";
import { wireBytes } from "../load/connection.ts";
import type { Load, Target } from "../load/load.ts";
import { openLoad } from "../load/loads.ts";

export type Call = { call: "open"; target: Target } | { call: "drive"; seconds: number } | { call: "close" };

/** What was counted while a load was driven. */
export interface Window {
  count: number;
  seconds: number;
  /** CPU time of the generator as a share of the window: near 1 means that the generator sets the rate. */
  generatorShare: number;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
  /** Bytes for each message as TCP carries them: with the frames' headers and masks. */
  sentBytes: number;
  receivedBytes: number;
}

export type Reply = { window?: Window } | { error: string };

/** The loads whose connections are open; only the last one is driven. */
let loads: Load[] = [];

async function driveLast(seconds: number): Promise<Window> {
  const load = loads.at(-1);
  if (!load) throw new Error("drive was called before open");
  const cpuBefore = process.cpuUsage();
  const wireBefore = wireBytes();
  const startedAt = performance.now();
  const { count, latenciesMs } = await load.drive(seconds);
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const wire = wireBytes();
  const sorted = latenciesMs.sort((left, right) => left - right);
  return {
    count,
    seconds: elapsedMs / 1000,
    generatorShare: (user + system) / 1000 / elapsedMs,
    p50Ms: sorted.length > 0 ? quantileSorted(sorted, 0.5) : undefined,
    p99Ms: sorted.length > 0 ? quantileSorted(sorted, 0.99) : undefined,
    sentBytes: (wire.sent - wireBefore.sent) / count,
    receivedBytes: (wire.received - wireBefore.received) / count,
  };
}

async function reply(call: Call): Promise<Reply> {
  switch (call.call) {
    case "open":
      loads.push(await openLoad(call.target));
      return {};
    case "drive":
      return { window: await driveLast(call.seconds) };
    case "close":
      for (const load of loads) load.close();
      loads = [];
      return {};
  }
}

process.on("message", (call: Call) => {
  reply(call).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message } satisfies Reply),
  );
});
process.on("disconnect", () => process.exit(0));
