import { checkHeader } from "../../protocol/handshake.ts";

/** Every copy of this package marks its HttpErrors alike: an application may have installed two copies, whose classes differ. */
const MARK = Symbol.for("spacenode.HttpError");

/**
 * An answer that is no success: thrown in a controller, it is sent with its status, its message as the body, and its headers.
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
  /** `"HttpError"`. */
  override readonly name: string = "HttpError";
  /** The HTTP status, 400 to 599. */
  readonly status: number;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * An answer with a status, a message for the client, and headers.
   *
   * @throws RangeError for a status that is none of an error, TypeError for a header that would break out of its line
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

/** Whether an error is an {@link HttpError}, of this copy of the package or of another. */
export function isHttpError(error: unknown): error is HttpError {
  return typeof error === "object" && error !== null && (error as { [MARK]?: unknown })[MARK] === true;
}
