import assert from "node:assert/strict";

/** Compares texts, and tells the input when they differ. With `expect` for each text, a run would take far longer. */
export function expectSame(actual: string, expected: string, input: () => string): void {
  if (actual !== expected) assert.equal(actual, expected, `${input()}\nexpected: ${expected}\nreceived: ${actual}`);
}
