/** Lists of tokens in header values, RFC 9110 §5.6. All of it runs in linear time: these values come from strangers. */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether the whole text is one token of RFC 9110 §5.6.2. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether a text may stand in a header: no control characters, so no line of its own either, and nothing above latin-1. */
export function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** The elements of a comma-separated list, trimmed, empty ones left out (§5.6.1). */
export function splitList(value: string): string[] {
  return value.split(",").map(trimWhitespace).filter((element) => element !== "");
}

/** Without the spaces and tabs around it. `String.trim` would take other characters too. */
export function trimWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhitespace(text.charCodeAt(start))) start++;
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** OWS of RFC 9110 §5.6.3: a space or a tab. */
export function isWhitespace(charCode: number): boolean {
  return charCode === 0x20 || charCode === 0x09;
}
