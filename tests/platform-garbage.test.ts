/** How V8 collects the memory of large messages. The file has a process of its own, whose heap is small at first. */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { expect, test } from "vitest";
import { codec } from "../src/platform.ts";

const MIB = 1024 * 1024;

test("large memory that nobody keeps is freed, and by few mark-compact collections on Node", async () => {
  const majors = new Set<PerformanceEntry>();
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { detail: { kind: number } }).detail;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) majors.add(entry);
    }
  });
  if (PerformanceObserver.supportedEntryTypes.includes("gc")) observer.observe({ entryTypes: ["gc"] });
  const before = process.memoryUsage().rss;
  let freshest = codec.allocate(0);
  for (let mib = 0; mib < 1024; mib++) {
    for (let i = 0; i < 16; i++) freshest = codec.allocate(MIB / 16);
    // The runtime frees memory while the loop of events runs.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve));
  observer.disconnect();
  expect(freshest.length).toBe(MIB / 16);
  expect((process.memoryUsage().rss - before) / MIB).toBeLessThan(512);
  // Node 26 needs eight of them or more for this GiB if no garbage comes with the memory.
  expect(majors.size).toBeLessThanOrEqual(3);
});
