/** What the two ends of the connections have seen, as the processes write it into files for the comparison. */

/** What the server knows of one connection when its process ends. */
export interface ServerRecord {
  readonly id: number;
  /** The labels of the messages that the handler got, and of those that the socket was sent while it was open. */
  readonly received: string[];
  readonly sent: string[];
  /** The code with which the handler has closed the socket. */
  closing?: number;
  readonly closes: CloseEvent[];
  readonly errors: string[];
}

/** One `close` event of a socket of the server. */
export interface CloseEvent {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** True when the app was closing by then. */
  readonly isAppClosing: boolean;
}

/** Figures of the app at one moment. */
export interface ServerState {
  /** `app.sockets.size`, and `connections` and `topics` in `app.stats()`. */
  readonly sockets: number;
  readonly connections: number;
  readonly topics: number;
  /** Hooks and handlers that are still at work. */
  readonly busy: number;
  /** The number of messages that have come from clients that are counted. */
  readonly messages: number;
}

/** What the server writes when its process ends. */
export interface ServerReport {
  readonly records: readonly ServerRecord[];
  readonly state: ServerState;
  /** What `app.close` has resolved to. */
  readonly result: { readonly closed: number; readonly terminated: number } | undefined;
  /** How long `app.close` has taken, and how long the process has lived on after that. */
  readonly closingMs: number;
  readonly exitingMs: number;
  /** Warnings and errors that the app has logged, and wrong results of its methods. */
  readonly complaints: readonly string[];
}

/** One event of a client, in a line of its process's file. */
export type ClientEvent =
  | readonly [event: "opened", id: number]
  | readonly [event: "sends", id: number, upTo: number]
  | readonly [event: "received", id: number, label: string]
  | readonly [event: "closes", id: number, code: number]
  | readonly [event: "terminates", id: number]
  | readonly [event: "closed", id: number, code: number]
  | readonly [event: "failed", id: number, message: string];

/** What is known of one client, also when its process was killed in the middle. */
export interface ClientRecord {
  readonly id: number;
  readonly isOpened: boolean;
  /** The number of messages that the client has sent, or was about to send when it was killed. */
  readonly sent: number;
  readonly received: readonly string[];
  /** The code with which the client has closed, while it was open. */
  readonly closing: number | undefined;
  readonly isTerminated: boolean;
  /** The code of the client's `close` event. It is 1006 when no Close came, and undefined without an event. */
  readonly code: number | undefined;
  /** Why the handshake has failed. */
  readonly failure: string | undefined;
}

/** Puts the events of one client together. */
export function recordOf(id: number, events: readonly ClientEvent[]): ClientRecord {
  const mine = events.filter(([, owner]) => owner === id);
  const last = <Name extends ClientEvent[0]>(name: Name): Extract<ClientEvent, readonly [Name, ...unknown[]]>[2] =>
    mine.findLast(([event]) => event === name)?.[2] as never;
  return {
    id,
    isOpened: mine.some(([event]) => event === "opened"),
    sent: last("sends") ?? 0,
    received: mine.flatMap((each) => each[0] === "received" ? [each[2]] : []),
    closing: last("closes"),
    isTerminated: mine.some(([event]) => event === "terminates"),
    code: last("closed"),
    failure: last("failed"),
  };
}
