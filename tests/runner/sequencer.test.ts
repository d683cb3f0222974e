import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { share, slowFiles, slowFirst } from "./sequencer.ts";

const itself = (path: string): string => path;
const others = ["/r/tests/b.test.ts", "/r/tests/a.test.ts", "/r/tests/c.test.ts"];
const slow = slowFiles.map((path) => `/r/${path}`);

test("the slow files exist", () => {
  expect(slowFiles.filter((path) => !existsSync(path))).toEqual([]);
  expect(new Set(slowFiles).size).toBe(slowFiles.length);
});

test("the slow files come first, and the others keep their order", () => {
  expect(slowFirst([...others, ...slow.toReversed()], itself)).toEqual([...slow, ...others]);
});

test.each([1, 2, 3, 6])("of %i shares, each has its part of the slow files, and all have every file once", (count) => {
  const parts = Array.from({ length: count }, (_, i) => {
    // Each process may find the files in another order.
    const found = i % 2 === 0 ? [...others, ...slow] : [...slow, ...others].reverse();
    return share(found, itself, i + 1, count);
  });
  expect(parts.flat().sort()).toEqual([...others, ...slow].sort());
  for (const part of parts) {
    expect(Math.abs(part.filter((path) => slow.includes(path)).length - slow.length / count)).toBeLessThan(1);
  }
});
