/** The histories of topics in Redis: the commands, their replies, and the messages that are sent as they are kept. */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import {
  HISTORY_PREFIX,
  type HistoryLimits,
  type HistoryPage,
  type HistoryPosition,
  type HistoryRange,
} from "../app/pubsub/broker.ts";
import { APPEND, READ } from "./redis-scripts.ts";

/** Sends a command, and resolves to the reply, with bytes in place of texts. */
export type SendCommand = (args: (string | Buffer)[]) => Promise<unknown>;

export interface RedisHistorySettings {
  /** The start of the names of all keys and channels. */
  readonly prefix: string;
  /** How long Redis keeps a history after its last message, if the limits of the topic do not ask for more. */
  readonly historyTtlMs: number;
  /** True if the server comes back with all that it has confirmed. */
  readonly durable: boolean;
}

/** The shape of an epoch. */
const EPOCH = /^[\w-]{1,64}$/;

/** What stands in front of a message that is sent: the epoch and the offset. */
const HEADER = /^([\w-]{1,64}):([1-9]\d{0,15}):/;
const MAX_HEADER_BYTES = 64 + 1 + 16 + 1;

/** Keeps the histories of one broker. */
export class RedisHistories {
  readonly #send: SendCommand;
  readonly #settings: RedisHistorySettings;

  constructor(send: SendCommand, settings: RedisHistorySettings) {
    this.#send = send;
    this.#settings = settings;
  }

  async append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): Promise<HistoryPosition> {
    const { prefix, historyTtlMs } = this.#settings;
    const ttlMs = Math.max(historyTtlMs, limits.maxAgeMs);
    const args = [String(ttlMs), randomUUID().slice(0, 8), prefix + topic, ...messages.map(toBuffer)];
    const [epoch, offset] = await this.#run(APPEND, topic, limits, args) as [epoch: Buffer, offset: Buffer];
    return { epoch: String(epoch), offset: Number(String(offset)) };
  }

  async read(topic: string, range: HistoryRange, limits: HistoryLimits): Promise<HistoryPage> {
    const { after, maxMessages, maxBytes } = range;
    const args = [String(this.#settings.historyTtlMs), ...placeOf(after), String(maxMessages), String(maxBytes)];
    const [epoch, oldest, newest, isComplete, messages] = await this.#run(READ, topic, limits, args) as [
      epoch: Buffer,
      oldest: Buffer,
      newest: Buffer,
      isComplete: number,
      messages: Buffer[],
    ];
    const first = after === undefined ? Number(String(oldest)) : after.offset + 1;
    return {
      epoch: String(epoch),
      oldest: Number(String(oldest)),
      newest: Number(String(newest)),
      isComplete: Number(isComplete) === 1,
      messages: messages.map((bytes, i) => ({ offset: first + i, bytes })),
    };
  }

  /**
   * Runs a script. Its text is sent each time. With its hash in place of the text, a server that has lost the script
   * would refuse some calls, and a call that is repeated would come behind later ones.
   */
  #run(script: string, topic: string, limits: HistoryLimits, args: (string | Buffer)[]): Promise<unknown> {
    const { prefix, durable } = this.#settings;
    const key = `${prefix}history:${topic.slice(HISTORY_PREFIX.length)}`;
    const common = [durable ? "durable" : "", String(limits.maxAgeMs), String(limits.size)];
    return this.#send(["EVAL", script, "1", key, ...common, ...args]);
  }
}

/** Reads a message that was sent as it was kept. Undefined if another program has sent something else. */
export function readLive(message: Buffer): { position: HistoryPosition; bytes: Buffer } | undefined {
  const header = HEADER.exec(message.toString("latin1", 0, MAX_HEADER_BYTES));
  if (header === null || !Number.isSafeInteger(Number(header[2]))) return;
  const position = { epoch: header[1]!, offset: Number(header[2]) };
  return { position, bytes: message.subarray(header[0].length) };
}

/** The epoch and the offset of a position, as the script takes them. Those of a client may be anything. */
function placeOf(after: HistoryPosition | undefined): [epoch: string, offset: string] {
  if (after === undefined) return ["", ""];
  const { epoch, offset } = after;
  const isPosition = typeof epoch === "string" && EPOCH.test(epoch) && Number.isSafeInteger(offset) && offset >= 0;
  return isPosition ? [epoch, String(offset)] : ["?", "0"];
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
