import type { HeartbeatOptions } from "../transport/timers/heartbeat.ts";
import { isLogger, type Logger, SILENT } from "./common/logger.ts";
import { checkNames, isObject, limit, throwInvalidOption, timeoutMs } from "./common/validate.ts";
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

/** Options of `createApp`. */
export interface AppOptions<Services extends object = object> extends SocketOptions {
  /** Values, or factories of values, that every WebSocket handler and HTTP controller receives. Default `{}`. */
  services?: ServiceDefinitions<Services> | undefined;
  /** Bytes of a request's body that a controller may read. Above it the answer is 413. Default 1 MiB. */
  maxBodyBytes?: number | undefined;
  /** Certificate, key and whatever else `node:tls` takes: the app then speaks https and wss. Default: none. */
  tls?: TlsOptions | undefined;
  /** Whether SIGTERM and SIGINT close the app, after which the process can end by itself; a second one ends it at once. Default false. */
  signals?: boolean | undefined;
  /**
   * Pings, and how long one may stay unanswered, before which it is not repeated; `false` for none. A peer that sends Pings and does not read the Pongs is not
   * heard by what it sends. Default `{ intervalMs: 30_000, timeoutMs: 60_000 }`.
   */
  heartbeat?: { intervalMs?: number | undefined; timeoutMs?: number | undefined } | false | undefined;
  /** From a message's first byte to its last. Above it the socket is closed with 1008. Default 60,000. */
  messageTimeoutMs?: number | undefined;
  /** How long the peer may take to answer a Close frame, or to read what it was sent once it has ended its side of TCP, before the connection is cut. Default 5,000. */
  closeTimeoutMs?: number | undefined;
  /** How long a TCP connection may take to say what it wants, or to read an HTTP answer once it has ended its side. Default 10,000. */
  handshakeTimeoutMs?: number | undefined;
  /** Open WebSocket connections; further handshakes get 503. Default: no limit. */
  maxConnections?: number | undefined;
  /** Open WebSocket connections from one address; further handshakes get 429. Default: no limit. */
  maxConnectionsPerIp?: number | undefined;
  /** Topics that one socket may be subscribed to. Default 10,000. */
  maxTopicsPerSocket?: number | undefined;
  /** What carries published messages to other processes: `redisBroker(client)`, `natsBroker(connection)`, or one's own. Default: none, all are in this process. */
  broker?: Broker | undefined;
  /** How often processes tell each other who is present, and after which silence one counts as dead. Default `{ intervalMs: 5_000, timeoutMs: 15_000 }`. */
  presence?: { intervalMs?: number | undefined; timeoutMs?: number | undefined } | undefined;
  /** Where the app reports; `false` for nowhere. Default `console`. */
  logger?: Logger | false | undefined;
}

/** App options with every default in place. */
export interface ResolvedOptions extends ResolvedSocketOptions {
  readonly services: object;
  readonly maxBodyBytes: number;
  readonly tls: TlsOptions | undefined;
  readonly signals: boolean;
  readonly heartbeat: HeartbeatOptions | false;
  readonly messageTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  readonly maxTopicsPerSocket: number;
  readonly broker: Broker | undefined;
  readonly presence: PresenceOptions;
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
  "maxTopicsPerSocket",
  "broker",
  "presence",
  "logger",
];

/**
 * Checks the options of `createApp` and puts the defaults in place.
 *
 * @throws TypeError for an unknown name or a wrong type, RangeError for a number out of range
 */
export function resolveOptions(options: AppOptions): ResolvedOptions {
  checkNames("createApp", options, APP_OPTION_NAMES);
  const { services = {}, logger = console, tls, signals = false, broker } = options;
  if (broker !== undefined) checkBroker(broker);
  if (tls !== undefined) checkTls(tls);
  if (typeof signals !== "boolean") throwInvalidOption("signals", signals, "true or false");
  if (!isObject(services)) throwInvalidOption("services", services, "an object of named services");
  if (logger !== false && !isLogger(logger)) {
    throwInvalidOption("logger", logger, "false, or an object with debug, info, warn and error");
  }
  return Object.freeze({
    ...resolveSocketOptions("createApp", pick(options, SOCKET_OPTION_NAMES), SOCKET_DEFAULTS),
    services,
    maxBodyBytes: limit("maxBodyBytes", options.maxBodyBytes, 1024 * 1024),
    tls,
    signals,
    heartbeat: resolveHeartbeat(options.heartbeat),
    messageTimeoutMs: timeoutMs("messageTimeoutMs", options.messageTimeoutMs, 60_000),
    closeTimeoutMs: timeoutMs("closeTimeoutMs", options.closeTimeoutMs, 5_000),
    handshakeTimeoutMs: timeoutMs("handshakeTimeoutMs", options.handshakeTimeoutMs, 10_000),
    maxConnections: limit("maxConnections", options.maxConnections, Infinity),
    maxConnectionsPerIp: limit("maxConnectionsPerIp", options.maxConnectionsPerIp, Infinity),
    maxTopicsPerSocket: limit("maxTopicsPerSocket", options.maxTopicsPerSocket, 10_000),
    broker,
    presence: resolvePresence(options.presence),
    logger: logger === false ? SILENT : logger,
  });
}

function resolveHeartbeat(heartbeat: AppOptions["heartbeat"]): HeartbeatOptions | false {
  if (heartbeat === false) return false;
  return resolveBeat("heartbeat", "false, or ", heartbeat, { intervalMs: 30_000, timeoutMs: 60_000 });
}

function resolvePresence(presence: AppOptions["presence"]): PresenceOptions {
  const resolved = resolveBeat("presence", "", presence, { intervalMs: 5_000, timeoutMs: 15_000 });
  if (resolved.timeoutMs > resolved.intervalMs) return resolved;
  throw new RangeError(
    `presence.timeoutMs must be more than presence.intervalMs, ${resolved.intervalMs}; got ${resolved.timeoutMs}`,
  );
}

function resolveBeat(
  name: string,
  others: string,
  value: { intervalMs?: number | undefined; timeoutMs?: number | undefined } = {},
  otherwise: HeartbeatOptions,
): HeartbeatOptions {
  if (!isObject(value)) throwInvalidOption(name, value, `${others}{ intervalMs, timeoutMs }`);
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
