import type { BrokerStats } from "./pubsub/relay.ts";

/** Figures of an app at one moment, as {@link App.stats} returns them. They count this process only. */
export interface AppStats {
  /** WebSocket connections that are open now. */
  readonly connections: number;
  /** WebSocket handshakes that were accepted since the app was created. */
  readonly accepted: number;
  /** WebSocket handshakes that were refused since the app was created. */
  readonly refused: number;
  /**
   * Messages that were dropped because their receiver was too slow (`slowConsumer: "drop"`). Only the connections that
   * are open now are counted.
   */
  readonly droppedMessages: number;
  /** Topics that at least one socket of this process is subscribed to. */
  readonly topics: number;
  /** Figures of the link to other processes. Undefined if the app has no broker. */
  readonly broker: BrokerStats | undefined;
}

/** What {@link App.close} resolves to: how the open connections ended. */
export interface CloseResult {
  /** Connections that were closed with the closing handshake (RFC 6455 §7.1.4 calls this clean). */
  readonly closed: number;
  /**
   * Connections that ended without the closing handshake: they did not answer the Close frame in time and were cut, or
   * broke.
   */
  readonly terminated: number;
}
