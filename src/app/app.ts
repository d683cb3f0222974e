/**
 * The app: the object that a user of the library creates. It wires the parts of the server together, and its methods
 * are the API reference. The work itself is done in the parts: WebSocket routes, HTTP routes, topics, services and
 * servers.
 */
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
import { formatMetrics, OPEN_METRICS } from "./metrics.ts";
import { type AppOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import type { Present } from "./pubsub/presence.ts";
import type { TopicMessages } from "./pubsub/history/histories.ts";
import type { TopicOptions } from "./pubsub/history/history-options.ts";
import { type HistoryReadOptions, PubSub } from "./pubsub/pubsub.ts";
import { AttachedServers } from "./server/attached-servers.ts";
import { type ListenOptions, resolveListen } from "./server/listen-options.ts";
import { Listener } from "./server/listener.ts";
import { renewTls, type TlsOptions, type TlsRenewal } from "./server/tls.ts";
import { type ServiceFactory, ServiceRegistry } from "./services.ts";
import { shutDown } from "./shutdown.ts";
import { type AppStats, type CloseResult, readStats } from "./stats.ts";
import type { AnyRouteOptions, RouteOptions } from "./websocket/route-options.ts";
import type { ServerSocket } from "./websocket/server-socket.ts";
import type { SocketView } from "./websocket/socket-registry.ts";
import type { Socket } from "./websocket/socket.ts";
import { type AnyHandler, WebSocketRoutes } from "./websocket/websocket-routes.ts";

/**
 * The handler of a WebSocket route. It runs once for each connection, after the handshake. No message is lost while the
 * handler prepares itself: reading from the connection begins when the handler adds a `message` listener, or otherwise
 * when the handler has returned and its promise, if any, has settled.
 *
 * If the handler throws, or if the promise that it returns rejects, the error is logged and emitted as the socket's
 * `error` event, and the socket is closed with code 1011 (RFC 6455 §7.4.1). The return value is not used otherwise.
 */
export type SocketHandler<Services, Data, Params, Message = string | Buffer, Reply = string | BinaryData> = (
  socket: Socket<Data, Message, Reply>,
  request: AppRequest<Params>,
  services: Services,
) => unknown;

/** The signals by which an operating system or a container manager asks a process to end. */
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** A WebSocket and HTTP server. {@link createApp} creates one. */
export class App<Services extends object = object> {
  /** A UUID that identifies this app among all apps of all processes. */
  readonly id: string = randomUUID();
  readonly #createdAtMs = Date.now();
  readonly #options: ResolvedOptions;
  readonly #registry: ServiceRegistry;
  readonly #pubSub: PubSub<ServerSocket>;
  readonly #webSocketRoutes: WebSocketRoutes;
  readonly #httpRoutes: HttpRoutes;
  readonly #attachedServers: AttachedServers;
  #services: object | undefined;
  #haveServicesFailed = false;
  #tls: TlsOptions | undefined;
  #listener: Listener | undefined;
  #closing: Promise<CloseResult> | undefined;
  readonly #onSignal = (): void => void this.close(this.#options.signals);

  /** Use {@link createApp} instead: it takes the same options. */
  constructor(options: AppOptions<Services>) {
    this.#options = resolveOptions(options as AppOptions);
    this.#tls = this.#options.tls;
    this.#registry = new ServiceRegistry(this.#options.services, this.#options.logger);
    this.#pubSub = new PubSub(this.id, this.#options);
    this.#webSocketRoutes = new WebSocketRoutes(this.#options, this.#pubSub);
    this.#httpRoutes = new HttpRoutes(this.#options, (path) => this.#webSocketRoutes.hasRoute(path));
    this.#attachedServers = new AttachedServers(this.#options.handshakeTimeoutMs, {
      fitOf: (message) => this.#webSocketRoutes.fitOf(message),
      onHandshake: (attempt) => this.#onHandshake(attempt),
      onUnclaimed: (attempt) => this.#webSocketRoutes.refuseUnclaimed(attempt),
    });
    if (this.#options.signals !== undefined) { for (const signal of SIGNALS) process.on(signal, this.#onSignal); }
  }

  /**
   * Adds a WebSocket route. The handler runs once for each connection.
   *
   * A path consists of segments. A segment is either literal text, or `:name`, which matches any one segment that is
   * not empty. The last segment may be `*`, which matches the rest of the path. If several routes match a request, a
   * literal segment wins over a param, and a param over `*`, from left to right.
   *
   * @param path the path of the route, such as `"/chat"`, `"/chat/:room"` or `"/files/*"`
   * @param handler see {@link SocketHandler}
   * @returns the app, so that calls can be chained
   * @throws TypeError if the path is not valid or already has a handler, or if the handler is not a function
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
  /**
   * Adds a WebSocket route with options of its own. An option that is set here replaces the app's option of the same
   * name for this route.
   *
   * @param path the path of the route, as above
   * @param options see {@link RouteOptions}
   * @param handler see {@link SocketHandler}
   * @returns the app, so that calls can be chained
   * @throws TypeError or RangeError also if an option is not valid
   */
  ws<Path extends string, Data, Message = string | Buffer, Reply = string | BinaryData>(
    path: Path,
    options: RouteOptions<Services, Data, ParamsOf<Path>, Message, Reply>,
    handler: SocketHandler<Services, Data, ParamsOf<Path>, Message, Reply>,
  ): this;
  ws(path: string, ...rest: unknown[]): this {
    const [options, handler] = rest.length > 1 ? rest : [{}, rest[0]];
    this.#webSocketRoutes.addRoute(path, options as AnyRouteOptions, handler as AnyHandler);
    return this;
  }

  /**
   * Adds a controller for GET and HEAD requests. The response to a HEAD request has the headers of the response to GET,
   * but no body.
   *
   * @param path the path of the route; the syntax is that of {@link App.ws}
   * @param controller see {@link Controller}
   * @returns the app, so that calls can be chained
   * @throws TypeError if the path is not valid or already has a controller for GET, or if the controller is not a
   *   function
   */
  get<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("GET", path, controller);
  }

  /**
   * Adds a controller for POST requests. The parameters, the return value and the errors are those of {@link App.get}.
   */
  post<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("POST", path, controller);
  }

  /**
   * Adds a controller for PUT requests. The parameters, the return value and the errors are those of {@link App.get}.
   */
  put<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("PUT", path, controller);
  }

  /**
   * Adds a controller for PATCH requests. The parameters, the return value and the errors are those of {@link App.get}.
   */
  patch<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("PATCH", path, controller);
  }

  /**
   * Adds a controller for DELETE requests. The parameters, the return value and the errors are those of
   * {@link App.get}.
   */
  delete<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("DELETE", path, controller);
  }

  /**
   * Adds a controller for OPTIONS requests, such as the preflights of CORS. Without one, the app answers an OPTIONS
   * request at a path that has other controllers with 204 and the header Allow. The parameters, the return value and
   * the errors are those of {@link App.get}.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const cors = { "Access-Control-Allow-Origin": "https://mysite.com", "Access-Control-Allow-Methods": "GET, PUT" };
   * const app = await createApp();
   * app.options("/*", () => new Response(null, { status: 204, headers: cors }));
   * app.get("/notes", () => Response.json([], { headers: cors }));
   * ```
   */
  options<Path extends string>(path: Path, controller: Controller<Services, ParamsOf<Path>>): this {
    return this.#route("OPTIONS", path, controller);
  }

  /**
   * Adds a service: a value that handlers and controllers receive by its name. A function counts as a factory of the
   * service. The factory runs once, before the app listens, and receives the services that were added before it.
   *
   * A service with a method `Symbol.asyncDispose`, `Symbol.dispose` or `dispose` is disposed of when the app closes.
   * The services are disposed of in the reverse of the order in which they became ready.
   *
   * @param name the property under which handlers find the service
   * @param service the service itself, or a {@link ServiceFactory}; to add a function as a service, return it from a
   *   factory
   * @returns the app, with the type of the service added to the services of its handlers
   * @throws TypeError if the name is empty or taken; Error if the services have been made already, which happens when
   *   the app first listens, or first gets a handshake or an injected request
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
   * Makes the services, and then listens for connections.
   *
   * @param where the port, where 0 stands for any free port; or `{ port, host, reusePort }`; or `{ path }` for a Unix
   *   socket; or `{ fd }` for a socket that listens already, see {@link ListenOptions}
   * @returns a promise of the app, which resolves once the app listens
   * @throws TypeError or RangeError if the port or another option is not valid; Error if the app listens already or has
   *   been closed, or, with the port in its message, if the port is in use; and the error of a service's factory, if
   *   one has failed
   */
  listen(where: number | ListenOptions): Promise<this>;
  async listen(...args: unknown[]): Promise<this> {
    const options = resolveListen(...args);
    this.#checkOpen();
    if (this.#listener !== undefined) throw new Error(`The app is listening already${this.url && `, at ${this.url}`}`);
    const listener = this.#listener = new Listener({ ...this.#options, tls: this.#tls }, {
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
   * Renews the certificate of an app with the option `tls`, without a restart. Connections that begin from now on get
   * the new certificate, and open ones stay as they are. If the app does not listen yet, it will listen with the new
   * certificate. The owner of a server that was given to {@link App.attach} renews it with `server.setSecureContext`.
   *
   * @param renewal `key` and `cert`, or `pfx`, and if needed `passphrase`, `ca` and `crl`. All that is not set here
   *   stays as the option `tls` has it
   * @returns the app, so that calls can be chained
   * @throws TypeError if a value is not valid, or if the key does not belong to the certificate: the app goes on with
   *   the old one; Error if the app has no option `tls`, has been closed, or runs on a runtime that cannot do this,
   *   which Node, Deno and Bun can
   * @example
   * ```ts
   * import { readFile } from "node:fs/promises";
   * import { createApp } from "@spacenode/spacenode";
   *
   * const read = async () => ({ key: await readFile("key.pem"), cert: await readFile("cert.pem") });
   * const app = await createApp({ tls: await read() });
   * await app.listen(443);
   * process.on("SIGHUP", async () => app.renewTls(await read()));
   * ```
   */
  renewTls(renewal: TlsRenewal): this {
    this.#checkOpen();
    if (this.#tls === undefined) throw new Error("The app has no certificate to renew: createApp takes one as tls");
    const renewed = renewTls(this.#tls, renewal);
    this.#listener?.renewTls(renewed);
    this.#tls = renewed;
    return this;
  }

  /**
   * Serves WebSocket routes on an HTTP server that was created elsewhere. Express, Fastify or Hono keep their routes,
   * and the app adds its WebSocket routes on the same port. If a path does not belong to the app, its handshake is left
   * to the other `upgrade` listeners of the server. If there is no other listener, the app refuses the handshake with
   * 404. Several apps may share a server: each gets the handshakes at its own paths, and one of them says 404.
   *
   * At a path that belongs to the app, a client that offers only subprotocols that the route does not speak is left to
   * the other listeners too. If the route names no subprotocols, but has an `upgrade` hook, which may choose one, the
   * app waits one turn of the event loop for the other listeners. So a route at `/` may stand beside Vite.
   *
   * A handshake that is left to the other listeners is refused after `handshakeTimeoutMs`, with 404, or with 400 at a
   * path of the app, unless one of them has written to the connection, reads from it or has ended it by then. If one of
   * them has to wait longer before it does any of these, raise `handshakeTimeoutMs`.
   *
   * An Upgrade header that does not name `websocket` is ignored, as RFC 9110 §7.8 allows: the request is then a plain
   * one. Many clients send `Upgrade: h2c` or `Upgrade: TLS/1.2`. All other protocols are left to the other `upgrade`
   * listeners, if there are any. Node can do so since 22.21 and 24.9; before, such a request is refused with 400.
   *
   * All `upgrade` listeners of a server see every handshake. Not all of them leave those of the app alone: `ws` with
   * `{ server }` or `{ server, path }`, `@fastify/websocket` and crossws respond to every handshake, in whichever order
   * the listeners were added. Beside them, add one listener of your own, and give the app its handshakes by
   * {@link App.handleUpgrade}. Socket.IO and engine.io end each handshake that has no response after a second, unless
   * their option `destroyUpgrade` is `false`.
   *
   * The app never closes the server: that is left to the owner of the server. A server that closes waits for its
   * sockets, so close the app too. Under Fastify, do so in a `preClose` hook, because its `onClose` hooks run after the
   * sockets have ended.
   *
   * @param server a server of `node:http` or `node:https`
   * @returns the app, so that calls can be chained
   * @throws TypeError if the argument is not such a server; Error if the app has been closed
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   * import { createServer } from "node:http";
   *
   * const server = createServer((_request, response) => response.end("A page"));
   * const app = await createApp();
   * app.ws("/chat", (socket) => void socket.send("Welcome"));
   * app.attach(server);
   * server.listen(3000);
   * ```
   */
  attach(server: Server): this {
    this.#checkOpen();
    this.#attachedServers.attach(server);
    return this;
  }

  /**
   * Takes one WebSocket handshake. This method is for applications that dispatch the `upgrade` event of a server
   * themselves. All others use {@link App.attach} or {@link App.listen}.
   *
   * The app writes the response to the handshake: 101, or an HTTP error if the handshake is refused.
   *
   * A server with `upgrade` listeners emits the event for every request with an Upgrade header, and the app refuses one
   * that does not name `websocket` with 400. The option `shouldUpgradeCallback` of `createServer` makes such requests
   * plain ones, which `attach` and `listen` do by themselves.
   *
   * @param request the first argument of the `upgrade` event
   * @param socket its second argument, the connection
   * @param head its third argument, the bytes that came behind the request
   */
  handleUpgrade(request: IncomingMessage, socket: RawSocket, head: Buffer): void {
    this.#attachedServers.handleUpgrade(request, socket, head);
  }

  /**
   * Connects to a WebSocket route in memory: through the real handshake and protocol, but without a port. This is for
   * tests of handlers. The app need not listen.
   *
   * @param path the path of a WebSocket route, with a query if one is wanted
   * @param options headers and subprotocols of the handshake, see {@link InjectOptions}
   * @returns a promise of the client, which resolves once the handshake is complete
   * @throws InjectError if the handshake is refused; TypeError if the path does not start with "/"; Error if the app
   *   has been closed
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
  /**
   * Calls a controller in memory. This is for tests of controllers. The app need not listen.
   *
   * @param request a web `Request`; the host of its URL does not matter
   * @returns a promise of the controller's response, as `fetch` would give it; errors of the controller become
   *   responses
   * @throws Error if the app has been closed
   */
  inject(request: Request): Promise<Response>;
  async inject(target: string | Request, options: InjectOptions = {}): Promise<InjectedClient | Response> {
    checkTarget(target);
    this.#checkOpen();
    const services = await this.#makeServices();
    if (typeof target !== "string") return await injectRequest(target, this.#httpRoutes, services);
    return await injectHandshake(target, options, (message, raw, head) => this.handleUpgrade(message, raw, head));
  }

  /**
   * The address and port at which the app listens. Undefined while the app does not listen, and when it listens at a
   * Unix socket.
   */
  get address(): AddressInfo | undefined {
    return this.#listener?.address;
  }

  /**
   * The URL of the app, such as `http://localhost:3000`. Empty while the app does not listen, and when it listens at a
   * Unix socket.
   */
  get url(): string {
    return this.#listener?.url ?? "";
  }

  /**
   * True while the app takes new connections: from the moment when it listens, or is attached to a server that listens,
   * until {@link App.close} is called. False also if a factory of a service has failed, since every handshake would be
   * refused. A broker that is away does not count: the sockets of this process go on without it.
   *
   * An app that gets its handshakes by {@link App.handleUpgrade} alone does not know its server, and is never ready in
   * this sense.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp({ signals: true });
   * app.get("/ready", () => new Response(null, { status: app.isReady ? 204 : 503 }));
   * await app.listen(3000);
   * ```
   */
  get isReady(): boolean {
    if (this.#closing !== undefined || this.#haveServicesFailed) return false;
    return this.#listener?.isListening === true || this.#attachedServers.isListening;
  }

  /** The open sockets of this app: a read-only view that is always up to date. */
  get sockets(): SocketView {
    return this.#webSocketRoutes.registry.view;
  }

  /**
   * Sends a message to every socket that is subscribed to a topic: the sockets of this process and, through the broker,
   * those of other processes. The sockets of this process get the message at once, and it is encoded only once. Through
   * a broker, a message is delivered at most once, and messages of one process stay in order.
   *
   * At a topic with a history, see {@link App.topic}, the message goes into the history first. With a broker it is sent
   * to the sockets of this process when it comes back from there, so that all processes have the same order. A message
   * that the broker could not take is sent to nobody, which is logged; {@link App.append} tells.
   *
   * @param topic a string of 1 to 512 characters, see {@link isTopic}
   * @param data a string for a text message, or bytes for a binary message
   * @returns the number of sockets of this process that the message was sent to, or will be sent to
   * @throws TypeError or RangeError if the topic or the message is not valid; that the broker is away is not an error;
   *   RangeError above `maxHistoryTopics`
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

  /**
   * Gives topics a history: what is published there is kept for a while, so that a client that was away gets what it
   * missed, by {@link Socket.follow}. Topics without one cost nothing more than before.
   *
   * Without a broker, the history is in the memory of this process, and ends with it. With one, the broker keeps the
   * history for all processes. {@link redisBroker} and {@link natsBroker} with JetStream can do so; a broker of your
   * own needs the methods `append` and `read`.
   *
   * Call this method before sockets subscribe to the topics, and in all processes alike.
   *
   * @param pattern the name of a topic, or the start of names and a `*`, such as `"room/*"`; of several patterns, the
   *   name itself counts, then the longest start
   * @param options see {@link TopicOptions}
   * @returns the app, so that calls can be chained
   * @throws TypeError or RangeError if the pattern or an option is not valid, Error if the pattern was given before, if
   *   a socket is subscribed to such a topic, if the broker keeps no history, or if the app has been closed
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.topic("room/*", { history: true }).topic("room/lobby", { history: { size: 50, maxAgeMs: 60_000 } });
   * ```
   */
  topic(pattern: string, options: TopicOptions): this {
    this.#checkOpen();
    this.#pubSub.declare(pattern, options);
    return this;
  }

  /**
   * Publishes a message to a topic with a history, and tells whether the message is in the history.
   *
   * `publish` returns a number at once and cannot tell that: only the broker knows. Await this method for messages that
   * must not be lost, and try again when it rejects, or tell the sender. When the answer of the broker was lost, the
   * message may be in the history although the promise rejects; an id of your own in the message shows doubles.
   *
   * @param topic a string of 1 to 512 characters, see {@link isTopic}
   * @param data a string for a text message, or bytes for a binary message
   * @returns a promise of the message's id, which resolves when the message is in the history
   * @throws through the promise: TypeError or RangeError if the topic or the message is not valid, Error if the topic
   *   has no history or the broker could not take the message, RangeError above `maxHistoryTopics`
   */
  append(topic: string, data: string | BinaryData): Promise<string> {
    return this.#pubSub.append(topic, data);
  }

  /**
   * Reads a part of the history of a topic, for example in a controller that gives a page its first messages.
   *
   * @param topic a string of 1 to 512 characters, see {@link isTopic}
   * @param options which part is read, see {@link HistoryReadOptions}
   * @returns a promise of the messages, the oldest first, and of the id behind them, from which a client may follow
   * @throws through the promise: TypeError or RangeError if the topic or an option is not valid, Error if the topic has
   *   no history or the broker is away
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.topic("news", { history: true });
   * app.get("/news", async () => {
   *   const { messages, id } = await app.history("news", { limit: 20 });
   *   return { news: messages.map(({ data }) => data), since: id };
   * });
   * ```
   */
  history(topic: string, options: HistoryReadOptions = {}): Promise<TopicMessages> {
    return this.#pubSub.history(topic, options);
  }

  /**
   * Counts the sockets of this process that are subscribed to a topic, followers among them.
   *
   * @throws TypeError or RangeError if the topic is not valid
   */
  subscribers(topic: string): number {
    return this.#pubSub.count(topic);
  }

  /**
   * Lists the sockets that are present at a topic, in all processes that share the broker. A socket is present if it
   * has subscribed with the `presence` option.
   *
   * News from other processes arrive with a short delay. The sockets of a process that has died disappear after
   * `presence.timeoutMs`.
   *
   * @returns the sockets of this process first
   * @throws TypeError or RangeError if the topic is not valid
   */
  presence(topic: string): Present[] {
    return this.#pubSub.present(topic);
  }

  /**
   * Adds a listener of an event of the app, see {@link AppEvents}. If the listener throws or its promise rejects, the
   * error is logged.
   *
   * @returns the app, so that calls can be chained
   * @throws TypeError if the event does not exist, or if the listener is not a function
   */
  on<Event extends keyof AppEvents>(event: Event, listener: (...args: AppEvents[Event]) => unknown): this {
    this.#pubSub.on(event, listener);
    return this;
  }

  /**
   * Removes a listener that {@link App.on} has added. Nothing happens if there is no such listener.
   *
   * @returns the app, so that calls can be chained
   * @throws TypeError if the event does not exist, or if the listener is not a function
   */
  off<Event extends keyof AppEvents>(event: Event, listener: (...args: AppEvents[Event]) => unknown): this {
    this.#pubSub.off(event, listener);
    return this;
  }

  /**
   * Returns the figures of this moment: connections and messages by route, what waits to be sent, refusals, closes,
   * time-outs, the broker and the histories. See {@link AppStats}.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.ws("/chat", (socket) => void socket.send("Welcome"));
   * setInterval(() => {
   *   const { connections, bufferedBytes, routes } = app.stats();
   *   console.log(connections, bufferedBytes, routes["/chat"].receivedMessages);
   * }, 10_000);
   * ```
   */
  stats(): AppStats {
    return readStats({
      createdAtMs: this.#createdAtMs,
      webSocketRoutes: this.#webSocketRoutes,
      pubSub: this.#pubSub,
      handshakeTimeouts: (this.#listener?.handshakeTimeouts ?? 0) + this.#attachedServers.handshakeTimeouts,
    });
  }

  /**
   * Returns the figures of {@link App.stats} in the OpenMetrics format, as a web `Response` with the media type of this
   * format. Prometheus, the OpenTelemetry collector and other collectors read it. Return the response from a
   * controller, or from a handler of any framework that takes a `Response`; `await app.metrics().text()` is the text
   * alone.
   *
   * The names of the metrics begin with `spacenode_`. Their labels are paths of routes, statuses of responses and
   * groups of close codes: clients cannot add to them.
   *
   * Whoever reads the response learns what the app does. Keep the path from strangers, for example at a port of its
   * own that only the collector reaches.
   *
   * @returns a new `Response` with status 200
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.get("/metrics", () => app.metrics());
   * await app.listen(3000);
   * ```
   */
  metrics(): Response {
    return new Response(formatMetrics(this.stats()), { headers: { "Content-Type": OPEN_METRICS } });
  }

  /**
   * Closes the app. The app accepts no more connections, and sends each open socket a Close frame behind all messages
   * that were sent before (RFC 6455 §7.1.2). Connections that are still open after `timeoutMs` are cut. Then the
   * services are disposed of, for which they have `timeoutMs` again, but at least one second. After these times the
   * promise resolves in any case.
   *
   * Each HTTP request that a controller has got has `timeoutMs` for its response, also the one whose controller calls
   * this method. That controller should return instead of waiting for the promise: its own request is among those that
   * the app waits for, so that the promise would only resolve after `timeoutMs`. A controller that does wait has one
   * more second for its response then.
   *
   * With `overMs`, the sockets get their Close frames one by one, spread over that time, and `timeoutMs` begins behind
   * the last one, for HTTP requests too.
   *
   * A second call returns the promise of the first call, whose options stay in force. To end a long goodbye sooner,
   * close the sockets of {@link App.sockets}.
   *
   * @param options see {@link CloseOptions}
   * @returns a promise of how many connections were closed and how many were cut
   * @throws TypeError or RangeError, at once and not through the promise, if an option is not valid
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   *
   * const app = await createApp();
   * app.post("/shutdown", () => {
   *   void app.close(); // not awaited: the response below is a part of what the app waits for
   *   return { closing: true };
   * });
   * await app.listen({ port: 3000, host: "127.0.0.1" });
   * ```
   */
  close(options: CloseOptions = {}): Promise<CloseResult> {
    const resolved = resolveClose(options, this.#options.closeTimeoutMs);
    return this.#closing ??= this.#close(resolved);
  }

  /** Closes the app at the end of a block in which it was declared with `await using`. */
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
    try {
      return this.#services ??= await this.#registry.makeAll();
    } catch (error) {
      this.#haveServicesFailed = true;
      throw error;
    }
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
 * Creates an app. The app has no routes yet, and does not listen until {@link App.listen} is called.
 *
 * @param options see {@link AppOptions}; all of them are optional
 * @returns a promise of the app
 * @throws TypeError if an option is unknown or of the wrong type, RangeError if a number is out of range; the message
 *   names the option, the value and what would be right
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
// deno-lint-ignore require-await -- a wrong option must reject the promise, and a later version may have to wait
export async function createApp<Services extends object = object>(
  options: AppOptions<Services> = {},
): Promise<App<Services>> {
  return new App(options);
}
