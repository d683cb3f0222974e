/*
 * Room in front of large payloads that were received: when one is sent on, its header is put there, and both leave in one write without a copy. What is in that room is
 * of no use to anybody: the header that the payload came with, or memory that was taken along.
 */

/** What is to be allocated in front of a payload. It keeps the payload aligned. */
export const HEADROOM_BYTES = 16;
/** Shorter payloads are copied when they are sent. */
export const HEADROOM_FROM_BYTES = 16 * 1024;
/** From here on a write less is nothing. */
export const HEADROOM_TO_BYTES = 256 * 1024;

/** By identity: what a view of the same bytes has in front of it may be somebody's data. */
const payloads = new WeakSet<Uint8Array>();

/** Notes that there is room in front of a payload, if it is one for which that matters. */
export function noteHeadroom(payload: Uint8Array): void {
  if (payload.length >= HEADROOM_FROM_BYTES && payload.length <= HEADROOM_TO_BYTES) payloads.add(payload);
}

/** Whether the bytes in front of a payload, as many as a header takes, are free. */
export function hasHeadroom(payload: Uint8Array): boolean {
  return payloads.has(payload);
}
