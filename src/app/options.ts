/** The options of an app: their documentation, their checks and their defaults. */
import type { HeartbeatOptions } from "../transport/timers/heartbeat.ts";
import { type CloseOptions, resolveClose } from "./close-options.ts";
import { isLogger, type Logger, SILENT } from "./common/logger.ts";
import { checkNames, isObject, limit, throwInvalidOption, timeoutMs } from "./common/validate.ts";
import { compileTrustProxy, type ProxyPredicate, type TrustProxy } from "./http/trust-proxy.ts";
import type { Broker } from "./pubsub/broker.ts";
import type { PresenceOptions } from "./pubsub/presence.ts";
import { checkTls, type TlsOptions } from "./server/tls.ts";
import type { ServiceDefinitions } from "./services.ts";
import {
  type ResolvedSocketOptions,
  resolveSocketOptions,
  SOCKET_DEFAULTS,
  SOCKET_OPTION_NAMES,
  type SocketOptions,
} from "./websocket/socket-options.ts";

/**
 * Options of {@link createApp}. All of them are optional. Those of {@link SocketOptions} hold for every WebSocket
 * route, unless the route sets its own.
 */
export interface AppOptions<Services extends object = object> extends SocketOptions {
  /**
   * Services, by name: values, or factories of values. Every WebSocket handler and every HTTP controller receives them.
   * See {@link App.service}. Default: `{}`.
   */
  services?: ServiceDefinitions<Services> | undefined;
  /**
   * The longest request body, in bytes, that a controller can read. A longer body is refused with 413. Default: 1 MiB.
   */
  maxBodyBytes?: number | undefined;
  /**
   * The certificate, the key, and any other option of a server of `node:https`. With this option the app speaks https
   * and wss. Default: none, the app speaks http and ws.
   */
  tls?: TlsOptions | undefined;
  /**
   * Whether the signals SIGTERM and SIGINT close the app: `true`, or the {@link CloseOptions} with which they do. After
   * that, the process ends by itself if nothing else keeps it alive. A second signal ends the process at once. Default:
   * `false`.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * // The container manager has to wait longer than 25 seconds before it kills the process.
   * const app = await createApp({ signals: { code: 1012, overMs: 20_000, timeoutMs: 5_000 } });
   * ```
   */
  signals?: boolean | CloseOptions | undefined;
  /**
   * Detects dead connections with Pings (RFC 6455 §5.5.2). `intervalMs` is the time from one Ping to the next, and
   * `timeoutMs` is how long a peer has to answer a Ping; both are in milliseconds. Any bytes from the peer count as an
   * answer. A peer that has not answered in time is disconnected. Pings are sent also while an earlier one is not
   * answered, so that a proxy does not take the connection for a silent one. While bytes wait because the peer does not
   * read, there is one Ping behind them.
   *
   * A peer that sends Pings but does not read the Pongs is an exception: while a Pong waits because the peer does not
   * read, the bytes that this peer sends do not count as an answer. Otherwise such a peer could keep its connection
   * without ever reading.
   *
   * `false` turns the Pings off. Default: `{ intervalMs: 30_000, timeoutMs: 60_000 }`.
   */
  heartbeat?: { intervalMs?: number | undefined; timeoutMs?: number | undefined } | false | undefined;
  /**
   * How long, in milliseconds, a message may take from its first byte to its last. After that the socket is closed with
   * code 1008. The body of an HTTP request has the same time from the moment that a controller first asks for it, after
   * which the request is refused with 408. Default: 60,000.
   */
  messageTimeoutMs?: number | undefined;
  /**
   * How long, in milliseconds, the peer has to answer a Close frame. A peer that has ended its side of the TCP
   * connection has the same time to read what was sent to it. After that the connection is cut. Default: 5,000.
   */
  closeTimeoutMs?: number | undefined;
  /**
   * How long, in milliseconds, a new TCP connection has to complete its TLS handshake and its first request. For a
   * WebSocket handshake, the `upgrade` hook is included in this time. After an HTTP response, the client has at most
   * the same time for the next request. A client that has ended its side of the TCP connection has the same time to
   * read the response. After that the connection is refused with 408, or cut where no response is possible. Default:
   * 10,000.
   */
  handshakeTimeoutMs?: number | undefined;
  /**
   * The most WebSocket connections that may be open at once. Further handshakes are refused with 503. Default: no
   * limit.
   */
  maxConnections?: number | undefined;
  /**
   * The most WebSocket connections from one IP address that may be open at once. Further handshakes are refused with
   * 429. Behind a proxy, set `trustProxy` too: otherwise all clients have the address of the proxy. Default: no limit.
   */
  maxConnectionsPerIp?: number | undefined;
  /**
   * Which proxies in front of the app are trusted to say who the client is, see {@link TrustProxy}. With this option,
   * {@link AppRequest.ip}, {@link AppRequest.protocol}, {@link AppRequest.host}, {@link Socket.remoteAddress},
   * `maxConnectionsPerIp` and `wsOrigins: "same-origin"` follow the headers X-Forwarded-For, X-Forwarded-Proto and
   * X-Forwarded-Host, or Forwarded (RFC 7239). They are read from the right, up to the first address that is not
   * trusted. A part that is malformed or names no address, such as `for=unknown`, ends the reading; the client then has
   * the address of the proxy that has written the part. When a request has both kinds of headers, only that counts in
   * which both agree; if they name different clients, the request is refused with 400.
   *
   * A wrong setting lets clients choose their own address, and so get around limits and lists of addresses: with a
   * number of proxies that is too high, with a range from which clients can connect as well, or with a port that
   * clients can reach without the proxy. The proxy must add to or replace each of the headers that it uses, and remove
   * the others of them: what a client sends in a header that the proxy passes on unchanged counts as the proxy's word.
   *
   * Default: `false`, nothing is trusted and the headers are ignored.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * // One proxy, such as nginx on the same machine, in front of an app that others cannot reach.
   * const app = await createApp({ trustProxy: 1, maxConnectionsPerIp: 20 });
   * // Proxies in a private network.
   * const another = await createApp({ trustProxy: ["10.0.0.0/8", "fd00::/8"] });
   * ```
   */
  trustProxy?: TrustProxy | undefined;
  /**
   * The most topics that one socket may be subscribed to. Above it, `socket.subscribe` throws a RangeError. Default:
   * 10,000.
   */
  maxTopicsPerSocket?: number | undefined;
  /**
   * The broker that carries published messages to other processes: {@link redisBroker}, {@link natsBroker}, or a
   * {@link Broker} of your own. Default: none, messages stay in this process.
   */
  broker?: Broker | undefined;
  /**
   * The heartbeat by which processes tell each other that they live, for {@link App.presence}. Each process sends one
   * every `intervalMs`. A process that has been silent for `timeoutMs` counts as dead, and its sockets are listed no
   * more. Both are in milliseconds, and `timeoutMs` must be more than `intervalMs`. Default:
   * `{ intervalMs: 5_000, timeoutMs: 15_000 }`.
   */
  presence?: { intervalMs?: number | undefined; timeoutMs?: number | undefined } | undefined;
  /**
   * The most bytes that the histories of all topics may take in the memory of this process, see {@link App.topic}.
   * Above it, the oldest messages of topics that take more than their share go first. Default: 67,108,864, which is 64
   * MiB.
   */
  maxHistoryBytes?: number | undefined;
  /**
   * The most topics that may have a history in the memory of this process. Above it, those that nobody follows and to
   * which nothing was published for the longest time are forgotten; if all are followed, `publish` throws a RangeError.
   * With a broker, the broker keeps the histories, and this limit does not count. Default: 10,000.
   */
  maxHistoryTopics?: number | undefined;
  /**
   * The most histories that are read from the broker at the same time. Others wait until one is read. Default: 16.
   */
  maxRecoveries?: number | undefined;
  /**
   * Where the app writes its log: any object with `debug`, `info`, `warn` and `error`, such as a logger of pino or
   * winston. See {@link Logger} for what it gets. `false` turns logging off. Default: `console`.
   */
  logger?: Logger | false | undefined;
}

