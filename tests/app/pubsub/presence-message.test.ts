import { describe, expect, test } from "vitest";
import {
  copyData,
  ENTRIES_PER_MESSAGE,
  type Entry,
  parsePresenceMessage,
  type PresenceMessage,
} from "../../../src/app/pubsub/presence-message.ts";

describe("parsePresenceMessage", () => {
  test.each<[name: string, message: PresenceMessage]>([
    ["a request of a process that has just begun", {}],
    ["a heartbeat", { sequence: 7 }],
    ["changes", { sequence: 8, reset: false, joined: [["room", "1", { name: "Ada" }]], left: [["room", "2"]] }],
    ["a whole state without entries", { sequence: 9, reset: true, joined: [], left: [] }],
    ["a request for a state", { sequence: 9, asks: "some process" }],
    ["the end of a process", { bye: true }],
  ])("reads %s", (_name, message) => {
    expect(parsePresenceMessage(JSON.stringify(message))).toEqual(message);
  });

  test("reads a message with the most entries and the longest data", () => {
    // The topic is as long in JSON as a topic can be: each of its characters is escaped.
    const entry: Entry = ["\u0001".repeat(512), crypto.randomUUID(), "x".repeat(1_022)];
    const message: PresenceMessage = { sequence: 1, reset: true, joined: Array(ENTRIES_PER_MESSAGE).fill(entry) };
    expect(parsePresenceMessage(JSON.stringify(message))?.joined).toHaveLength(ENTRIES_PER_MESSAGE);
  });

  test.each([
    "",
    "hello",
    "{",
    "null",
    "42",
    '"text"',
    "[]",
    '{"sequence":"1"}',
    '{"sequence":1.5}',
    '{"sequence":1,"joined":"room"}',
    '{"sequence":1,"joined":[null]}',
    '{"sequence":1,"joined":[["room"]]}',
    '{"sequence":1,"joined":[[1,"2","Ada"]]}',
    '{"sequence":1,"left":{}}',
    '{"sequence":1,"left":[["room",2]]}',
  ])("ignores %j", (text) => {
    expect(parsePresenceMessage(text)).toBeUndefined();
  });

  test("ignores a text that is longer than any message, without parsing it", () => {
    expect(parsePresenceMessage(`{"sequence":1}${" ".repeat(6_000_000)}`)).toBeUndefined();
  });
});

describe("copyData", () => {
  test("gives a copy through JSON", () => {
    const data = { name: "Ada", since: new Date(0), secret: undefined };
    expect(copyData(data)).toEqual({ name: "Ada", since: "1970-01-01T00:00:00.000Z" });
  });

  test("takes up to 1,024 bytes of JSON", () => {
    expect(copyData("x".repeat(1_022))).toHaveLength(1_022);
    expect(() => copyData("x".repeat(1_023))).toThrow(
      new RangeError("presence has at most 1024 bytes as JSON; got 1025"),
    );
  });

  test.each<[value: unknown, shown: string]>([
    [undefined, "undefined"],
    [1n, "1"],
    [Symbol("s"), "Symbol(s)"],
    [() => {}, "the function (anonymous)"],
  ])("refuses %o, which has no JSON", (value, shown) => {
    expect(() => copyData(value)).toThrow(new TypeError(`presence must be a value that JSON can say; got ${shown}`));
  });
});
