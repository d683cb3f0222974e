/** A broker as an app uses it, with a record of all that it reports. */

import type { Broker, BrokerStatus, HistoryPosition } from "../../src/app/pubsub/broker.ts";

interface Message {
  readonly topic: string;
  readonly bytes: Buffer;
  readonly position: HistoryPosition | undefined;
}

const WAIT_MS = 10_000;

/** Uses a broker as an app does, and records its messages and its states. */
export class Member {
  readonly broker: Broker;
  readonly messages: Message[] = [];
  readonly statuses: BrokerStatus[] = [];
  #onChange: () => void = () => {};

  constructor(broker: Broker) {
    this.broker = broker;
    broker.onMessage((topic, bytes, position) => {
      this.messages.push({ topic, bytes: Buffer.from(bytes), position });
      this.#onChange();
    });
    broker.onStatus((status) => {
      this.statuses.push(status);
      this.#onChange();
    });
  }

  get isConnected(): boolean {
    return this.statuses.at(-1)!.isConnected;
  }

  async connected(): Promise<this> {
    await this.#until(() => this.isConnected, "connected");
    return this;
  }

  away(): Promise<void> {
    return this.#until(() => !this.isConnected, "away");
  }

  /** Resolves to all messages, once there are at least `count`. */
  async received(count: number): Promise<Message[]> {
    await this.#until(() => this.messages.length >= count, `${count} messages`);
    return this.messages;
  }

  publish(topic: string, text: string): Promise<unknown> {
    return this.broker.publish(topic, Buffer.from(text));
  }

  /** Resolves to the texts of a topic, once all that was sent before has arrived. */
  async heard(topic: string): Promise<string[]> {
    // Messages of one publisher arrive in order, so that all earlier ones are there once this one is.
    const fence = `fence ${Math.random()}`;
    const isFence = ({ bytes }: Message): boolean => bytes.toString() === fence;
    await this.broker.subscribe("fence");
    await this.publish("fence", fence);
    await this.#until(() => this.messages.some(isFence), "the fence");
    return this.messages.filter((message) => message.topic === topic).map(({ bytes }) => bytes.toString());
  }

  async #until(holds: () => boolean, what: string): Promise<void> {
    if (holds()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const complain = (): void =>
      reject(new Error(`Not ${what} within ${WAIT_MS} ms: ${JSON.stringify(this.statuses)}`));
    const timeout = setTimeout(complain, WAIT_MS);
    const before = this.#onChange;
    this.#onChange = () => {
      before();
      if (holds()) resolve();
    };
    try {
      await promise;
    } finally {
      clearTimeout(timeout);
      this.#onChange = before;
    }
  }
}
