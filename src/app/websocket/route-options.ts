/** The options that only a WebSocket route has, and their check. */
import { isToken } from "../../protocol/tokens.ts";
import { show } from "../common/show.ts";
import type { PathParams } from "../http/router.ts";
import type { SocketOptions } from "./socket-options.ts";
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
export interface RouteOptions<Services, Data, Params = PathParams> extends SocketOptions {
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
}

/** The names of those {@link RouteOptions} that are not {@link SocketOptions}. */
export const ROUTE_OPTION_NAMES = ["subprotocols", "textHeartbeat", "upgrade"] as const;

/**
 * Checks the options that only routes have.
 *
 * @param where names the route in error messages
 * @throws TypeError for subprotocols that are no array of different tokens, a textHeartbeat that is no boolean, or a
 *   hook that is no function
 */
export function checkRouteOptions(
  where: string,
  { subprotocols = [], textHeartbeat = false, upgrade }: RouteOptions<never, never>,
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
