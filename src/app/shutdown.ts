import type { CloseOptions } from "./close-options.ts";
import type { Logger } from "./common/logger.ts";
import type { HttpRoutes } from "./http/http-routes.ts";
import type { PubSub } from "./pubsub/pubsub.ts";
import type { AttachedServers } from "./server/attached-servers.ts";
import type { Listener } from "./server/listener.ts";
import type { ServiceRegistry } from "./services.ts";
import type { CloseResult } from "./stats.ts";
import type { ServerSocket } from "./websocket/server-socket.ts";
import type { WebSocketRoutes } from "./websocket/websocket-routes.ts";

/** The parts of an app that take part in its end. */
export interface ShutdownParts {
  readonly listener: Listener | undefined;
  readonly attachedServers: AttachedServers;
  readonly httpRoutes: HttpRoutes;
  readonly webSocketRoutes: WebSocketRoutes;
  readonly pubSub: PubSub<ServerSocket>;
  readonly services: ServiceRegistry;
  readonly logger: Logger;
}

/** How long the `close` events of sockets that were cut may take. */
const LAST_EVENTS_MS = 250;
/** The least time that services get to dispose of themselves, however short the time of the sockets is. */
const MIN_DISPOSE_MS = 1_000;

/**
 * Closes an app. The order of the steps matters:
 *
 * 1. Nobody new gets in: handshakes get 503, HTTP responses become the last of their connections, servers stop listening.
 * 2. Each open socket gets a Close frame behind all that was sent before. All of them have `timeoutMs` together.
 * 3. The topics close when the last socket has left, because a socket that closes still publishes its leaving. They close
 *    before the services, because the owner of a broker's client may be a service.
 * 4. Connections that are left after `timeoutMs` are cut. Their `close` events come a moment later.
 * 5. All timers stop. Nothing is timed any more once nobody is connected.
 * 6. The services are disposed of last: until here, handlers and their `close` listeners may use them.
 */
export async function shutDown(parts: ShutdownParts, options: Required<CloseOptions>): Promise<CloseResult> {
  const { listener, attachedServers, httpRoutes, webSocketRoutes, pubSub } = parts;
  const { registry } = webSocketRoutes;
  const { code, reason, timeoutMs } = options;

  webSocketRoutes.refuseNew();
  httpRoutes.close();
  attachedServers.close();
  const isListenerClosed = listener?.close();

  const { closed, terminated } = registry;
  for (const socket of registry) socket.closeWithApp(code, reason);

  const hasEveryoneLeft = Promise.all([isListenerClosed, registry.whenEmpty()]);
  const areTopicsClosed = hasEveryoneLeft.then(() => pubSub.close());

  if (!await settlesWithin(areTopicsClosed, timeoutMs)) {
    for (const socket of registry) socket.terminate();
    listener?.terminateAll();
    attachedServers.terminateAll();
    if (!await settlesWithin(hasEveryoneLeft, LAST_EVENTS_MS)) void pubSub.close();
  }

  attachedServers.stop();
  webSocketRoutes.stop();

  await disposeServices(parts, Math.max(timeoutMs, MIN_DISPOSE_MS));
  return {
    closed: registry.closed - closed,
    terminated: registry.terminated - terminated + registry.size,
  };
}

async function disposeServices({ services, logger }: ShutdownParts, timeoutMs: number): Promise<void> {
  if (await settlesWithin(services.dispose(), timeoutMs)) return;
  logger.error(
    `SpaceNode: the services have not disposed of themselves within ${timeoutMs} ms; the app has closed without them`,
  );
}

/** Waits for a promise, but no longer than `timeoutMs`. Gives whether the promise has settled; its rejection is passed on. */
async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const isTimeOver = Promise.withResolvers<false>();
  const timeout = setTimeout(() => isTimeOver.resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then((): true => true), isTimeOver.promise]);
  } finally {
    clearTimeout(timeout);
  }
}
