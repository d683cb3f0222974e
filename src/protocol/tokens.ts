/**
 * Tokens and lists in the values of HTTP headers, RFC 9110 §5.6. All functions take linear time, since anybody can
 * send such values.
 */

/** One or more of the characters that RFC 9110 §5.6.2 allows in a token. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** True when the whole text is one token of RFC 9110 §5.6.2. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * True when a text may stand in the value of a header (RFC 9110 §5.5): it has no characters above Latin-1 and no
 * control characters but tabs, so that it cannot begin another line.
 */
export function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** The elements of a comma-separated list (RFC 9110 §5.6.1), trimmed and without the empty ones. */
export function splitList(value: string): string[] {
  return value.split(",").map(trimWhitespace).filter((element) => element !== "");
}

/** The text without the spaces and tabs around it. `String.trim` would remove other characters too. */
export function trimWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  // Behind the ends of the text there is no character, and so no white space.
  while (isWhitespace(text.charCodeAt(start))) start++;
  while (isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** True for a space or a tab, the white space of RFC 9110 §5.6.3. */
export function isWhitespace(charCode: number): boolean {
  return charCode === 0x20 || charCode === 0x09;
}
