/**
 * The ways in which a cell uses permessage-deflate (RFC 7692). The load offers them and the peers are set up for them.
 */

/**
 * `off`: permessage-deflate is not offered. `no-takeover`: each message is compressed by itself. `takeover`: both sides
 * keep their windows from message to message. `small-windows`: the same with `SMALL_WINDOWS`.
 */
export type DeflateMode = "off" | "no-takeover" | "takeover" | "small-windows";

/**
 * The defaults of a server with Python's `websockets`: windows of 4 KiB both ways, and a compressor of 32 KiB in all.
 */
export const SMALL_WINDOWS = { windowBits: 12, memLevel: 5 };

/** True when a compressed message may refer to earlier messages. */
export function keepsContext(mode: DeflateMode): boolean {
  return mode === "takeover" || mode === "small-windows";
}

/** The sizes for zlib; empty where zlib's defaults apply. */
export function windowsOf(mode: DeflateMode): Partial<typeof SMALL_WINDOWS> {
  return mode === "small-windows" ? SMALL_WINDOWS : {};
}
