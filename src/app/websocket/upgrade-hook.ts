/** The `upgrade` hook of a route: its type, and how the results of a hook are read. */
import { HandshakeError } from "../../protocol/errors.ts";
import { show } from "../common/show.ts";
import { isError } from "../common/validate.ts";
import type { HttpError } from "../http/http-error.ts";
import type { AppRequest } from "../http/request.ts";
import type { PathParams } from "../http/router.ts";

/** The parts of the 101 response that an {@link UpgradeHook} may still change (RFC 6455 §4.2.2). */
export interface UpgradeAnswer {
  /**
   * The subprotocol that the server will speak, or `undefined` for none. It was chosen from the route's `subprotocols`
   * before the hook runs. The hook may choose another one of those that the client offers.
   */
  subprotocol: string | undefined;
  /** The subprotocols that the client offers, in the client's order of preference. */
  readonly offered: readonly string[];
  /**
   * Headers to add to the 101 response, such as `Set-Cookie`; empty at first. `Headers` itself throws for a value that
   * would break out of its line. Setting a header of the handshake itself, such as `Upgrade` or `Sec-WebSocket-Accept`,
   * is a mistake: it is logged, and the client is refused with 500.
   */
  readonly headers: Headers;
}

/**
 * The values by which an {@link UpgradeHook} refuses its client:
 *
 * - a web `Response` of any class, with a body of at most 1 MiB: it is sent to the client
 * - an {@link HttpError} or another Error: it has the same effect as if the hook had thrown it
 * - `false` or `null`: the client gets 403
 */
export type Refusal = Response | HttpError | Error | false | null;

/**
 * Decides whether a client is let in, before the server responds to the client's handshake. The hook may be async. The
 * request and the decision have `handshakeTimeoutMs` together. After that time the client is refused with 408. The hook
 * gets the request, the services, and an {@link UpgradeAnswer} by which it may change the 101 response. The value that
 * it returns, or that its promise resolves to, decides:
 *
 * - An object, a string, a number, a bigint or `true` lets the client in and becomes `socket.data`. The empty string
 *   and 0 let the client in too.
 * - `undefined` lets the client in without data. A lookup that gives `undefined` for an unknown user must therefore be
 *   followed by a check that throws.
 * - A {@link Refusal} refuses the client. A `Response` is sent with its status, headers and body. `false` and `null`
 *   refuse with 403.
 * - A function, a symbol or `NaN` is taken for a mistake: it is logged, and the client is refused with 500. The same
 *   happens with a `Response` that cannot be sent, because its status is not 200 to 599, its body fails, or its body is
 *   larger than 1 MiB.
 *
 * If the hook throws, or its promise rejects, the client is refused too: an {@link HttpError} is sent with its status,
 * message and headers. Any other error is logged, and the client gets 500 without the details of the error.
 *
 * @example
 * ```ts
 * import { createApp, HttpError } from "@spacenode/spacenode";
 *
 * const users = new Map([["session=7", { name: "Ada" }]]);
 * const app = await createApp();
 * app.ws("/account", {
 *   upgrade: (req) => {
 *     const user = users.get(req.headers.cookie ?? "");
 *     if (user === undefined) throw new HttpError(401, "Please log in");
 *     return user;
 *   },
 * }, (socket) => {
 *   socket.send(`Hello, ${socket.data.name}`);
 * });
 * ```
 */
export type UpgradeHook<Services, Data, Params = PathParams> = (
  request: AppRequest<Params>,
  services: Services,
  answer: UpgradeAnswer,
) => Data | Refusal | PromiseLike<Data | Refusal>;

/**
 * Reads the subprotocol and the headers that a hook has left in its answer, for the 101 response.
 *
 * @throws TypeError for a subprotocol that the client does not offer, or for a header of the handshake itself
 */
export function readUpgradeAnswer({ subprotocol, offered, headers }: UpgradeAnswer): {
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

/**
 * Reads the value that a hook has returned, unless the value is a `Response`, and gives the data of the socket. A value
 * that is probably meant as a refusal, or that is probably a mistake, lets nobody in.
 *
 * @throws HandshakeError 403 for `false` and `null`
 * @throws the value itself if it is an Error
 * @throws TypeError for a function, a symbol or NaN
 */
export function readData(verdict: unknown): unknown {
  if (verdict === false || verdict === null) throw new HandshakeError(403, "You may not connect here");
  if (isError(verdict)) throw verdict;
  if (typeof verdict !== "function" && typeof verdict !== "symbol" && !Number.isNaN(verdict)) return verdict;
  throw new TypeError(
    `The upgrade hook returned ${show(verdict)}: to let the client in, return its data or true; to refuse it, ` +
      "throw an HttpError, or return a Response or false",
  );
}

/** The headers of the handshake itself, which a hook must not set. */
const RESERVED = /^(?:upgrade|connection|content-length|transfer-encoding|sec-websocket-.*)$/;
