import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { isBinaryData, toBytes } from "../../../src/app/common/bytes.ts";

const memory = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

describe("toBytes", () => {
  test.each([["a Uint8Array", memory], ["a Buffer", Buffer.from("bytes")]])("returns %s itself", (_name, data) => {
    expect(toBytes(data)).toBe(data);
  });

  test.each<[name: string, data: unknown, bytes: number[]]>([
    ["an ArrayBuffer", memory.buffer, [1, 2, 3, 4, 5, 6, 7, 8]],
    ["a DataView of a part", new DataView(memory.buffer, 1, 3), [2, 3, 4]],
    ["a view of larger elements", new Uint16Array(memory.buffer, 2, 2), [3, 4, 5, 6]],
    ["an empty view", new Int8Array(memory.buffer, 8), []],
  ])("gives %s as a view of the same memory", (_name, data, expected) => {
    const bytes = toBytes(data);
    expect([...bytes]).toEqual(expected);
    expect(bytes.buffer).toBe(memory.buffer);
  });

  test("takes an ArrayBuffer of another realm", () => {
    const foreign = runInNewContext("new Uint8Array([1, 2]).buffer");
    expect(foreign instanceof ArrayBuffer).toBe(false);
    expect([...toBytes(foreign)]).toEqual([1, 2]);
  });

  test.each<[value: unknown, shown: string]>([
    [42, "42"],
    [undefined, "undefined"],
    [null, "null"],
    [[1, 2], "an array; JSON.stringify makes a string of it"],
    [{ length: 2 }, "an object (Object); JSON.stringify makes a string of it"],
    [new Blob(["x"]), "an object (Blob)"],
  ])("refuses %o, and the error shows it", (value, shown) => {
    const message = `A message must be a string, a Buffer, an ArrayBuffer or a view of one; got ${shown}`;
    expect(() => toBytes(value)).toThrow(new TypeError(message));
  });
});

test.each<[value: unknown, is: boolean]>([
  [memory, true],
  [memory.buffer, true],
  [new DataView(memory.buffer), true],
  [runInNewContext("new Uint8Array(2)"), true],
  [runInNewContext("new ArrayBuffer(2)"), true],
  ["text", false],
  [[1, 2], false],
  [null, false],
  [undefined, false],
  [new Blob(["x"]), false],
])("isBinaryData(%o) is %s", (value, is) => {
  expect(isBinaryData(value)).toBe(is);
});
