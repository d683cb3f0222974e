/**
 * What a message costs the server of a broker, by the number of processes that are subscribed. Plain TCP clients stand
 * for the processes: they cost little, so that one program can be many of them.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { median } from "simple-statistics";
import type { DaemonName } from "./clients.ts";
import { endsWithin, PAYLOAD_BYTES } from "./crossing.ts";
import type { Daemon } from "./daemon.ts";
import { type BrokerTimes, BURST } from "./measure-client.ts";

/** How many processes are subscribed. */
export const PROCESSES: readonly number[] = [1, 4, 16, 64];

export interface FanResult {
  daemon: DaemonName;
  processes: number;
  /** The server's CPU time in µs for each message that is published; undefined where the system does not tell it. */
  brokerMicros: number | undefined;
  samples: (number | undefined)[];
}

/**
 * How many bursts are on their way at once. A server that is near its limit finds several of them when it reads, and
 * writes to each subscriber once for all of them. With one burst, most of its time went into waking up.
 */
const BURSTS_IN_FLIGHT = 8;

/** The last byte of a message, which stands nowhere else in what a server sends. */
const MARK = 0;
const PAYLOAD = `${"x".repeat(PAYLOAD_BYTES - 1)}\0`;

/** What the clients write in the protocol of a server. The answer to each greeting ends with PONG. */
const PROTOCOLS: Record<DaemonName, { publisher: string; subscriber: string; message: string }> = {
  "redis-server": {
    publisher: "PING\r\n",
    subscriber: "SUBSCRIBE fan\r\nPING\r\n",
    message: `*3\r\n$7\r\nPUBLISH\r\n$3\r\nfan\r\n$${PAYLOAD_BYTES}\r\n${PAYLOAD}\r\n`,
  },
  "nats-server": {
    publisher: 'CONNECT {"verbose":false}\r\nPING\r\n',
    subscriber: 'CONNECT {"verbose":false}\r\nSUB fan 1\r\nPING\r\n',
    message: `PUB fan ${PAYLOAD_BYTES}\r\n${PAYLOAD}\r\n`,
  },
};

async function greet(socket: Socket, greeting: string): Promise<void> {
  socket.write(greeting);
  for (let answer = ""; !/pong/i.test(answer);) answer += (await once(socket, "data"))[0];
}

/** A client that publishes, and clients that are subscribed. */
export class Fan {
  readonly #message: string;
  readonly #publisher: Socket;
  readonly #subscribers: Socket[];

  private constructor(message: string, publisher: Socket, subscribers: Socket[]) {
    this.#message = message;
    this.#publisher = publisher;
    this.#subscribers = subscribers;
  }

  static async open({ name, port }: Pick<Daemon, "name" | "port">, processes: number): Promise<Fan> {
    const { publisher, subscriber, message } = PROTOCOLS[name];
    const sockets = Array.from({ length: processes + 1 }, () => connect(port, "127.0.0.1"));
    const fan = new Fan(message, sockets[0], sockets.slice(1));
    try {
      await Promise.all(sockets.map((socket, index) => greet(socket, index === 0 ? publisher : subscriber)));
    } catch (error) {
      fan.close();
      throw error;
    }
    // Answers to the publisher say nothing that the subscribers do not show.
    sockets[0].resume();
    return fan;
  }

  /** Publishes bursts, so that `BURSTS_IN_FLIGHT` of them are on their way. Resolves to the number of messages. */
  drive(seconds: number): Promise<number> {
    const burst = this.#message.repeat(BURST);
    const deliveries = BURST * this.#subscribers.length;
    return endsWithin(seconds, (resolve, reject) => {
      const endsAt = performance.now() + seconds * 1000;
      let bursts = 0;
      let received = 0;
      const fill = (): void => {
        for (; bursts - received / deliveries < BURSTS_IN_FLIGHT; bursts += 1) this.#publisher.write(burst);
      };
      const take = (bytes: Uint8Array): void => {
        for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) received += 1;
        if (performance.now() < endsAt) fill();
        else if (received === bursts * deliveries) resolve(bursts * BURST);
      };
      for (const socket of [this.#publisher, ...this.#subscribers]) {
        socket.removeAllListeners("error").on("error", reject);
      }
      for (const socket of this.#subscribers) socket.removeAllListeners("data").on("data", take);
      fill();
    });
  }

  close(): void {
    for (const socket of [this.#publisher, ...this.#subscribers]) socket.destroy();
  }
}

async function measureFan(daemon: Daemon, processes: number, times: BrokerTimes): Promise<number | undefined> {
  const fan = await Fan.open(daemon, processes);
  try {
    await fan.drive(times.warmUpSeconds);
    const before = daemon.cpuMicroseconds();
    const count = await fan.drive(times.seconds);
    const after = daemon.cpuMicroseconds();
    return before === undefined || after === undefined ? undefined : (after - before) / count;
  } finally {
    fan.close();
  }
}

/** Measures a server with each number of processes, in turns. */
export async function measureFans(daemon: Daemon, rounds: number, times: BrokerTimes): Promise<FanResult[]> {
  const taken = new Map<number, (number | undefined)[]>(PROCESSES.map((processes) => [processes, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [processes, samples] of taken) samples.push(await measureFan(daemon, processes, times));
  }
  return [...taken].map(([processes, samples]) => {
    const found = samples.filter((value) => value !== undefined);
    const brokerMicros = found.length > 0 ? median(found) : undefined;
    return { daemon: daemon.name, processes, brokerMicros, samples };
  });
}
