/**
 * How a test and a client program talk: one JSON object a line, commands to its standard input, events from its standard
 * output. Bytes travel as base64. `client.py` speaks the same.
 */
export type Command =
  | { connection: number; do: "open"; url: string }
  | { connection: number; do: "send"; text: string }
  | { connection: number; do: "send"; binary: string }
  | { connection: number; do: "sendFragments"; isBinary: boolean; fragments: string[] }
  | { connection: number; do: "ping"; data: string }
  | { connection: number; do: "close"; code?: number; reason?: string }
  | { connection: number; do: "terminate" };

export type ClientEvent =
  | { connection: number; event: "open"; protocol: string; extensions: string }
  | { connection: number; event: "message"; text: string }
  | { connection: number; event: "message"; binary: string }
  | { connection: number; event: "pong"; data: string }
  | { connection: number; event: "close"; code: number; reason: string; wasClean: boolean }
  | { connection: number; event: "refused" };

/** One message as a line. Of all characters that JSON may hold as they are, readline takes two for the end of a line. */
export function toLine(message: Command | ClientEvent): string {
  const json = JSON.stringify(message).replace(/[\u2028\u2029]/g, (end) => `\\u${end.charCodeAt(0).toString(16)}`);
  return `${json}\n`;
}
