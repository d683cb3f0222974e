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
export type { AppStats, CloseResult } from "./src/app/stats.ts";
export type { RequestBody } from "./src/app/body.ts";
export type { Broker, BrokerStatus } from "./src/app/broker.ts";
export type { CompressionOptions } from "./src/app/compression-options.ts";
export type { SocketView } from "./src/app/connections.ts";
export { type AppEvents, isTopic } from "./src/app/pubsub.ts";
export type { Present } from "./src/app/presence.ts";
export type { BrokerStats } from "./src/app/relay.ts";
export type { Controller, HttpRequest } from "./src/app/controllers.ts";
export { HttpError } from "./src/app/http-error.ts";
export { type InjectedClient, type InjectedClose, InjectError } from "./src/app/inject/client.ts";
export type { InjectOptions } from "./src/app/inject/request.ts";
export type { CloseOptions, ListenOptions } from "./src/app/lifecycle.ts";
export type { AppOptions, Logger, SocketOptions } from "./src/app/options.ts";
export type { OriginPredicate, WsOrigins } from "./src/app/origins.ts";
export type { AppRequest } from "./src/app/request.ts";
export type { ParamOf, ParamsOf, PathParams } from "./src/app/router.ts";
export type { ServiceDefinitions, ServiceFactory } from "./src/app/services.ts";
export type { BinaryData, SendOptions, Socket, SocketEvents, SubscribeOptions } from "./src/app/socket.ts";
export type { TlsOptions } from "./src/app/tls.ts";
export type { Refusal, RouteOptions, UpgradeAnswer, UpgradeHook } from "./src/app/upgrade.ts";
export {
  natsBroker,
  type NatsBrokerOptions,
  type NatsClient,
  type NatsStatus,
  type NatsSubscribeOptions,
  type NatsSubscription,
} from "./src/brokers/nats.ts";
export { redisBroker, type RedisBrokerOptions, type RedisClient } from "./src/brokers/redis.ts";
export type { IoRedisClient, NodeRedisClient } from "./src/brokers/redis-links.ts";
