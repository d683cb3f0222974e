/**
 * A client of a topic with a history, which is cut off again and again, and comes back to any process with the last id
 * that it has. It keeps all that it was ever sent, and finds the faults in it.
 */

import WebSocket from "ws";
import { parseId } from "../../src/app/pubsub/history/position.ts";

/** What a follower is sent: a message, or a notice. */
interface Frame {
  readonly id: string;
  readonly data?: string;
  readonly recovered?: boolean;
}

export class HistoryClient {
  /** All frames, in the order in which they came, over all connections. */
  readonly frames: Frame[] = [];
  /** Called with each frame. */
  onFrame: () => void = () => {};
  #client: WebSocket | undefined;

  /** The id of the last message, or of the last notice. Undefined before the first connection. */
  get lastId(): string | undefined {
    return this.frames.at(-1)?.id;
  }

  /** The texts of all messages. */
  get texts(): string[] {
    return this.frames.flatMap(({ data }) => data === undefined ? [] : [data]);
  }

  /** How often the client was told that it has missed messages. The first connection does not count. */
  get losses(): number {
    return this.frames.slice(1).filter(({ recovered }) => recovered === false).length;
  }

  /** Connects in place of the connection before. Resolves with the first frame, and rejects if there is none. */
  async connect(port: number, topic: string): Promise<void> {
    this.cut();
    const since = this.lastId === undefined ? "" : `?since=${encodeURIComponent(this.lastId)}`;
    const client = this.#client = new WebSocket(`ws://127.0.0.1:${port}/followers/${topic}${since}`);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    client.on("message", (data) => {
      // What was on its way when the client was cut is lost to it.
      if (this.#client !== client) return;
      this.frames.push(JSON.parse(String(data)) as Frame);
      this.onFrame();
      resolve();
    });
    client.on("error", reject);
    client.on("close", (code) => reject(new Error(`The connection has ended with ${code}`)));
    await promise;
  }

  /** Cuts the connection without a closing handshake. */
  cut(): void {
    this.#client?.removeAllListeners("close");
    this.#client?.on("close", () => {});
    this.#client?.terminate();
    this.#client = undefined;
  }

  /**
   * The faults of all frames together, in words. Each message follows the one before it, unless a notice stands between
   * them that says that messages were lost. Each connection begins with a notice.
   */
  faults(): string[] {
    const faults: string[] = [];
    let before = this.frames[0]!;
    for (const frame of this.frames.slice(1)) {
      const [last, next] = [parseId(before.id), parseId(frame.id)];
      if (last === undefined || next === undefined) faults.push(`${frame.id} is not an id`);
      else if (frame.recovered === true) {
        const isSame = frame.id === before.id || (last.offset === 0 && next.offset === 0);
        if (!isSame) faults.push(`A notice recovers ${frame.id} behind ${before.id}`);
      } else if (frame.recovered === undefined) {
        // A topic that has no history yet has another epoch than its first message.
        const isNext = next.offset === last.offset + 1 && (next.epoch === last.epoch || last.offset === 0);
        if (!isNext) faults.push(`${frame.id} (${frame.data}) comes behind ${before.id}`);
      }
      before = frame;
    }
    return faults;
  }
}
