/** The options that only a WebSocket route has, and their check. */
import type { Buffer } from "node:buffer";
import { isToken } from "../../protocol/tokens.ts";
import type { BinaryData } from "../common/bytes.ts";
import { show } from "../common/show.ts";
import type { PathParams } from "../http/router.ts";
import { MessageReader } from "./message-reader.ts";
import type { SocketOptions } from "./socket-options.ts";
import type { Socket } from "./socket.ts";
import { type StandardIssue, type StandardSchema, validateBy } from "./standard-schema.ts";
import type { UpgradeHook } from "./upgrade-hook.ts";

/**
 * Options of one WebSocket route, the second argument of `app.ws`. Options that are also options of the app apply to
 * this route instead of those of the app.
 *
 * @example
 * ```ts
 * import { createApp } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.ws("/chat", { subprotocols: ["v2.chat", "v1.chat"], maxMessageBytes: 4096 }, (socket) => {
 *   socket.send(`You speak ${socket.protocol}`);
 * });
 * ```
 */
export interface RouteOptions<
  Services,
  Data,
  Params = PathParams,
  Message = string | Buffer,
  Reply = string | BinaryData,
> extends SocketOptions {
  /**
   * The subprotocols that the route speaks, the preferred one first (RFC 6455 §1.9). The first of them that the client
   * offers too is chosen. A client that offers only other subprotocols is refused with 400. A client that offers none
   * is accepted without a subprotocol. Default: none, and what clients offer is ignored.
   */
  subprotocols?: readonly string[] | undefined;
  /**
   * Whether the server answers the text heartbeat by itself: a text message that is the character U+0005 gets the
   * character U+0006, and neither listeners nor loops nor streams see the message. `spacenode/client` sends it with its
   * option `heartbeat`, because a web page sees no Pings, and would not notice a dead connection. While reading is
   * paused, the answer waits. Default `false`: the message is one like any other.
   */
  textHeartbeat?: boolean | undefined;
  /**
   * Decides, before the handshake is accepted, whether the client is let in. See {@link UpgradeHook}. Default: every
   * valid handshake is accepted.
   */
  upgrade?: UpgradeHook<Services, Data, Params> | undefined;
  /**
   * A schema for the messages of the clients, of zod, valibot, arktype or another library; see {@link StandardSchema}.
   * Each message is parsed as JSON and validated, and listeners, loops and streams get the value that the schema has
   * made of it, with its type.
   *
   * A message that does not fit is not handed out: one that is binary, is not JSON, is nested more than 128 levels
   * deep, has a key `__proto__`, or is refused by the schema. `onInvalid` is called for it. Without `onInvalid`, the
   * socket gets an `error` event and is closed with 1007, and no more of its messages are read.
   *
   * A message is parsed when it is handed out, so one that nobody reads is not parsed. While an async schema is at
   * work, the next messages wait, and keep their order. If a schema throws, or its promise rejects, the error is
   * logged, and the socket is closed with 1011: that is a fault of the server, and not of the client.
   *
   * Default: messages are strings and Buffers.
   *
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   * import { z } from "zod";
   *
   * const app = await createApp();
   * app.ws("/chat", {
   *   message: z.object({ text: z.string().max(1_000) }),
   *   reply: z.object({ from: z.string(), text: z.string() }),
   * }, (socket) => {
   *   socket.subscribe("chat");
   *   socket.on("message", ({ text }) => socket.publish("chat", { from: socket.id, text }));
   * });
   * ```
   */
  message?: StandardSchema<unknown, Message> | undefined;
  /**
   * A schema whose input type is the type of what `send`, `publish` and `writable` of the route's sockets take. They
   * write it as JSON. The schema is used for its type alone, and does not run: the client runs it on what it gets, if
   * it likes. Input of a string type is an error, because strings and bytes are sent as they are, also on such a route.
   * Default: strings and bytes.
   */
  reply?:
    | (
      & StandardSchema<Reply, unknown>
      & ([Extract<Reply, string>] extends [never] ? unknown
        : "A reply must not be a string: strings are sent as they are")
    )
    | undefined;
  /**
   * Called for a message that does not fit `message`. The socket stays open: call `socket.close` to end it. To find the
   * type of `socket.data`, the compiler has to see `upgrade` first, so write `onInvalid` behind it. If the function
   * throws, or its promise rejects, the error is logged, and the socket is closed with 1011. Default: the socket is
   * closed with 1007 and a reason that tells nothing of the content of the message.
   *
   * @param issues the reasons, in the words of the schema: a schema may repeat a part of the message in them
   * @example
   * ```ts
   * import { createApp } from "@spacenode/spacenode";
   * import { z } from "zod";
   *
   * const app = await createApp();
   * app.ws("/chat", {
   *   message: z.object({ text: z.string() }),
   *   onInvalid: (socket, issues) => socket.send(`Not taken: ${issues[0]?.message}`),
   * }, (socket) => {
   *   socket.on("message", ({ text }) => socket.send(text));
   * });
   * ```
   */
  onInvalid?: ((socket: Socket<Data, Message, Reply>, issues: readonly StandardIssue[]) => unknown) | undefined;
}

