/** How a broker's link to its server stands. */
export interface BrokerStatus {
  /** Whether what is published now can reach other processes. */
  readonly isConnected: boolean;
  /** What has cut the link, where it is known. */
  readonly error?: unknown;
}

/**
 * Carries published messages between processes. The app owns what the bytes mean; a broker only brings them, as they are, to every process that is subscribed
 * to the topic. Whether the publisher hears its own bytes does not matter: the app knows them.
 *
 * Nothing here waits for the server: while it is away, the app goes on in its own process, and asks for all its topics again once `onStatus` says that it is back.
 */
export interface Broker {
  /**
   * Takes who hears of messages. Called once, before any other method.
   *
   * @param listener gets the topic and the bytes, which are its own from then on
   */
  onMessage(listener: (topic: string, bytes: Uint8Array) => void): void;

  /** Takes who hears when the link is cut and when it is there again; called at once with how it stands. */
  onStatus(listener: (status: BrokerStatus) => void): void;

  /**
   * Sends bytes to the subscribed processes. They are not changed any more.
   *
   * @returns settles once the server has taken them, so that the app can bound what is on its way
   */
  publish(topic: string, bytes: Uint8Array): Promise<unknown>;

  /** Begins to bring the messages of a topic. Without effect on one that is subscribed already. */
  subscribe(topic: string): Promise<unknown>;

  /** Ends it. */
  unsubscribe(topic: string): Promise<unknown>;

  /** Gives back what the broker itself has opened; what its user has opened stays open. */
  close(): Promise<unknown>;
}
