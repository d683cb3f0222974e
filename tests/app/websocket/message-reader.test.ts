import { describe, expect, test } from "vitest";
import { closeReason, MessageReader } from "../../../src/app/websocket/message-reader.ts";
import type { StandardIssue, StandardResult } from "../../../src/app/websocket/standard-schema.ts";

/** A reader whose schema takes what is truthy, and the values that the schema was asked about. */
function readerWith(): { reader: MessageReader; asked: unknown[] } {
  const asked: unknown[] = [];
  const reader = new MessageReader((value) => {
    asked.push(value);
    return value ? { value: { made: value } } : { issues: [{ message: `secret ${"x".repeat(200)}`, path: ["a"] }] };
  });
  return { reader, asked };
}

test("gives what the schema makes of the JSON", () => {
  const { reader, asked } = readerWith();
  expect(reader.read('{"text":"grüße"}')).toEqual({ value: { made: { text: "grüße" } } });
  expect(asked).toEqual([{ text: "grüße" }]);
});

test("gives the promise of an async schema", async () => {
  const reader = new MessageReader((value) => Promise.resolve({ value: [value] }));
  expect(await reader.read("7")).toEqual({ value: [7] });
});

test("throws what the schema throws", () => {
  const error = new Error("broken");
  const reader = new MessageReader(() => {
    throw error;
  });
  expect(() => reader.read("7")).toThrow(error);
});

describe("a message does not fit that", () => {
  test.each<[string, string | Buffer, string]>([
    ["is binary", Buffer.from("{}"), "The message is binary, but a text with JSON is expected"],
    ["is empty", "", "The message is not JSON"],
    ["is not JSON", "{text: 1}", "The message is not JSON"],
    ["has an end that is not JSON", '{"text":1} secret', "The message is not JSON"],
    ["is too deep", "[".repeat(500) + "]".repeat(500), "The message is nested more than 128 levels deep"],
    ["is too deep, and no JSON either", "[".repeat(1024 * 1024), "The message is nested more than 128 levels deep"],
    ["has the key __proto__", '[{"__proto__":{"isAdmin":true}}]', 'The message has the key "__proto__"'],
  ])("%s: the schema is not asked, and the reason is its own", async (_name, message, reason) => {
    const { reader, asked } = readerWith();
    const { issues } = await reader.read(message) as { issues: readonly StandardIssue[] };
    expect(issues).toEqual([{ message: reason }]);
    expect(closeReason(issues)).toBe(reason);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(asked).toEqual([]);
    // All sockets share the issues.
    expect([issues, issues[0]].every(Object.isFrozen)).toBe(true);
  });

  test("the schema refuses: the issues are those of the schema, and the reason tells nothing of them", () => {
    const { reader } = readerWith();
    const { issues } = reader.read("0") as StandardResult<unknown>;
    expect(issues).toEqual([{ message: expect.stringContaining("secret"), path: ["a"] }]);
    expect(closeReason(issues!)).toBe("The message does not fit the schema");
    expect(closeReason([])).toBe("The message does not fit the schema");
  });
});
