import type { BrokerStats } from "./pubsub/relay.ts";

/** Figures of an app at one moment. */
export interface AppStats {
  /** Open WebSocket connections. */
  readonly connections: number;
  /** WebSocket connections since the start. */
  readonly accepted: number;
  /** Handshakes that were refused. */
  readonly refused: number;
  /** Messages that were dropped for slow consumers, of the connections that are open. */
  readonly droppedMessages: number;
  /** Topics that sockets of this process are subscribed to. */
  readonly topics: number;
  /** The link to other processes, when there is a broker. */
  readonly broker: BrokerStats | undefined;
}

/** What `close()` did. */
export interface CloseResult {
  /** Connections that ended with the closing handshake. */
  readonly closed: number;
  /** Connections that did not answer in time and were cut. */
  readonly terminated: number;
}
