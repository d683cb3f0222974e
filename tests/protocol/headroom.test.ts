import { describe, expect, test } from "vitest";
import { MAX_SERVER_HEADER_BYTES } from "../../src/protocol/frame-header.ts";
import {
  hasHeadroom,
  HEADROOM_BYTES,
  HEADROOM_FROM_BYTES,
  HEADROOM_TO_BYTES,
  noteHeadroom,
} from "../../src/protocol/headroom.ts";

test("the longest header of a server fits, and the payload stays aligned to words", () => {
  expect(HEADROOM_BYTES).toBeGreaterThanOrEqual(MAX_SERVER_HEADER_BYTES);
  expect(HEADROOM_BYTES % 8).toBe(0);
});

describe("headroom is remembered", () => {
  test.each<[byteLength: number, isRemembered: boolean]>([
    [0, false],
    [HEADROOM_FROM_BYTES - 1, false],
    [HEADROOM_FROM_BYTES, true],
    [HEADROOM_TO_BYTES, true],
    [HEADROOM_TO_BYTES + 1, false],
  ])("for a payload of %i bytes: %s", (byteLength, isRemembered) => {
    const payload = new Uint8Array(HEADROOM_BYTES + byteLength).subarray(HEADROOM_BYTES);
    expect(hasHeadroom(payload)).toBe(false);
    noteHeadroom(payload);
    expect(hasHeadroom(payload)).toBe(isRemembered);
  });

  test("for the payload itself and not for another view of the same bytes, which may have data in front of it", () => {
    const memory = new Uint8Array(HEADROOM_BYTES + 2 * HEADROOM_FROM_BYTES);
    const payload = memory.subarray(HEADROOM_BYTES);
    noteHeadroom(payload);
    expect(hasHeadroom(payload.subarray(0))).toBe(false);
    expect(hasHeadroom(payload.subarray(HEADROOM_FROM_BYTES))).toBe(false);
    expect(hasHeadroom(memory)).toBe(false);
    expect(hasHeadroom(payload)).toBe(true);
  });
});
