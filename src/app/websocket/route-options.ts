import { isToken } from "../../protocol/tokens.ts";
import { show } from "../common/show.ts";
import type { PathParams } from "../http/router.ts";
import type { SocketOptions } from "./socket-options.ts";
import type { UpgradeHook } from "./upgrade-hook.ts";

/** Options of one WebSocket route. */
export interface RouteOptions<Services, Data, Params = PathParams> extends SocketOptions {
  /**
   * The subprotocols that the route speaks, best first (RFC 6455 §1.9). The first that a client offers too is chosen. A client that offers others only is
   * refused with 400; one that offers none is accepted without.
   */
  subprotocols?: readonly string[] | undefined;
  /** See {@link UpgradeHook}. */
  upgrade?: UpgradeHook<Services, Data, Params> | undefined;
}

/** The names of {@link RouteOptions} that are no {@link SocketOptions}. */
export const ROUTE_OPTION_NAMES = ["subprotocols", "upgrade"] as const;

/** @throws TypeError for what is no list of different tokens */
export function checkRouteOptions(where: string, { subprotocols = [], upgrade }: RouteOptions<never, never>): void {
  const areTokens = Array.isArray(subprotocols) &&
    subprotocols.every((name) => typeof name === "string" && isToken(name)) &&
    new Set(subprotocols).size === subprotocols.length;
  if (!areTokens) {
    const given = Array.isArray(subprotocols) ? `[${subprotocols.map(show).join(", ")}]` : show(subprotocols);
    throw new TypeError(
      `${where}: subprotocols must be an array of different tokens, such as ["v2.chat"]; got ${given}`,
    );
  }
  if (upgrade !== undefined && typeof upgrade !== "function") {
    throw new TypeError(`${where}: upgrade must be a function (req, services, answer); got ${show(upgrade)}`);
  }
}
