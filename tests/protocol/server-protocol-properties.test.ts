// Properties of `ServerProtocol` that hold for every conversation, checked with random ones.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isValidCloseCode } from "../../src/protocol/close.ts";
import { close, frame, opcodes } from "../support/frames.ts";
import { cutAt, record, type Recording, run } from "../support/protocol.ts";

/** Frames of a client, and the lines that the handler must record for them. */
interface Scene {
  frames: Uint8Array[];
  lines: string[];
}

const maskingKey = fc.uint8Array({ minLength: 4, maxLength: 4 });
const positions = fc.array(fc.nat(), { maxLength: 20 });

/** Sizes on both sides of every limit between two ways: loops and words, 7-bit and 16-bit lengths. */
const sizes = [{ maxLength: 4 }, { maxLength: 70 }, { minLength: 120, maxLength: 135 }, { maxLength: 600 }];
const binaryPayload = fc.oneof(...sizes.map((size) => fc.uint8Array({ ...size, size: "max" })));
const textPayload = fc.oneof(
  ...sizes.flatMap((size) => [
    fc.string({ ...size, size: "max", unit: "binary" }),
    fc.string({ ...size, size: "max", unit: "binary-ascii" }),
  ]),
);

const control = fc.record({
  opcode: fc.constantFrom(opcodes.ping, opcodes.pong),
  payload: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 125, size: "max" })),
  maskingKey,
}).map(({ opcode, payload, maskingKey }): Scene => {
  const digits = Buffer.from(payload).toString("hex");
  const lines = opcode === opcodes.ping ? [`> pong ${digits}`, `ping ${digits}`] : [`pong ${digits}`];
  return { frames: [frame(opcode, payload, { maskingKey })], lines };
});

const message = fc.record({
  payload: fc.oneof(textPayload, binaryPayload),
  cuts: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(fc.nat(), { maxLength: 5 })),
  keys: fc.array(maskingKey, { minLength: 1, maxLength: 3 }),
  controls: fc.array(control, { maxLength: 3 }),
}).map(({ payload, cuts, keys, controls }): Scene => {
  const bytes = Buffer.from(payload as string);
  const isText = typeof payload === "string";
  const scene: Scene = { frames: [], lines: [] };
  cut(bytes, cuts).forEach((fragment, i, { length }) => {
    const fin = i === length - 1;
    const opcode = i > 0 ? opcodes.continuation : isText ? opcodes.text : opcodes.binary;
    scene.frames.push(frame(opcode, fragment, { fin, maskingKey: keys[i % keys.length] }));
    if (fin) scene.lines.push(isText ? `text ${payload}` : `binary ${bytes.toString("hex")}`);
    scene.frames.push(...controls[i]?.frames ?? []);
    scene.lines.push(...controls[i]?.lines ?? []);
  });
  return scene;
});

const conversation = fc.record({
  messages: fc.array(message, { maxLength: 6 }),
  end: fc.option(fc.constantFrom(1000, 1001, 3000, 4999)),
}).map(({ messages, end }): Scene => ({
  frames: [...messages.flatMap(({ frames }) => frames), ...(end === null ? [] : [close(end, "end")])],
  lines: [...messages.flatMap(({ lines }) => lines), ...(end === null ? [] : [`> close ${end} end`, "finished"])],
}));

function cut(bytes: Uint8Array, positions: readonly number[]): Uint8Array[] {
  return cutAt(bytes, positions.map((position) => position % (bytes.length + 1)));
}

function octets(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (octet) => Uint8Array.of(octet));
}

