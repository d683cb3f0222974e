/** The interface of a broker, which an application may implement itself. */

/** The state of the link between a broker and its server. */
export interface BrokerStatus {
  /** True when the link is up: messages that are published now can reach other processes. */
  readonly isConnected: boolean;
  /** The error that has cut the link, if it is known. */
  readonly error?: unknown;
}

/**
 * Carries published messages between processes. {@link redisBroker} and {@link natsBroker} make one, and an object of
 * your own with these methods is one too.
 *
 * A broker brings bytes, unchanged, to every process that is subscribed to a topic. What the bytes mean is known to the
 * app only. A broker may also bring its own bytes back to the process that has published them: the app recognises and
 * ignores them.
 *
 * A broker does not keep anything for a server that is away: `publish`, `subscribe` and `unsubscribe` reject then.
 * Meanwhile the app goes on within its process. When `onStatus` reports that the link is up again, the app subscribes
 * to all its topics again.
 */
export interface Broker {
  /**
   * Sets the listener of messages. The app calls this method once, before any other. The broker begins to connect here,
   * if it has to.
   *
   * @param listener is called with the topic and the bytes of each message; the broker must not change the bytes
   *   afterwards
   */
  onMessage(listener: (topic: string, bytes: Uint8Array) => void): void;

  /**
   * Sets the listener of the link's state. The app calls this method once.
   *
   * @param listener is called at once with the present state, and then whenever the link is cut and whenever it is up
   *   again
   */
  onStatus(listener: (status: BrokerStatus) => void): void;

  /**
   * Sends bytes to all processes that are subscribed to a topic.
   *
   * @param topic a well-formed string of 1 to 512 characters; the app uses one topic of its own, which begins with
   *   U+0000
   * @param bytes the message; the app does not change the bytes afterwards
   * @returns a promise that resolves once the server has taken the message, and rejects if it could not be sent; by
   *   these promises the app limits how many bytes are on their way
   */
  publish(topic: string, bytes: Uint8Array): Promise<unknown>;

  /**
   * Subscribes this process to a topic. Nothing changes if it is subscribed already.
   *
   * @returns a promise that resolves once the server has taken the subscription, and rejects if it could not; the app
   *   tries again then
   */
  subscribe(topic: string): Promise<unknown>;

  /**
   * Ends the subscription to a topic.
   *
   * @returns a promise that resolves once the server has ended the subscription, and rejects if it could not
   */
  unsubscribe(topic: string): Promise<unknown>;

  /**
   * Closes what the broker itself has opened, such as its connections. A client that was handed to the broker stays
   * open.
   *
   * @returns a promise that settles once all that was published before is sent, or cannot be sent any more
   */
  close(): Promise<unknown>;
}
