import { expect, test } from "vitest";
import { HISTORY_PREFIX } from "../../../src/app/pubsub/broker.ts";
import { isTopic } from "../../../src/app/pubsub/topic-name.ts";

test("no topic of an application has the name under which a broker knows a topic with a history", () => {
  expect(isTopic("news")).toBe(true);
  expect(isTopic(`${HISTORY_PREFIX}news`)).toBe(false);
});
