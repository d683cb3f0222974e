import { describe, expect, test } from "vitest";
import { HttpError, isHttpError } from "../../../src/app/http/http-error.ts";

describe("HttpError", () => {
  test("is an Error with a name, a status, a message and headers", () => {
    const error = new HttpError(429, "Slow down", { "Retry-After": "5" });
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.status, error.message]).toEqual(["HttpError", 429, "Slow down"]);
    expect(error.headers).toEqual({ "Retry-After": "5" });
    expect(String(error)).toBe("HttpError: Slow down");
  });

  test("has no headers by default", () => {
    expect(new HttpError(404, "Nothing here").headers).toEqual({});
  });

  test.each([400, 599])("may have the status %d", (status) => {
    expect(new HttpError(status, "").status).toBe(status);
  });

  test.each([399, 600, 200, 404.5, NaN, "404"])("refuses the status %o", (status) => {
    expect(() => new HttpError(status as number, "")).toThrow(
      new RangeError(`The status of an HttpError is 400 to 599; got ${status}`),
    );
  });

  test.each<[name: string, headers: Record<string, string>]>([
    ["a line break in a value", { "X-Name": "a\r\nX-Evil: 1" }],
    ["a line break in a name", { "X-Name\r\nX-Evil": "1" }],
    ["a space in a name", { "X Name": "1" }],
    ["an empty name", { "": "1" }],
  ])("refuses a header with %s", (_name, headers) => {
    expect(() => new HttpError(400, "", headers)).toThrow(TypeError);
  });
});

describe("isHttpError", () => {
  test("recognises errors of this class, of a subclass and of another copy of the package", () => {
    class NotFound extends HttpError {}
    const ofOtherCopy = { [Symbol.for("spacenode.HttpError")]: true, status: 404, message: "", headers: {} };
    expect([new HttpError(400, ""), new NotFound(404, ""), ofOtherCopy].map(isHttpError)).toEqual([true, true, true]);
  });

  test.each([[new Error("x")], [{ status: 404, message: "", headers: {} }], [HttpError], ["HttpError"], [null], [
    undefined,
  ]])("refuses %o", (value) => {
    expect(isHttpError(value)).toBe(false);
  });
});
