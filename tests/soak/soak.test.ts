/** A small soak of a few seconds on the runtime of the test. Its time is too short for the slopes of memory. */
import process from "node:process";
import { test } from "vitest";
import { soak } from "../../bench/soak/soak.ts";
import type { Leak } from "../../bench/soak/traffic.ts";
import { failuresOf, MEMORIES } from "../../bench/soak/verdict.ts";
import { findRuntime, type Runtime, type RuntimeName } from "../../bench/shared/machine.ts";
import { actualRuntime } from "../support/runtime.ts";

const plan = { idle: 60, busy: 40, minutes: 0.05, hours: 0.01, storm: 100, heartbeatMs: 1_000 };
const TIMEOUT_MS = 90_000;

/** The runtime of this process, with the options with which it is soaked. */
function thisRuntime(): Runtime {
  const found = findRuntime(actualRuntime().split("@")[0] as RuntimeName)!;
  return { ...found, command: [process.execPath, ...found.command.slice(1)] };
}

async function failuresWith(leak?: Leak): Promise<string[]> {
  const failures = failuresOf(await soak(thisRuntime(), "spacenode", plan, leak));
  return failures.filter((name) => !Object.keys(MEMORIES).some((memory) => name.startsWith(memory)));
}

test.concurrent("a server that is in order leaves nothing behind", { timeout: TIMEOUT_MS }, async ({ expect }) => {
  expect(await failuresWith()).toEqual([]);
});

test.concurrent("a server that keeps its closed sockets is found", { timeout: TIMEOUT_MS }, async ({ expect }) => {
  expect(await failuresWith("sockets")).toEqual(["sockets that something still refers to"]);
});
