/**
 * What the connections with the same settings have received and sent, those that have ended included. All of them add
 * to the same numbers: a number of each connection would take its memory, and would have to be added up at its end.
 */
export interface Traffic {
  receivedMessages: number;
  /** The bytes that have come behind the handshake: frames with their headers, below TLS and before decompression. */
  receivedBytes: number;
  sentMessages: number;
  /**
   * The bytes of frames that were handed to raw sockets, of connections that have ended. Those of a connection that has
   * not ended are its `sentBytes`.
   */
  sentBytes: number;
  /** Messages that slow consumers did not get, with `slowConsumer: "drop"`. */
  droppedMessages: number;
  /** Connections that have failed with 1013, with `slowConsumer: "close"`. */
  slowConsumers: number;
}

/** The figures of connections that have done nothing yet. */
export function noTraffic(): Traffic {
  return {
    receivedMessages: 0,
    receivedBytes: 0,
    sentMessages: 0,
    sentBytes: 0,
    droppedMessages: 0,
    slowConsumers: 0,
  };
}