/** The options of an app, checked and with every default in place. */
export interface ResolvedOptions extends ResolvedSocketOptions {
  readonly services: object;
  readonly maxBodyBytes: number;
  readonly tls: TlsOptions | undefined;
  /** How signals close the app. Undefined when they do not. */
  readonly signals: CloseOptions | undefined;
  readonly heartbeat: HeartbeatOptions | false;
  readonly messageTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly isTrustedProxy: ProxyPredicate | undefined;
  readonly maxTopicsPerSocket: number;
  readonly broker: Broker | undefined;
  readonly presence: PresenceOptions;
  readonly maxHistoryBytes: number;
  readonly maxHistoryTopics: number;
  readonly maxRecoveries: number;
  readonly logger: Logger;
}

const APP_OPTION_NAMES = [
  ...SOCKET_OPTION_NAMES,
  "services",
  "maxBodyBytes",
  "tls",
  "signals",
  "heartbeat",
  "messageTimeoutMs",
  "closeTimeoutMs",
  "handshakeTimeoutMs",
  "maxConnections",
  "maxConnectionsPerIp",
  "trustProxy",
  "maxTopicsPerSocket",
  "broker",
  "presence",
  "maxHistoryBytes",
  "maxHistoryTopics",
  "maxRecoveries",
  "logger",
];

