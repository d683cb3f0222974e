/**
 * What the broker over NATS needs of the clients that it is given. The interfaces have only the members that are used,
 * since the package has no dependency.
 */

/**
 * A connection to NATS, as `connect` of `@nats-io/transport-node` or of the package `nats` makes it. The interface has
 * only the members that {@link natsBroker} uses.
 */
export interface NatsClient {
  /** What the server says of itself. */
  readonly info?: { readonly max_payload: number } | undefined;
  /** Sends bytes to a subject. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. Messages go to the callback in the options. */
  subscribe(subject: string, options: NatsSubscribeOptions): NatsSubscription;
  /** Sends a request that gets several responses. Only topics with a history need this method. */
  requestMany?(
    subject: string,
    payload: string,
    // deno-lint-ignore no-explicit-any -- One of the clients has an enum for the strategy.
    options: { strategy: any; maxWait: number; noMux: boolean },
  ): Promise<AsyncIterable<NatsMessage>>;
  /** Resolves once the server has taken all that was sent before. */
  flush(): Promise<void>;
  /** Iterates over what happens to the connection, as it happens. */
  status(): AsyncIterable<NatsStatus>;
  /** Resolves when the connection has ended for good, with the error that has ended it, if any. */
  closed(): Promise<void | Error>;
  /** True when the connection has ended for good. */
  isClosed(): boolean;
}

/** A message of a {@link NatsClient}. */
export interface NatsMessage {
  /** The subject to which the message was sent. */
  readonly subject: string;
  /** The bytes. */
  readonly data: Uint8Array;
  /** The headers. A status of the server has a code. */
  readonly headers?: { readonly code: number; get(name: string): string } | undefined;
}

/** Options of `subscribe` of a {@link NatsClient}. */
export interface NatsSubscribeOptions {
  /** Called with `null` and a message for each message, or with an error if the subscription has failed. */
  callback: (error: Error | null, message: NatsMessage) => void;
}

/** A subscription of a {@link NatsClient}. */
export interface NatsSubscription {
  /** Ends the subscription. */
  unsubscribe(): void;
}

/** An event of the connection of a {@link NatsClient}. */
export interface NatsStatus {
  /** The name of the event, such as `"disconnect"`, `"reconnect"` or `"error"`. */
  readonly type: string;
  /** The error, if the type is `"error"`. */
  readonly error?: Error;
}

/**
 * A client of JetStream, as `jetstream` of `@nats-io/jetstream` makes it of a connection. The interface has only the
 * members that {@link natsBroker} uses.
 */
export interface NatsJetStream {
  /** The start of the subjects of the API. */
  readonly apiPrefix: string;
  /** Puts a message at the end of the stream of a subject. */
  publish(
    subject: string,
    payload: Uint8Array,
    options: { expect: { lastSubjectSequence: number } },
  ): Promise<{ readonly seq: number }>;
  /** Makes the client that manages streams. */
  jetstreamManager(checkAPI?: boolean): Promise<NatsJetStreamManager>;
}

/** The client of JetStream that manages streams. The interface has only the members that {@link natsBroker} uses. */
export interface NatsJetStreamManager {
  /** The streams. */
  readonly streams: {
    /** Finds the name of the stream that has a subject. */
    find(subject: string): Promise<string>;
    /** Makes a stream. */
    add(config: NatsStreamConfig & { name: string }): Promise<NatsStreamInfo>;
    /** Changes a stream. */
    update(name: string, config: NatsStreamConfig): Promise<NatsStreamInfo>;
    /** Reads the state of a stream. */
    info(name: string): Promise<NatsStreamInfo>;
    /** Reads one message of a stream. */
    getMessage(name: string, query: NatsMessageQuery): Promise<NatsStoredMessage | null>;
  };
  /** The consumers. */
  readonly consumers: {
    /** Makes a consumer. */
    add(stream: string, config: NatsConsumerConfig): Promise<{ readonly name: string; readonly created: string }>;
    /** Removes a consumer. */
    delete(stream: string, consumer: string): Promise<boolean>;
  };
}

/** Which message of a stream is wanted: the last of a subject, or the first one of it from a sequence on. */
export type NatsMessageQuery = { last_by_subj: string } | { seq: number; next_by_subj: string };

/** A message that a stream keeps. */
export interface NatsStoredMessage {
  /** The sequence in the stream. */
  readonly seq: number;
  /** The bytes. */
  readonly data: Uint8Array;
  /** When the server has stored the message. */
  readonly time: Date;
}

/** The state of a stream. */
export interface NatsStreamInfo {
  /** The configuration. All subjects are republished if `src` is not there. */
  readonly config: Omit<NatsStreamConfig, "republish"> & {
    readonly name: string;
    readonly republish?: { src?: string; dest: string; headers_only?: boolean };
  };
  /** When the stream was made. */
  readonly created: string;
  /** What is in the stream. */
  readonly state: { readonly messages: number; readonly first_seq: number; readonly last_seq: number };
}

/** The configuration of a stream. Times are in nanoseconds. */
export interface NatsStreamConfig {
  /** A text for people. */
  description?: string;
  /** The subjects whose messages the stream has. */
  subjects?: string[];
  /** `"limits"` if messages are kept until a limit is reached. */
  // deno-lint-ignore no-explicit-any -- The client has an enum for such words.
  retention?: any;
  /** `"old"` if the oldest messages go first. */
  // deno-lint-ignore no-explicit-any -- As above.
  discard?: any;
  /** The age from which on a message is not kept. 0 if there is none. */
  max_age?: number;
  /** The most messages of one subject. -1 if there is no limit. */
  max_msgs_per_subject?: number;
  /** True if the server does not confirm messages. */
  no_ack?: boolean;
  /** The subject to which the server publishes each message that it has stored. */
  republish?: { src: string; dest: string; headers_only?: boolean };
}

/** The configuration of a consumer. Times are in nanoseconds. */
export interface NatsConsumerConfig {
  /** `"none"` if messages are not confirmed. */
  // deno-lint-ignore no-explicit-any -- The client has an enum for such words.
  ack_policy: any;
  /** `"by_start_sequence"` if the first message has a sequence. */
  // deno-lint-ignore no-explicit-any -- As above.
  deliver_policy: any;
  /** The sequence of the first message. */
  opt_start_seq: number;
  /** The subject whose messages are wanted. */
  filter_subject: string;
  /** How long the consumer stays when nobody uses it. */
  inactive_threshold: number;
  /** True if the state of the consumer is in memory only. */
  mem_storage: boolean;
  /** On how many servers the state of the consumer is. */
  num_replicas: number;
}
