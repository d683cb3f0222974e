/** The histories of topics in memory, as a server of a broker keeps them. */

import type {
  HistoryLimits,
  HistoryMessage,
  HistoryPage,
  HistoryPosition,
  HistoryRange,
} from "../../src/app/pubsub/broker.ts";

interface Kept extends HistoryMessage {
  readonly at: number;
}

/** What is known of one topic. */
interface History {
  /** Names the life of the history that has begun, or will begin next. */
  readonly life: string;
  /** The offset of the newest message, or 0 when the history has not begun. */
  readonly newest: number;
  readonly messages: readonly Kept[];
}

/** The histories of all topics. They are as old as `Date.now()` says, which a test may fake. */
export class MemoryHistories {
  readonly #histories = new Map<string, History>();
  #lives = 0;

  append(topic: string, messages: readonly Uint8Array[], limits: HistoryLimits): HistoryPosition {
    const history = this.#of(topic);
    const at = Date.now();
    const added = messages.map((bytes, i) => ({ offset: history.newest + 1 + i, bytes: Buffer.from(bytes), at }));
    const newest = history.newest + messages.length;
    const next = { ...history, newest, messages: kept([...history.messages, ...added], limits) };
    this.#histories.set(topic, next);
    return { epoch: epochOf(next), offset: newest };
  }

  read(topic: string, { after, maxMessages, maxBytes }: HistoryRange, limits: HistoryLimits): HistoryPage {
    const history = this.#of(topic);
    const { newest } = history;
    const all = kept(history.messages, limits);
    const oldest = all.at(0)?.offset ?? newest + 1;
    const state = { epoch: epochOf(history), oldest, newest };
    // The place where a topic had no history yet is the place before the first message of the history that came.
    const isPlace = after === undefined || after.epoch === state.epoch ||
      after.epoch === `empty-${history.life}` && after.offset === 0;
    const offset = after === undefined ? oldest - 1 : after.offset;
    const isComplete = isPlace && Number.isSafeInteger(offset) && offset >= oldest - 1 && offset <= newest;
    const messages: HistoryMessage[] = [];
    let byteLength = 0;
    for (const message of isComplete ? all.slice(offset + 1 - oldest) : []) {
      byteLength += message.bytes.length;
      if (messages.length >= maxMessages || messages.length > 0 && byteLength > maxBytes) break;
      messages.push({ offset: message.offset, bytes: Buffer.from(message.bytes) });
    }
    return { ...state, isComplete, messages };
  }

  /** Loses the history of a topic, or all histories. */
  lose(topic?: string): void {
    for (const each of topic === undefined ? [...this.#histories.keys()] : [topic]) {
      this.#histories.delete(each);
    }
  }

  #of(topic: string): History {
    const known = this.#histories.get(topic);
    if (known !== undefined) return known;
    const history: History = { life: String(++this.#lives), newest: 0, messages: [] };
    this.#histories.set(topic, history);
    return history;
  }
}

function kept(messages: readonly Kept[], { size, maxAgeMs }: HistoryLimits): readonly Kept[] {
  const now = Date.now();
  // Everything that is in front of an expired message goes too, so that no gap is left when the clock was set back.
  return messages.slice(messages.findLastIndex(({ at }) => now - at >= maxAgeMs) + 1).slice(-size);
}

function epochOf({ life, newest }: History): string {
  return newest === 0 ? `empty-${life}` : `life-${life}`;
}
