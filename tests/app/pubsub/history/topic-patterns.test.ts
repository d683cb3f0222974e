import { describe, expect, test } from "vitest";
import { resolveTopic } from "../../../../src/app/pubsub/history/history-options.ts";
import { TopicPatterns } from "../../../../src/app/pubsub/history/topic-patterns.ts";

const sized = (size: number) => resolveTopic({ history: { size } });

describe("of several patterns", () => {
  const patterns = new TopicPatterns();
  patterns.add("room/*", sized(1));
  patterns.add("room/lobby", sized(2));
  patterns.add("room/vip/*", sized(3));
  patterns.add("room/vip/quiet", undefined);
  patterns.add("log/*", undefined);

  test.each([
    ["room/1", 1],
    ["room/", 1],
    ["room/*", 1],
    ["room/lobby", 2],
    ["room/lobby2", 1],
    ["room/vip/1", 3],
    ["room/vip", 1],
    ["room/vip/quiet", undefined],
    ["room", undefined],
    ["Room/1", undefined],
    ["log/1", undefined],
    ["", undefined],
  ])("the name itself counts, then the longest start: %j has %j", (topic, size) => {
    expect(patterns.find(topic)?.size).toBe(size);
  });
});

test("a star alone stands for all topics", () => {
  const patterns = new TopicPatterns();
  patterns.add("*", sized(1));
  expect(patterns.find("anything")?.size).toBe(1);
});

test("a star stands for something at the end only", () => {
  const patterns = new TopicPatterns();
  patterns.add("a*b", sized(1));
  patterns.add("c**", sized(2));
  expect(["a*b", "axb", "c*x", "cx"].map((topic) => patterns.find(topic)?.size)).toEqual([1, undefined, 2, undefined]);
});

test("a pattern is added once", () => {
  const patterns = new TopicPatterns();
  for (const pattern of ["a", "a*", "*"]) {
    patterns.add(pattern, sized(1));
    expect(() => patterns.add(pattern, undefined)).toThrow(new RegExp(`"${pattern.replace("*", "\\*")}".*already`));
    expect(patterns.find("a")).toBeDefined();
  }
});

test.each([["a", "a", true], ["a", "ab", false], ["a*", "a", true], ["a*", "ab", true], ["a*", "b", false]])(
  "%j matches %j: %j",
  (pattern, topic, expected) => {
    expect(TopicPatterns.matches(pattern, topic)).toBe(expected);
  },
);
