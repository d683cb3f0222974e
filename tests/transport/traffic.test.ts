import { expect, test } from "vitest";
import { noTraffic } from "../../src/transport/traffic.ts";

test("each call gives figures of its own, all of them 0", () => {
  const [one, other] = [noTraffic(), noTraffic()];
  one.sentMessages++;
  expect([...new Set(Object.values(other))]).toEqual([0]);
});
