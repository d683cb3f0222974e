/** UTF-8 (RFC 3629) by its definition: the ranges of code points that the bytes of a character leave open. */

/** The forms of characters outside ASCII: some bits of the first byte tell the form, the others begin the character. */
const FORMS = [
  { mask: 0xe0, lead: 0xc0, length: 2, smallest: 0x80 },
  { mask: 0xf0, lead: 0xe0, length: 3, smallest: 0x800 },
  { mask: 0xf8, lead: 0xf0, length: 4, smallest: 0x10000 },
];

/**
 * Tells whether bytes are valid UTF-8, could become so with more bytes behind them, or never can.
 */
export function judgeUtf8(bytes: Uint8Array): "whole" | "cut" | "bad" {
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] < 0x80) {
      at++;
      continue;
    }
    const form = FORMS.find(({ mask, lead }) => (bytes[at] & mask) === lead);
    if (form === undefined) return "bad";
    let code = bytes[at] & ~form.mask;
    for (let i = 1; i <= form.length; i++) {
      if (!canBecomeCharacter(code, form.length - i, form.smallest)) return "bad";
      if (i === form.length) break;
      const next = bytes[at + i];
      if (next === undefined) return "cut";
      if ((next & 0xc0) !== 0x80) return "bad";
      code = code * 64 + (next & 0x3f);
    }
    at += form.length;
  }
  return "whole";
}

/** True when a code point that begins with these bits, and has `open` groups of six bits to come, may be encoded so. */
function canBecomeCharacter(code: number, open: number, smallest: number): boolean {
  const first = Math.max(code * 64 ** open, smallest);
  const last = Math.min((code + 1) * 64 ** open - 1, 0x10ffff);
  const areAllSurrogates = first >= 0xd800 && last <= 0xdfff;
  return first <= last && !areAllSurrogates;
}
