import { describe, expect, test } from "vitest";
import { growsBeyond, type Point, slopeOf } from "../../bench/soak/slope.ts";

/** A thousand pseudo-random numbers between −1 and 1, the same in every run. */
function noise(count: number): number[] {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x3fff_ffff - 1;
  });
}

function series(count: number, valueAt: (minutes: number, index: number) => number): Point[] {
  return Array.from({ length: count }, (_, index) => [index / 10, valueAt(index / 10, index)]);
}

describe("slopeOf", () => {
  test("points on a line have the slope of the line, without an error", () => {
    const slope = slopeOf(series(20, (minutes) => 100 + 3 * minutes))!;
    expect(slope.perMinute).toBeCloseTo(3, 10);
    expect(slope.error).toBeCloseTo(0, 6);
    expect(slope.at(10)).toBeCloseTo(130, 10);
  });

  test("a constant figure has neither a slope nor an error", () => {
    expect(slopeOf(series(20, () => 7))).toMatchObject({ perMinute: 0, error: 0 });
  });

  test("the error is that of the textbook when the residuals do not follow each other", () => {
    // The residuals alternate, so that their correlation is negative and enlarges nothing.
    const points: Point[] = [[0, 1], [1, 0], [2, 1], [3, 0], [4, 1], [5, 0]];
    // Σ(x − x̄)² = 17.5, slope = −3/35, Σ residuals² = 1.5 − 17.5 · (3/35)², error = √(that / 4 / 17.5).
    const { perMinute, error } = slopeOf(points)!;
    expect(perMinute).toBeCloseTo(-3 / 35, 10);
    expect(error).toBeCloseTo(Math.sqrt((1.5 - 17.5 * (3 / 35) ** 2) / 4 / 17.5), 10);
  });

  test("the true slope lies within three errors, although there is noise", () => {
    const random = noise(100);
    const { perMinute, error } = slopeOf(series(100, (minutes, index) => 50 + 2 * minutes + 5 * random[index]))!;
    expect(error).toBeGreaterThan(0);
    expect(Math.abs(perMinute - 2)).toBeLessThan(3 * error);
  });

  test("figures that stay where they were for a while make the slope less sure", () => {
    const random = noise(100);
    const jumping = slopeOf(series(100, (_minutes, index) => random[index]))!;
    const staying = slopeOf(series(100, (_minutes, index) => random[Math.floor(index / 10)]))!;
    expect(staying.error).toBeGreaterThan(2 * jumping.error);
  });

  test.each([0, 1, 2, 3])("%i points have none", (count) => {
    expect(slopeOf(series(count, () => 1))).toBeUndefined();
  });
});

test.each([
  ["a slope above the bound by more than two errors", 1.0, 0.2, true],
  ["a slope above the bound that may be chance", 1.0, 0.3, false],
  ["a slope below the bound", 0.4, 0.01, false],
  ["a falling figure", -5, 0.1, false],
])("%s", (_name, perMinute, error, expected) => {
  expect(growsBeyond({ perMinute, error, at: () => 0 }, 0.5)).toBe(expected);
});