describe("valid frames give the same messages", () => {
  test("in one chunk, in any chunks, and octet by octet", () => {
    fc.assert(
      fc.property(conversation, positions, ({ frames, lines }, positions) => {
        const bytes = Buffer.concat(frames);
        expect(run([bytes]).lines).toEqual(lines);
        expect(run(cut(bytes, positions)).lines).toEqual(lines);
        expect(run(octets(bytes)).lines).toEqual(lines);
      }),
      { numRuns: 300 },
    );
  });

  test("with a pause after any of the frames", () => {
    fc.assert(
      fc.property(conversation, positions, fc.infiniteStream(fc.boolean()), ({ frames, lines }, positions, pauses) => {
        const { protocol, handler, lines: said } = record();
        let saidAtPause: number | undefined;
        handler.onHandedOut = () => {
          expect(saidAtPause).toBeUndefined();
          if (!pauses.next().value) return;
          protocol.pause();
          saidAtPause = said.length;
        };
        for (const chunk of cut(Buffer.concat(frames), positions)) {
          protocol.receive(Buffer.from(chunk));
          // Some chunks come during a pause.
          while (protocol.isPaused && pauses.next().value) {
            expect(said).toHaveLength(saidAtPause!);
            saidAtPause = undefined;
            protocol.resume();
          }
        }
        while (protocol.isPaused) {
          saidAtPause = undefined;
          protocol.resume();
        }
        expect(said).toEqual(lines);
      }),
      { numRuns: 300 },
    );
  });
});

describe("any bytes lead to messages, to waiting, or to a Close with a valid code", () => {
  const limits = { maxMessageBytes: 100, maxFragments: 3 };

  const anyBytes = fc.uint8Array({ maxLength: 120, size: "max" });

  /** Frames of which most are valid, so that a fault comes late. */
  const anyFrame = fc.record({
    opcode: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 0, 1, 1, 2, 8, 9, 10) }, fc.nat(15)),
    payload: fc.oneof(
      { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60, size: "max" }) },
      { weight: 5, arbitrary: fc.string({ maxLength: 20, unit: "binary" }) },
    ),
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, fc.nat(7)),
    lengthBits: fc.oneof({ weight: 20, arbitrary: fc.constant(7 as const) }, fc.constantFrom(16 as const, 64 as const)),
    maskingKey: fc.oneof({ weight: 30, arbitrary: maskingKey }, fc.constant(false as const)),
  }).map(({ opcode, payload, fin, ...options }) => frame(opcode, payload, { fin: fin || opcode > 7, ...options }));

  const anyFrames = fc.array(anyFrame, { maxLength: 12 }).map((frames) => Buffer.concat(frames));

  const damaged = fc.tuple(conversation, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
    .map(([{ frames }, changes]) => {
      const bytes = Buffer.concat(frames);
      if (bytes.length > 0) { for (const [at, octet] of changes) bytes[at % bytes.length] = octet; }
      return bytes;
    });

  function expectRightEnd({ protocol, lines }: Recording): void {
    const closes = lines.filter((line) => line.startsWith("> close"));
    const { state, error, closeReceived, closeSent } = protocol;
    if (state === "open") {
      expect([closes, error, closeReceived]).toEqual([[], undefined, undefined]);
      expect(lines).not.toContain("finished");
      return;
    }
    expect(state).toBe("closed");
    expect(closes).toHaveLength(1);
    expect(lines.slice(-2)).toEqual([closes[0], "finished"]);
    if (error !== undefined) {
      expect([1002, 1007, 1008, 1009]).toContain(error.closeCode);
      expect(closes).toEqual([`> close ${error.closeCode}`]);
    } else {
      expect(closeReceived).toEqual(closeSent);
      expect(closeReceived!.code === 1005 || isValidCloseCode(closeReceived!.code)).toBe(true);
    }
  }

  test.each([["random bytes", anyBytes], ["random frames", anyFrames], ["damaged conversations", damaged]])(
    "%s, in the same way however the bytes are cut",
    (_name, bytes) => {
      fc.assert(
        fc.property(bytes, positions, (bytes: Uint8Array, positions) => {
          const whole = run([bytes], limits);
          expectRightEnd(whole);
          for (const chunks of [cut(bytes, positions), octets(bytes)]) {
            const inPieces = run(chunks, limits);
            expectRightEnd(inPieces);
            expect(inPieces.lines).toEqual(whole.lines);
          }
        }),
        { numRuns: 500 },
      );
    },
  );
});
