import type { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo, Socket as RawSocket } from "node:net";
import process from "node:process";
import type { HandshakeAttempt } from "../transport/handshake-attempt.ts";
import { type CloseOptions, resolveClose } from "./close-options.ts";
import type { BinaryData } from "./common/bytes.ts";
import type { AppEvents } from "./events.ts";
import type { Controller, Method } from "./http/controller.ts";
import { HttpRoutes } from "./http/http-routes.ts";
import type { AppRequest } from "./http/request.ts";
import type { ParamsOf } from "./http/router.ts";
import type { InjectedClient } from "./inject/client.ts";
import { injectHandshake, injectRequest } from "./inject/inject.ts";
import { checkTarget, type InjectOptions } from "./inject/request.ts";
import { type AppOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import type { Present } from "./pubsub/presence.ts";
import { PubSub } from "./pubsub/pubsub.ts";
import { AttachedServers } from "./server/attached-servers.ts";
import { type ListenOptions, resolveListen } from "./server/listen-options.ts";
import { Listener } from "./server/listener.ts";
import { type ServiceFactory, ServiceRegistry } from "./services.ts";
import { shutDown } from "./shutdown.ts";
import type { AppStats, CloseResult } from "./stats.ts";
import type { RouteOptions } from "./websocket/route-options.ts";
import type { ServerSocket } from "./websocket/server-socket.ts";
import type { SocketView } from "./websocket/socket-registry.ts";
import type { Socket } from "./websocket/socket.ts";
import { type AnyHandler, WebSocketRoutes } from "./websocket/websocket-routes.ts";

/** Runs once for each connection. What it throws, or rejects with, closes that socket with 1011. */
export type SocketHandler<Services, Data, Params> = (
  socket: Socket<Data>,
  request: AppRequest<Params>,
  services: Services,
) => unknown;

/** Signals by which systems ask a process to end. */
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** A WebSocket and HTTP server. Made by {@link createApp}. */
export class App<Services extends object = object> {
  /** A name of this app that no other has, in any process. */
  readonly id: string = randomUUID();
  readonly #options: ResolvedOptions;
  readonly #registry: ServiceRegistry;
  readonly #pubSub: PubSub<ServerSocket>;
  readonly #webSocketRoutes: WebSocketRoutes;
  readonly #httpRoutes: HttpRoutes;
  readonly #attachedServers: AttachedServers;
  #services: object | undefined;
  #listener: Listener | undefined;
  #closing: Promise<CloseResult> | undefined;
  readonly #onSignal = (): void => void this.close();

  /** Use {@link createApp}. */
  constructor(options: AppOptions<Services>) {
    this.#options = resolveOptions(options as AppOptions);
    this.#registry = new ServiceRegistry(this.#options.services, this.#options.logger);
    this.#pubSub = new PubSub(this.id, this.#options);
    this.#webSocketRoutes = new WebSocketRoutes(this.#options, this.#pubSub);
    this.#httpRoutes = new HttpRoutes(this.#options, (path) => this.#webSocketRoutes.hasRoute(path));
    this.#attachedServers = new AttachedServers(this.#options.handshakeTimeoutMs, {
      isOwned: (message) => this.#webSocketRoutes.owns(message),
      onHandshake: (attempt) => this.#onHandshake(attempt),
    });
    if (this.#options.signals) { for (const signal of SIGNALS) process.on(signal, this.#onSignal); }
  }

  /**
   * Adds a WebSocket route. A path is exact, or has `:param` segments, or ends in `*`; the handler runs once for each connection.
   *
   * @param path such as `"/chat"` or `"/chat/:room"`
   * @returns the app, so that calls chain
   * @throws TypeError for a path that does not start with "/", one that has a handler already, or a handler that is no function
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/chat/:room", (socket, req) => {
   *   socket.send(`Welcome to ${req.params.room}`);
   * });
   * ```
   */
  ws<Path extends string>(path: Path, handler: SocketHandler<Services, unknown, ParamsOf<Path>>): this;
  /** Adds a WebSocket route with options of its own, which go before the app's. */
  ws<Path extends string, Data>(
    path: Path,
    options: RouteOptions<Services, Data, ParamsOf<Path>>,
    handler: SocketHandler<Services, Data, ParamsOf<Path>>,
  ): this;
  ws(path: string, ...rest: unknown[]): this {
    const [options, handler] = rest.length > 1 ? rest : [{}, rest[0]];
    this.#webSocketRoutes.addRoute(path, options as RouteOptions<never, never>, handler as AnyHandler);
    return this;
  }

  /** Answers GET, and HEAD, at a path. Paths are as in {@link App.ws}. */
  get<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("GET", path, controller);
  }

  /** Answers POST at a path. */
  post<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("POST", path, controller);
  }

  /** Answers PUT at a path. */
  put<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("PUT", path, controller);
  }

  /** Answers PATCH at a path. */
  patch<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("PATCH", path, controller);
  }

  /** Answers DELETE at a path. */
  delete<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("DELETE", path, controller);
  }

  /**
   * Adds a service: a value, or a factory that is run once, before the app listens, and gets the services that were added before it. One that has
   * `Symbol.asyncDispose`, `Symbol.dispose` or `dispose` is disposed of when the app closes, the last that became ready first.
   *
   * @returns the app, whose handlers know the service by its type
   * @throws TypeError for a name that is taken, Error when the app listens already
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = (await createApp())
   *   .service("settings", { greeting: "Hello" })
   *   .service("greeter", ({ settings }) => (name: string) => `${settings.greeting}, ${name}`);
   * app.get("/hello/:name", (req, { greeter }) => greeter(req.params.name));
   * ```
   */
  service<Name extends string, Service>(
    name: Name,
    service: Service | ServiceFactory<Services, Service>,
  ): App<Services & { readonly [Key in Name]: Service }> {
    this.#registry.add(name, service);
    return this as unknown as App<Services & { readonly [Key in Name]: Service }>;
  }

  /**
   * Makes the services and begins to listen.
   *
   * @param where a port, 0 for any that is free; or `{ port, host, reusePort }`; or `{ path }` for a unix socket
   * @returns the app, once it listens
   * @throws TypeError or RangeError for what is no port, and an Error that names the port when it is in use
   */
  async listen(where: number | ListenOptions): Promise<this> {
    const options = resolveListen(where);
    this.#checkOpen();
    if (this.#listener !== undefined) throw new Error(`The app is listening already${this.url && `, at ${this.url}`}`);
    const listener = this.#listener = new Listener(this.#options, {
      onRequest: (message, response) => void this.#httpRoutes.handle(message, response, this.#services!),
      onHandshake: (attempt) => this.#onHandshake(attempt),
    });
    try {
      await this.#makeServices();
      this.#checkOpen();
      await listener.listen(options);
      this.#checkOpen();
    } catch (error) {
      this.#listener = undefined;
      listener.abort();
      throw error;
    }
    return this;
  }

  /**
   * Answers the WebSocket handshakes of a server that somebody else made: Express, Fastify or Hono keep their routes, and the app adds its own on the same
   * port. Paths that are not the app's are left to other `upgrade` listeners, and refused with 404 when there is none.
   *
   * @param server of `node:http` or `node:https`; closing it stays its owner's
   * @throws TypeError for what is no such server
   */
  attach(server: Server): this {
    this.#checkOpen();
    this.#attachedServers.attach(server);
    return this;
  }

  /** Answers one handshake, for who wants to hold the switch: give it the arguments of a server's `upgrade` event. */
  handleUpgrade(request: IncomingMessage, socket: RawSocket, head: Buffer): void {
    this.#attachedServers.handleUpgrade(request, socket, head);
  }

  /**
   * Connects to a WebSocket route, or calls a controller, in memory: through the real handshake and engine, but without a port. For tests of handlers. The app
   * does not have to listen.
   *
   * @param path the path of a WebSocket route, with its query if it has one
   * @returns the client's end, once the handshake is done
   * @throws InjectError when the handshake is refused
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/echo", (socket) => {
   *   socket.on("message", (data) => socket.send(data));
   * });
   * const client = await app.inject("/echo");
   * client.send("hello");
   * console.log(await client.next()); // hello
   * await client.close();
   * ```
   */
  inject(path: string, options?: InjectOptions): Promise<InjectedClient>;
  /** Calls a controller with a web `Request`, whose host does not matter, and gives its `Response`. */
  inject(request: Request): Promise<Response>;
  async inject(target: string | Request, options: InjectOptions = {}): Promise<InjectedClient | Response> {
    checkTarget(target);
    this.#checkOpen();
    const services = await this.#makeServices();
    if (typeof target !== "string") return await injectRequest(target, this.#httpRoutes, services);
    return await injectHandshake(target, options, (message, raw, head) => this.handleUpgrade(message, raw, head));
  }

  /** Address and port at which the app listens. Undefined while it does not, or at a unix socket. */
  get address(): AddressInfo | undefined {
    return this.#listener?.address;
  }

  /** The address to open, such as `http://localhost:3000`. Empty while the app does not listen, or at a unix socket. */
  get url(): string {
    return this.#listener?.url ?? "";
  }

  /** The open sockets: a live view. */
  get sockets(): SocketView {
    return this.#webSocketRoutes.registry.view;
  }

  /**
   * Sends a message to everyone who is subscribed to a topic, in this process and behind the broker. Locally it is sent at once, encoded once for all. Through a broker it is
   * delivered at most once, and what one process publishes stays in order.
   *
   * @returns how many sockets of this process that were
   * @throws TypeError or RangeError for what is no topic or no message; a broker that is away is no error
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/prices", (socket) => {
   *   socket.subscribe("prices");
   * });
   * setInterval(() => app.publish("prices", JSON.stringify({ eur: Math.random() })), 1000);
   * ```
   */
  publish(topic: string, data: string | BinaryData): number {
    return this.#pubSub.publish(topic, data);
  }

  /** How many sockets of this process are subscribed to a topic. */
  subscribers(topic: string): number {
    return this.#pubSub.count(topic);
  }

  /**
   * Who is at a topic, in all processes that share the broker: the sockets that subscribed with `presence`. What other processes tell arrives a moment later than it
   * happens; a process that has died is forgotten after `presence.timeoutMs`.
   */
  presence(topic: string): Present[] {
    return this.#pubSub.present(topic);
  }

  /** Adds a listener for sockets of this process that join or leave a topic. An exception in it is logged. */
  on<Event extends keyof AppEvents>(event: Event, listener: (...args: AppEvents[Event]) => unknown): this {
    this.#pubSub.on(event, listener);
    return this;
  }

  /** Removes a listener. */
  off<Event extends keyof AppEvents>(event: Event, listener: (...args: AppEvents[Event]) => unknown): this {
    this.#pubSub.off(event, listener);
    return this;
  }

  /** Figures of this moment. */
  stats(): AppStats {
    const { accepted, refused, registry } = this.#webSocketRoutes;
    let droppedMessages = 0;
    for (const socket of registry) droppedMessages += socket.droppedMessages;
    const { size: topics, brokerStats: broker } = this.#pubSub;
    return { connections: registry.size, accepted, refused, droppedMessages, topics, broker };
  }

  /**
   * Ends the app. The app accepts nothing new, and sends a Close to everyone behind all that was sent before. It cuts the
   * connections that have not ended after `timeoutMs`, and then disposes of the services, which have as long again, and at
   * least a second. The promise resolves after these times whatever happens. A second call gives the promise of the first.
   *
   * @returns how the connections ended, once all of them have
   * @throws RangeError for a code or reason that cannot be sent
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    const resolved = resolveClose(options, this.#options.closeTimeoutMs);
    return this.#closing ??= this.#close(resolved);
  }

  /** `await using app = …` closes it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #route(method: Method, path: string, controller: Controller<Services, never>): this {
    this.#httpRoutes.addRoute(method, path, controller as Controller<object>);
    return this;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new Error("The app has been closed: create another one");
  }

  async #makeServices(): Promise<object> {
    return this.#services ??= await this.#registry.makeAll();
  }

  #onHandshake(attempt: HandshakeAttempt): void {
    if (this.#services !== undefined) return this.#webSocketRoutes.connect(attempt, this.#services);
    this.#makeServices().then(
      (services) => this.#webSocketRoutes.connect(attempt, services),
      (error) => this.#webSocketRoutes.refuse(attempt, error),
    );
  }

  #close(options: Required<CloseOptions>): Promise<CloseResult> {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
    return shutDown({
      listener: this.#listener,
      attachedServers: this.#attachedServers,
      httpRoutes: this.#httpRoutes,
      webSocketRoutes: this.#webSocketRoutes,
      pubSub: this.#pubSub,
      services: this.#registry,
      logger: this.#options.logger,
    }, options);
  }
}

/**
 * Creates an app.
 *
 * @param options see {@link AppOptions}
 * @throws TypeError or RangeError for an option that is unknown, of the wrong type or out of range, saying what would be right
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp({ wsOrigins: "https://mysite.com" });
 * app.ws("/chat", (socket) => {
 *   socket.on("message", (data) => socket.send(data));
 * });
 * await app.listen(3000);
 * ```
 */
// deno-lint-ignore require-await -- a wrong option must reject, and a later version may have to wait
export async function createApp<Services extends object = object>(
  options: AppOptions<Services> = {},
): Promise<App<Services>> {
  return new App(options);
}
