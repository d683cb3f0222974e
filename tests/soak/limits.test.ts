import { expect, test } from "vitest";
import { findLimits, shortage } from "../../bench/soak/limits.ts";

const plan = { idle: 10_000, busy: 2_000, storm: 2_000, minutes: 10, hours: 1, heartbeatMs: 30_000 };

test("a machine with enough files and ports has no shortage", () => {
  expect(shortage(plan, { files: 20_000, ports: 28_000 })).toBeUndefined();
  expect(shortage(plan, { files: Infinity, ports: Infinity })).toBeUndefined();
});

test("too few files are named with the number that is needed, and with what helps", () => {
  expect(shortage(plan, { files: 4_096, ports: 28_000 })).toMatch(/4096 files here.* needs 14300\b.*ulimit.*--quick/);
});

test("too few ports are named, whether there is one source address or many", () => {
  expect(shortage(plan, { files: 20_000, ports: 20 })).toMatch(/local ports here.* needs 14000\b.*ip_local_port_range/);
});

test("the limits of this machine are positive numbers", () => {
  const { files, ports } = findLimits();
  expect(files).toBeGreaterThan(0);
  expect(ports).toBeGreaterThan(0);
});
