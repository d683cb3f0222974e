import { expect, test } from "vitest";
import { toJsonFrame } from "../../../../src/app/pubsub/history/frames.ts";

const place = { topic: "news", id: "e.1" };

test.each([
  ["a text", { ...place, data: 'a "text"\u2028' }, { ...place, data: 'a "text"\u2028' }],
  ["an empty text", { ...place, data: "" }, { ...place, data: "" }],
  ["bytes", { ...place, data: Buffer.from([1, 2, 255]) }, { ...place, data: "AQL/", encoding: "base64" }],
  ["no bytes", { ...place, data: Buffer.alloc(0) }, { ...place, data: "", encoding: "base64" }],
  ["a notice", { ...place, recovered: true }, { ...place, recovered: true }],
  ["a notice of a loss", { ...place, recovered: false }, { ...place, recovered: false }],
])("the frame of %s is JSON", (_name, content, expected) => {
  expect(JSON.parse(toJsonFrame(content))).toEqual(expected);
});
