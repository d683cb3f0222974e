/** A second reader of the envelopes of brokers. */

import { decodeEnvelope } from "../../src/app/pubsub/envelope.ts";
import { expectSame } from "./same.ts";

/** Reads an envelope as its grammar is written, one octet at a time. */
function read(bytes: Uint8Array): string | undefined {
  const octets = [...bytes];
  const take = (count: number): Buffer | undefined =>
    octets.length < count ? undefined : Buffer.from(octets.splice(0, count));
  const [version, origin] = [take(1), take(16)];
  if (version?.[0] !== 1 || origin === undefined) return undefined;
  const messages: string[] = [];
  while (octets.length > 0) {
    const [kind, length] = [take(1)![0], take(4)?.readUInt32BE(0)];
    const payload = length === undefined ? undefined : take(length);
    if (payload === undefined || (kind !== 1 && kind !== 2)) return undefined;
    messages.push(kind === 1 ? `text ${payload}` : `binary ${payload.toString("hex")}`);
  }
  return JSON.stringify([origin.toString("hex"), messages]);
}

/** Expects that bytes are an envelope, as its grammar says, or are ignored. */
export function checkEnvelope(bytes: Buffer): void {
  const envelope = decodeEnvelope(bytes);
  const shown = envelope && JSON.stringify([
    envelope.origin.replaceAll("-", ""),
    envelope.messages.map((each) => typeof each === "string" ? `text ${each}` : `binary ${each.toString("hex")}`),
  ]);
  expectSame(String(shown), String(read(bytes)), () => bytes.toString("hex"));
}
