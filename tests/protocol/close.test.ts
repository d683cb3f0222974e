import { describe, expect, test } from "vitest";
import {
  CloseCode,
  decodeClose,
  encodeClose,
  isValidCloseCode,
  MAX_CONTROL_PAYLOAD_BYTES,
  MAX_REASON_BYTES,
} from "../../src/protocol/close.ts";
import { closeBody } from "../support/frames.ts";
import { hex } from "../support/hex.ts";
import { faultOf } from "../support/protocol.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const allCodes = Array.from({ length: 65_536 }, (_, code) => code);
const allowed: [first: number, last: number][] = [[1000, 1003], [1007, 1014], [3000, 4999]];

function mayBeSent(code: number): boolean {
  return allowed.some(([first, last]) => code >= first && code <= last);
}

describe("close codes, §7.4", () => {
  test("isValidCloseCode allows exactly the registered codes and those of libraries and applications", () => {
    expect(allCodes.filter((code) => isValidCloseCode(code) !== mayBeSent(code))).toEqual([]);
  });

  test("decodeClose reads the allowed ones of all 65,536 codes and refuses the others", () => {
    const wrong = allCodes.filter((code) => {
      const fault = faultOf(() => decodeClose(closeBody(code), decodeUtf8));
      return fault !== (mayBeSent(code) ? undefined : 1002);
    });
    expect(wrong).toEqual([]);
  });

  test("all codes in CloseCode may be sent, except the two that only report an end", () => {
    const invalid = Object.entries(CloseCode).filter(([, code]) => !isValidCloseCode(code)).map(([name]) => name);
    expect(invalid).toEqual(["NO_STATUS", "ABNORMAL"]);
  });
});

describe("the payload of a Close frame, §5.5.1", () => {
  test.each<[string, Uint8Array, number, string]>([
    ["nothing", hex(""), 1005, ""],
    ["a code", hex("03e8"), 1000, ""],
    ["a code above 4095", hex("1387"), 4999, ""],
    ["a code and a reason", closeBody(1001, "going away"), 1001, "going away"],
    ["a reason in several scripts", closeBody(3000, "Ærø 世界 🌍"), 3000, "Ærø 世界 🌍"],
    ["a reason that begins with a byte order mark", closeBody(1000, "\ufeffa"), 1000, "\ufeffa"],
    ["a reason with a NUL", closeBody(1000, "a\0b"), 1000, "a\0b"],
    ["the longest reason", closeBody(1000, "r".repeat(123)), 1000, "r".repeat(123)],
  ])("reads %s", (_name, body, code, reason) => {
    expect(decodeClose(body, decodeUtf8)).toEqual({ code, reason });
  });

  test.each<[string, Uint8Array, number]>([
    ["one byte", hex("03"), 1002],
    ["one zero byte", hex("00"), 1002],
    ["a reason of a lone continuation byte", closeBody(1000, hex("80")), 1007],
    ["a reason with an overlong slash", closeBody(1000, hex("61 c0af")), 1007],
    ["a reason with a surrogate", closeBody(1000, hex("eda080")), 1007],
    ["a reason that ends inside a character", closeBody(1000, hex("61 e282")), 1007],
    ["a wrong code, before its wrong reason", closeBody(1005, hex("ff")), 1002],
  ])("refuses %s", (_name, body, fault) => {
    expect(faultOf(() => decodeClose(body, decodeUtf8))).toBe(fault);
  });

  test("refuses each single byte, also one that is the first half of a code that may be sent", () => {
    const faults = Array.from(
      { length: 256 },
      (_, byte) => faultOf(() => decodeClose(Uint8Array.of(byte), decodeUtf8)),
    );
    expect(faults).toEqual(Array(256).fill(1002));
  });

  test.each<[string, number, string, string]>([
    ["a code", 1000, "", "03e8"],
    ["a code above 4095", 4999, "", "1387"],
    ["a code and a reason", 1001, "é", "03e9 c3a9"],
  ])("writes %s", (_name, code, reason, body) => {
    expect(Buffer.from(encodeClose(code, Buffer.from(reason)))).toEqual(hex(body));
  });

  test("is empty for the code 1005, which must not be sent", () => {
    expect(encodeClose(1005, Buffer.from("unsaid"))).toHaveLength(0);
  });

  test("is read as it was written, up to the longest reason", () => {
    const reason = "r".repeat(MAX_REASON_BYTES);
    const body = encodeClose(4000, Buffer.from(reason));
    expect(body).toHaveLength(MAX_CONTROL_PAYLOAD_BYTES);
    expect(decodeClose(body, decodeUtf8)).toEqual({ code: 4000, reason });
  });
});
