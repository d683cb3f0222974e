/** The error that a controller or an upgrade hook throws to refuse a request. */
import { checkHeader } from "../../protocol/handshake.ts";

/**
 * Marks an HttpError. An application may have installed two copies of this package, whose classes differ. The mark is
 * the same symbol in all copies.
 */
const MARK = Symbol.for("spacenode.HttpError");

/**
 * An error that is sent to the client. If a controller or an `upgrade` hook throws it, the client gets a response with
 * its status, its headers, and its message as the body, in plain text.
 *
 * @example
 * ```ts
 * import { createApp, HttpError } from "@spacenode/spacenode";
 *
 * const app = await createApp();
 * app.get("/secret", () => {
 *   throw new HttpError(403, "Not for you");
 * });
 * ```
 */
export class HttpError extends Error {
  /** Always `"HttpError"`. */
  override readonly name: string = "HttpError";
  /** The HTTP status of the response, 400 to 599. */
  readonly status: number;
  /** Further headers of the response, by name. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Makes an error.
   *
   * @param status the HTTP status, 400 to 599
   * @param message the text that the client gets
   * @param headers further headers of the response, by name; default: none
   * @throws RangeError if the status is not from 400 to 599, TypeError if the name or the value of a header is not
   *   valid
   */
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new RangeError(`The status of an HttpError is 400 to 599; got ${status}`);
    }
    for (const [name, value] of Object.entries(headers)) checkHeader(name, value);
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

Object.defineProperty(HttpError.prototype, MARK, { value: true });

/** Whether a value is an {@link HttpError}, of this copy of the package or of another. */
export function isHttpError(error: unknown): error is HttpError {
  return typeof error === "object" && error !== null && (error as { [MARK]?: unknown })[MARK] === true;
}
