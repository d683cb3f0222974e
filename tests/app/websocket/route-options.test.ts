import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkRouteOptions, resolveTyping } from "../../../src/app/websocket/route-options.ts";

const check = (options: object): void => checkRouteOptions("The route", options);

describe("subprotocols", () => {
  test.each<[unknown]>([[undefined], [[]], [["chat"]], [["v2.chat", "v1.chat", "V1.chat"]], [[
    "!#$%&'*+-.^_`|~09azAZ",
  ]]])(
    "may be %o",
    (subprotocols) => {
      expect(() => check({ subprotocols })).not.toThrow();
    },
  );

  test.each<[unknown, string]>([
    ["chat", '"chat"'],
    [null, "null"],
    [new Set(["chat"]), "an object (Set)"],
    [["chat", "chat"], '["chat", "chat"]'],
    [[""], '[""]'],
    [["a b"], '["a b"]'],
    [["a,b"], '["a,b"]'],
    [["grüße"], '["grüße"]'],
    [["chat", 42], '["chat", 42]'],
  ])("may not be %o", (subprotocols, shown) => {
    const message = `The route: subprotocols must be an array of different tokens, such as ["v2.chat"]; got ${shown}`;
    expect(() => check({ subprotocols })).toThrow(new TypeError(message));
  });
});

test("textHeartbeat has to be a boolean", () => {
  for (const textHeartbeat of [true, false, undefined]) expect(() => check({ textHeartbeat })).not.toThrow();
  for (const [textHeartbeat, shown] of [["ping", '"ping"'], [null, "null"], [1, "1"], [{}, "an object (Object)"]]) {
    const message = `The route: textHeartbeat must be true or false; got ${shown}`;
    expect(() => check({ textHeartbeat })).toThrow(new TypeError(message));
  }
});

test("a hook has to be a function", () => {
  expect(() => check({ upgrade: () => true })).not.toThrow();
  expect(() => check({ upgrade: undefined })).not.toThrow();
  for (const [upgrade, shown] of [[true, "true"], [null, "null"], [{}, "an object (Object)"]]) {
    const message = `The route: upgrade must be a function (req, services, answer); got ${shown}`;
    expect(() => check({ upgrade })).toThrow(new TypeError(message));
  }
});

describe("typed messages", () => {
  const resolve = (options: object): unknown => resolveTyping("The route", options);
  const schema = z.object({ n: z.number() });
  const onInvalid = (): void => {};

  test("come to nothing without a schema", () => {
    expect(resolve({})).toBe(undefined);
    expect(resolve({ message: undefined, reply: undefined, onInvalid: undefined })).toBe(undefined);
  });

  test.each<[object, object]>([
    [{ message: schema }, { reader: expect.anything(), hasReply: false, onInvalid: undefined }],
    [{ reply: schema }, { reader: undefined, hasReply: true, onInvalid: undefined }],
    [{ message: schema, reply: schema, onInvalid }, { reader: expect.anything(), hasReply: true, onInvalid }],
  ])("come to a reader and an encoder with %o", (options, expected) => {
    expect(resolve(options)).toEqual(expected);
  });

  test.each<[object, string]>([
    [{ message: { type: "object" } }, "message must be a Standard Schema of version 1"],
    [{ reply: "string" }, "reply must be a Standard Schema of version 1"],
    [{ message: null }, "message must be a Standard Schema of version 1"],
    [{ message: schema, onInvalid: true }, "onInvalid must be a function (socket, issues); got true"],
    [{ onInvalid }, "onInvalid needs the option message, a schema"],
    [{ reply: schema, onInvalid }, "onInvalid needs the option message, a schema"],
  ])("are refused with %o", (options, message) => {
    expect(() => resolve(options)).toThrow(TypeError);
    expect(() => resolve(options)).toThrow(`The route: ${message}`);
  });
});
