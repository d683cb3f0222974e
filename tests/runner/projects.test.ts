import { globSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { needsOwnProcess, projectsOf } from "./projects.ts";

describe("a file needs a process of its own", () => {
  test.each([
    ["when it measures memory", 'import { usedBytes } from "../support/memory.ts";'],
    ["when it measures CPU time", "const before = process.cpuUsage();"],
    ["when it counts handles", "expect(process.getActiveResourcesInfo()).toEqual([]);"],
    ["when it listens to the process", 'process.on("unhandledRejection", fail);'],
    ["when it sets a variable of the environment", 'process.env.CHROMIUM_PATH = "none";'],
    ["when it removes a variable of the environment", "delete process.env.CI;"],
    ["when it replaces a module", 'vi.mock("node:fs");'],
    ["when it replaces a global", 'vi.stubGlobal("WebAssembly", undefined);'],
    ["when it watches a method of a global", 'vi.spyOn(Buffer.prototype, "write");'],
    ["when it watches the clock", 'vi.spyOn(performance, "now");'],
    ["when a library of it replaces globals", 'import { serve } from "@hono/node-server";'],
    ["when it leaves the timers of vitest in place", "vi.useFakeTimers();"],
  ])("%s", (_when, text) => {
    expect(needsOwnProcess(text)).toBe(true);
  });
});

test.each([
  ["reads the environment", "const seed = Number(process.env.SEED ?? 1);"],
  ["gives the timers back", "vi.useFakeTimers();\nafterEach(() => vi.useRealTimers());"],
  ["watches a method, which vitest restores", 'vi.spyOn(socket, "write");'],
  ["starts a program", 'Program.file("tests/support/echo-server.ts");'],
])("a file that %s shares a process", (_does, text) => {
  expect(needsOwnProcess(text)).toBe(false);
});

test("each file belongs to one project", () => {
  const [alone, together] = projectsOf({ testTimeout: 1 }, ["tests/**/*.test.ts"], ["tests/e2e/**"]).map(({ test }) =>
    test!
  );
  const filesOf = ({ include, exclude }: typeof alone): string[] => globSync(include!, { exclude: exclude ?? [] });
  const all = globSync("tests/**/*.test.ts", { exclude: ["tests/e2e/**"] });
  expect([...filesOf(alone), ...filesOf(together)].sort()).toEqual(all.sort());
  expect([alone.isolate, together.isolate]).toEqual([undefined, false]);
  expect(filesOf(alone)).toContain("tests/attacks/frames.test.ts");
  expect(filesOf(together)).toContain("tests/protocol/close.test.ts");
  expect([alone.testTimeout, together.testTimeout]).toEqual([1, 1]);
});
