/** Describes a value for an error message: in few words, and on one line. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "function") return `the function ${value.name || "(anonymous)"}`;
  if (typeof value === "object" && value !== null) return showObject(value);
  return String(value);
}

/**
 * Quotes a text, with all control characters escaped, so that none of them reaches a terminal. JSON escapes only those
 * below 0x20.
 */
function quote(text: string): string {
  return JSON.stringify(text).replace(/[\x7f-\x9f]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}

/**
 * Names the class of an object. The object may have no prototype, a `constructor` that throws when it is read, or be a
 * proxy that was revoked.
 */
function showObject(value: object): string {
  try {
    if (Array.isArray(value)) return "an array";
    return `an object (${String(value.constructor?.name ?? "no class")})`;
  } catch {
    return "an object";
  }
}
