/** What the tables of the bench call level, reached or missed: two runs of the same build say how far chance goes. */
import { describe, expect, test } from "vitest";
import { isLevel, ratioText, scatterOfPairs } from "../../bench/shared/scatter.ts";
import { cells } from "../../bench/sockets/cells.ts";
import { comparisonTable, verdictOf } from "../../bench/sockets/comparison.ts";
import type { Sample } from "../../bench/sockets/measure-cell.ts";
import { AGAIN, BASE, OURS, type Peer, peers } from "../../bench/sockets/peers.ts";
import { type Report, type Result, rowsOf, summarise } from "../../bench/sockets/results.ts";
import { scatterOf } from "../../bench/sockets/scatter.ts";
import { reach } from "../../bench/sockets/target-table.ts";
import type { Goal } from "../../bench/sockets/targets.ts";

/** The result of a peer on Node whose rounds had these figures. */
function result(id: string, cell: string, figures: number[]): Result {
  const peer: Peer = { ...peers.find((each) => each.runtime === "node" && each.id === OURS)!, id };
  const samples = figures.map((figure) => ({ figure }) as Sample);
  return summarise(peer, cells.find((each) => each.id === cell)!, samples, false);
}

describe("the scatter of two runs of the same build", () => {
  test("is two standard errors of their ratio", () => {
    expect(scatterOfPairs([1.1], [1])).toBeCloseTo(1.1 ** 2 - 1, 10);
    expect(scatterOfPairs([1.1, 1, 1.1, 1], [1, 1.1, 1, 1.1])).toBeCloseTo(0.1, 10);
    expect(scatterOfPairs([5, 7], [5, 7])).toBe(0);
  });

  test("is unknown without a pair, and for figures that have no ratio", () => {
    expect(scatterOfPairs([], [1])).toBeUndefined();
    expect(scatterOfPairs([1, -1], [1, 1])).toBeUndefined();
  });

  test("is at least that of the cells in the middle, because two runs may agree by chance", () => {
    const results = [
      ...[result(OURS, "echo-32-1", [10]), result(AGAIN, "echo-32-1", [10])],
      ...[result(OURS, "echo-32-16", [10]), result(AGAIN, "echo-32-16", [11])],
      ...[result(OURS, "echo-1k-16", [10]), result(AGAIN, "echo-1k-16", [15])],
      result(OURS, "idle", [10]),
    ];
    expect(scatterOf(results, "node", "echo-32-1")).toBeCloseTo(0.21, 10);
    expect(scatterOf(results, "node", "echo-1k-16")).toBeCloseTo(1.25, 10);
    expect(scatterOf(results, "node", "idle")).toBeUndefined();
    expect(scatterOf(results, "bun", "echo-32-1")).toBeUndefined();
  });
});

test.each([
  ["a ratio within the scatter", 1.03, 0.04, "level, 1.03 ± 0.04 ×"],
  ["a ratio below 1 within the scatter", 0.97, 0.04, "level, 0.97 ± 0.04 ×"],
  ["a ratio beyond the scatter", 1.25, 0.04, "1.25 ± 0.05 ×"],
  ["a ratio below 1 beyond the scatter", 0.9, 0.04, "0.90 ± 0.04 ×"],
  ["a large ratio", 12.34, 0.1, "12.3 ± 1.2 ×"],
  ["a ratio whose scatter is unknown", 1, undefined, "1.00 ×"],
  ["no ratio", undefined, 0.04, ""],
])("%s as text", (_name, ratio, scatter, text) => {
  expect(ratioText(ratio, scatter)).toBe(text);
});

test("a ratio is as far from 1 as its reciprocal", () => {
  expect([isLevel(1.2, 0.21), isLevel(1 / 1.2, 0.21), isLevel(1.2, 0.19), isLevel(1 / 1.2, 0.19)])
    .toEqual([true, true, false, false]);
});

test.each([
  ["level", [1.01, 1.02, 1.03], 0.03],
  ["more in every round", [1.05, 1.06, 1.07], 0.03],
  ["less in every round", [0.91, 0.92, 0.93], 0.03],
  ["more", [0.99, 1.06, 1.07], 0.03],
  ["less", [0.9], 0.03],
  ["more in every round", [1.01, 1.02, 1.03], undefined],
  ["", [1.01], undefined],
])("beside a base, %s: %j within %s", (verdict, ratios, scatter) => {
  expect(verdictOf(ratios, scatter)).toBe(verdict);
});

test("the table beside a base shows the scatter", () => {
  const results = [
    result(OURS, "echo-32-1", [10.1, 10.1]),
    result(AGAIN, "echo-32-1", [10, 10]),
    result(BASE, "echo-32-1", [10.2, 10.2]),
  ];
  expect(comparisonTable({ results, rounds: 2 } as Report, "node")).toMatch(/echo-32-1 .* 0\.990 +± 0\.014 .* level/);
});

test("the second run of SpaceNode has no row of its own", () => {
  const results = [result(OURS, "echo-32-1", [10]), result(AGAIN, "echo-32-1", [11]), result("ws", "echo-32-1", [12])];
  expect(rowsOf(results, "node", "echo-32-1").map(({ peer }) => peer)).toEqual([OURS, "ws"]);
});

describe("a target", () => {
  const goal: Goal = { runtime: "node", cell: "echo-32-1", against: ["ws", "ws-addon"], atLeast: 1.3 };
  const ours = [result(OURS, "echo-32-1", [10, 10]), result(AGAIN, "echo-32-1", [10.5, 10])];

  test.each([
    ["is reached", 13, "reached"],
    ["is missed by less than the scatter", 12.5, "near"],
    ["is missed", 12, "missed"],
  ])("%s", (_name, theirs, verdict) => {
    const rivals = [result("ws", "echo-32-1", [20]), result("ws-addon", "echo-32-1", [theirs])];
    expect(reach([...ours, ...rivals], goal)).toMatchObject({ peer: "ws-addon", value: theirs / 10.0, verdict });
  });

  test("without a second run is either reached or missed", () => {
    const results = [result(OURS, "echo-32-1", [10]), result("ws", "echo-32-1", [12.9])];
    expect(reach(results, goal)).toMatchObject({ scatter: undefined, verdict: "missed" });
  });

  test("that was not measured on both sides is left out", () => {
    expect(reach(ours, goal)).toBeUndefined();
  });
});
