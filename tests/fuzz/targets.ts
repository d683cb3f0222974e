/**
 * What a fuzzer that is guided by coverage calls with bytes: each target reads its input out of them and compares the
 * result with that of the second reader. `corpus/` has inputs that such runs have found.
 */

import { checkEnvelope } from "./envelope-oracle.ts";
import { checkFrames, checkPlainFrames, type Delivery, whole } from "./engine.ts";
import { LIMITS, type Settings } from "./frame-oracle.ts";
import { checkExtensions, checkHandshake, rightHeaders } from "./handshake-oracle.ts";
import { checkOrigin, originPatterns } from "./origin-oracle.ts";
import { checkPath } from "./router-oracle.ts";

/** Takes any bytes, and throws when the code under test differs from the second reader. */
export type Target = (data: Buffer) => Promise<void> | void;

/** The octets in front of the frames that say how these are delivered. */
const DELIVERY_OCTETS = 5;

function deliveryOf([flags, pauses, turns, firstCut, secondCut]: Uint8Array): Delivery {
  return {
    cuts: (flags & 4) === 0 ? [firstCut, secondCut] : undefined,
    pauses,
    turns,
    isAlone: (flags & 8) !== 0,
    resumesEarly: (flags & 16) !== 0,
  };
}

function settingsOf(flags: number, deflate: Settings["deflate"]): Settings {
  return { ...LIMITS[(flags & 3) % LIMITS.length], deflate };
}

/** Frames of a client without compression. */
export const frames: Target = (data) => {
  if (data.length < DELIVERY_OCTETS) return;
  const settings = settingsOf(data[0], undefined);
  checkPlainFrames(data.subarray(DELIVERY_OCTETS), settings, [whole, deliveryOf(data)]);
};

/** Frames of a client with permessage-deflate, with and without context takeover. */
export const compressedFrames: Target = async (data) => {
  if (data.length < DELIVERY_OCTETS) return;
  const settings = settingsOf(data[0], (data[0] & 32) === 0 ? "no takeover" : "takeover");
  await checkFrames(data.subarray(DELIVERY_OCTETS), settings, [whole, deliveryOf(data)]);
};

/** The value of one header of a handshake whose others are right. The first octet names the header. */
export const handshake: Target = (data) => {
  if (data.length === 0) return;
  const names = [...Object.keys(rightHeaders), "sec-websocket-protocol", "sec-websocket-extensions"];
  names.push("content-length", "transfer-encoding");
  const name = names[data[0] % names.length];
  checkHandshake("GET", "1.1", { ...rightHeaders, [name]: data.toString("latin1", 1) });
};

/** The text of Sec-WebSocket-Extensions. */
export const extensions: Target = (data) => checkExtensions(data.toString("latin1"));

/** An origin, behind an octet that chooses the pattern. */
export const origins: Target = (data) => {
  if (data.length > 0) checkOrigin(originPatterns[data[0] % originPatterns.length], data.toString("latin1", 1));
};

/** Lines of patterns, and behind them the line of the path. */
export const paths: Target = (data) => {
  const lines = data.toString("latin1").split("\n");
  checkPath(lines.slice(0, -1), lines.at(-1)!);
};

/** The bytes of an envelope of a broker. */
export const envelopes: Target = checkEnvelope;
