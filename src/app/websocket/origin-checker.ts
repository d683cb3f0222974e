import { HandshakeError } from "../../protocol/errors.ts";
import type { Logger } from "../common/logger.ts";
import { show } from "../common/show.ts";
import { isSameOrigin, type OriginCheck } from "./origins.ts";

/** Checks the Origin header of handshakes (RFC 6455 §10.2), and warns once when the app restricts no origins. */
export class OriginChecker {
  readonly #logger: Logger;
  #hasWarned = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Checks one handshake. A request without an Origin header passes: it does not come from a browser, and could claim
   * any origin, so that a check would stop nobody.
   *
   * @param host the host that the client has asked for
   * @param protocol the protocol that trusted proxies have named; undefined if they have named none
   * @param isAllowed undefined when `wsOrigins` is not set: then every origin passes
   * @throws HandshakeError 403 for an origin that may not connect
   */
  check(
    origin: string | undefined,
    host: string,
    isAllowed: OriginCheck | undefined,
    protocol?: "http" | "https" | undefined,
  ): void {
    if (origin === undefined) return;
    if (isAllowed === undefined) this.#warnOf(origin, host);
    else if (!isAllowed(origin, host, protocol)) throw new HandshakeError(403, "Pages of this origin may not connect");
  }

  #warnOf(origin: string, host: string): void {
    if (this.#hasWarned || isSameOrigin(origin, host)) return;
    this.#hasWarned = true;
    this.#logger.warn(
      `SpaceNode: a page of ${show(origin)} has connected to ${
        show(host)
      }. As wsOrigins is not set, any page may do so, and it acts ` +
        "with its visitor's cookies. Name the origins that may connect in wsOrigins.",
    );
  }
}
