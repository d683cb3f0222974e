/** The order of the steps in which an app closes. */
import { afterReading } from "../platform.ts";
import type { CloseOptions } from "./close-options.ts";
import type { Logger } from "./common/logger.ts";
import { spread } from "./common/spread.ts";
import type { HttpRoutes } from "./http/http-routes.ts";
import type { PubSub } from "./pubsub/pubsub.ts";
import type { AttachedServers } from "./server/attached-servers.ts";
import type { Listener } from "./server/listener.ts";
import type { ServiceRegistry } from "./services.ts";
import type { CloseResult } from "./stats.ts";
import type { ServerSocket } from "./websocket/server-socket.ts";
import type { WebSocketRoutes } from "./websocket/websocket-routes.ts";

/** The parts of an app that are closed with it. */
export interface ShutdownParts {
  readonly listener: Listener | undefined;
  readonly attachedServers: AttachedServers;
  readonly httpRoutes: HttpRoutes;
  readonly webSocketRoutes: WebSocketRoutes;
  readonly pubSub: PubSub<ServerSocket>;
  readonly services: ServiceRegistry;
  readonly logger: Logger;
}

/** How long sockets that were cut have to emit their `close` events. */
const LAST_EVENTS_MS = 250;
/** Services have at least this long to dispose of themselves, however short the time of the sockets is. */
const MIN_DISPOSE_MS = 1_000;
/** How long a response that had not begun in time may take once the app has closed. */
const LAST_RESPONSES_MS = 1_000;

/**
 * Closes an app. The order of the steps matters:
 *
 * 1. No new connection gets in: handshakes are refused with 503, each HTTP response becomes the last of its connection,
 *    and the servers of the app stop listening. Servers to which the app is attached go on, so the app leaves them only
 *    behind the last Close frame: handshakes at its paths would otherwise go to other listeners, or become requests.
 * 2. Each open socket gets a Close frame behind all that was sent before. The Close frames are spread over `overMs`;
 *    until a socket gets its own, the socket goes on as before. From the last Close frame on, all sockets together have
 *    `timeoutMs` to close.
 * 3. The topics close when the last connection has ended, because a socket that closes still tells other processes that
 *    it has left. The topics close before the services, because a service may own the client of the broker.
 * 4. Connections that are still open after `timeoutMs` are cut. Their `close` events come a moment later. A request
 *    whose response has not begun is left: its controller may wait for the app to close, and would wait for itself.
 * 5. The timers of WebSockets stop, because none is left for which they could run.
 * 6. The services are disposed of last: until then, handlers and their `close` listeners may use them.
 * 7. Controllers that have waited for the app to close have a moment for their responses. Then the last connections are
 *    cut.
 */
export async function shutDown(parts: ShutdownParts, options: Required<CloseOptions>): Promise<CloseResult> {
  const { listener, attachedServers, httpRoutes, webSocketRoutes, pubSub } = parts;
  const { registry } = webSocketRoutes;
  const { code, reason, timeoutMs, overMs } = options;

  webSocketRoutes.refuseNew();
  httpRoutes.close();
  const isListenerClosed = listener?.close();

  const { closed, terminated } = registry;
  const goodbyes = spread([...registry], overMs, (socket) => socket.closeWithApp(code, reason));

  const isEmpty = registry.whenEmpty();
  const hasEveryoneLeft = Promise.all([isListenerClosed, isEmpty]);
  const areTopicsClosed = hasEveryoneLeft.then(() => pubSub.close());

  if (overMs > 0) {
    await Promise.race([goodbyes.done, isEmpty]);
    goodbyes.stop();
  }
  attachedServers.close();
  if (!await settlesWithin(areTopicsClosed, timeoutMs)) {
    for (const socket of registry) socket.terminate();
    const isEveryoneCut = listener?.terminate() ?? true;
    attachedServers.terminateAll();
    await settlesWithin(isEveryoneCut ? hasEveryoneLeft : isEmpty, LAST_EVENTS_MS);
    void pubSub.close();
  }

  webSocketRoutes.stop();

  await disposeServices(parts, Math.max(timeoutMs, MIN_DISPOSE_MS));
  const cut = setTimeout(() => listener?.terminateAll(), LAST_RESPONSES_MS);
  void Promise.resolve(isListenerClosed).then(() => clearTimeout(cut));
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

/**
 * Waits for a promise, but no longer than `timeoutMs`.
 *
 * @returns true if the promise was fulfilled in time; its rejection is passed on
 */
async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const isTimeOver = Promise.withResolvers<false>();
  // The peers' Close frames may have come while the process was blocked, so they are read first.
  const timeout = setTimeout(() => afterReading(() => isTimeOver.resolve(false)), timeoutMs);
  try {
    return await Promise.race([promise.then((): true => true), isTimeOver.promise]);
  } finally {
    clearTimeout(timeout);
  }
}
