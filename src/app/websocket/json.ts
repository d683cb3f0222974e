/** Checks of JSON that a stranger has sent. `JSON.parse` alone lets two things through that harm the code behind it. */

/**
 * No JSON text may be nested deeper. `JSON.parse` takes up to a second for one MiB of brackets, and a value that is
 * nested a few thousand levels deep overflows the stack of validators and of `JSON.stringify`.
 */
export const MAX_JSON_DEPTH = 128;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Brackets and braces differ in this bit alone. */
const BRACE_BIT = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** Tells whether a JSON text is nested too deep. The text need not be valid up to its end. */
export function isTooDeep(text: string): boolean {
  // Each level takes two characters. Few long texts have many brackets, and to count those costs less than to read all
  // characters.
  if (text.length <= 2 * MAX_JSON_DEPTH || !hasManyOpenings(text)) return false;
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) isInString = !isInString;
    else if (isInString) at += code === BACKSLASH ? 1 : 0;
    else if ((code | BRACE_BIT) === CLOSING) depth--;
    else if ((code | BRACE_BIT) === OPENING && ++depth > MAX_JSON_DEPTH) return true;
  }
  return false;
}

function hasManyOpenings(text: string): boolean {
  let count = 0;
  for (const bracket of ["[", "{"]) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++count > MAX_JSON_DEPTH) return true;
    }
  }
  return false;
}

/**
 * Tells whether an object in a JSON text has the key `__proto__`. `JSON.parse` makes a property of it like any other.
 * Code that copies the property with an assignment or `Object.assign` would replace the prototype of the copy.
 *
 * @param value what `JSON.parse` has made of the text, which is not too deep
 */
export function hasProtoKey(text: string, value: unknown): boolean {
  // The letters of the key may be escaped. Both searches together cost a small part of `JSON.parse`.
  return (text.includes("__proto__") || text.includes("\\u00")) && holdsProtoKey(value);
}

function holdsProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(holdsProtoKey);
}
