/** Names that topics can have, and values that are none. */

/** Characters with a meaning elsewhere have none in a topic. */
export const ODD_TOPICS: readonly string[] = [
  "a b",
  "ü🌍",
  "a/+/#",
  "news.*",
  "__proto__",
  "constructor",
  "line\nbreak",
  "x".repeat(512),
];

export const WRONG_TOPICS: [unknown, ErrorConstructor, RegExp][] = [
  ["", TypeError, /topic/i],
  [42, TypeError, /42/],
  [undefined, TypeError, /undefined/],
  [null, TypeError, /null/],
  [["news"], TypeError, /an array/],
  ["x".repeat(513), RangeError, /512.*513/],
  // The topics of the apps themselves begin with U+0000.
  ["\0presence", RangeError, /U\+0000/],
  ["a\ud800", RangeError, /lone surrogates/],
];
