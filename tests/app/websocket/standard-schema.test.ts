import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { validateBy } from "../../../src/app/websocket/standard-schema.ts";

describe("a schema", () => {
  test.each<[string, unknown]>([
    ["zod", z.object({ n: z.number() })],
    ["valibot", v.object({ n: v.number() })],
    ["arktype, whose schemas are functions", type({ n: "number" })],
  ])("may be one of %s", async (_name, schema) => {
    const validate = validateBy("message", schema);
    expect(await validate({ n: 1 })).toMatchObject({ value: { n: 1 } });
    const { issues } = await validate({ n: "1" });
    expect(issues?.map(({ message, path }) => [typeof message, path?.length])).toEqual([["string", 1]]);
  });

  test("is called on its own object", () => {
    class Standard {
      readonly version = 1;
      readonly limit = 3;
      validate(value: unknown): object {
        return { value: [value, this.limit] };
      }
    }
    expect(validateBy("message", { "~standard": new Standard() })(1)).toEqual({ value: [1, 3] });
  });

  test.each<[unknown, string]>([
    [null, "null"],
    [42, "42"],
    ["string", '"string"'],
    [{ type: "string" }, "an object (Object)"],
    [String, "the function String"],
    [{ "~standard": { version: 2, validate: () => ({}) } }, "an object (Object) with version 2 of ~standard"],
    [{ "~standard": { version: 1 } }, "an object (Object) with version 1 of ~standard"],
  ])("may not be %o", (schema, shown) => {
    const message = "The route: message must be a Standard Schema of version 1, such as one of zod 4, valibot 1 or " +
      `arktype 2; got ${shown}`;
    expect(() => validateBy("The route: message", schema)).toThrow(new TypeError(message));
  });
});
