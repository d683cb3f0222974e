/** The loads in which one connection sends, and many receive. */
import { nameOf, socketsOf, topicOfMessage } from "../shared/topics.ts";
import type { Connection } from "./connection.ts";
import { readMessages } from "./frames.ts";
import { destroyAll, type Driven, type Load, openAll, type Target, trafficOf, verify } from "./load.ts";
import type { Expectation, Traffic } from "./traffic.ts";

interface Receiver {
  readonly connection: Connection;
  readonly expected: Expectation;
}

/** One connection publishes batch by batch: the next one follows when all receivers have the last one. */
class FanLoad implements Load {
  readonly #target: Target;
  readonly #traffic: Traffic;
  readonly #all: readonly Receiver[];
  readonly #receiversOf: (turn: number) => readonly Receiver[];
  #turn = 0;

  /** @param receiversOf who of `all` gets the batch that is sent at this turn; the first of all sends */
  constructor(
    target: Target,
    traffic: Traffic,
    all: readonly Receiver[],
    receiversOf: (turn: number) => readonly Receiver[],
  ) {
    this.#target = target;
    this.#traffic = traffic;
    this.#all = all;
    this.#receiversOf = receiversOf;
  }

  drive(seconds: number): Promise<Driven> {
    const { inFlight } = this.#target.workload;
    const { batches } = this.#traffic;
    return new Promise((resolve, reject) => {
      const latenciesMs: number[] = [];
      let count = 0;
      let sentAt = 0;
      let busy = 0;
      let deliveries = 0;
      let running = true;
      const publish = (): void => {
        const turn = this.#turn++;
        const receivers = this.#receiversOf(turn);
        for (const { expected } of receivers) expected.begin(turn);
        busy = receivers.length;
        deliveries = inFlight * receivers.length;
        sentAt = performance.now();
        this.#all[0].connection.write(batches[turn % batches.length]);
      };
      for (const { connection, expected } of this.#all) {
        connection.onFault = reject;
        connection.onBytes = (bytes) => {
          if (!expected.take(bytes) || --busy > 0) return;
          count += deliveries;
          if (inFlight === 1) latenciesMs.push(performance.now() - sentAt);
          if (running) publish();
          else resolve({ count, latenciesMs });
        };
      }
      publish();
      setTimeout(() => (running = false), seconds * 1000);
    });
  }

  close(): void {
    destroyAll(this.#all.map(({ connection }) => connection));
  }
}

/** Every connection gets every message. */
export async function fanLoad(target: Target): Promise<Load> {
  const traffic = await trafficOf(target);
  const connections = await openAll(target);
  await verify(connections[0], connections, traffic);
  const receivers = connections.map((connection) => ({ connection, expected: traffic.expect() }));
  return new FanLoad(target, traffic, receivers, () => receivers);
}

/** Sends each message once, and checks that it comes to the sockets of its topic, and to no other one. */
async function verifyTopics(all: readonly Receiver[], groups: readonly Receiver[][], traffic: Traffic): Promise<void> {
  for (const [turn, batch] of traffic.batches.entries()) {
    const replies = await new Promise<Buffer[]>((resolve, reject) => {
      const chunks = new Map(groups[turn].map((receiver) => [receiver, [] as Buffer[]]));
      let busy = chunks.size;
      for (const receiver of all) {
        const { connection, expected } = receiver;
        connection.onFault = reject;
        if (chunks.has(receiver)) expected.begin(turn);
        connection.onBytes = (bytes) => {
          chunks.get(receiver)?.push(Buffer.from(bytes));
          if (expected.take(bytes) && --busy === 0) resolve([...chunks.values()].map((some) => Buffer.concat(some)));
        };
      }
      all[0].connection.write(batch);
    });
    const [{ payload }] = readMessages(replies[0]);
    if (
      !payload.toString().startsWith(nameOf(topicOfMessage(turn))) || !replies.every((each) => each.equals(replies[0]))
    ) {
      throw new Error("a message of a topic is not what was sent");
    }
  }
}

/** Each message is for the subscribers of one topic. */
export async function topicLoad(target: Target): Promise<Load> {
  const traffic = await trafficOf(target);
  const connections = await openAll(target);
  const all = connections.map((connection) => ({ connection, expected: traffic.expect() }));
  const groups = traffic.batches.map((_, message) => socketsOf(topicOfMessage(message)).map((socket) => all[socket]));
  await verifyTopics(all, groups, traffic);
  return new FanLoad(target, traffic, all, (turn) => groups[turn % groups.length]);
}
