/** The generator process: makes the load that the runner asks for over IPC, one at a time. */
import process from "node:process";
import { quantileSorted } from "simple-statistics";
import { type Load, openLoad, type Target } from "./load/loads.ts";

export type Call = { call: "open"; target: Target } | { call: "drive"; seconds: number } | { call: "close" };

export interface Window {
  count: number;
  seconds: number;
  /** CPU time of the generator as a share of the window: near 1 means that it sets the rate. */
  generatorShare: number;
  p50Ms: number | undefined;
  p99Ms: number | undefined;
}

export type Answer = { window?: Window } | { error: string };

let load: Load | undefined;

async function measure(seconds: number): Promise<Window> {
  if (!load) throw new Error("drive before open");
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const { count, latenciesMs } = await load.drive(seconds);
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const sorted = latenciesMs.sort((left, right) => left - right);
  return {
    count,
    seconds: elapsedMs / 1000,
    generatorShare: (user + system) / 1000 / elapsedMs,
    p50Ms: sorted.length > 0 ? quantileSorted(sorted, 0.5) : undefined,
    p99Ms: sorted.length > 0 ? quantileSorted(sorted, 0.99) : undefined,
  };
}

async function answer(call: Call): Promise<Answer> {
  switch (call.call) {
    case "open":
      load = await openLoad(call.target);
      return {};
    case "drive":
      return { window: await measure(call.seconds) };
    case "close":
      load?.close();
      load = undefined;
      return {};
  }
}

process.on("message", (call: Call) => {
  answer(call).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message } satisfies Answer),
  );
});
process.on("disconnect", () => process.exit(0));
