import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeEnvelope, encodeEntry, encodePrefix } from "../../../src/app/pubsub/envelope.ts";
import { type Member, messagesOf, type Peer, peer } from "../../support/crowd.ts";
import { Hub } from "../../support/memory-broker.ts";

const ORIGIN = "01234567-89ab-cdef-0123-456789abcdef";

function envelope(...messages: (string | Uint8Array)[]): Buffer {
  return Buffer.concat([encodePrefix(ORIGIN), ...messages.map((message) => encodeEntry(message))]);
}

/** The bytes of version 1 must never change, because processes of two versions would not understand each other. */
test("an envelope is encoded in these bytes", () => {
  expect(envelope("hü", Buffer.from([1, 2]), "").toString("hex")).toBe(
    "01" + "0123456789abcdef0123456789abcdef" + "01" + "00000003" + "68c3bc" + "02" + "00000002" + "0102" + "01" +
      "00000000",
  );
});

test("any messages are decoded as they were encoded", () => {
  const message = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300, size: "max" }),
    fc.uint8Array({ maxLength: 300, size: "max" }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.uuid(), fc.nat(7), (messages, origin, offset) => {
      const bytes = Buffer.concat([encodePrefix(origin), ...messages.map((each) => encodeEntry(each))]);
      // A broker may hand out a Uint8Array that is a part of a larger chunk.
      const chunk = new Uint8Array(offset + bytes.length + 3).fill(1);
      chunk.set(bytes, offset);
      const expected = messages.map((each) => typeof each === "string" ? Buffer.from(each).toString() : each);
      expect(decodeEnvelope(chunk.subarray(offset, offset + bytes.length))).toEqual({ origin, messages: expected });
    }),
    { numRuns: 100 },
  );
});

test.each<[string, Buffer]>([
  ["no bytes", Buffer.alloc(0)],
  ["a version and nothing more", Buffer.of(1)],
  ["half an origin", envelope().subarray(0, 9)],
  ["version 0", Buffer.concat([Buffer.of(0), envelope("x").subarray(1)])],
  ["a future version", Buffer.concat([Buffer.of(2), envelope("x").subarray(1)])],
  ["an unknown kind", Buffer.concat([envelope("x"), Buffer.of(3, 0, 0, 0, 0)])],
  ["a kind without a length", Buffer.concat([envelope("x"), Buffer.of(1)])],
  ["half a length", Buffer.concat([envelope("x"), Buffer.of(1, 0, 0)])],
  ["a length beyond the end", Buffer.concat([envelope("x"), Buffer.of(1, 0, 0, 0, 2, 120)])],
  ["the largest length", Buffer.concat([envelope("x"), Buffer.of(2, 255, 255, 255, 255, 120)])],
  ["JSON", Buffer.from('{"type":"message","data":"hello"}')],
])("%s is not an envelope", (_name, bytes) => {
  expect(decodeEnvelope(bytes)).toBeUndefined();
});

/** A process with a socket that is subscribed to "news". */
async function listening(): Promise<{ hub: Hub; here: Peer; one: Member }> {
  const hub = new Hub();
  const here = await peer(hub);
  const one = await here.member("news");
  await hub.settle();
  return { hub, here, one };
}

describe("bytes that other programs publish at the broker", () => {
  test("are ignored if they are not an envelope, with one warning, and the next message arrives", async () => {
    const { hub, here, one } = await listening();
    const whole = envelope("a message");
    for (const garbage of ["", "hello", "\x01", "\xff".repeat(1_000)]) {
      hub.publish("news", Buffer.from(garbage, "latin1"));
    }
    for (let length = 0; length < whole.length; length++) hub.publish("news", whole.subarray(0, length));
    hub.publish("news", Buffer.concat([Buffer.of(2), whole.subarray(1)]));
    hub.publish("news", Buffer.concat([whole, Buffer.of(0)]));
    hub.publish("news", whole);
    expect(await messagesOf(one)).toEqual(["a message"]);
    expect(here.entries).toEqual([{ level: "warn", args: [expect.stringMatching(/broker.*"news"/)] }]);
    expect(here.app.stats().broker).toMatchObject({ received: 1 });
  });

  test("do no harm, whatever they are", async () => {
    const { hub, here, one } = await listening();
    const whole = envelope("a message", Buffer.from("and bytes"));
    const damaged = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }).map(
      (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      },
    );
    const topic = fc.constantFrom("news", "\0presence");
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), damaged), topic, (bytes, topic) => {
        hub.publish(topic, bytes);
      }),
      { numRuns: 1_000 },
    );
    await messagesOf(one);
    hub.publish("news", whole);
    expect(await messagesOf(one)).toEqual(["a message", Buffer.from("and bytes")]);
    expect(here.entries.filter(({ level }) => level !== "warn")).toEqual([]);
    expect(here.entries.length).toBeLessThanOrEqual(2);
  });

  test("are logged without control characters", async () => {
    const { hub, here } = await listening();
    const { socket } = await here.member("\u001b[2Jnews\u0007");
    await hub.settle();
    hub.publish(socket.topics[0], Buffer.from("garbage"));
    // deno-lint-ignore no-control-regex -- the test looks for control characters
    expect(here.entries.map(({ args }) => /[\x00-\x1f\x7f-\x9f]/.test(String(args[0])))).toEqual([false]);
  });

  test("are sent on as valid UTF-8 if they are a text that is not valid", async () => {
    const { hub, one } = await listening();
    const bytes = envelope("ab");
    bytes[bytes.length - 1] = 0xff;
    hub.publish("news", bytes);
    // The client checks that the text is UTF-8 (RFC 6455 §8.1).
    expect(await messagesOf(one)).toEqual(["a\ufffd"]);
  });

  test("are ignored if no socket of this process is subscribed to the topic", async () => {
    const { here, one } = await listening();
    here.broker.receive("other", envelope("hello"));
    here.broker.receive("", envelope("hello"));
    expect(await messagesOf(one)).toEqual([]);
    expect(here.app.stats().broker).toMatchObject({ received: 0 });
  });

  test("are ignored if they come from this process itself", async () => {
    const { hub, here, one } = await listening();
    here.app.publish("news", "hello");
    await hub.settle();
    expect(await messagesOf(one)).toEqual(["hello"]);
    here.broker.receive("news", hub.published.at(-1)!.bytes);
    expect(await messagesOf(one)).toEqual([]);
    expect(here.app.stats().broker).toMatchObject({ published: 1, received: 0 });
  });
});
