// What comes from a broker: any bytes are an envelope, as a second reader finds, or are ignored.

import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { decodeEnvelope, encodeEntry, encodePrefix } from "../../src/app/pubsub/envelope.ts";
import { parsePresenceMessage } from "../../src/app/pubsub/presence-message.ts";
import { Presence } from "../../src/app/pubsub/presence.ts";
import { type Damage, damaged } from "./conversations.ts";
import { checkEnvelope } from "./envelope-oracle.ts";
import { countInputs, fuzz } from "./runs.ts";
import { expectSame } from "./same.ts";

const uuid = "01234567-89ab-4cde-8f01-23456789abcd";
const message = fc.oneof(fc.string({ unit: "binary", maxLength: 12 }), fc.uint8Array({ maxLength: 12 }));
const damages = fc.array(
  fc.array(fc.tuple(fc.nat(14), fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
  { maxLength: 12, size: "max" },
);

test("any bytes are an envelope, as its grammar says, or are ignored", async () => {
  await fuzz(
    4_000,
    fc.property(fc.array(message, { maxLength: 4 }), damages, (messages, damages: Damage[][]) => {
      const parts = [encodePrefix(uuid), ...messages.map(encodeEntry)];
      const whole = Buffer.concat(parts);
      expect(decodeEnvelope(whole)).toEqual({
        origin: uuid,
        messages: messages.map((each) => typeof each === "string" ? each : Buffer.from(each)),
      });
      countInputs(damages.length);
      for (const damage of damages) checkEnvelope(damaged(parts, damage));
    }),
  );
});

const started: Presence[] = [];
afterEach(() => {
  for (const each of started.splice(0)) each.stop();
});

test("no messages of other processes about presence make a process fail, or forget its own sockets", async () => {
  const text = fc.constantFrom("room", "", "__proto__", "constructor", "toString", "\0");
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), text, fc.integer(), fc.constant(undefined));
  const entries = fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.tuple(text, text, anything), { maxLength: 4 }) },
    { weight: 1, arbitrary: anything },
  );
  const told = fc.record({
    sequence: fc.oneof({ weight: 6, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: anything }),
    reset: fc.oneof(fc.boolean(), anything),
    joined: entries,
    left: entries,
    asks: fc.oneof(fc.constant(uuid), anything),
    bye: fc.oneof(fc.constant(undefined), fc.constant(undefined), anything),
  }, { requiredKeys: [] });
  const spoilt = fc.tuple(told, fc.nat(), fc.string({ maxLength: 2 })).map(([message, at, by]) => {
    const json = JSON.stringify(message);
    return json.slice(0, at % json.length) + by + json.slice(at % json.length + by.length);
  });
  const json = fc.oneof({ weight: 4, arbitrary: told.map((each) => JSON.stringify(each)) }, spoilt, fc.json());
  await fuzz(
    4_000,
    fc.property(fc.array(fc.tuple(text, json), { maxLength: 8 }), (messages) => {
      const presence = new Presence(uuid, { intervalMs: 1_000_000, timeoutMs: 2_000_000 }, () => {});
      started.push(presence);
      presence.join("room", "own", { name: "own" });
      countInputs(messages.length);
      for (const [processId, text] of messages) {
        parsePresenceMessage(text);
        presence.receive(text, processId);
        const own = presence.of("room").filter((each) => each.processId === uuid);
        expectSame(
          JSON.stringify(own),
          JSON.stringify([{ id: "own", processId: uuid, data: { name: "own" } }]),
          () => text,
        );
        for (const each of presence.of("room")) expectSame(typeof each.id, "string", () => text);
      }
      started.pop()!.stop();
    }),
  );
});
