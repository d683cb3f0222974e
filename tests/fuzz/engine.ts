/**
 * Gives bytes to a `ServerProtocol` as a hostile network and a slow application would: in any chunks, with pauses, with
 * turns that end early, and with memory that is used again as soon as the protocol lets go of it.
 */

import { codec } from "../../src/platform.ts";
import type { Inflater } from "../../src/protocol/permessage-deflate.ts";
import { ServerProtocol } from "../../src/protocol/server-protocol.ts";
import { ContextInflater, MessageInflater } from "../../src/transport/deflate/inflater.ts";
import { RecordingHandler } from "../support/protocol.ts";
import { cutAt } from "./cuts.ts";
import { judge, type Settings, type Verdict } from "./frame-oracle.ts";
import { expectSame } from "./same.ts";

/** How the bytes come, and how fast the application takes them. */
export interface Delivery {
  /** Where the bytes are cut, modulo their length; undefined for one octet in each chunk. */
  readonly cuts: readonly number[] | undefined;
  /** A bit for each thing that the protocol hands out: set, reading pauses behind it. */
  readonly pauses: number;
  /** A bit for each look at the clock: set, it is the turn of the others. */
  readonly turns: number;
  /** True when chunks have an `ArrayBuffer` of their own. */
  readonly isAlone: boolean;
  /** True when reading goes on as soon as the next chunk is there, false when it goes on at the end. */
  readonly resumesEarly: boolean;
}

/** One chunk, without a pause. */
export const whole: Delivery = { cuts: [], pauses: 0, turns: 0, isAlone: false, resumesEarly: true };

/** More bytes than these do not come octet by octet, which would take too long. */
const MOST_OCTETS = 600;

const messageInflater = new MessageInflater();

/** One connection, which is over when `settle` has returned `undefined` or its promise has resolved. */
class Run extends RecordingHandler {
  readonly protocol: ServerProtocol;
  readonly #delivery: Delivery;
  #handedOut = 0;
  #looks = 0;
  #isYielding = false;
  #onFree: () => void = () => {};
  readonly #faults: string[] = [];
  readonly #kept: { text: string; payload: Uint8Array }[] = [];
  override keepsPayloads = true;

  constructor(settings: Settings, delivery: Delivery) {
    super();
    this.#delivery = delivery;
    this.protocol = new ServerProtocol(this, codec, settings, inflaterOf(settings));
    this.onHandedOut = (line) => {
      if (this.protocol.isPaused) this.#faults.push(`during a pause: ${line}`);
      if (hasBit(delivery.pauses, this.#handedOut++)) this.protocol.pause();
    };
    this.isTurnOver = () => hasBit(delivery.turns, this.#looks++);
  }

  override onText(text: string, payload?: Uint8Array): boolean {
    if (payload !== undefined) this.#kept.push({ text, payload });
    return super.onText(text, payload);
  }

  override onBusy(isBusy: boolean): void {
    if (!isBusy) this.#onFree();
  }

  override onFinished(): void {
    super.onFinished();
    this.#onFree();
  }

  override yieldTurn(resume: () => void): void {
    this.#isYielding = true;
    super.yieldTurn(resume);
    this.#onFree();
  }

  receive(bytes: Buffer): void {
    const { cuts, isAlone, resumesEarly } = this.#delivery;
    const isInOctets = cuts === undefined && bytes.length <= MOST_OCTETS;
    const chunks = isInOctets ? Array.from(bytes, (octet) => Buffer.of(octet)) : cutAt(bytes, cuts ?? []);
    for (const chunk of chunks) {
      const memory = isAlone ? Buffer.from(new ArrayBuffer(chunk.length)) : Buffer.allocUnsafe(chunk.length);
      memory.set(chunk);
      // Bytes of the next chunk overwrite the memory of this one, when the protocol allows it.
      if (this.protocol.receive(memory)) memory.fill(0xa5);
      if (resumesEarly) this.#goOn();
    }
  }

  /** Ends pauses and turns until everything was read. Returns a promise when a message is being decompressed. */
  settle(): Promise<void> | undefined {
    while (this.#goOn()) { /* once more */ }
    return this.protocol.isBusy ? this.#settleLater() : undefined;
  }

  async #settleLater(): Promise<void> {
    while (this.protocol.isBusy) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onFree = resolve;
      await promise;
      while (this.#goOn()) { /* once more */ }
    }
  }

  /** Ends a pause or a turn. False when there is none. */
  #goOn(): boolean {
    if (this.#isYielding) {
      this.#isYielding = false;
      this.resume();
      return true;
    }
    if (!this.protocol.isPaused) return false;
    this.protocol.resume();
    return true;
  }

  /** Everything that was recorded, and what has become of it since. */
  result(): readonly string[] {
    const { protocol, lines } = this;
    const faults = this.#faults;
    const handedOut = lines.filter((line) => /^(text|binary) /.test(line));
    this.messages.forEach((message, index) => {
      const now = typeof message === "string" ? `text ${message}` : `binary ${Buffer.from(message).toString("hex")}`;
      if (now !== handedOut[index]) faults.push(`message ${index} has changed to ${now}`);
    });
    for (const { text, payload } of this.#kept) {
      if (Buffer.from(payload).toString() !== text) faults.push(`the kept bytes of a text have changed`);
    }
    if (protocol.state === "open" && lines.includes("finished")) faults.push("finished, but open");
    if (protocol.state === "closed" && (protocol.hasUnread || protocol.isMidMessage)) faults.push("closed, but unread");
    protocol.terminate();
    return [...lines, ...faults];
  }
}

function inflaterOf({ deflate }: Settings): Inflater | undefined {
  if (deflate === undefined) return undefined;
  return deflate === "takeover" ? new ContextInflater(15) : messageInflater;
}

function hasBit(bits: number, index: number): boolean {
  return (bits >>> (index % 32) & 1) === 1;
}

/** What the protocol makes of the bytes: the lines of `RecordingHandler`, and what is wrong beyond them. */
export function readWithEngine(
  bytes: Buffer,
  settings: Settings,
  delivery: Delivery,
): readonly string[] | Promise<readonly string[]> {
  const run = new Run(settings, delivery);
  run.receive(bytes);
  const settled = run.settle();
  return settled === undefined ? run.result() : settled.then(() => run.result());
}

/** Expects of the engine what the oracle makes of the bytes, for each delivery. Without compression nothing waits. */
export function checkPlainFrames(bytes: Buffer, settings: Settings, ways: readonly Delivery[]): void {
  const verdict = judge(bytes, settings);
  for (const way of ways) {
    expectVerdict(readWithEngine(bytes, settings, way) as readonly string[], verdict, bytes, settings, way);
  }
}

/** The same with any settings. */
export async function checkFrames(bytes: Buffer, settings: Settings, ways: readonly Delivery[]): Promise<void> {
  const verdict = judge(bytes, settings);
  for (const way of ways) {
    expectVerdict(await readWithEngine(bytes, settings, way), verdict, bytes, settings, way);
  }
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
