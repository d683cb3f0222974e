import { HandshakeError } from "../../protocol/errors.ts";
import { show } from "../common/show.ts";
import { isError } from "../common/validate.ts";
import type { HttpError } from "../http/http-error.ts";
import type { AppRequest } from "../http/request.ts";
import type { PathParams } from "../http/router.ts";

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
 * What an {@link UpgradeHook} returns to refuse its client: a web `Response` of any class, which is sent with a body of at most 1 MiB; an Error, which counts as thrown;
 * `false` or `null`, which are answered with 403.
 */
export type Refusal = Response | HttpError | Error | false | null;

/**
 * Runs before the handshake is answered, and may take its time, up to `handshakeTimeoutMs`. It decides whether the client is let in:
 *
 * - An object, a string, a number, a bigint or `true` lets the client in, and becomes `socket.data`.
 * - `undefined` lets the client in without data. A lookup that gives `undefined` when it finds nobody must therefore be followed by a check that throws.
 * - A thrown {@link HttpError} refuses with its status, message and headers. Anything else that is thrown is logged, and refuses with 500.
 * - A {@link Refusal} refuses: a `Response` is sent as it is, an Error counts as thrown, `false` and `null` are answered with 403.
 * - A function, a symbol or `NaN` is a mistake: it is logged, and refuses with 500. So does a `Response` that cannot be sent: one whose status is not 200 to 599, whose body
 *   fails, or whose body is larger than 1 MiB.
 *
 * A promise, or anything else with a `then`, is awaited first.
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
 * What the hook has left in the answer, for the 101.
 *
 * @throws TypeError for a subprotocol that the client did not offer
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
 * The data that a hook lets its client in with. What is likely to be meant as a refusal, or as nothing at all, lets nobody in.
 *
 * @throws HandshakeError 403 for `false` and `null`; an Error that was returned; TypeError for what can be no data
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

/** Headers that the handshake itself consists of. */
const RESERVED = /^(?:upgrade|connection|content-length|transfer-encoding|sec-websocket-.*)$/;
