// The frame engine beside an oracle: whatever bytes come, in whatever chunks and with whatever pauses, the result is
// the one that the RFCs demand.

import fc from "fast-check";
import { describe, test } from "vitest";
import { type Conversation, conversations, damaged } from "./conversations.ts";
import { type Delivery, delivery, readWithEngine, whole } from "./engine.ts";
import { judge, type Settings, type Verdict } from "./frame-oracle.ts";
import { countInputs, expectSame, fuzz } from "./runs.ts";

const DAMAGES = 12;

describe("the engine makes of any bytes, however they are cut, what the RFCs demand", () => {
  test("without compression", async () => {
    await fuzz(
      4_000,
      fc.property(conversations([undefined], DAMAGES), delivery, (conversation, delivery) => {
        for (const bytes of inputsOf(conversation)) {
          const verdict = judge(bytes, conversation.settings);
          for (const way of [whole, delivery]) {
            const lines = readWithEngine(bytes, conversation.settings, way) as readonly string[];
            expectVerdict(lines, verdict, bytes, conversation.settings, way);
          }
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
          const verdict = judge(bytes, conversation.settings);
          for (const way of [whole, delivery]) {
            const lines = await readWithEngine(bytes, conversation.settings, way);
            expectVerdict(lines, verdict, bytes, conversation.settings, way);
          }
        }
      }),
    );
  });

  test("random bytes", async () => {
    const settings = { maxMessageBytes: 100, maxFragments: 3 };
    await fuzz(
      10_000,
      fc.property(fc.uint8Array({ maxLength: 40, size: "max" }), delivery, (octets, delivery) => {
        const bytes = Buffer.from(octets);
        const verdict = judge(bytes, settings);
        for (const way of [whole, delivery]) {
          expectVerdict(readWithEngine(bytes, settings, way) as readonly string[], verdict, bytes, settings, way);
        }
      }),
    );
  });
});

function* inputsOf({ frames, damages }: Conversation): Generator<Buffer> {
  yield Buffer.concat(frames);
  countInputs(damages.length);
  for (const damage of damages) yield damaged(frames, damage);
}

function expectVerdict(
  lines: readonly string[],
  { lines: expected, closeCodes, reason }: Verdict,
  bytes: Buffer,
  settings: Settings,
  way: Delivery,
): void {
  const wanted = closeCodes.map((code) => [...expected, `> close ${code}`, "finished"].join("\n"));
  if (wanted.length === 0) wanted.push(expected.join("\n"));
  const actual = lines.join("\n");
  if (wanted.includes(actual)) return;
  expectSame(
    actual,
    wanted[0],
    () => `${bytes.toString("hex")} ${JSON.stringify({ settings, way, reason, closeCodes })}`,
  );
}
