// The frame engine beside an oracle: whatever bytes come, in whatever chunks and with whatever pauses, the result is
// the one that the RFCs demand.

import fc from "fast-check";
import { describe, test } from "vitest";
import { type Conversation, conversations, damaged } from "./conversations.ts";
import { delivery } from "./deliveries.ts";
import { checkFrames, checkPlainFrames, whole } from "./engine.ts";
import type { Settings } from "./frame-oracle.ts";
import { countInputs, fuzz } from "./runs.ts";

const DAMAGES = 12;

describe("the engine makes of any bytes, however they are cut, what the RFCs demand", () => {
  test("without compression", async () => {
    await fuzz(
      4_000,
      fc.property(conversations([undefined], DAMAGES), delivery, (conversation, delivery) => {
        for (const bytes of inputsOf(conversation)) {
          checkPlainFrames(bytes, conversation.settings, [whole, delivery]);
        }
      }),
    );
  });

  test.each<[name: string, runs: number, deflate: Settings["deflate"]]>([
    ["with compression", 1_000, "no takeover"],
    ["with compression and context takeover", 500, "takeover"],
  ])("%s", async (_name, runs, deflate) => {
    await fuzz(
      runs,
      fc.asyncProperty(conversations([deflate], DAMAGES), delivery, async (conversation, delivery) => {
        for (const bytes of inputsOf(conversation)) {
          await checkFrames(bytes, conversation.settings, [whole, delivery]);
        }
      }),
    );
  });

  test("random bytes", async () => {
    const settings = { maxMessageBytes: 100, maxFragments: 3 };
    await fuzz(
      10_000,
      fc.property(fc.uint8Array({ maxLength: 40, size: "max" }), delivery, (octets, delivery) => {
        checkPlainFrames(Buffer.from(octets), settings, [whole, delivery]);
      }),
    );
  });
});

function* inputsOf({ frames, damages }: Conversation): Generator<Buffer> {
  yield Buffer.concat(frames);
  countInputs(damages.length);
  for (const damage of damages) yield damaged(frames, damage);
}
