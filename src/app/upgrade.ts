import { HandshakeError } from "../protocol/errors.ts";
import { isToken } from "../protocol/tokens.ts";
import type { AppRequest } from "./request.ts";
import type { SocketOptions } from "./options.ts";
import type { PathParams } from "./router.ts";
import { show } from "./values.ts";

/** What an `upgrade` hook may still change about the 101 answer. */
export interface UpgradeAnswer {
  /** The subprotocol that the server will speak: chosen from `subprotocols` before the hook runs, `undefined` for none. */
  subprotocol: string | undefined;
  /** The subprotocols that the client offers, in its order of preference. */
  readonly offered: readonly string[];
  /** Headers for the 101 answer, such as a cookie. Values that would break out of their line are refused by `Headers` itself. */
  readonly headers: Headers;
}

/**
 * Runs before the handshake is answered, and may take its time, up to `handshakeTimeoutMs`. What it returns becomes `socket.data`. To refuse, it throws
 * an {@link HttpError} or returns a web `Response`.
 */
export type UpgradeHook<Services, Data, Params = PathParams> = (
  request: AppRequest<Params>,
  services: Services,
  answer: UpgradeAnswer,
) => Data | Response | Promise<Data | Response>;

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

/**
 * The first of the server's subprotocols that the client offers.
 *
 * @throws HandshakeError 400 when the client offers only others: it would have to fail the connection itself, without saying why
 */
export function chooseSubprotocol(spoken: readonly string[], offered: readonly string[]): string | undefined {
  const chosen = spoken.find((name) => offered.includes(name));
  if (chosen === undefined && spoken.length > 0 && offered.length > 0) {
    throw new HandshakeError(400, `None of the offered subprotocols is spoken here; these are: ${spoken.join(", ")}`);
  }
  return chosen;
}

/**
 * What the hook has left in the answer, for the 101.
 *
 * @throws TypeError for a subprotocol that the client did not offer
 */
export function readAnswer({ subprotocol, offered, headers }: UpgradeAnswer): {
  subprotocol: string | undefined;
  headers: Iterable<readonly [string, string]>;
} {
  if (subprotocol !== undefined && !offered.includes(subprotocol)) {
    const list = offered.length === 0 ? "none" : offered.join(", ");
    throw new TypeError(`The upgrade hook chose the subprotocol ${show(subprotocol)}; the client offers ${list}`);
  }
  const reserved = [...headers.keys()].find((name) => RESERVED.test(name));
  if (reserved !== undefined) {
    throw new TypeError(`The upgrade hook set the header ${show(reserved)}, which is the server's`);
  }
  return { subprotocol, headers };
}

/** Headers that the handshake itself consists of. */
const RESERVED = /^(?:upgrade|connection|content-length|transfer-encoding|sec-websocket-.*)$/;
