/**
 * A WebSocket server for TypeScript with no dependency: one engine that runs unmodified under Node, Deno and Bun.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 *
 * app.ws("/chat", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 *
 * await app.listen(3000);
 * ```
 *
 * @module
 */
export { type App, createApp, type SocketHandler } from "./src/app/app.ts";
export type { CloseOptions } from "./src/app/close-options.ts";
export type { BinaryData } from "./src/app/common/bytes.ts";
export type { Logger } from "./src/app/common/logger.ts";
export type { AppEvents } from "./src/app/events.ts";
export type { RequestBody } from "./src/app/http/body.ts";
export type { Controller, HttpRequest } from "./src/app/http/controller.ts";
export { HttpError } from "./src/app/http/http-error.ts";
export type { AppRequest } from "./src/app/http/request.ts";
export type { ParamOf, ParamsOf, PathParams } from "./src/app/http/router.ts";
export type { ProxyPredicate, TrustProxy } from "./src/app/http/trust-proxy.ts";
export { type InjectedClient, type InjectedClose, InjectError } from "./src/app/inject/client.ts";
export type { InjectOptions } from "./src/app/inject/request.ts";
export type { AppOptions } from "./src/app/options.ts";
export type {
  Broker,
  BrokerStatus,
  HistoryLimits,
  HistoryMessage,
  HistoryPage,
  HistoryPosition,
  HistoryRange,
} from "./src/app/pubsub/broker.ts";
export type { TopicFrame, TopicMessage, TopicNotice } from "./src/app/pubsub/history/frames.ts";
export type { TopicMessages } from "./src/app/pubsub/history/histories.ts";
export type { HistoryOptions, TopicOptions } from "./src/app/pubsub/history/history-options.ts";
export type { Followed } from "./src/app/pubsub/history/topic-history.ts";
export type { Present } from "./src/app/pubsub/presence.ts";
export type { FollowOptions, HistoryReadOptions, HistoryStats, SubscribeOptions } from "./src/app/pubsub/pubsub.ts";
export type { BrokerStats } from "./src/app/pubsub/relay.ts";
export { isTopic } from "./src/app/pubsub/topic-name.ts";
export type { ListenOptions } from "./src/app/server/listen-options.ts";
export type { TlsOptions, TlsRenewal } from "./src/app/server/tls.ts";
export type { ServiceDefinitions, ServiceFactory } from "./src/app/services.ts";
export type { AppStats, CloseResult, RouteStats, SlowConsumerStats, TimeoutStats } from "./src/app/stats.ts";
export type { CompressionOptions } from "./src/app/websocket/compression-options.ts";
export type { DiagnosticsMessages, HandshakeTrace } from "./src/app/websocket/diagnostics.ts";
export type {
  SocketBinaryType,
  SocketCloseEvent,
  SocketErrorEvent,
  SocketEvent,
  SocketEventListener,
  SocketEventMap,
  SocketListenerOptions,
  SocketMessageEvent,
} from "./src/app/websocket/event-target.ts";
export type { OriginPredicate, WsOrigins } from "./src/app/websocket/origins.ts";
export type { RouteOptions } from "./src/app/websocket/route-options.ts";
export type { SocketOptions } from "./src/app/websocket/socket-options.ts";
export type { SocketView } from "./src/app/websocket/socket-registry.ts";
export type { SendCallback, SendOptions } from "./src/app/websocket/send-arguments.ts";
export type { Socket, SocketEvents } from "./src/app/websocket/socket.ts";
export type { StandardIssue, StandardResult, StandardSchema } from "./src/app/websocket/standard-schema.ts";
export type { Refusal, UpgradeAnswer, UpgradeHook } from "./src/app/websocket/upgrade-hook.ts";
export type {
  NatsClient,
  NatsConsumerConfig,
  NatsJetStream,
  NatsJetStreamManager,
  NatsMessage,
  NatsMessageQuery,
  NatsStatus,
  NatsStoredMessage,
  NatsStreamConfig,
  NatsStreamInfo,
  NatsSubscribeOptions,
  NatsSubscription,
} from "./src/brokers/nats-client.ts";
export { natsBroker, type NatsBrokerOptions } from "./src/brokers/nats.ts";
export type { IoRedisClient, NodeRedisClient } from "./src/brokers/redis-links.ts";
export { redisBroker, type RedisBrokerOptions, type RedisClient } from "./src/brokers/redis.ts";
