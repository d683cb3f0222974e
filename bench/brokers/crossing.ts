/**
 * The loads: messages that are published in one process and received in another. Each load ends when all messages have
 * come.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "../load/connection.ts";
import { maskedFrame, OPCODE } from "../load/frames.ts";
import { plainTraffic } from "../load/traffic.ts";

export const PAYLOAD_BYTES = 128;
/** The longest wait for messages beyond the time for which they are sent. */
const PATIENCE_MS = 10_000;
/** The pause before another probe is published. */
const PROBE_MS = 50;

/** The ports of the two processes; the same port twice when publisher and subscriber are in one process. */
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

/**
 * Publishes probes until all receivers have the same one. From then on the broker and the processes know the topic, and
 * no message is under way any more.
 */
async function meet(publisher: Connection, receivers: Connection[]): Promise<void> {
  const listening = receivers.map((receiver) => {
    const state = { text: "" };
    receiver.onBytes = (bytes) => void (state.text = (state.text + Buffer.from(bytes).toString("latin1")).slice(-100));
    return state;
  });
  const startedAt = performance.now();
  for (let number = 1;; number += 1) {
    const probe = `probe ${number}.`;
    publisher.write(maskedFrame(OPCODE.text, Buffer.from(probe)));
    for (const sentAt = performance.now(); performance.now() - sentAt < PROBE_MS; await delay(1)) {
      // Messages come in order: an earlier probe has come before this one, or it never comes.
      if (listening.every(({ text }) => text.endsWith(probe))) return;
    }
    if (performance.now() - startedAt > PATIENCE_MS) {
      throw new Error("no message came from the publisher to the subscribers");
    }
  }
}

/**
 * Opens pairs with a topic each: the publisher in one process and the receiver in the other.
 *
 * @param name the start of the topics' names: those of `kept` have a history
 */
export async function openPairs(places: Places, count: number, name: "room" | "kept"): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let first = 0; first < count; first += 10) {
    const numbers = Array.from({ length: Math.min(10, count - first) }, (_, index) => first + index);
    pairs.push(
      ...await Promise.all(numbers.map((at) => openPair(`${name}-${at}`, places.publisher, [places.subscriber]))),
    );
  }
  return pairs;
}

/** Opens one topic with two receivers: one in the publisher's process and one in the other process. */
export function openLatency(places: Places): Promise<Pair> {
  return openPair("latency", places.publisher, [places.publisher, places.subscriber]);
}

export function closePairs(pairs: Pair[]): void {
  for (const { publisher, receivers } of pairs) [publisher, ...receivers].forEach((connection) => connection.destroy());
}

/**
 * The result of `work`, or an error when it does not settle in time: after a lost message, the sender would wait for
 * ever.
 */
export function endsWithin<T>(
  seconds: number,
  work: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = new Error("messages were lost, or took more than 10 s to come");
    const timer = setTimeout(() => reject(late), seconds * 1000 + PATIENCE_MS);
    const settle = <V>(how: (value: V) => void) => (value: V): void => {
      clearTimeout(timer);
      how(value);
    };
    work(settle(resolve), settle(reject));
  });
}

/**
 * Each pair keeps `inFlight` messages under way: it sends the next ones when these have come. Resolves to the number
 * that came.
 */
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
  /**
   * The time from the publisher's write to the receiver in its own process and to the one in the other process, by
   * message.
   */
  localMs: number[];
  remoteMs: number[];
}

/** Sends one message at a time: the next one follows when both receivers have it. */
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
