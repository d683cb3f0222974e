/** The loads: messages published at one process and heard at another, until all have come. */
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "../load/connection.ts";
import { maskedFrame, OPCODE } from "../load/frames.ts";
import { plainTraffic } from "../load/traffic.ts";

export const PAYLOAD_BYTES = 128;
const PATIENCE_MS = 10_000;
const PROBE_MS = 50;

/** The ports of the two processes, which may be the same. */
export interface Places {
  publisher: number;
  subscriber: number;
}

export interface Pair {
  publisher: Connection;
  receivers: Connection[];
}

async function openPair(topic: string, publisherPort: number, receiverPorts: number[]): Promise<Pair> {
  const publisher = await Connection.open(publisherPort, `/publish/${topic}`);
  const receivers = await Promise.all(receiverPorts.map((port) => Connection.open(port, `/subscribe/${topic}`)));
  await meet(publisher, receivers);
  return { publisher, receivers };
}

/** Publishes a probe again and again, until one of them has come to all: broker and processes know of the topic then, and nothing is on its way any more. */
async function meet(publisher: Connection, receivers: Connection[]): Promise<void> {
  const heard = receivers.map((receiver) => {
    const state = { text: "" };
    receiver.onBytes = (bytes) => void (state.text = (state.text + Buffer.from(bytes).toString("latin1")).slice(-100));
    return state;
  });
  const startedAt = performance.now();
  for (let number = 1;; number += 1) {
    const probe = `probe ${number}.`;
    publisher.write(maskedFrame(OPCODE.text, Buffer.from(probe)));
    for (const sentAt = performance.now(); performance.now() - sentAt < PROBE_MS; await delay(1)) {
      // Messages come in order: whatever was sent before this one has come before it, or never will.
      if (heard.every(({ text }) => text.endsWith(probe))) return;
    }
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error("messages do not come across");
  }
}

/** A topic for each pair: who publishes in one process, and who hears it in the other. */
export async function openPairs(places: Places, count: number): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let first = 0; first < count; first += 10) {
    const numbers = Array.from({ length: Math.min(10, count - first) }, (_, index) => first + index);
    pairs.push(
      ...await Promise.all(numbers.map((at) => openPair(`room-${at}`, places.publisher, [places.subscriber]))),
    );
  }
  return pairs;
}

/** One topic that is heard beside its publisher, and in the other process. */
export function openLatency(places: Places): Promise<Pair> {
  return openPair("latency", places.publisher, [places.publisher, places.subscriber]);
}

export function closePairs(pairs: Pair[]): void {
  for (const { publisher, receivers } of pairs) [publisher, ...receivers].forEach((connection) => connection.destroy());
}

/** Rejects when messages have been lost: the next ones would wait for them for ever. */
function endsWithin<T>(seconds: number, work: (resolve: (value: T) => void, reject: (error: Error) => void) => void) {
  return new Promise<T>((resolve, reject) => {
    const late = new Error("messages were lost, or took more than 10 s");
    const timer = setTimeout(() => reject(late), seconds * 1000 + PATIENCE_MS);
    const settle = <V>(how: (value: V) => void) => (value: V): void => {
      clearTimeout(timer);
      how(value);
    };
    work(settle(resolve), settle(reject));
  });
}

/** Each pair has so many messages in flight, and sends the next ones when they have come. Yields how many came. */
export function driveCrossing(pairs: Pair[], inFlight: number, seconds: number): Promise<number> {
  const traffic = plainTraffic({ payload: "text", payloadBytes: PAYLOAD_BYTES, inFlight }, false);
  return endsWithin(seconds, (resolve, reject) => {
    let count = 0;
    let busy = pairs.length;
    let running = true;
    for (const { publisher, receivers: [receiver] } of pairs) {
      const expected = traffic.expect();
      const send = (): void => {
        expected.begin();
        publisher.write(traffic.batches[0]);
      };
      publisher.onFault = receiver.onFault = reject;
      receiver.onBytes = (bytes) => {
        if (!expected.take(bytes)) return;
        count += inFlight;
        if (running) send();
        else if (--busy === 0) resolve(count);
      };
      send();
    }
    setTimeout(() => (running = false), seconds * 1000);
  });
}

export interface Latencies {
  /** From the publisher's write to the receiver beside it, and to the one in the other process, message by message. */
  localMs: number[];
  remoteMs: number[];
}

/** One message at a time; the next one goes out when both have it. */
export function driveLatency({ publisher, receivers }: Pair, seconds: number): Promise<Latencies> {
  const traffic = plainTraffic({ payload: "text", payloadBytes: PAYLOAD_BYTES, inFlight: 1 }, false);
  return endsWithin(seconds, (resolve, reject) => {
    const times: number[][] = receivers.map(() => []);
    const expected = receivers.map(() => traffic.expect());
    const endsAt = performance.now() + seconds * 1000;
    let sentAt = 0;
    let missing = 0;
    const send = (): void => {
      for (const each of expected) each.begin();
      missing = receivers.length;
      sentAt = performance.now();
      publisher.write(traffic.batches[0]);
    };
    publisher.onFault = reject;
    receivers.forEach((receiver, index) => {
      receiver.onFault = reject;
      receiver.onBytes = (bytes) => {
        if (!expected[index].take(bytes)) return;
        times[index].push(performance.now() - sentAt);
        if (--missing > 0) return;
        if (performance.now() < endsAt) send();
        else resolve({ localMs: times[0], remoteMs: times[1] });
      };
    });
    send();
  });
}
