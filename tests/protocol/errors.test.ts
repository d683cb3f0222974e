import { expect, test } from "vitest";
import { HandshakeError, ProtocolError } from "../../src/protocol/errors.ts";

test("a ProtocolError has its name, its text and the code of the Close frame", () => {
  const error = new ProtocolError(1002, "RSV1 must be 0");
  expect(error).toBeInstanceOf(Error);
  expect(String(error)).toBe("ProtocolError: RSV1 must be 0");
  expect(error.closeCode).toBe(1002);
});

test("a HandshakeError has its name, its text, and the status and the headers of the response", () => {
  const error = new HandshakeError(405, "Not a GET", { Allow: "GET" });
  expect(error).toBeInstanceOf(Error);
  expect(String(error)).toBe("HandshakeError: Not a GET");
  expect(error.status).toBe(405);
  expect(error.headers).toEqual({ Allow: "GET" });
});

test("a HandshakeError without headers has an empty record of them", () => {
  expect(new HandshakeError(400, "No").headers).toEqual({});
});
