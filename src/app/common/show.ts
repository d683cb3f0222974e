/** A value as an error message shows it: short, and on one line. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "function") return `the function ${value.name || "(anonymous)"}`;
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return showObject(value);
  return String(value);
}

/** Control characters from outside must not reach a terminal; JSON escapes those below 0x20 only. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/[\x7f-\x9f]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}

/** An object may have no prototype, or one that throws. */
function showObject(value: object): string {
  try {
    return `an object (${String(value.constructor?.name ?? "no class")})`;
  } catch {
    return "an object";
  }
}
