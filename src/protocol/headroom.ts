/**
 * Room for a frame header in front of the bytes of large texts that were received. When such a text is sent on, the
 * header is written into that room, so that header and payload leave in one write without a copy. Nothing uses the
 * bytes in that room: they are the header with which the payload came in, or bytes that were allocated in front of the
 * payload. Payloads that an application gets have no such room, since it would show memory of the process.
 *
 * Module state: `payloads`, the set of the payloads that have such room. The set is weak: the garbage collector removes
 * a payload that nothing else refers to, so nothing has to reset the set.
 */

/**
 * How many bytes are allocated in front of a payload: enough for every header, and a multiple of eight, which keeps the
 * payload aligned.
 */
export const HEADROOM_BYTES = 16;
/**
 * How many bytes further in its page a large copy should begin than the original: half a page. On some processors, such
 * as AMD's since Zen 3 with a C library before glibc 2.39, a copy of 4 KiB and more takes up to twenty times as long
 * when it begins 1 to 31 bytes further in its page. Large memory always begins at the same place of a page, so that a
 * copy behind a header of ten bytes would always be such a copy.
 */
export const APART_BYTES = 2 * 1024;
/** Payloads shorter than this are copied when they are sent, and need no headroom. */
export const HEADROOM_FROM_BYTES = 16 * 1024;
/** For payloads longer than this, the cost of a second write does not matter beside that of the payload. */
export const HEADROOM_TO_BYTES = 256 * 1024;

/**
 * The payloads that have headroom, by identity of the view: another view of the same memory may have bytes of the
 * application in front of it.
 */
const payloads = new WeakSet<Uint8Array>();

/** Remembers that there is room in front of a payload, if its length is one for which headroom is used. */
export function noteHeadroom(payload: Uint8Array): void {
  if (payload.length >= HEADROOM_FROM_BYTES && payload.length <= HEADROOM_TO_BYTES) payloads.add(payload);
}

/** True when a header may be written over the bytes in front of a payload. */
export function hasHeadroom(payload: Uint8Array): boolean {
  return payloads.has(payload);
}