/** The options of any route, without the types of its handler. */
export type AnyRouteOptions = RouteOptions<never, never, PathParams, unknown, never>;

/** How the messages of a route become values, and values become messages. All sockets of the route share it. */
export interface Typing {
  /** Undefined when messages are handed out as they come. */
  readonly reader: MessageReader | undefined;
  /** True when values are sent as JSON. */
  readonly hasReply: boolean;
  /** Undefined when a message that does not fit closes the socket. */
  readonly onInvalid: OnInvalid | undefined;
}

// deno-lint-ignore no-explicit-any -- the types of its messages are those of its own schemas
type OnInvalid = (socket: Socket<unknown, any, any>, issues: readonly StandardIssue[]) => unknown;

/** The names of those {@link RouteOptions} that are not {@link SocketOptions}. */
export const ROUTE_OPTION_NAMES = [
  "subprotocols",
  "textHeartbeat",
  "upgrade",
  "message",
  "reply",
  "onInvalid",
] as const;

/**
 * Checks the options that only routes have.
 *
 * @param where names the route in error messages
 * @throws TypeError for subprotocols that are no array of different tokens, a textHeartbeat that is no boolean, or a
 *   hook that is no function
 */
export function checkRouteOptions(
  where: string,
  { subprotocols = [], textHeartbeat = false, upgrade }: AnyRouteOptions,
): void {
  const areTokens = Array.isArray(subprotocols) &&
    subprotocols.every((name) => typeof name === "string" && isToken(name)) &&
    new Set(subprotocols).size === subprotocols.length;
  if (!areTokens) {
    const given = Array.isArray(subprotocols) ? `[${subprotocols.map(show).join(", ")}]` : show(subprotocols);
    throw new TypeError(
      `${where}: subprotocols must be an array of different tokens, such as ["v2.chat"]; got ${given}`,
    );
  }
  if (typeof textHeartbeat !== "boolean") {
    throw new TypeError(`${where}: textHeartbeat must be true or false; got ${show(textHeartbeat)}`);
  }
  if (upgrade !== undefined && typeof upgrade !== "function") {
    throw new TypeError(`${where}: upgrade must be a function (req, services, answer); got ${show(upgrade)}`);
  }
}

/**
 * Checks the options for typed messages, and gives what they come to.
 *
 * @param where names the route in error messages
 * @returns undefined when messages are strings and bytes both ways
 * @throws TypeError for a schema that is none, or an `onInvalid` that is no function or has no `message` beside it
 */
export function resolveTyping(where: string, { message, reply, onInvalid }: AnyRouteOptions): Typing | undefined {
  const validate = message === undefined ? undefined : validateBy(`${where}: message`, message);
  if (reply !== undefined) validateBy(`${where}: reply`, reply);
  if (onInvalid !== undefined) {
    if (typeof onInvalid !== "function") {
      throw new TypeError(`${where}: onInvalid must be a function (socket, issues); got ${show(onInvalid)}`);
    }
    if (validate === undefined) throw new TypeError(`${where}: onInvalid needs the option message, a schema`);
  }
  if (validate === undefined && reply === undefined) return undefined;
  return {
    reader: validate && new MessageReader(validate),
    hasReply: reply !== undefined,
    onInvalid: onInvalid as OnInvalid | undefined,
  };
}