/**
 * Checks the options of `createApp`, and puts the defaults in place.
 *
 * @throws TypeError if an option is unknown or of the wrong type, RangeError if a number is out of range
 */
export function resolveOptions(options: AppOptions): ResolvedOptions {
  checkNames("createApp", options, APP_OPTION_NAMES);
  const { services = {}, logger = console, tls, signals = false, broker } = options;
  if (broker !== undefined) checkBroker(broker);
  if (tls !== undefined) checkTls(tls);
  if (!isObject(services)) throwInvalidOption("services", services, "an object of named services");
  if (logger !== false && !isLogger(logger)) {
    throwInvalidOption("logger", logger, "false, or an object with debug, info, warn and error");
  }
  const log = logger === false ? SILENT : logger;
  const closeTimeoutMs = timeoutMs("closeTimeoutMs", options.closeTimeoutMs, 5_000);
  return Object.freeze({
    ...resolveSocketOptions("createApp", pick(options, SOCKET_OPTION_NAMES), SOCKET_DEFAULTS),
    services,
    maxBodyBytes: limit("maxBodyBytes", options.maxBodyBytes, 1024 * 1024),
    tls,
    signals: resolveSignals(signals, closeTimeoutMs),
    heartbeat: resolveHeartbeat(options.heartbeat),
    messageTimeoutMs: timeoutMs("messageTimeoutMs", options.messageTimeoutMs, 60_000),
    closeTimeoutMs,
    handshakeTimeoutMs: timeoutMs("handshakeTimeoutMs", options.handshakeTimeoutMs, 10_000),
    maxConnections: limit("maxConnections", options.maxConnections, Infinity),
    maxConnectionsPerIp: limit("maxConnectionsPerIp", options.maxConnectionsPerIp, Infinity),
    isTrustedProxy: compileTrustProxy(options.trustProxy, log),
    maxTopicsPerSocket: limit("maxTopicsPerSocket", options.maxTopicsPerSocket, 10_000),
    broker,
    presence: resolvePresence(options.presence),
    maxHistoryBytes: limit("maxHistoryBytes", options.maxHistoryBytes, 64 * 1024 * 1024),
    maxHistoryTopics: limit("maxHistoryTopics", options.maxHistoryTopics, 10_000),
    maxRecoveries: limit("maxRecoveries", options.maxRecoveries, 16),
    logger: log,
  });
}

function resolveSignals(signals: boolean | CloseOptions, closeTimeoutMs: number): CloseOptions | undefined {
  if (typeof signals === "boolean") return signals ? {} : undefined;
  if (!isObject(signals)) throwInvalidOption("signals", signals, "true, false, or options of close");
  return resolveClose(signals, closeTimeoutMs, "signals");
}

function resolveHeartbeat(heartbeat: AppOptions["heartbeat"]): HeartbeatOptions | false {
  if (heartbeat === false) return false;
  return resolveIntervals("heartbeat", "false, or ", heartbeat, { intervalMs: 30_000, timeoutMs: 60_000 });
}

function resolvePresence(presence: AppOptions["presence"]): PresenceOptions {
  const resolved = resolveIntervals("presence", "", presence, { intervalMs: 5_000, timeoutMs: 15_000 });
  if (resolved.timeoutMs > resolved.intervalMs) return resolved;
  throw new RangeError(
    `presence.timeoutMs must be more than presence.intervalMs, ${resolved.intervalMs}; got ${resolved.timeoutMs}`,
  );
}

/** @param alternatives what else the option may be, for the error message */
function resolveIntervals(
  name: string,
  alternatives: string,
  value: { intervalMs?: number | undefined; timeoutMs?: number | undefined } = {},
  otherwise: HeartbeatOptions,
): HeartbeatOptions {
  if (!isObject(value)) throwInvalidOption(name, value, `${alternatives}{ intervalMs, timeoutMs }`);
  checkNames(name, value, ["intervalMs", "timeoutMs"]);
  return {
    intervalMs: timeoutMs(`${name}.intervalMs`, value.intervalMs, otherwise.intervalMs),
    timeoutMs: timeoutMs(`${name}.timeoutMs`, value.timeoutMs, otherwise.timeoutMs),
  };
}

const BROKER_METHODS = ["onMessage", "onStatus", "publish", "subscribe", "unsubscribe", "close"] as const;

function checkBroker(broker: unknown): void {
  if (!isObject(broker)) throwInvalidOption("broker", broker, "a broker, such as redisBroker(client)");
  const missing = BROKER_METHODS.find((name) => typeof (broker as Record<string, unknown>)[name] !== "function");
  if (missing !== undefined) {
    throwInvalidOption("broker", broker, `a broker, such as redisBroker(client), with a method ${missing}`);
  }
}

function pick(options: object, names: readonly string[]): SocketOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)));
}
