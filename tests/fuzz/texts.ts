/** Random texts that are made of the pieces of a grammar, so that many of them are nearly right. */

import fc from "fast-check";

/** Texts of up to `maxLength` pieces, in any order. */
export function piecesOf(pieces: readonly string[], maxLength: number): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...pieces), { maxLength, size: "max" }).map((chosen) => chosen.join(""));
}

/** Characters that no grammar of HTTP expects: controls, Latin-1, and what only a caller in this process can give. */
export const strange = [
  "\0",
  "\x01",
  "\r",
  "\n",
  "\r\n",
  "\v",
  "\x7f",
  "\x80",
  "\xa0",
  "\xe9",
  "\xff",
  "\u0130",
  "\ud800",
  "😀",
];

/** Pieces of headers that are lists or have parameters. */
export const headerPieces = [
  " ",
  " ",
  "\t",
  ",",
  ",",
  ";",
  ";",
  "=",
  '"',
  '"',
  "\\",
  "a",
  "b",
  "x-1",
  "!",
  "[",
  "]",
  ":",
  "/",
  "@",
];

/** Any text that may come in a header, and worse. */
export const anyText = piecesOf([...headerPieces, ...strange, "0", "255", "%2", "%zz", "."], 24);
