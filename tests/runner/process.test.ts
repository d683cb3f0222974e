import { expect, test } from "vitest";
import { runBounded } from "./process.ts";

const GENEROUS_MS = 15_000;

test("reports the exit code of a process that ends by itself", async () => {
  expect(await runBounded(["sh", "-c", "exit 3"], process.env, GENEROUS_MS)).toEqual({ exitCode: 3, timedOut: false });
});

test("has no exit code for a process that a signal ended", async () => {
  const exit = await runBounded(["sh", "-c", "kill -9 $$"], process.env, GENEROUS_MS);
  expect(exit).toEqual({ exitCode: undefined, timedOut: false });
});

test("kills a process that does not end, and what it has started", async () => {
  const exit = await runBounded(["sh", "-c", "sleep 60 & wait"], process.env, 100);
  expect(exit).toEqual({ exitCode: undefined, timedOut: true });
});

test("rejects when the executable does not exist", async () => {
  await expect(runBounded(["spacenode-no-such-program"], process.env, GENEROUS_MS)).rejects.toThrow(
    /spacenode-no-such-program/,
  );
});
