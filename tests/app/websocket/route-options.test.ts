import { describe, expect, test } from "vitest";
import { checkRouteOptions } from "../../../src/app/websocket/route-options.ts";

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
