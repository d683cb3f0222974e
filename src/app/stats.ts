/** The figures of an app: their types, and how they are gathered. */
import type { HistoryStats, PubSub } from "./pubsub/pubsub.ts";
import type { BrokerStats } from "./pubsub/relay.ts";
import type { ServerSocket } from "./websocket/server-socket.ts";
import type { WebSocketRoutes } from "./websocket/websocket-routes.ts";

/** Figures of the connections of one route, or of all routes together. */
export interface RouteStats {
  /** WebSocket connections that are open or still closing now. */
  readonly connections: number;
  /** WebSocket handshakes that were accepted since the app was created. */
  readonly accepted: number;
  /** Messages that have come from clients since the app was created. Control frames are not counted. */
  readonly receivedMessages: number;
  /**
   * Bytes that have come from clients behind their handshakes since the app was created: frames with their headers,
   * compressed where permessage-deflate is in use, and without TLS.
   */
  readonly receivedBytes: number;
  /** Messages that were sent to clients since the app was created. Each receiver of a published message counts. */
  readonly sentMessages: number;
  /** Bytes of frames that were handed to the runtime for sending since the app was created, counted likewise. */
  readonly sentBytes: number;
  /** Bytes that wait to be sent now: the sum of `socket.bufferedAmount`. */
  readonly bufferedBytes: number;
}

/** Connections whose clients read more slowly than the app sends. */
export interface SlowConsumerStats {
  /** Connections that have more than `highWaterMark` waiting to be sent now. */
  readonly waiting: number;
  /** Connections that were closed with 1013 for that since the app was created (`slowConsumer: "close"`). */
  readonly closed: number;
  /** Messages that were dropped for that since the app was created (`slowConsumer: "drop"`). */
  readonly droppedMessages: number;
}

/** How often the app has lost patience with a client, for each of its time limits, since the app was created. */
export interface TimeoutStats {
  /** Connections without a whole request, or without a response to their handshake, after `handshakeTimeoutMs`. */
  readonly handshake: number;
  /** Connections that were cut because their clients were silent for longer than `heartbeat` allows. */
  readonly heartbeat: number;
  /** Connections that have failed because a message was not complete after `messageTimeoutMs`. */
  readonly message: number;
  /** Connections that were cut because they had begun to close, and had not ended after `closeTimeoutMs`. */
  readonly close: number;
}

/**
 * Figures of an app at one moment, as {@link App.stats} returns them. They count this process only. The members of
 * {@link RouteStats} are those of all routes together.
 */
export interface AppStats extends RouteStats {
  /** When the app was created, in milliseconds since 1970. */
  readonly createdAtMs: number;
  /** WebSocket handshakes that were refused since the app was created. */
  readonly refused: number;
  /** The same by the status of the response, such as `{ 403: 2, 404: 17 }`. */
  readonly refusals: Readonly<Record<number, number>>;
  /**
   * Connections that have ended since the app was created, by the code of their `close` event, such as
   * `{ 1000: 5, 1006: 1 }`. The codes of libraries and applications are counted together, as `3000-3999` and
   * `4000-4999`, because clients choose among them.
   */
  readonly closes: Readonly<Record<string, number>>;
  /**
   * Messages that were dropped because their receiver was too slow (`slowConsumer: "drop"`). Only the connections that
   * are open now are counted; `slowConsumers` counts all.
   */
  readonly droppedMessages: number;
  /** Connections whose clients read too slowly. */
  readonly slowConsumers: SlowConsumerStats;
  /** Time limits that have passed. */
  readonly timeouts: TimeoutStats;
  /** The figures of each route, by its path as it was given to {@link App.ws}, such as `"/chat/:room"`. */
  readonly routes: Readonly<Record<string, RouteStats>>;
  /** Topics that at least one socket of this process is subscribed to. */
  readonly topics: number;
  /** Figures of the link to other processes. Undefined if the app has no broker. */
  readonly broker: BrokerStats | undefined;
  /** Figures of the histories. Undefined if no topic has one, see {@link App.topic}. */
  readonly histories: HistoryStats | undefined;
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

/** The parts of an app that have figures. */
export interface StatsParts {
  readonly createdAtMs: number;
  readonly webSocketRoutes: WebSocketRoutes;
  readonly pubSub: PubSub<ServerSocket>;
  readonly handshakeTimeouts: number;
}

type Sums = { -readonly [Name in keyof RouteStats]: number };

/** Gathers the figures. What depends on the moment is added up over the open sockets. */
export function readStats({ createdAtMs, webSocketRoutes, pubSub, handshakeTimeouts }: StatsParts): AppStats {
  const { registry, timers, counts, refusals, closes } = webSocketRoutes;
  const all: Sums = zeros();
  const sums = new Map<object, Sums>();
  const routes: Record<string, RouteStats> = {};
  const slowConsumers = { waiting: 0, closed: 0, droppedMessages: 0 };
  let droppedMessages = 0;
  for (const [path, route] of counts) {
    const { accepted, receivedMessages, receivedBytes, sentMessages, sentBytes } = route;
    const sum = { ...zeros(), accepted, receivedMessages, receivedBytes, sentMessages, sentBytes };
    sums.set(route, sum);
    routes[path] = sum;
    slowConsumers.closed += route.slowConsumers;
    slowConsumers.droppedMessages += route.droppedMessages;
  }
  for (const socket of registry) {
    const sum = sums.get(socket.traffic)!;
    sum.connections++;
    sum.sentBytes += socket.sentBytes;
    sum.bufferedBytes += socket.bufferedAmount;
    if (!socket.hasRoom) slowConsumers.waiting++;
    droppedMessages += socket.droppedMessages;
  }
  for (const sum of sums.values()) for (const name of TRAFFIC) all[name] += sum[name];
  let refused = 0;
  for (const number of refusals.values()) refused += number;
  return {
    ...all,
    createdAtMs,
    refused,
    refusals: Object.fromEntries(refusals),
    closes: Object.fromEntries(closes),
    droppedMessages,
    slowConsumers,
    timeouts: {
      handshake: handshakeTimeouts,
      heartbeat: timers.heartbeatTimeouts,
      message: timers.messages.timeouts,
      close: timers.closeTimeouts,
    },
    routes,
    topics: pubSub.size,
    broker: pubSub.brokerStats,
    histories: pubSub.historyStats,
  };
}

const TRAFFIC = [
  "connections",
  "accepted",
  "receivedMessages",
  "receivedBytes",
  "sentMessages",
  "sentBytes",
  "bufferedBytes",
] as const;

function zeros(): Sums {
  return Object.fromEntries(TRAFFIC.map((name) => [name, 0])) as Sums;
}
