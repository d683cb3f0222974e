import { describe, expect, test } from "vitest";
import { toJsonFrame } from "../../../../src/app/pubsub/history/frames.ts";
import { resolveTopic } from "../../../../src/app/pubsub/history/history-options.ts";

const DEFAULTS = { size: 1_000, maxAgeMs: 300_000, maxRecover: 300, frame: toJsonFrame };

test.each([[{}], [{ history: false }], [{ history: undefined }]])("a topic has no history with %j", (options) => {
  expect(resolveTopic(options)).toBeUndefined();
});

test.each([
  [{ history: true }, {}],
  [{ history: {} }, {}],
  [{ history: { size: undefined, maxAgeMs: undefined, maxRecover: undefined, frame: undefined } }, {}],
  [{ history: { size: 1 } }, { size: 1 }],
  [{ history: { maxAgeMs: 1, maxRecover: 1 } }, { maxAgeMs: 1, maxRecover: 1 }],
])("%j takes the defaults for what is not given", (options, given) => {
  const history = resolveTopic(options);
  expect(history).toEqual({ ...DEFAULTS, ...given });
  expect(Object.isFrozen(history)).toBe(true);
});

describe("an error names the option and its value", () => {
  test.each<[unknown, ErrorConstructor, RegExp]>([
    [{ historyy: true }, TypeError, /app\.topic.*historyy/],
    [undefined, TypeError, /undefined/],
    [true, TypeError, /true/],
    [{ history: 1_000 }, TypeError, /history.*1000/],
    [{ history: null }, TypeError, /history.*null/],
    [{ history: [] }, TypeError, /history/],
    [{ history: { maxAge: 1 } }, TypeError, /maxAge/],
    [{ history: { size: "10" } }, TypeError, /history\.size.*10/],
    [{ history: { size: 0 } }, RangeError, /history\.size.*0/],
    [{ history: { size: 1.5 } }, RangeError, /history\.size.*1\.5/],
    [{ history: { size: NaN } }, RangeError, /history\.size.*NaN/],
    [{ history: { maxAgeMs: 0 } }, RangeError, /history\.maxAgeMs.*0/],
    [{ history: { maxAgeMs: 2 ** 31 } }, RangeError, /history\.maxAgeMs.*2147483648/],
    [{ history: { maxRecover: -1 } }, RangeError, /history\.maxRecover.*-1/],
    [{ history: { frame: "json" } }, TypeError, /history\.frame.*json/],
  ])("%j", (options, kind, message) => {
    expect(() => resolveTopic(options as never)).toThrow(kind);
    expect(() => resolveTopic(options as never)).toThrow(message);
  });
});
