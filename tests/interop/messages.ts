/**
 * The messages between a test and a client program: one JSON object a line. Commands go to the standard input of the
 * program, and events come from its standard output. Bytes travel as base64. `client.py` uses the same messages.
 */

/** A command to a client program. */
export type Command =
  | { connection: number; do: "open"; url: string }
  | { connection: number; do: "send"; text: string }
  | { connection: number; do: "send"; binary: string }
  | { connection: number; do: "sendFragments"; isBinary: boolean; fragments: string[] }
  | { connection: number; do: "ping"; data: string }
  | { connection: number; do: "close"; code?: number; reason?: string }
  | { connection: number; do: "terminate" };

/** An event of a client program. */
export type ClientEvent =
  | { connection: number; event: "open"; protocol: string; extensions: string }
  | { connection: number; event: "message"; text: string }
  | { connection: number; event: "message"; binary: string }
  | { connection: number; event: "pong"; data: string }
  | { connection: number; event: "close"; code: number; reason: string; wasClean: boolean }
  | { connection: number; event: "refused" };

/**
 * Writes a message as one line. U+2028 and U+2029 are escaped: JSON allows them as they are, but node:readline takes
 * them for the end of a line.
 */
export function toLine(message: Command | ClientEvent): string {
  const json = JSON.stringify(message).replace(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`);
  return `${json}\n`;
}
