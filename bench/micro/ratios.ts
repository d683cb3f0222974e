/**
 * Times functions of the protocol beside plain ways to the same results, and writes the ratios to stdout: an object in
 * JSON, of the time of ours divided by that of the plain way. `check.ts` judges them.
 */
import { Buffer, isUtf8 } from "node:buffer";
import process from "node:process";
import { do_not_optimize } from "mitata";
import { codec } from "../../src/platform.ts";
import { encodeHeader } from "../../src/protocol/frame-header.ts";
import { unmask } from "../../src/protocol/mask.ts";
import { Opcode } from "../../src/protocol/opcode.ts";
import type { ProtocolHandler } from "../../src/protocol/protocol-handler.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";
import { Utf8Validator } from "../../src/protocol/utf8.ts";
import { cork, Outbox, uncork } from "../../src/transport/outbox.ts";
import { header, maskedFrame } from "../load/frames.ts";
import { nowhere } from "./nowhere.ts";
import { encodePlainly, KEY, keyBytes, readPlainly, unmaskPlainly } from "./references.ts";

/** A function of the protocol, and the plain way to do the same. */
interface Case {
  name: string;
  ours: () => void;
  plain: () => void;
}

const MESSAGES = 16;

const handler: ProtocolHandler = {
  onBinary: (payload) => void do_not_optimize(payload),
  onText: (text) => do_not_optimize(text) === undefined,
  onPing() {},
  onPong() {},
  onBusy() {},
  isTurnOver: () => false,
  yieldTurn() {},
  writeControl() {},
  onFinished() {},
};

/** The lengths of 16 payloads, whose headers have all three forms. */
const lengths = Array.from({ length: MESSAGES }, (_, index) => [32, 100, 1024, 70_000][index & 3]);

function encodeCase(): Case {
  const target = new Uint8Array(10);
  const view = new DataView(target.buffer);
  return {
    name: `encodeHeader, ${MESSAGES} frames`,
    ours() {
      for (const length of lengths) encodeHeader(target, 0, Opcode.BINARY, length);
    },
    plain() {
      for (const length of lengths) encodePlainly(view, length);
    },
  };
}

function unmaskCase(byteLength: number): Case {
  // The payload begins one byte behind a word's boundary, because a payload behind its header is seldom aligned.
  const bytes = Buffer.alloc(byteLength + 1, "x");
  const payload = bytes.subarray(1);
  return {
    name: `unmask, ${byteLength} B`,
    ours: () => unmask(bytes, 1, bytes.length, KEY),
    plain: () => unmaskPlainly(payload, keyBytes),
  };
}

function utf8Case(byteLength: number): Case {
  const bytes = Buffer.from("ab ü 美 ".repeat(byteLength / 10));
  const validator = new Utf8Validator(isUtf8);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return {
    name: `Utf8Validator, ${byteLength} B`,
    ours: () => do_not_optimize(validator.push(bytes)),
    plain: () => do_not_optimize(decoder.decode(bytes, { stream: true })),
  };
}

function receiveCase(kind: "binary" | "text", byteLength: number): Case {
  const frame = maskedFrame(kind === "text" ? Opcode.TEXT : Opcode.BINARY, Buffer.alloc(byteLength, "x"));
  const frames = Buffer.concat(Array<Buffer>(MESSAGES).fill(frame));
  const protocol = new ServerProtocol(handler, codec, { maxMessageBytes: 1 << 20, maxFragments: 1024 });
  // Both unmask in place, so that each chunk is read once.
  return {
    name: `receive ${MESSAGES} × ${kind} ${byteLength} B`,
    ours: () => void protocol.receive(Buffer.from(frames)),
    plain: () => readPlainly(Buffer.from(frames), (message) => void do_not_optimize(message)),
  };
}

function sendCase(byteLength: number): Case {
  const outbox = new Outbox(nowhere, { onWritten() {} });
  // Two texts in turn: a text that is sent twice in a row is not encoded the second time.
  const texts = ["x", "y"].map((unit) => unit.repeat(byteLength));
  const sixteenTimes = (send: (text: string) => void): void => {
    for (let message = 0; message < MESSAGES; message += 1) send(texts[message & 1]);
  };
  return {
    name: `send ${MESSAGES} × text ${byteLength} B`,
    ours() {
      cork();
      sixteenTimes((text) => outbox.sendText(text));
      uncork();
    },
    plain: () =>
      sixteenTimes((text) => {
        const payload = Buffer.from(text);
        nowhere.write(Buffer.concat([header(Opcode.TEXT, payload.length, false), payload]));
      }),
  };
}

const cases: Case[] = [
  encodeCase(),
  unmaskCase(32),
  unmaskCase(1024),
  unmaskCase(65_536),
  utf8Case(250),
  receiveCase("binary", 32),
  receiveCase("text", 32),
  receiveCase("binary", 1024),
  sendCase(32),
  sendCase(1024),
];

const TURNS = 150;
/** How long one turn of a function takes, about. */
const TURN_MS = 1;

function timeOf(run: () => void, count: number): number {
  const startMs = performance.now();
  for (let call = 0; call < count; call += 1) run();
  return (performance.now() - startMs) / count;
}

/** How many calls make one turn, after enough of them for the compiler. */
function callsOf(run: () => void): number {
  const endMs = performance.now() + 30;
  let calls = 0;
  while (performance.now() < endMs) {
    for (let call = 0; call < 100; call += 1) run();
    calls += 100;
  }
  return Math.max(1, Math.round(calls / 30 * TURN_MS));
}

/** The shortest times of many turns, because other programs can only add to a time. */
function ratioOf({ ours, plain }: Case): number {
  const [ourCalls, plainCalls] = [callsOf(ours), callsOf(plain)];
  let [ourMs, plainMs] = [Infinity, Infinity];
  for (let turn = 0; turn < TURNS; turn += 1) {
    ourMs = Math.min(ourMs, timeOf(ours, ourCalls));
    plainMs = Math.min(plainMs, timeOf(plain, plainCalls));
  }
  return ourMs / plainMs;
}

process.stdout.write(JSON.stringify(Object.fromEntries(cases.map((each) => [each.name, ratioOf(each)]))));
